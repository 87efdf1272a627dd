// The judge's evidence as a running line with both thresholds, and the weight steps as a staircase.
import type { Evidence, Rollout } from '../api/types';
import { clock, duration } from '../lib/time';
import { useWidth } from '../lib/width';

const HIGH = 248;
const [LEFT, RIGHT, TOP, BOTTOM] = [36, 112, 14, 26];
/** Words at the right edge closer than this would cover each other. */
const LINE = 16;
const finite = (v: number) => (Number.isFinite(v) ? v : 0);

/** Moves labels apart until none covers another; order and the first stay. */
function apart(places: number[]): number[] {
  const order = places.map((y, i) => ({ y, i })).sort((a, b) => a.y - b.y);
  for (let k = 1; k < order.length; k += 1) { const [a, b] = [order[k - 1], order[k]]; if (a && b && b.y < a.y + LINE) b.y = a.y + LINE; }
  const out = [...places];
  for (const o of order) out[o.i] = o.y;
  return out;
}

function Drawing({ points, bad, good, width }: { points: Evidence[]; bad: number | undefined; good: number | undefined; width: number }) {
  const last = points.at(-1);
  const t0 = Date.parse(points[0]?.from ?? '');
  const t1 = Math.max(t0 + 1000, Date.parse(last?.to ?? ''));
  const hi = Math.max(bad ?? 1, ...points.map((p) => finite(p.lnE))) * 1.12;
  const low = Math.min(-Math.max(good ?? 1, ...points.map((p) => finite(p.lnEPromote))) * 1.18, ...points.map((p) => finite(p.lnE)));
  const x = (t: number) => LEFT + ((t - t0) / (t1 - t0)) * (width - LEFT - RIGHT);
  const y = (v: number) => TOP + ((hi - v) / (hi - low)) * (HIGH - TOP - BOTTOM);
  const line = (pick: (p: Evidence) => number) => `M${x(t0).toFixed(1)} ${y(0).toFixed(1)}` + points.map((p) => `L${x(Date.parse(p.to)).toFixed(1)} ${y(finite(pick(p))).toFixed(1)}`).join('');
  const [from, to, words] = [LEFT, width - RIGHT, width - RIGHT + 10];
  const ends: [number, string, string][] = [[y(finite(last?.lnE ?? 0)), 'worse-end', `worse ${fixed(last?.lnE)}`], [y(-finite(last?.lnEPromote ?? 0)), 'good-word', `as good ${fixed(last?.lnEPromote)}`]];
  if (bad !== undefined) ends.push([y(bad), 'bad-word', `rolls back ${bad.toFixed(1)}`]);
  if (good !== undefined) ends.push([y(-good), 'good-word', `promotes ${good.toFixed(1)}`]);
  const placed = apart(ends.map(([at]) => at));
  const ticks = width > 420 ? [t0, t0 + (t1 - t0) / 2, t1] : [t0, t1];
  return (
    <svg class="evidence" width={width} height={HIGH} role="img" aria-label={`Evidence over ${points.length} intervals. That the new version is worse: ${fixed(last?.lnE)}, threshold ${bad?.toFixed(2) ?? 'unknown'}. That it is as good: ${fixed(last?.lnEPromote)}, threshold ${good?.toFixed(2) ?? 'unknown'}.`}>
      {bad !== undefined && <rect class="bad-zone" x={from} y={TOP} width={to - from} height={Math.max(0, y(bad) - TOP)} />}
      {good !== undefined && <rect class="good-zone" x={from} y={y(-good)} width={to - from} height={Math.max(0, HIGH - BOTTOM - y(-good))} />}
      {ticks.map((t, i) => <text key={t} x={x(t)} y={HIGH - 6} text-anchor={i === 0 ? 'start' : i === ticks.length - 1 ? 'end' : 'middle'}>{clock(t)}</text>)}
      <line class="zero" x1={from} x2={to} y1={y(0)} y2={y(0)} /><text x={from - 8} y={y(0) + 4} text-anchor="end">0</text>
      {bad !== undefined && <line class="bad-line" x1={from} x2={to} y1={y(bad)} y2={y(bad)} />}
      {good !== undefined && <line class="good-line" x1={from} x2={to} y1={y(-good)} y2={y(-good)} />}
      <path class="run-good" d={line((p) => -p.lnEPromote)} /><path class="run" d={line((p) => p.lnE)} />
      {last && <><circle class="end" cx={x(t1)} cy={y(finite(last.lnE))} r="3.5" /><circle class="end-good" cx={x(t1)} cy={y(-finite(last.lnEPromote))} r="3" /></>}
      {ends.map(([, name, words_], i) => <text key={words_} class={name} x={words} y={(placed[i] ?? 0) + 4}>{words_}</text>)}
    </svg>
  );
}

/** Two decimals, and no zero below zero. */
const fixed = (n: number | undefined) => (n ?? 0).toFixed(2).replace(/^-0\.00$/, '0.00');

/** Natural logarithms: 0 is no evidence, 4.6 is one chance in a hundred. What speaks for the new version is drawn downwards. */
export function EvidenceLine({ rollout }: { rollout: Rollout }) {
  const [box, width] = useWidth<HTMLDivElement>();
  if (rollout.evidence.length === 0) return <div class="chart-empty">{rollout.finishedAt ? 'Nothing was judged: no other version served beside it.' : 'No evidence yet. The judge folds one interval at a time once both versions serve.'}</div>;
  return <div ref={box} class="drawing">{width > 0 && <Drawing points={rollout.evidence} bad={rollout.threshold?.lnBad ?? undefined} good={rollout.threshold?.lnGood ?? undefined} width={width} />}</div>;
}

const weightOf = (text: string): number | undefined => {
  const match = /(\d+)\s*%/.exec(text) ?? /(?:weight|traffic)\D*(\d+)/i.exec(text);
  return match?.[1] ? Math.min(100, Number(match[1])) : undefined;
};

/** Each step is as wide as the others; its height is the weight it leaves the new version with. */
export function Staircase({ rollout }: { rollout: Rollout }) {
  const [box, w] = useWidth<HTMLDivElement>();
  let weight = 0;
  const steps = rollout.steps.map((s) => { weight = weightOf(s.text) ?? weight; return { ...s, weight }; });
  const treads = [...steps, { index: steps.length, text: 'all traffic', weight: 100, state: (rollout.state === 'promoted' || rollout.takenBackAt) ? ('done' as const) : ('pending' as const), at: rollout.finishedAt }];
  const [h, left, bottom, top] = [168, 48, 24, 22];
  const wide = (w - left) / treads.length;
  const y = (v: number) => top + (1 - v / 100) * (h - top - bottom);
  return (
    <div ref={box} class="drawing">
      {w > 0 && (
        <svg class="stairs" width={w} height={h} role="img" aria-label={`Weight of ${rollout.version} per step: ${treads.map((t) => `${t.weight} %${t.state === 'current' ? ' now' : ''}`).join(', ')}`}>
          {[0, 50, 100].map((v) => <g key={v}><line class="grid" x1={left} x2={w} y1={y(v)} y2={y(v)} /><text x={left - 8} y={y(v) + 4} text-anchor="end">{v} %</text></g>)}
          {treads.map((t, i) => {
            const was = i === 0 ? 0 : treads[i - 1]?.weight ?? 0;
            const x = left + i * wide;
            const lit = t.state === 'current';
            return (
              <g key={t.index}>
                {(lit || t.state === 'done') && <rect class={lit ? 'lit' : 'fill'} x={x} y={y(t.weight)} width={wide} height={y(0) - y(t.weight)} />}
                <path class={`tread${t.state !== 'pending' ? ' is-done' : ''}`} d={`M${x} ${y(was)}V${y(t.weight)}H${x + wide}`} />
                {t.weight !== was && <text class={lit ? 'is-current' : ''} x={x + wide / 2} y={y(t.weight) - 6} text-anchor="middle">{t.weight} %</text>}
                <text class={lit ? 'is-current' : ''} x={x + wide / 2} y={h - 6} text-anchor="middle">{lit ? (rollout.finishedAt ? 'ended' : 'now') : i === treads.length - 1 ? 'all' : i + 1}</text>
              </g>
            );
          })}
        </svg>
      )}
    </div>
  );
}

export const took = (r: Rollout) => (r.startedAt ? duration((r.finishedAt ? Date.parse(r.finishedAt) : Date.now()) - Date.parse(r.startedAt)) : 'not started');
