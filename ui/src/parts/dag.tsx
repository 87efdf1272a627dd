// Jobs and what they need, laid out by dagre. The table below it says the same.
import { Graph, layout } from '@dagrejs/dagre';
import type { Job } from '../api/types';
import { duration } from '../lib/time';
import { outcomeOf } from './basic';
import { Icon } from './icon';

const [WIDTH, HEIGHT] = [184, 48];

export function Dag({ jobs, critical, chosen, choose }: { jobs: Job[]; critical: string[]; chosen: string; choose: (job: string) => void }) {
  const g = new Graph();
  g.setGraph({ rankdir: 'LR', nodesep: 16, ranksep: 56, marginx: 2, marginy: 2 });
  g.setDefaultEdgeLabel(() => ({}));
  for (const j of jobs) g.setNode(j.job, { width: WIDTH, height: HEIGHT });
  const known = new Set(jobs.map((j) => j.job));
  for (const j of jobs) for (const need of j.needs) if (known.has(need)) g.setEdge(need, j.job);
  layout(g);
  const { width = 0, height = 0 } = g.graph() as { width?: number; height?: number };
  const isCritical = (a: string, b?: string) => critical.includes(a) && (b === undefined || critical[critical.indexOf(a) + 1] === b);
  return (
    <div class="dag" tabIndex={0} role="region" aria-label="Graph of jobs; the table below lists the same">
      <svg width={Math.max(width, 1)} height={Math.max(height, 1)} aria-hidden="true">
        {g.edges().map((e) => {
          const points = (g.edge(e) as { points: { x: number; y: number }[] }).points;
          const [a, b] = [points[0], points.at(-1)];
          if (!a || !b) return null;
          const mid = (a.x + b.x) / 2;
          return <path key={e.v + e.w} class={`dag-edge${isCritical(e.v, e.w) ? ' is-critical' : ''}`} d={`M${a.x} ${a.y}C${mid} ${a.y} ${mid} ${b.y} ${b.x} ${b.y}`} />;
        })}
        {jobs.map((j) => {
          const node = g.node(j.job) as { x: number; y: number };
          const [state, word] = outcomeOf(j.state, j.conclusion ?? j.outcome);
          return (
            <g key={j.job} class={`dag-node is-${state}${isCritical(j.job) ? ' is-critical' : ''}${j.job === chosen ? ' is-chosen' : ''}`} transform={`translate(${node.x - WIDTH / 2} ${node.y - HEIGHT / 2})`} onClick={() => choose(j.job)}>
              <rect width={WIDTH} height={HEIGHT} rx="5" />
              <g transform="translate(12 16)"><Icon name={state} /></g>
              <text x="38" y="21">{j.name.length > 20 ? `${j.name.slice(0, 19)}…` : j.name}</text>
              <text x="38" y="37" class="dag-sub">{word}{j.durationMs !== null && j.durationMs !== undefined ? ` · ${duration(j.durationMs)}` : ''}</text>
            </g>
          );
        })}
      </svg>
    </div>
  );
}
