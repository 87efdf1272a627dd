// Who gets the traffic: a bar and the same in words; colours by the order of versions.
import type { Observed, Weight } from '../api/types';
import { count, percent } from '../lib/format';

const tone = (i: number) => ({ '--series': `var(--s${(i % 8) + 1})` });

export function Weights({ weights }: { weights: Weight[] }) {
  if (weights.length === 0) return <span class="muted">no traffic is routed</span>;
  return (
    <div>
      <div class="split" aria-hidden="true">{weights.map((w, i) => <i key={w.version} style={{ ...tone(i), width: `${w.weight}%` }} />)}</div>
      <div class="split-words">{weights.map((w, i) => <span key={w.version}><i class="swatch" style={tone(i)} /><span class="mono">{w.version}</span> <b class="num">{w.weight} %</b></span>)}</div>
    </div>
  );
}

export function ObservedSplit({ observed, weights }: { observed: Observed[]; weights: Weight[] }) {
  if (observed.length === 0) return <p class="muted">No request has been counted yet.</p>;
  // A version that gets no traffic any more has the next free colour.
  const order = [...new Set([...weights.map((w) => w.version), ...observed.map((o) => o.version)])];
  const place = (v: string) => order.indexOf(v);
  return (
    <div>
      <div class="split" aria-hidden="true">{observed.map((o) => <i key={o.version} style={{ ...tone(place(o.version)), width: `${o.share * 100}%` }} />)}</div>
      <table>
        <thead><tr><th>Version</th><th class="right">Share</th><th class="right">Requests</th><th class="right">Bad</th><th class="right">Bad share</th></tr></thead>
        <tbody>{observed.map((o) => (
          <tr key={o.version}><td><i class="swatch" style={tone(place(o.version))} /> <span class="mono">{o.version}</span></td>
            <td class="right">{percent(o.share)}</td><td class="right">{count(o.requests)}</td><td class="right">{count(o.bad)}</td><td class="right">{o.requests ? percent(o.bad / o.requests, 2) : 'no data'}</td></tr>
        ))}</tbody>
      </table>
    </div>
  );
}
