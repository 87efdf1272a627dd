// Logs: search, histogram, lines with their labels, live tail.
import { useEffect, useRef, useState } from 'preact/hooks';
import { Problem, request, useQuery } from '../api/client';
import { sse } from '../api/live';
import type { LogHistogram, LogLine, LogLines } from '../api/types';
import { ansi } from '../lib/ansi';
import { count, plural } from '../lib/format';
import { useMarkers, useSpan } from '../lib/prom';
import { absolute, clock, clockMs, type Span } from '../lib/time';
import { param, setParams } from '../lib/url';
import { A, Empty, Failure, Head, Loading, StateWord, Tabs } from '../parts/basic';
import { OBSERVE_TABS } from '../parts/observe';

const LIMIT = 500;
const EVERYTHING = '{service_name=~".+"}';
const iso = (s: number) => encodeURIComponent(new Date(s * 1000).toISOString());
const STATE_OF: Record<string, string> = { error: 'is-bad', fatal: 'is-bad', critical: 'is-bad', warn: 'is-waiting', warning: 'is-waiting', info: 'is-running', debug: 'is-unknown', trace: 'is-unknown' };
const ORDER = ['debug', 'trace', 'unknown', 'info', 'warn', 'warning', 'error', 'critical', 'fatal'];

function Histogram({ query, span }: { query: string; span: Span }) {
  const bars = useQuery<LogHistogram>(`/api/v1/logs/histogram?query=${encodeURIComponent(query)}&start=${iso(span.from)}&end=${iso(span.to)}`);
  const markers = useMarkers(span);
  return (
    <Loading query={bars} what="the histogram">
      {(h) => {
        const totals = h.bars.map((b) => Object.values(b.counts).reduce((a, c) => a + c, 0));
        const most = Math.max(1, ...totals);
        const severities = [...new Set(h.bars.flatMap((b) => Object.keys(b.counts)))].sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b));
        const x = (t: number) => ((t - span.from) / (span.to - span.from)) * 1000;
        const wide = Math.max(1, (h.stepMs / 1000 / (span.to - span.from)) * 1000 - 1);
        const all = totals.reduce((a, b) => a + b, 0);
        return (
          <>
            <svg class="histogram" viewBox="0 0 1000 72" preserveAspectRatio="none" role="img" aria-label={`${plural(all, 'line')} from ${absolute(span.from * 1000)} to ${absolute(span.to * 1000)}`}>
              {h.bars.map((b) => {
                let top = 72;
                return severities.map((s) => {
                  const height = ((b.counts[s] ?? 0) / most) * 68;
                  top -= height;
                  return height > 0 ? <rect key={b.at + s} class={`sev-${s}`} x={x(Date.parse(b.at) / 1000)} y={top} width={wide} height={height} /> : null;
                });
              })}
              {markers.map((m) => <rect key={m.href + m.at} class={m.bad ? 'sev-error' : ''} x={x(m.at) - 0.5} y="0" width="1" height="72" />)}
            </svg>
            <div class="histogram-key"><span>{clock(span.from * 1000)}</span><strong>{plural(all, 'line')}</strong>
              {severities.map((s) => <span key={s}>{s} <b class="num">{count(h.bars.reduce((a, b) => a + (b.counts[s] ?? 0), 0))}</b></span>)}
              {markers.map((m) => <span key={m.href + m.at}>▾ {clock(m.at * 1000)} <A href={m.href}>{m.text}</A></span>)}
              <span class="end">{clock(span.to * 1000)}</span></div>
          </>
        );
      }}
    </Loading>
  );
}

function Lines({ lines, narrow }: { lines: LogLine[]; narrow: (label: string, value: string) => void }) {
  return (
    <ol class="lines" aria-label="Log lines">
      {lines.map((l, i) => (
        <li key={l.at + i}>
          <details>
            <summary><time dateTime={l.at} title={absolute(l.at)} class="muted">{clockMs(l.at)}</time><span class={`sev ${STATE_OF[l.severity ?? ''] ?? ''}`}>{l.severity ?? ''}</span>
              <span class="text">{ansi(l.line).map((r, n) => (r.classes ? <span key={n} class={r.classes}>{r.text}</span> : r.text))}</span></summary>
            <dl>{Object.entries(l.labels).map(([k, v]) => <><dt key={`${k}t`}>{k}</dt><dd key={k}><button type="button" class="small" title={`Only lines with ${k} = ${v}`} onClick={() => narrow(k, v)}>{v}</button></dd></>)}
              {l.pattern && <><dt>pattern</dt><dd><A href={`/observe/patterns?pattern=${encodeURIComponent(l.pattern)}`}>{l.pattern}</A></dd></>}</dl>
          </details>
        </li>
      ))}
    </ol>
  );
}

const KEPT = 500;
function useTail(query: string, on: boolean) {
  const [lines, setLines] = useState<LogLine[]>([]);
  const [error, setError] = useState<Problem>();
  useEffect(() => {
    setLines([]); setError(undefined);
    if (!on) return;
    const abort = new AbortController();
    void (async () => {
      try {
        const answer = await request(`/api/v1/logs/tail?query=${encodeURIComponent(query)}`, { headers: { accept: 'text/event-stream' }, signal: abort.signal });
        for await (const message of sse(answer)) {
          if (message.event === 'error') throw new Problem(0, 'the tail ended', message.data, '', 'Start it again.');
          const said = JSON.parse(message.data) as LogLine | LogLines;
          const more = 'lines' in said ? said.lines : [said];
          setLines((old) => [...more.toReversed(), ...old].slice(0, KEPT));
        }
        throw new Problem(0, 'the tail ended', 'The server closed it.', '', 'Start it again.');
      } catch (e) {
        if (!abort.signal.aborted) setError(e instanceof Problem ? e : new Problem(0, 'the tail ended', String((e as Error).message), '', 'Start it again.'));
      }
    })();
    return () => abort.abort();
  }, [query, on]);
  return { lines, error };
}

export default function Logs() {
  const asked = param('query') || EVERYTHING;
  const live = param('live') === '1';
  const [said, setSaid] = useState(asked);
  useEffect(() => setSaid(asked), [asked]);
  const span = useSpan(10);
  const found = useQuery<LogLines>(live ? '' : `/api/v1/logs?query=${encodeURIComponent(asked)}&start=${iso(span.from)}&end=${iso(span.to)}&limit=${LIMIT}&direction=backward`);
  const kept = useRef<{ query: string; lines: LogLines | undefined }>({ query: '', lines: undefined });
  if (kept.current.query !== asked) kept.current = { query: asked, lines: undefined };
  if (found.data) kept.current.lines = found.data;
  const tail = useTail(asked, live);
  const run = () => setParams({ query: said.trim() === EVERYTHING ? undefined : said.trim() }, 'push');
  const narrow = (label: string, value: string) => {
    const matcher = `${label}=${JSON.stringify(value)}`;
    setParams({ query: asked === EVERYTHING ? `{${matcher}}` : asked.replace('}', `, ${matcher}}`) }, 'push');
  };
  return (
    <>
      <Head title="Logs" over="What the services said" />
      <Tabs tabs={OBSERVE_TABS} at="logs" label="Observe" />
      <form class="filters" onSubmit={(e) => { e.preventDefault(); run(); }}>
        <input class="grow mono" aria-label="LogQL query" value={said} spellcheck={false} onInput={(e) => setSaid(e.currentTarget.value)} placeholder='{service_name="shop"} |= "error"' />
        <button type="submit" class="main">Search</button>
        <button type="button" aria-pressed={live} onClick={() => setParams({ live: live ? undefined : '1' })}>{live ? 'Stop the tail' : 'Live tail'}</button>
      </form>
      <Histogram query={asked} span={span} />
      {live ? (
        <>
          <p class="row"><StateWord state={tail.error ? 'bad' : 'running'} word={tail.error ? 'ended' : 'following'} /><span class="muted">new lines appear on top, the last {KEPT} are kept</span></p>
          {tail.error && <Failure error={tail.error} />}
          {tail.lines.length === 0 ? <Empty>Waiting for the next line.</Empty> : <Lines lines={tail.lines} narrow={narrow} />}
        </>
      ) : (
        <Loading query={{ ...found, data: kept.current.lines }} what="lines">
          {(d) => d.lines.length === 0 ? <Empty>No line answers this search in this range. Widen the range above, or take a filter out.</Empty> : (
            <><Lines lines={d.lines} narrow={narrow} />{d.lines.length >= LIMIT && <p class="muted pad">The newest {LIMIT} lines are shown; narrow the search or the range for others.</p>}</>
          )}
        </Loading>
      )}
    </>
  );
}
