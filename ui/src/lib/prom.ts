// Metric queries over the range in the URL, and the releases that stand as markers on every graph.
import { useMemo } from 'preact/hooks';
import { type Loaded, useQuery } from '../api/client';
import type { MatrixSeries, Prometheus, QueryData, Rollout, VectorSample } from '../api/types';
import { now, range, type Span, stepOf } from './time';
import { param } from './url';

export interface Marker { at: number; text: string; href: string; bad: boolean }

/** Releases within a span: when each began to take traffic, and when it was taken back. */
export function useMarkers(span: Span): Marker[] {
  const env = param('env');
  const rollouts = useQuery<Rollout[]>(`/api/v1/rollouts?limit=50${env ? `&environment=${encodeURIComponent(env)}` : ''}`, { on: ['rollout', 'release'] });
  return useMemo(() => (rollouts.data ?? []).flatMap((r) => {
    const href = `/rollouts/${encodeURIComponent(r.deployment)}`;
    const marks: Marker[] = [];
    if (r.startedAt) marks.push({ at: Date.parse(r.startedAt) / 1000, text: `${r.service} ${r.version} released`, href, bad: false });
    const back = r.takenBackAt ?? r.finishedAt;
    if (back && r.state === 'rolled_back') marks.push({ at: Date.parse(back) / 1000, text: `${r.service} ${r.version} rolled back`, href, bad: true });
    return marks;
  }).filter((m) => m.at >= span.from && m.at <= span.to), [rollouts.data, span.from, span.to]);
}

const STEADY_S = 5;

/** The range now, moved on in steps so that a page asks at most once per step. */
export function useSpan(everyS = STEADY_S): Span {
  const tick = Math.floor(now.value / 1000 / everyS);
  const [r, f, t] = [param('range'), param('from'), param('to')];
  return useMemo(() => {
    const span = range();
    const step = stepOf(span);
    return f ? span : { from: Math.floor(span.from / step) * step, to: Math.floor(span.to / step) * step };
  }, [tick, r, f, t]);
}

export function rangePath(query: string, span: Span): string {
  if (!query.trim()) return '';
  return `/api/v1/query_range?query=${encodeURIComponent(query)}&start=${span.from.toFixed(3)}&end=${span.to.toFixed(3)}&step=${stepOf(span)}`;
}

/** Keeps the last answer while the path changes with time. */
export function useRange(query: string, span: Span): Loaded<MatrixSeries[]> & { reload: () => void } {
  const answer = useQuery<Prometheus<QueryData>>(rangePath(query, span));
  const data = answer.data?.data;
  const kept = useMemo(() => ({ query: '', series: undefined as MatrixSeries[] | undefined }), []);
  if (kept.query !== query) { kept.query = query; kept.series = undefined; }
  if (data?.resultType === 'matrix') kept.series = data.result;
  return { ...answer, data: kept.series };
}

export function useInstant(query: string, at: number): Loaded<VectorSample[]> & { reload: () => void } {
  const answer = useQuery<Prometheus<QueryData>>(query.trim() ? `/api/v1/query?query=${encodeURIComponent(query)}&time=${at.toFixed(3)}` : '');
  const kept = useMemo(() => ({ query: '', samples: undefined as VectorSample[] | undefined }), []);
  if (kept.query !== query) { kept.query = query; kept.samples = undefined; }
  const data = answer.data?.data;
  if (data?.resultType === 'vector') kept.samples = data.result;
  else if (data?.resultType === 'scalar') kept.samples = [{ metric: {}, value: data.result }];
  return { ...answer, data: kept.samples };
}
