// The judge's evidence as a running line with both thresholds, and the weight steps as a staircase.
import type { Rollout } from '../api/types';
import { clock, duration } from '../lib/time';

const [W, H, LEFT, RIGHT, TOP, BOTTOM] = [760, 260, 48, 132, 16, 28];

/** Natural logarithms: 0 is no evidence, +4.6 is one chance in a hundred. The promoting process is drawn below zero. */
export function EvidenceLine({ rollout }: { rollout: Rollout }) {
  const points = rollout.evidence;
  if (points.length === 0) return <div class="chart-empty">No evidence yet. The judge folds one interval at a time once both versions serve.</div>;
  const bad = rollout.threshold?.lnBad ?? undefined;
  const good = rollout.threshold?.lnGood ?? undefined;
  const t0 = Date.parse(points[0]?.from ?? '');
  const t1 = Math.max(t0 + 1000, Date.parse(points.at(-1)?.to ?? ''));
  const finite = (v: number) => (Number.isFinite(v) ? v : 0);
  const hi = Math.max(bad ?? 1, ...points.map((p) => finite(p.lnE))) * 1.12;
  const lo = -Math.max(good ?? 1, ...points.map((p) => finite(p.lnEPromote))) * 1.18;
  const low = Math.min(lo, ...points.map((p) => finite(p.lnE)) );
  const x = (t: number) => LEFT + ((t - t0) / (t1 - t0)) * (W - LEFT - RIGHT);
  const y = (v: number) => TOP + ((hi - v) / (hi - low)) * (H - TOP - BOTTOM);
  const line = (pick: (p: (typeof points)[number]) => number) => `M${x(t0)} ${y(0)}` + points.map((p) => `L${x(Date.parse(p.to)).toFixed(1)} ${y(finite(pick(p))).toFixed(1)}`).join('');
  const last = points.at(-1);
  const end = last ? y(finite(last.lnE)) : 0;
  const ticks = [...new Set([t0, t0 + (t1 - t0) / 2, t1])];
  return (
    <svg class="evidence" viewBox={`0 0 ${W} ${H}`} role="img" aria-label={`Evidence over ${points.length} intervals. It ends at ${last?.lnE.toFixed(2)}; the threshold for worse is ${bad?.toFixed(2) ?? 'unknown'}.`}>
      {bad !== undefined && <rect class="bad-zone" x={LEFT} y={TOP} width={W - LEFT - RIGHT} height={Math.max(0, y(bad) - TOP)} />}
      {ticks.map((t, i) => <text key={t} x={x(t)} y={H - 8} text-anchor={i === 0 ? 'start' : i === ticks.length - 1 ? 'end' : 'middle'}>{clock(t)}</text>)}
      <line class="zero" x1={LEFT} x2={W - RIGHT} y1={y(0)} y2={y(0)} />
      <text x={LEFT - 8} y={y(0) + 4} text-anchor="end">0</text>
      {bad !== undefined && <><line class="bad-line" x1={LEFT} x2={W - RIGHT} y1={y(bad)} y2={y(bad)} /><text class="bad-word" x={W - RIGHT + 8} y={y(bad) + 4}>worse {bad.toFixed(1)}</text></>}
      {good !== undefined && <><line class="good-line" x1={LEFT} x2={W - RIGHT} y1={y(-good)} y2={y(-good)} /><text class="good-word" x={W - RIGHT + 8} y={y(-good) + 4}>not worse {good.toFixed(1)}</text></>}
      <path class="run-good" d={line((p) => -p.lnEPromote)} />
      <path class="run" d={line((p) => p.lnE)} />
      {last && <><circle class="end" cx={x(t1)} cy={end} r="3.500" /><text x={W - RIGHT + 8} y={Math.abs(end - y(bad ?? 1e9)) < 14 ? end + (end < y(bad ?? 0) ? -8 : 20) : end + 4}>ln E {last.lnE.toFixed(2)}</text></>}
    </svg>
  );
}

const weightOf = (text: string): number | undefined => {
  const match = /(\d+)\s*%/.exec(text) ?? /(?:weight|traffic)\D*(\d+)/i.exec(text);
  return match?.[1] ? Math.min(100, Number(match[1])) : undefined;
};

/** Each step is as wide as the others; its height is the weight it leaves the new version with. */
export function Staircase({ rollout }: { rollout: Rollout }) {
  let weight = 0;
  const steps = rollout.steps.map((s) => { weight = weightOf(s.text) ?? weight; return { ...s, weight }; });
  const ended = rollout.state === 'promoted';
  const treads = [...steps, { index: steps.length, text: 'all traffic', weight: 100, state: ended ? ('done' as const) : ('pending' as const), at: rollout.finishedAt }];
  const [w, h, left, bottom, top] = [760, 176, 40, 28, 20];
  const wide = (w - left) / treads.length;
  const y = (v: number) => top + (1 - v / 100) * (h - top - bottom);
  return (
    <svg class="stairs" viewBox={`0 0 ${w} ${h}`} role="img" aria-label={`Weight of ${rollout.version} per step: ${treads.map((t) => `${t.weight} %`).join(', ')}`}>
      {[0, 50, 100].map((v) => <g key={v}><line class="grid" x1={left} x2={w} y1={y(v)} y2={y(v)} /><text x={left - 8} y={y(v) + 4} text-anchor="end">{v} %</text></g>)}
      {treads.map((t, i) => {
        const before = i === 0 ? 0 : treads[i - 1]?.weight ?? 0;
        const x = left + i * wide;
        const lit = t.state === 'current';
        return (
          <g key={t.index}>
            {(lit || t.state === 'done') && <rect class={lit ? 'lit' : 'fill'} x={x} y={y(t.weight)} width={wide} height={y(0) - y(t.weight)} />}
            <path class={`tread${t.state !== 'pending' ? ' is-done' : ''}`} d={`M${x} ${y(before)}V${y(t.weight)}H${x + wide}`} />
            <text class={lit ? 'is-current' : ''} x={x + wide / 2} y={y(t.weight) - 6} text-anchor="middle">{t.weight} %</text>
            <text class={lit ? 'is-current' : ''} x={x + wide / 2} y={h - 8} text-anchor="middle">{i === treads.length - 1 ? 'all' : lit ? `step ${i + 1}, now` : `step ${i + 1}`}</text>
          </g>
        );
      })}
    </svg>
  );
}

export const took = (r: Rollout) => (r.startedAt ? duration((r.finishedAt ? Date.parse(r.finishedAt) : Date.now()) - Date.parse(r.startedAt)) : 'not started');
