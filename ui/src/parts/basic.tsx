// The small parts every page is made of.
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Loaded, Problem } from '../api/client';
import type { IncidentState, RolloutState, RunOutcome, State } from '../api/types';
import { short } from '../lib/format';
import { absolute, ago } from '../lib/time';
import { to } from '../lib/url';
import { Icon } from './icon';

/** A link inside the product; keeps range, environment and lens. */
export function A({ href, children, ...rest }: { href: string; children: ComponentChildren; class?: string; title?: string; 'aria-label'?: string; 'aria-current'?: 'page' | undefined }) {
  return <a href={href.startsWith('/') ? to(href) : href} {...rest}>{children}</a>;
}

/** A state is always icon and word and colour. */
export function StateWord({ state, word }: { state: State; word?: string }) {
  return <span class={`state is-${state}`}><Icon name={state} /><span>{word ?? state}</span></span>;
}

const ROLLOUT: Record<RolloutState, [State, string]> = {
  planned: ['waiting', 'planned'], progressing: ['running', 'progressing'], held: ['waiting', 'held'],
  paused: ['waiting', 'paused'], aborting: ['bad', 'turning back'], promoted: ['ok', 'promoted'],
  rolled_back: ['bad', 'rolled back'], superseded: ['unknown', 'superseded'], failed: ['bad', 'failed'],
};
export const RolloutWord = ({ state }: { state: RolloutState }) => {
  const [colour, word] = ROLLOUT[state] ?? ['unknown', state];
  return <StateWord state={colour} word={word} />;
};

const INCIDENT: Record<IncidentState, State> = { open: 'bad', acknowledged: 'waiting', mitigated: 'waiting', resolved: 'ok', closed: 'ok' };
export const IncidentWord = ({ state }: { state: IncidentState }) => <StateWord state={INCIDENT[state] ?? 'unknown'} word={state} />;

const CHANGE: Record<State, string> = { ok: 'done', running: 'moving', waiting: 'waits', bad: 'failed', unknown: 'unknown' };
/** How a change or a step of it is, as icon and word. */
export const ChangeWord = ({ state }: { state: State }) => <StateWord state={state} word={CHANGE[state] ?? state} />;

const OUTCOME: Record<RunOutcome, [State, string]> = {
  success: ['ok', 'success'], failure: ['bad', 'failed'], cancel: ['unknown', 'cancelled'], error: ['bad', 'error'],
};
/** State and outcome of a run, job or step. */
export function outcomeOf(state: string, outcome: RunOutcome | null | undefined): [State, string] {
  if (outcome) return OUTCOME[outcome] ?? ['unknown', outcome];
  if (state === 'running') return ['running', 'running'];
  if (state === 'queued') return ['waiting', 'queued'];
  if (state === 'skipped') return ['unknown', 'skipped'];
  return ['unknown', state];
}
export const RunWord = ({ state, outcome }: { state: string; outcome: RunOutcome | null | undefined }) => {
  const [colour, word] = outcomeOf(state, outcome);
  return <StateWord state={colour} word={word} />;
};

/** Relative time; the absolute one on hover. */
export function When({ at }: { at: string | null | undefined }) {
  if (!at) return <span class="muted">never</span>;
  return <time dateTime={at} title={absolute(at)}>{ago(at)}</time>;
}

/** Absolute time, for rows that are read in order. */
export const At = ({ at, only }: { at: string; only?: 'clock' }) => (
  <time dateTime={at} title={absolute(at)} class="num">{only ? absolute(at, undefined).slice(11, 19) : absolute(at)}</time>
);

export const Sha = ({ sha }: { sha: string }) => <A href={`/changes/${sha}`} class="mono" title={`commit ${sha}`}>{short(sha)}</A>;
export const EventRef = ({ seq }: { seq: number }) => <A href={`/ledger/${seq}`} class="eventref mono" title={`ledger event ${seq}`} aria-label={`ledger event ${seq}`}>#{seq}</A>;

/** Code of the server's answer for a part this loop does not have: a state of things, not an error. */
export const NOT_SET_UP = 'not-set-up';

/** What the server said went wrong, its code and what to do. */
export function Failure({ error, retry }: { error: Problem; retry?: () => void }) {
  if (error.code === NOT_SET_UP) return <div class="notice is-unknown"><StateWord state="unknown" word="not set up" /><span>{error.detail} {error.hint}</span></div>;
  return (
    <div class="failure" role="alert">
      <Icon name="bad" />
      <div>
        <p><strong>{error.title}</strong>{error.code && <> <code>{error.code}</code></>}</p>
        {error.detail && error.detail !== error.title && <p class="mono wrap">{error.detail}</p>}
        {error.hint && <p>{error.hint}</p>}
        {retry && <button type="button" class="small" onClick={retry}>Try again</button>}
      </div>
    </div>
  );
}

/** What will appear here, and the command that makes it appear. */
export function Empty({ children, command }: { children: ComponentChildren; command?: string }) {
  return <div class="empty"><p>{children}</p>{command && <p><code>{command}</code></p>}</div>;
}

/** Loading keeps the old content in place; an error stands above it. */
export function Loading<T>({ query, children, what = 'this' }: { query: Loaded<T> & { reload?: () => void }; children: (data: T) => ComponentChildren; what?: string }) {
  return (
    <>
      {query.error && <Failure error={query.error} {...(query.reload ? { retry: query.reload } : {})} />}
      {query.data !== undefined ? children(query.data) : !query.error && <p class="loading" role="status">Reading {what} …</p>}
    </>
  );
}

/** Title of a page and of the document. */
export function Head({ title, children, over }: { title: string; children?: ComponentChildren; over?: ComponentChildren }) {
  useEffect(() => { document.title = `${title} · Lemniscate`; }, [title]);
  return (
    <header class="head">
      <div class="head-text">{over && <p class="over">{over}</p>}<h1>{title}</h1></div>
      {children && <div class="head-side">{children}</div>}
    </header>
  );
}

export interface Tab { id: string; href: string; title: string }
export function Tabs({ tabs, at, label }: { tabs: Tab[]; at: string; label: string }) {
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map((t) => <A key={t.id} href={t.href} aria-current={t.id === at ? 'page' : undefined}>{t.title}</A>)}
    </nav>
  );
}

export function Section({ title, children, side, id }: { title: string; children: ComponentChildren; side?: ComponentChildren; id?: string }) {
  return (
    <section class="section" id={id} aria-label={title}>
      <div class="section-head"><h2>{title}</h2>{side && <div class="section-side">{side}</div>}</div>
      {children}
    </section>
  );
}

/** From so many columns on, a table is stacked on a phone: each cell with the name of its column. */
const STACKED_FROM = 4;

/** A table that scrolls by itself when the page is narrow, and stacks its rows on a phone when it has many columns. */
export function Table({ head, children, label, stacked }: { head: ComponentChildren; children: ComponentChildren; label: string; stacked?: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const names = [...box.current?.querySelectorAll('thead th') ?? []].map((th) => th.textContent ?? '');
    box.current?.classList.toggle('is-stacked', stacked ?? names.length >= STACKED_FROM);
    for (const row of box.current?.querySelectorAll('tbody tr') ?? []) [...row.children].forEach((cell, i) => cell.setAttribute('data-name', names[i] ?? ''));
  });
  return (
    <div class="table-box" ref={box} tabIndex={0} role="group" aria-label={label}>
      <table><thead><tr>{head}</tr></thead><tbody>{children}</tbody></table>
    </div>
  );
}

/** One fact beside its name. */
export const Fact = ({ name, children }: { name: string; children: ComponentChildren }) => <div class="fact"><dt>{name}</dt><dd>{children}</dd></div>;

/** A segmented choice whose state lives in the URL of its caller. */
export function Choice({ label, options, value, choose }: { label: string; options: [string, string][]; value: string; choose: (v: string) => void }) {
  return (
    <div class="choice" role="group" aria-label={label}>
      {options.map(([id, text]) => <button type="button" key={id} aria-pressed={id === value} onClick={() => choose(id)}>{text}</button>)}
    </div>
  );
}
