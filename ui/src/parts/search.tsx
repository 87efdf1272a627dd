// Search over services, releases, commits, incidents, events and pages: `/` or Ctrl-K.
import { signal } from '@preact/signals';
import { useLocation } from 'preact-iso';
import { useEffect, useRef, useState } from 'preact/hooks';
import { useQuery } from '../api/client';
import type { Hit } from '../api/types';
import { to } from '../lib/url';
import { Failure } from './basic';
import { Icon } from './icon';

export const searching = signal(false);
export function openSearch() { searching.value = true; }

const PAGES: Hit[] = [
  ['Loop', '/', 'every station at a glance'], ['Changes', '/changes', 'every commit the loop has seen'], ['Runs', '/pipeline', 'pipeline runs'],
  ['What runs where', '/deploy', 'services by environment'], ['Rollouts', '/rollouts', 'every release'], ['Explore', '/observe/explore', 'query metrics'],
  ['Dashboards', '/observe/dashboards', 'imported panels'], ['Logs', '/observe/logs', 'search, histogram, live tail'], ['Log patterns', '/observe/patterns', 'what is new in the logs'],
  ['Alerts', '/observe/alerts', 'rules and what fires'], ['Targets', '/observe/targets', 'what is scraped'], ['Incidents', '/incidents', 'open and past'],
  ['Provision', '/provision', 'environments and infrastructure'], ['Plans', '/provision/plans', 'what an apply would change'], ['Secure', '/secure', 'findings and exceptions'], ['Optimize', '/optimize', 'cost and recommendations'], ['Reports', '/reports', 'DORA and documents'], ['Ledger', '/ledger', 'events, proofs, verification'], ['Doctor', '/doctor', 'what is missing or inactive'],
].map(([title = '', href = '', sentence = '']) => ({ kind: 'page', title, href, sentence }));
const COMMANDS: Hit[] = [
  ['lem status', 'what runs where, from the command line'], ['lem why INCIDENT', 'ranked causes of an incident'], ['lem ledger verify', 'recomputes the whole ledger'],
  ['lem logs', 'search and tail logs'], ['lem query', 'PromQL from the command line'],
].map(([title = '', sentence = '']) => ({ kind: 'command', title, href: '', sentence }));

export function Search() {
  const { route } = useLocation();
  const dialog = useRef<HTMLDialogElement>(null);
  const [said, setSaid] = useState('');
  const [asked, setAsked] = useState('');
  const [at, setAt] = useState(0);
  const answer = useQuery<Hit[]>(asked ? `/api/v1/search?q=${encodeURIComponent(asked)}` : '');
  useEffect(() => { dialog.current?.showModal(); }, []);
  useEffect(() => {
    const wait = setTimeout(() => setAsked(said.trim()), 150);
    return () => clearTimeout(wait);
  }, [said]);
  const needle = said.trim().toLowerCase();
  const fits = (h: Hit) => !needle || `${h.title} ${h.sentence}`.toLowerCase().includes(needle);
  const hits = [...(needle ? answer.data ?? [] : []), ...PAGES.filter(fits), ...(needle ? COMMANDS.filter(fits) : [])];
  const chosen = Math.min(at, Math.max(0, hits.length - 1));
  const close = () => { searching.value = false; };
  const go = (hit: Hit | undefined) => {
    if (!hit) return;
    if (hit.href) { close(); route(to(hit.href)); } else void navigator.clipboard?.writeText(hit.title).then(close, close);
  };
  const keys = (e: KeyboardEvent) => {
    if (e.key === 'ArrowDown') { e.preventDefault(); setAt(Math.min(hits.length - 1, chosen + 1)); }
    if (e.key === 'ArrowUp') { e.preventDefault(); setAt(Math.max(0, chosen - 1)); }
    if (e.key === 'Enter') { e.preventDefault(); go(hits[chosen]); }
  };
  return (
    <dialog class="search" ref={dialog} aria-label="Search" onClose={close} onClick={(e) => { if (e.target === dialog.current) close(); }}>
      <div class="search-field">
        <Icon name="search" />
        <input type="text" inputMode="search" list={undefined} role="combobox" aria-expanded="true" aria-controls="search-hits" aria-activedescendant={hits.length ? `hit-${chosen}` : undefined} aria-label="Search"
          placeholder="Service, version, commit, incident, event, page" value={said} onInput={(e) => { setSaid(e.currentTarget.value); setAt(0); }} onKeyDown={keys} autofocus />
        <button type="button" class="quiet" onClick={close}>Esc</button>
      </div>
      {answer.error && needle && <Failure error={answer.error} />}
      <ul id="search-hits" role="listbox" aria-label="Results">
        {hits.map((hit, i) => (
          <li key={`${hit.kind}${hit.href}${hit.title}`} id={`hit-${i}`} role="option" aria-selected={i === chosen} onClick={() => go(hit)} onMouseMove={() => i !== chosen && setAt(i)}>
            <span class="hit-kind">{hit.kind}</span><span class={hit.kind === 'command' ? 'hit-title mono' : 'hit-title'}>{hit.title}</span><span class="hit-more muted">{hit.href ? hit.sentence : `${hit.sentence} · Enter copies`}</span>
          </li>
        ))}
      </ul>
      {hits.length === 0 && !answer.loading && <p class="empty">Nothing found for “{said}”. Try a version, a commit or a service.</p>}
    </dialog>
  );
}
