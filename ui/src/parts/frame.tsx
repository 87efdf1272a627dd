// Rail, top bar, bottom bar: what stands around every page.
import { computed, effect, signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useLocation } from 'preact-iso';
import { useEffect, useRef } from 'preact/hooks';
import { saveToken, token, useQuery } from '../api/client';
import { link } from '../api/live';
import type { LoopHome, Service } from '../api/types';
import { RANGES, RANGE_WORDS, rangeName, utc } from '../lib/time';
import { param, setParams } from '../lib/url';
import { A } from './basic';
import { Icon, type IconName } from './icon';
import { openSearch, Search, searching } from './search';

interface Place { href: string; title: string; icon: IconName; under?: RegExp }
const PLACES: Place[] = [
  { href: '/', title: 'Loop', icon: 'loop', under: /^\/($|changes)/ },
  { href: '/provision', title: 'Provision', icon: 'provision' },
  { href: '/pipeline', title: 'Pipeline', icon: 'pipeline', under: /^\/(pipeline|runs)/ },
  { href: '/deploy', title: 'Deploy', icon: 'deploy', under: /^\/(deploy|rollouts|releases|services)/ },
  { href: '/observe', title: 'Observe', icon: 'observe', under: /^\/observe/ },
  { href: '/secure', title: 'Secure', icon: 'secure' },
  { href: '/optimize', title: 'Optimize', icon: 'optimize' },
  { href: '/incidents', title: 'Incidents', icon: 'incident', under: /^\/incidents/ },
  { href: '/reports', title: 'Reports', icon: 'report', under: /^\/reports/ },
  { href: '/ledger', title: 'Ledger', icon: 'ledger', under: /^\/(ledger|events)/ },
];
const isAt = (place: Place, path: string) => (place.under ?? new RegExp(`^${place.href}`)).test(path);

export const LENSES: [string, string][] = [
  ['', 'Everyone'], ['engineering', 'Engineering'], ['qa', 'QA'], ['product', 'Product'],
  ['security', 'Security'], ['support', 'Support'], ['finance', 'Finance'],
];

type Theme = 'system' | 'light' | 'dark';
function savedTheme(): Theme {
  try { const t = localStorage.getItem('lem.theme'); return t === 'light' || t === 'dark' ? t : 'system'; } catch { return 'system'; }
}
export const theme = signal<Theme>(savedTheme());
const systemDark = matchMedia('(prefers-color-scheme: dark)');
const systemIsDark = signal(systemDark.matches);
systemDark.addEventListener('change', (e) => { systemIsDark.value = e.matches; });
/** Whether the page is dark now; graphs redraw when it changes. */
export const dark = computed(() => (theme.value === 'system' ? systemIsDark.value : theme.value === 'dark'));
effect(() => { document.documentElement.dataset.theme = theme.value; });
function chooseTheme(next: Theme) {
  theme.value = next;
  try { localStorage.setItem('lem.theme', next); } catch { /* for this page only */ }
}

function Live() {
  const words = { connecting: 'connecting', live: 'live', lost: 'not live' };
  const states = { connecting: 'unknown', live: 'ok', lost: 'bad' } as const;
  return (
    <span class={`live is-${states[link.value]}`} role="status" title={link.value === 'live' ? 'Events arrive as they happen.' : 'What you see may be old; the page connects again by itself.'}>
      <span class="live-dot" aria-hidden="true" />{words[link.value]}
    </span>
  );
}

function Select({ label, value, options, choose, id }: { label: string; id: string; value: string; options: [string, string][]; choose: (v: string) => void }) {
  return (
    <label class="pick" for={id}>
      <span class="pick-label">{label}</span>
      <select id={id} value={value} onChange={(e) => choose(e.currentTarget.value)}>
        {options.map(([v, text]) => <option key={v} value={v}>{text}</option>)}
      </select>
    </label>
  );
}

function Settings() {
  const home = useQuery<Service[]>('/api/v1/services');
  const environments = [...new Set((home.data ?? []).flatMap((s) => s.environments.map((e) => e.environment)))];
  const custom = rangeName.value === 'custom';
  const ranges: [string, string][] = RANGES.map(([name]) => [name, RANGE_WORDS[name] ?? name]);
  return (
    <>
      {environments.length > 0 && <Select id="pick-env" label="Environment" value={param('env')} options={[['', 'all environments'], ...environments.map((e): [string, string] => [e, e])]} choose={(v) => setParams({ env: v }, 'push')} />}
      <Select id="pick-range" label="Time range" value={rangeName.value} options={custom ? [['custom', 'fixed range'], ...ranges] : ranges}
        choose={(v) => v !== 'custom' && setParams({ range: v, from: undefined, to: undefined }, 'push')} />
      <Select id="pick-lens" label="Team lens" value={param('lens')} options={LENSES} choose={(v) => setParams({ lens: v }, 'push')} />
    </>
  );
}

function Switches() {
  const next: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };
  return (
    <>
      <button type="button" class="quiet" aria-pressed={utc.value} title="Show times in UTC" onClick={() => setParams({ utc: utc.value ? undefined : '1' })}>UTC</button>
      <button type="button" class="quiet" title={`Colours: ${theme.value}. Press for ${next[theme.value]}.`} aria-label={`Colours: ${theme.value}`} onClick={() => chooseTheme(next[theme.value])}>
        <Icon name="theme" />
      </button>
    </>
  );
}

const menuOpen = signal(false);

function Menu() {
  const dialog = useRef<HTMLDialogElement>(null);
  const { path } = useLocation();
  useEffect(() => { menuOpen.value = false; }, [path]);
  useEffect(() => {
    const d = dialog.current;
    if (menuOpen.value && d && !d.open) d.showModal();
    if (!menuOpen.value && d?.open) d.close();
  }, [menuOpen.value]);
  return (
    <dialog class="menu" ref={dialog} aria-label="Menu" onClose={() => { menuOpen.value = false; }}>
      <div class="menu-head"><strong>Menu</strong><button type="button" class="quiet" aria-label="Close the menu" onClick={() => { menuOpen.value = false; }}><Icon name="close" /></button></div>
      <nav aria-label="All pages"><Places path={path} /></nav>
      <div class="menu-settings"><Settings /></div>
      <div class="menu-row"><Switches /><A href="/doctor">Doctor</A></div>
    </dialog>
  );
}

function Places({ path }: { path: string }) {
  const home = useQuery<LoopHome>('/api/v1/loop');
  const later = new Set((home.data?.stations ?? []).filter((s) => !s.available).map((s) => `/${s.id}`));
  return (
    <ul>
      {PLACES.map((p, i) => (
        <li key={p.href} class={i === 1 || i === 7 ? 'gap' : ''}>
          <A href={p.href} aria-current={isAt(p, path) ? 'page' : undefined}><Icon name={p.icon} /><span>{p.title}</span>{later.has(p.href) && <span class="later">not yet</span>}</A>
        </li>
      ))}
    </ul>
  );
}

/** Where a token is asked for, once a write needs one. */
export const askingToken = signal(false);

export function TokenField({ then }: { then?: () => void }) {
  const field = useRef<HTMLInputElement>(null);
  return (
    <form class="token" onSubmit={(e) => {
      e.preventDefault();
      const said = field.current?.value.trim() ?? '';
      if (!said) return;
      saveToken(said);
      askingToken.value = false;
      then?.();
    }}>
      <label for="token-field">Access token</label>
      <p class="muted">Everything that changes something needs it. <code>lem up</code> prints an address that carries it.</p>
      <div class="row"><input id="token-field" ref={field} type="password" autocomplete="off" placeholder="token" /><button type="submit">Use for this tab</button></div>
    </form>
  );
}

function keys(e: KeyboardEvent) {
  const target = e.target as HTMLElement;
  const typing = target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
  if ((e.key === 'k' && (e.ctrlKey || e.metaKey)) || (e.key === '/' && !typing && !e.ctrlKey && !e.metaKey)) {
    e.preventDefault();
    openSearch();
  }
}

export function Frame({ children }: { children: ComponentChildren }) {
  const { path } = useLocation();
  const home = useQuery<LoopHome>('/api/v1/loop');
  useEffect(() => {
    addEventListener('keydown', keys);
    return () => removeEventListener('keydown', keys);
  }, []);
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById('main')?.focus(); }}>Skip to content</a>
      <div class="frame">
        <aside class="rail">
          <A href="/" class="brand" aria-label="Lemniscate, to the loop"><Icon name="loop" size={22} /><span>Lemniscate</span></A>
          <nav aria-label="Pages"><Places path={path} /></nav>
          <div class="rail-foot"><A href="/doctor">Doctor</A><span class="muted">{token.value ? 'may write' : 'reading only'}</span></div>
        </aside>
        <header class="top">
          <div class="where"><strong>{home.data?.repository ?? 'repository'}</strong>{home.data && <span class="muted mono">{home.data.branch}</span>}</div>
          <button type="button" class="search-open" onClick={() => openSearch()}><Icon name="search" /><span>Search</span><kbd>/</kbd></button>
          <div class="top-settings"><Settings /></div>
          <div class="top-switches"><Switches /></div>
          <Live />
        </header>
        <main id="main" tabIndex={-1}>{children}</main>
        <nav class="bottom" aria-label="Main">
          <A href="/" aria-current={path === '/' ? 'page' : undefined}><Icon name="loop" size={20} /><span>Loop</span></A>
          <A href="/incidents" aria-current={path.startsWith('/incidents') ? 'page' : undefined}><Icon name="incident" size={20} /><span>Incidents</span></A>
          <button type="button" onClick={() => openSearch()}><Icon name="search" size={20} /><span>Search</span></button>
          <button type="button" onClick={() => { menuOpen.value = true; }}><Icon name="menu" size={20} /><span>Menu</span></button>
        </nav>
      </div>
      <Menu />
      {searching.value && <Search />}
    </>
  );
}
