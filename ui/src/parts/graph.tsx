// Boxes and what they need, laid out by dagre. Whoever draws one lists the same in a table beside it.
import { Graph as Layout, layout } from '@dagrejs/dagre';
import type { State } from '../api/types';
import { Icon } from './icon';

export interface Box { id: string; title: string; sub: string; state: State }
export interface Edge { from: string; to: string; strong?: boolean }
const HEIGHT = 48;
const LETTER = 7.2;

const cut = (text: string, letters: number) => (text.length > letters ? `${text.slice(0, letters - 1)}…` : text);

export function Graph({ boxes, edges, width = 184, chosen, choose, label, mono }: { boxes: Box[]; edges: Edge[]; width?: number; chosen: string; choose: (id: string) => void; label: string; mono?: boolean }) {
  const g = new Layout();
  g.setGraph({ rankdir: 'LR', nodesep: 16, ranksep: 56, marginx: 2, marginy: 2 });
  g.setDefaultEdgeLabel(() => ({}));
  const known = new Set(boxes.map((b) => b.id));
  for (const b of boxes) g.setNode(b.id, { width, height: HEIGHT });
  for (const e of edges) if (known.has(e.from) && known.has(e.to)) g.setEdge(e.from, e.to, { strong: e.strong === true });
  layout(g);
  const size = g.graph() as { width?: number; height?: number };
  const letters = Math.floor((width - 52) / (mono ? LETTER + 0.9 : LETTER));
  return (
    <div class="dag" tabIndex={0} role="group" aria-label={label}>
      <svg width={Math.max(size.width ?? 1, 1)} height={Math.max(size.height ?? 1, 1)} aria-hidden="true">
        {g.edges().map((e) => {
          const { strong } = g.edge(e) as { strong: boolean };
          const [from, to] = [g.node(e.v), g.node(e.w)] as { x: number; y: number }[];
          if (!from || !to) return null;
          const [a, b] = [{ x: from.x + width / 2, y: from.y }, { x: to.x - width / 2, y: to.y }];
          const mid = (a.x + b.x) / 2;
          return <path key={`${e.v} ${e.w}`} class={`dag-edge${strong ? ' is-critical' : ''}`} d={`M${a.x} ${a.y}C${mid} ${a.y} ${mid} ${b.y} ${b.x} ${b.y}`} />;
        })}
        {boxes.map((b) => {
          const { x, y } = g.node(b.id) as { x: number; y: number };
          return (
            <g key={b.id} class={`dag-node is-${b.state}${b.id === chosen ? ' is-chosen' : ''}`} transform={`translate(${x - width / 2} ${y - HEIGHT / 2})`} onClick={() => choose(b.id)}>
              <title>{b.title}</title>
              <rect width={width} height={HEIGHT} rx="5" />
              <g transform="translate(12 16)"><Icon name={b.state} /></g>
              <text x="38" y="21" class={mono ? 'mono' : ''}>{cut(b.title, letters)}</text>
              <text x="38" y="37" class="dag-sub">{cut(b.sub, letters + 2)}</text>
            </g>
          );
        })}
      </svg>
    </div>
  );
}
