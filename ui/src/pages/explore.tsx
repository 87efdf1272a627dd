// Ask the metrics: a query with completion, its graph, its table.
import { useEffect, useRef, useState } from 'preact/hooks';
import { useQuery } from '../api/client';
import type { Prometheus } from '../api/types';
import { labelText, number, plural } from '../lib/format';
import { useInstant, useMarkers, useRange, useSpan } from '../lib/prom';
import { param, setParams } from '../lib/url';
import { Choice, Empty, Head, Loading, Table, Tabs } from '../parts/basic';
import { Chart } from '../parts/chart';
import { OBSERVE_TABS } from '../parts/observe';

const FUNCTIONS = ['rate', 'increase', 'irate', 'delta', 'deriv', 'sum', 'avg', 'min', 'max', 'count', 'topk', 'bottomk', 'quantile', 'histogram_quantile', 'avg_over_time', 'max_over_time', 'min_over_time', 'sum_over_time', 'count_over_time', 'label_replace', 'absent', 'clamp', 'clamp_min', 'clamp_max', 'round', 'abs', 'ceil', 'floor', 'sort', 'sort_desc', 'time', 'vector', 'scalar', 'changes', 'resets', 'predict_linear'];
const MAX_OFFERED = 12;

function Editor({ value, run }: { value: string; run: (query: string) => void }) {
  const [said, setSaid] = useState(value);
  const [at, setAt] = useState(0);
  const [open, setOpen] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => setSaid(value), [value]);
  const names = useQuery<Prometheus<string[]>>('/api/v1/label/__name__/values');
  const word = () => /[a-zA-Z_:][a-zA-Z0-9_:]*$/.exec(said.slice(0, field.current?.selectionStart ?? said.length))?.[0] ?? '';
  const typed = open ? word().toLowerCase() : '';
  const offered = typed.length < 2 ? [] : [...(names.data?.data ?? []), ...FUNCTIONS].filter((n) => n.toLowerCase().includes(typed) && n.toLowerCase() !== typed)
    .sort((a, b) => Number(b.toLowerCase().startsWith(typed)) - Number(a.toLowerCase().startsWith(typed))).slice(0, MAX_OFFERED);
  const chosen = Math.min(at, offered.length - 1);
  const accept = (name: string | undefined) => {
    const place = field.current?.selectionStart ?? said.length;
    if (!name) return;
    const start = place - word().length;
    const text = FUNCTIONS.includes(name) ? `${name}(` : name;
    setSaid(said.slice(0, start) + text + said.slice(place));
    setOpen(false);
    requestAnimationFrame(() => { field.current?.focus(); field.current?.setSelectionRange(start + text.length, start + text.length); });
  };
  const keys = (e: KeyboardEvent) => {
    if (offered.length > 0) {
      if (e.key === 'ArrowDown') { e.preventDefault(); setAt((chosen + 1) % offered.length); return; }
      if (e.key === 'ArrowUp') { e.preventDefault(); setAt((chosen + offered.length - 1) % offered.length); return; }
      if (e.key === 'Tab') { e.preventDefault(); accept(offered[chosen]); return; }
      if (e.key === 'Escape') { setOpen(false); return; }
    }
    if (e.key === 'Enter' && !e.shiftKey) { e.preventDefault(); setOpen(false); run(said.trim()); }
  };
  return (
    <form class="editor" onSubmit={(e) => { e.preventDefault(); run(said.trim()); }}>
      <label class="only-screenreader" for="query">PromQL query</label>
      <textarea id="query" ref={field} rows={2} spellcheck={false} autocomplete="off" value={said} aria-controls="offered" aria-autocomplete="list"
        aria-activedescendant={offered.length > 0 ? `offer-${chosen}` : undefined}
        onInput={(e) => { setSaid(e.currentTarget.value); setOpen(true); setAt(0); }} onKeyDown={keys} onBlur={() => setTimeout(() => setOpen(false), 150)} placeholder="PromQL, for example sum by (version) (rate(lem_router_requests_total[30s]))" />
      <ul id="offered" role="listbox" aria-label="Completions" class={offered.length > 0 ? 'complete' : 'only-screenreader'}>{offered.map((n, i) => <li key={n} id={`offer-${i}`} role="option" aria-selected={i === chosen} onMouseDown={(e) => { e.preventDefault(); accept(n); }}><span>{n}</span><span class="muted">{FUNCTIONS.includes(n) ? 'function' : 'metric'}</span></li>)}</ul>
      <div class="row"><button type="submit" class="main">Run</button><span class="muted">Enter runs, Shift-Enter breaks the line, Tab completes, drag in the graph to look closer.</span></div>
    </form>
  );
}

function Graph({ query }: { query: string }) {
  const span = useSpan();
  const series = useRange(query, span);
  const markers = useMarkers(span);
  return <Loading query={series} what="the series">{(s) => <Chart series={s} span={span} expr={query} label={`Graph of ${query}`} markers={markers} height={320} />}</Loading>;
}

function Values({ query }: { query: string }) {
  const span = useSpan();
  const samples = useInstant(query, span.to);
  return (
    <Loading query={samples} what="the values">
      {(rows) => rows.length === 0 ? <Empty>The query is right, but no series answers it now.</Empty> : (
        <Table label="Values" head={<><th>{plural(rows.length, 'series', 'series')}</th><th class="right">Value</th></>}>
          {[...rows].sort((a, b) => Number(b.value[1]) - Number(a.value[1])).slice(0, 500).map((r, i) => <tr key={i}><td class="mono wrap">{labelText(r.metric)}</td><td class="right mono" title={r.value[1]}>{number(Number(r.value[1]))}</td></tr>)}
        </Table>
      )}
    </Loading>
  );
}

const STARTERS: [string, string][] = [
  ['Requests by version', 'sum by (version) (rate(lem_router_requests_total[30s]))'],
  ['Failing share', 'sum by (service) (rate(lem_router_requests_total{code=~"5.."}[30s])) / sum by (service) (rate(lem_router_requests_total[30s]))'],
  ['Latency, 95th percentile', 'histogram_quantile(0.95, sum by (le, version) (rate(lem_router_request_duration_seconds_bucket[30s])))'],
  ['What is up', 'up'],
];

export default function Explore() {
  const query = param('query');
  const show = param('show', 'graph');
  const run = (q: string) => setParams({ query: q }, 'push');
  return (
    <>
      <Head title="Explore" over="Ask the metrics in PromQL" />
      <Tabs tabs={OBSERVE_TABS} at="explore" label="Observe" />
      <Editor value={query} run={run} />
      {query ? (
        <>
          <div class="filters"><Choice label="Show" options={[['graph', 'Graph'], ['table', 'Table']]} value={show} choose={(v) => setParams({ show: v === 'graph' ? undefined : v })} /></div>
          {show === 'table' ? <Values query={query} /> : <Graph query={query} />}
        </>
      ) : (
        <div class="empty"><p>Write a query, or begin with one of these:</p><ul class="starters">{STARTERS.map(([title, q]) => <li key={q}><button type="button" onClick={() => run(q)}>{title}</button> <code>{q}</code></li>)}</ul></div>
      )}
    </>
  );
}
