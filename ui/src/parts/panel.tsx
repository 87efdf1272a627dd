// Panels of imported Grafana dashboards. What a panel cannot be drawn as, is said, and its numbers are shown as a table.
import { useMemo } from 'preact/hooks';
import { useQuery } from '../api/client';
import type { MatrixSeries, Panel, Prometheus, QueryData } from '../api/types';
import { inUnit, legend } from '../lib/format';
import { type Marker, rangePath } from '../lib/prom';
import type { Span } from '../lib/time';
import { Failure, Table } from './basic';
import { Chart } from './chart';
import { Markdown } from './markdown';

/** At most this many targets of one panel are asked; more are named as left out. */
const MAX_TARGETS = 6;

export function fill(expr: string, values: Record<string, string>, span: Span): string {
  const builtin: Record<string, string> = { __interval: '30s', __rate_interval: '30s', __range: `${Math.round(span.to - span.from)}s`, __from: String(span.from * 1000), __to: String(span.to * 1000) };
  return expr.replace(/\$\{(\w+)(?::\w+)?\}|\$(\w+)|\[\[(\w+)\]\]/g, (whole, a?: string, b?: string, c?: string) => {
    const name = a ?? b ?? c ?? '';
    return values[name] ?? builtin[name] ?? whole;
  });
}

function useTarget(expr: string | undefined, span: Span) {
  const answer = useQuery<Prometheus<QueryData>>(expr ? rangePath(expr, span) : '');
  const kept = useMemo(() => ({ expr: '', series: undefined as MatrixSeries[] | undefined }), []);
  if (kept.expr !== (expr ?? '')) { kept.expr = expr ?? ''; kept.series = undefined; }
  if (answer.data?.data.resultType === 'matrix') kept.series = answer.data.data.result;
  return { series: kept.series, error: answer.error };
}

const last = (s: MatrixSeries | undefined) => (s ? Number(s.values.findLast(([, v]) => Number.isFinite(Number(v)))?.[1]) : undefined);

function Spark({ series }: { series: MatrixSeries }) {
  const values = series.values.map(([, v]) => Number(v)).filter(Number.isFinite);
  if (values.length < 2) return null;
  const [lo, hi] = [Math.min(0, ...values), Math.max(...values)];
  const d = values.map((v, i) => `${i ? 'L' : 'M'}${((i / (values.length - 1)) * 100).toFixed(2)} ${(27 - ((v - lo) / (hi - lo || 1)) * 26).toFixed(2)}`).join('');
  return <svg class="spark" viewBox="0 0 100 28" preserveAspectRatio="none" aria-hidden="true"><path d={d} /></svg>;
}

function Gauge({ value, panel }: { value: number | undefined; panel: Panel }) {
  const whole = panel.unit === 'percentunit' ? 1 : panel.unit === 'percent' ? 100 : Math.max(1, 10 ** Math.ceil(Math.log10(Math.abs(value ?? 1) || 1)));
  const part = Math.max(0, Math.min(1, (value ?? 0) / whole));
  const point = (p: number) => { const a = Math.PI * (1 - p); return `${60 + 48 * Math.cos(a)} ${60 - 48 * Math.sin(a)}`; };
  return (
    <svg class="gauge" viewBox="0 0 120 76" role="img" aria-label={inUnit(value, panel.unit ?? '', panel.decimals ?? undefined)}>
      <path class="track" d={`M${point(0)}A48 48 0 0 1 ${point(1)}`} />
      {part > 0 && <path class="hand" d={`M${point(0)}A48 48 0 0 1 ${point(part)}`} />}
      <text x="60" y="64" text-anchor="middle">{inUnit(value, panel.unit ?? '', panel.decimals ?? undefined)}</text>
    </svg>
  );
}

function Body({ panel, series, span, markers, template }: { panel: Panel; series: MatrixSeries[]; span: Span; markers: Marker[]; template: (s: MatrixSeries) => string | undefined }) {
  const [unit, decimals] = [panel.unit ?? '', panel.decimals ?? undefined];
  const first = panel.targets[0]?.expr ?? '';
  if (!panel.unsupported && panel.type === 'timeseries') return <Chart series={series} span={span} expr={first} label={panel.title} markers={markers} unit={unit} {...(decimals === undefined ? {} : { decimals })} template={template} height={Math.max(112, panel.gridPos.h * 48 - 106)} compact unlisted />;
  if (!panel.unsupported && panel.type === 'stat') {
    return series[0] ? <div class="stat"><b class="num">{inUnit(last(series[0]), unit, decimals)}</b><Spark series={series[0]} /></div> : <div class="stat"><b class="muted">no data</b></div>;
  }
  if (!panel.unsupported && panel.type === 'gauge') return <Gauge value={last(series[0])} panel={panel} />;
  return (
    <Table label={`Values of ${panel.title}`} head={<><th>Series</th><th class="right">Last</th></>}>
      {series.map((s, i) => <tr key={i}><td>{legend(s.metric, template(s), first, series.map((x) => x.metric))}</td><td class="right">{inUnit(last(s), unit, decimals)}</td></tr>)}
    </Table>
  );
}

export function PanelView({ panel, values, span, markers }: { panel: Panel; values: Record<string, string>; span: Span; markers: Marker[] }) {
  const exprs = panel.targets.map((t) => fill(t.expr, values, span));
  // One hook per possible target, always in the same order.
  const answers = [0, 1, 2, 3, 4, 5].map((i) => useTarget(exprs[i], span));
  const asked = answers.slice(0, Math.min(panel.targets.length, MAX_TARGETS));
  const from = new Map<MatrixSeries, string | undefined>();
  const series = asked.flatMap((a, i) => (a.series ?? []).map((s) => { from.set(s, panel.targets[i]?.legend ?? undefined); return s; }));
  const key = asked.map((a) => a.series);
  const steady = useMemo(() => series, key.concat(Array.from({ length: 6 - key.length }, () => undefined)));
  const { x, y, w, h } = panel.gridPos;
  const failed = asked.find((a) => a.error)?.error;
  const waiting = asked.length > 0 && asked.every((a) => a.series === undefined && !a.error);
  return (
    <section class="panel" aria-label={panel.title} style={{ gridColumn: `${x + 1} / span ${w}`, gridRow: `${y + 1} / span ${h}` }}>
      <h2 title={panel.title}>{panel.title}</h2>
      <div tabIndex={0} role="group" aria-label={`Content of ${panel.title}`}>
        {panel.unsupported && <p class="over">{panel.unsupported}</p>}
        {failed && <Failure error={failed} />}
        {panel.type === 'text' ? <Markdown text={panel.text ?? ''} /> : waiting ? <p class="loading">Reading …</p> : panel.targets.length === 0 ? <p class="muted">No query in this panel.</p>
          : <Body panel={panel} series={steady} span={span} markers={markers} template={(s) => { const t = from.get(s); return t; }} />}
        {panel.targets.length > MAX_TARGETS && <p class="over">{panel.targets.length - MAX_TARGETS} more queries of this panel are left out.</p>}
      </div>
    </section>
  );
}
