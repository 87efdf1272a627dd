// The log of a job: grouped by step, coloured, searchable, each line with an address, followed while the job runs.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Problem, get, request } from '../api/client';
import { sse } from '../api/live';
import type { Job, JobLog, JobLogLine } from '../api/types';
import { ansi, plain } from '../lib/ansi';
import { absolute, duration } from '../lib/time';
import { param, setParams } from '../lib/url';
import { Empty, Failure, RunWord } from './basic';

const PAGE = 2_000;
const MAX_LINES = 20_000;

function useLog(run: string, job: Job) {
  const [lines, setLines] = useState<JobLogLine[]>([]);
  const [error, setError] = useState<Problem>();
  const [loaded, setLoaded] = useState(false);
  const path = `/api/v1/runs/${encodeURIComponent(run)}/jobs/${encodeURIComponent(job.job)}/log`;
  useEffect(() => {
    const abort = new AbortController();
    setLines([]); setError(undefined); setLoaded(false);
    const add = (more: JobLogLine[]) => setLines((old) => { const from = old.at(-1)?.n ?? -1; return [...old, ...more.filter((l) => l.n > from)].slice(0, MAX_LINES); });
    void (async () => {
      let next = 0;
      try {
        for (;;) {
          const page = await get<JobLog>(`${path}?from=${next}&limit=${PAGE}`, abort.signal);
          add(page.lines);
          setLoaded(true);
          const more = page.next > next;
          next = page.next;
          if (page.done || next >= MAX_LINES) return;
          if (more && page.lines.length === PAGE) continue;
          const live = await request(`${path}?from=${next}`, { headers: { accept: 'text/event-stream' }, signal: abort.signal });
          for await (const message of sse(live)) {
            if (message.event === 'end') return;
            if (message.event === 'error') throw new Problem(0, 'the log ended early', message.data, '', 'Open the run again to read on.');
            const line = JSON.parse(message.data) as JobLogLine;
            next = line.n + 1;
            add([line]);
          }
        }
      } catch (e) {
        if (!abort.signal.aborted) setError(e instanceof Problem ? e : new Problem(0, 'the log ended early', String((e as Error).message), '', 'Open the run again to read on.'));
      }
    })();
    return () => abort.abort();
  }, [path]);
  return { lines, error, loaded, raw: path };
}

function Text({ text, find }: { text: string; find: string }) {
  if (find && plain(text).toLowerCase().includes(find)) {
    const clean = plain(text);
    const parts: preact.ComponentChild[] = [];
    let at = 0;
    for (let hit = clean.toLowerCase().indexOf(find); hit >= 0; hit = clean.toLowerCase().indexOf(find, at)) {
      parts.push(clean.slice(at, hit), <mark key={hit}>{clean.slice(hit, hit + find.length)}</mark>);
      at = hit + find.length;
    }
    return <span>{parts}{clean.slice(at)}</span>;
  }
  return <span>{ansi(text).map((r, i) => (r.classes ? <span key={i} class={r.classes}>{r.text}</span> : r.text))}</span>;
}

function Line({ line, find, linked }: { line: JobLogLine; find: string; linked: boolean }) {
  return (
    <div class={`log-line${line.level ? ` is-${line.level}` : ''}${linked ? ' is-linked' : ''}`} id={`L${line.n + 1}`}>
      <a href={`#L${line.n + 1}`} title={absolute(line.at)} aria-label={`line ${line.n + 1}`} onClick={(e) => { e.preventDefault(); setParams({ line: String(line.n + 1) }); }}>{line.n + 1}</a>
      <Text text={line.text} find={find} />
    </div>
  );
}

export function RunLog({ run, job }: { run: string; job: Job }) {
  const { lines, error, loaded, raw } = useLog(run, job);
  const box = useRef<HTMLDivElement>(null);
  const find = param('find').toLowerCase();
  const linked = Number(param('line'));
  const running = job.state === 'running';
  const [follow, setFollow] = useState(running && !linked);
  const hits = useMemo(() => (find ? lines.filter((l) => plain(l.text).toLowerCase().includes(find)) : []), [lines, find]);
  useEffect(() => { if (follow && box.current) box.current.scrollTop = box.current.scrollHeight; }, [lines, follow]);
  const found = linked > 0 && lines.length >= linked;
  useEffect(() => { if (found) document.getElementById(`L${linked}`)?.scrollIntoView({ block: 'center' }); }, [found, linked, job.job]);
  const steps = useMemo(() => {
    const groups: { key: string; step: number | undefined; group: string | undefined; lines: JobLogLine[] }[] = [];
    for (const l of lines) {
      const last = groups.at(-1);
      const [step, group] = [l.step ?? undefined, l.group ?? undefined];
      if (last && last.step === step && last.group === group) last.lines.push(l);
      else groups.push({ key: String(l.n), step, group, lines: [l] });
    }
    return groups;
  }, [lines]);
  return (
    <>
      <div class="filters">
        <input class="grow" type="search" aria-label="Search in the log" placeholder="Search in the log" value={param('find')} onInput={(e) => setParams({ find: e.currentTarget.value })} />
        {find && <span class="muted" role="status">{hits.length} {hits.length === 1 ? 'line' : 'lines'}</span>}
        {hits.length > 0 && <button type="button" onClick={() => {
          const next = hits.find((h) => h.n + 1 > linked) ?? hits[0];
          if (next) setParams({ line: String(next.n + 1) });
        }}>Next match</button>}
        <button type="button" aria-pressed={follow} onClick={() => setFollow(!follow)}>{follow ? 'Following' : 'Follow'}</button>
        <a href={raw} target="_blank" rel="noreferrer" onClick={(e) => {
          e.preventDefault();
          void request(raw, { headers: { accept: 'text/plain' } }).then((r) => r.blob()).then((b) => {
            const link = document.createElement('a');
            link.href = URL.createObjectURL(b);
            link.download = `${job.job}.log`;
            link.click();
            URL.revokeObjectURL(link.href);
          });
        }}>Save as text</a>
      </div>
      {error && <Failure error={error} />}
      {loaded && lines.length === 0 && <Empty>{running ? 'The job has said nothing yet.' : job.why ?? 'The job said nothing.'}</Empty>}
      {lines.length > 0 && (
        <div class="log" ref={box} tabIndex={0} role="log" aria-live="off" aria-label={`Log of ${job.name}`}>
          {steps.map((g) => {
            const step = g.step === undefined ? undefined : job.steps.find((s) => s.index === g.step);
            const title = [step?.name ?? (g.step === undefined ? '' : `step ${g.step + 1}`), g.group].filter(Boolean).join(' › ');
            const rows = g.lines.map((l) => <Line key={l.n} line={l} find={find} linked={l.n + 1 === linked} />);
            return title ? (
              <details class="log-group" key={g.key} open>
                <summary>{step ? <RunWord state="finished" outcome={step.conclusion} /> : null}<span>{title}</span><span class="muted">{step ? duration(step.durationMs) : ''}</span></summary>
                {rows}
              </details>
            ) : <div key={g.key}>{rows}</div>;
          })}
          {lines.length >= MAX_LINES && <p class="loading">Only the first {MAX_LINES} lines are shown; save the text for all.</p>}
        </div>
      )}
    </>
  );
}
