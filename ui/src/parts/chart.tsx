// A time series graph: series, release markers, cursor, drag to narrow the range; its numbers also as a list below.
import { useEffect, useRef } from 'preact/hooks';
import UPlot from 'uplot';
import type { MatrixSeries } from '../api/types';
import { inUnit, legend } from '../lib/format';
import type { Marker } from '../lib/prom';
import { absolute, clock, type Span, stepOf, utc } from '../lib/time';
import { setParams } from '../lib/url';
import { A } from './basic';
import { dark } from './frame';

const MAX_SERIES = 40;

/** All points on one time axis; gaps stay gaps. */
function align(series: MatrixSeries[]): UPlot.AlignedData {
  const times = [...new Set(series.flatMap((s) => s.values.map(([t]) => t)))].sort((a, b) => a - b);
  const place = new Map(times.map((t, i) => [t, i]));
  const columns = series.map((s) => {
    const column: (number | null)[] = new Array<null>(times.length).fill(null);
    for (const [t, text] of s.values) {
      const value = Number(text);
      const at = place.get(t);
      if (at !== undefined && Number.isFinite(value)) column[at] = value;
    }
    return column;
  });
  return [times, ...columns] as UPlot.AlignedData;
}

function colours(box: HTMLElement) {
  const style = getComputedStyle(box);
  const resolve = document.createElement('i');
  box.append(resolve);
  const read = (name: string) => { resolve.style.color = style.getPropertyValue(name); return getComputedStyle(resolve).color; };
  const all = { text: read('--muted'), grid: read('--line'), bad: read('--bad'), mark: read('--strong'), series: [1, 2, 3, 4, 5, 6, 7, 8].map((n) => read(`--s${n}`)) };
  resolve.remove();
  return all;
}

function drawMarkers(u: UPlot, markers: Marker[], colour: { bad: string; mark: string }) {
  const { ctx, bbox } = u;
  ctx.save();
  const scale = devicePixelRatio;
  for (const m of markers) {
    const x = Math.round(u.valToPos(m.at, 'x', true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = m.bad ? colour.bad : colour.mark;
    ctx.fillStyle = ctx.strokeStyle;
    ctx.lineWidth = scale;
    ctx.setLineDash(m.bad ? [] : [4 * scale, 3 * scale]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(x - 4 * scale, bbox.top);
    ctx.lineTo(x + 4 * scale, bbox.top);
    ctx.lineTo(x, bbox.top + 6 * scale);
    ctx.fill();
  }
  ctx.restore();
}

/** The markers of a graph as a list. */
export function Markers({ markers, open }: { markers: Marker[]; open: boolean }) {
  return (
    <details class="markers" open={open}>
      <summary class="muted">{markers.length} {markers.length === 1 ? 'change' : 'changes'} in this range</summary>
      <ul>{[...markers].sort((a, b) => a.at - b.at).map((m) => <li key={m.href + m.at}><span class={m.bad ? 'mark is-bad' : 'mark muted'}>▾ {clock(m.at * 1000)}</span> <A href={m.href}>{m.text}</A></li>)}</ul>
    </details>
  );
}

/** Steps between ticks in powers of two, so that bytes read 64 MiB and not 61.0 MiB. */
const BINARY = Array.from({ length: 42 }, (_, i) => 2 ** i);
/** As few decimals as keep neighbouring ticks apart. */
function tick(v: number, step: number, unit: string): string {
  if (unit === 'percentunit') return inUnit(v, unit, Math.max(0, Math.ceil(-Math.log10(step * 100) - 1e-9)));
  return inUnit(v, unit === 'reqps' ? '' : unit);
}

export interface ChartProps {
  series: MatrixSeries[]; span: Span; expr: string; label: string; markers?: Marker[]; unit?: string; decimals?: number;
  template?: (series: MatrixSeries) => string | undefined; height?: number; compact?: boolean;
  /** Leaves the list of markers out, where it stands once for several graphs. */
  unlisted?: boolean;
}

export function Chart({ series: all, span, expr, label, markers = [], unit = '', decimals, template, height = 240, compact, unlisted }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const series = all.slice(0, MAX_SERIES);
  const names = series.map((s) => legend(s.metric, template?.(s), expr, all.map((x) => x.metric)));
  useEffect(() => {
    const host = box.current;
    if (!host || series.length === 0) return;
    const colour = colours(host);
    const data = align(series);
    const step = stepOf(span);
    const show = (u: UPlot) => {
      const t = tip.current;
      if (!t) return;
      const { idx, left = 0 } = u.cursor;
      if (idx === null || idx === undefined || left < 0) { t.hidden = true; return; }
      t.hidden = false;
      t.replaceChildren();
      const when = document.createElement('div');
      when.textContent = absolute((data[0][idx] ?? 0) * 1000);
      t.append(when);
      names.map((name, i) => ({ name, i, value: data[i + 1]?.[idx] })).filter((r) => r.value !== null && r.value !== undefined)
        .sort((a, b) => (b.value ?? 0) - (a.value ?? 0)).slice(0, 10).forEach(({ name, i, value }) => {
          const row = document.createElement('div');
          const swatch = document.createElement('i');
          swatch.className = 'swatch';
          swatch.style.background = colour.series[i % 8] ?? '';
          const number = document.createElement('b');
          number.textContent = inUnit(value, unit, decimals);
          row.append(swatch, name, number);
          t.append(row);
        });
      const near = markers.filter((m) => Math.abs(u.valToPos(m.at, 'x') - left) < 5);
      for (const m of near) { const row = document.createElement('div'); row.textContent = `▾ ${m.text}`; t.append(row); }
      const flip = left > u.over.clientWidth / 2;
      t.style.left = flip ? '' : `${left + u.over.offsetLeft + 14}px`;
      t.style.right = flip ? `${host.clientWidth - left - u.over.offsetLeft + 14}px` : '';
      t.style.top = '12px';
    };
    const axis = { stroke: colour.text, grid: { stroke: colour.grid, width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
    const plot = new UPlot({
      width: host.clientWidth, height, pxAlign: 1,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { size: 5 } },
      scales: { x: { time: true, range: () => [span.from, span.to] }, y: { range: (_u, lo, hi) => {
        if (lo === null || !Number.isFinite(lo)) return [0, 1];
        const low = Math.min(0, lo);
        return hi <= low ? [low, low + 1] : [low, hi + (hi - low) * 0.08];
      } } },
      axes: [
        { ...axis, space: 72, values: (_u, ticks) => ticks.map((t) => (span.to - span.from > 172_800 ? absolute(t * 1000).slice(5, 10) : clock(t * 1000).slice(0, span.to - span.from > 1_200 ? 5 : 8))) },
        { ...axis, size: 68, ...(/bytes|[bB]ps/.test(unit) ? { incrs: BINARY } : {}), values: (_u, ticks) => ticks.map((v) => tick(v, (ticks[1] ?? 1) - (ticks[0] ?? 0), unit)) },
      ],
      series: [{}, ...series.map((_, i) => ({ stroke: colour.series[i % 8] ?? '', width: 1.5, points: { show: false }, spanGaps: false }))],
      hooks: {
        draw: [(u) => drawMarkers(u, markers, colour)],
        setCursor: [show],
        setSelect: [(u) => {
          if (u.select.width < 8) return;
          const from = u.posToVal(u.select.left, 'x');
          const to = u.posToVal(u.select.left + u.select.width, 'x');
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          setParams({ from: String(Math.floor(from)), to: String(Math.ceil(Math.max(to, from + step))), range: undefined }, 'push');
        }],
      },
    }, data, host);
    const watch = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height }));
    watch.observe(host);
    return () => { watch.disconnect(); plot.destroy(); };
  }, [all, span.from, span.to, markers, dark.value, height, unit, utc.value]);
  if (series.length === 0) return <div class="chart-empty">No data in this range.</div>;
  const last = (s: MatrixSeries) => Number(s.values.findLast(([, v]) => Number.isFinite(Number(v)))?.[1]);
  return (
    <figure class="chart" aria-label={label}>
      <div ref={box} style={{ height: `${height}px` }}><div class="chart-tip" ref={tip} hidden /></div>
      <figcaption>
        <div class="legend">
          {series.map((s, i) => <span key={i}><i class={`swatch s${i % 8}`} style={{ background: `var(--s${(i % 8) + 1})` }} />{names[i]} <b class="num">{inUnit(last(s), unit, decimals)}</b></span>)}
          {all.length > MAX_SERIES && <span class="muted">{all.length - MAX_SERIES} more series are in the table, not in the graph.</span>}
        </div>
        {markers.length > 0 && !unlisted && (
          <Markers markers={markers} open={!compact} />
        )}
      </figcaption>
    </figure>
  );
}
