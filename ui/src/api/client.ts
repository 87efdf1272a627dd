// Talks to the server: JSON, problem documents as errors, the token where one is known, and old content while new loads.
import { signal, type Signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { onEvents } from './live';

const TOKEN_KEY = 'lem.token';

/** Reads `#token=...` once, keeps it for this tab only and takes it out of the address. */
export function takeToken() {
  const match = /(?:^#|&)token=([^&]+)/.exec(location.hash);
  if (!match?.[1]) return;
  saveToken(decodeURIComponent(match[1]));
  history.replaceState(history.state, '', location.pathname + location.search);
}

function readToken(): string {
  try { return sessionStorage.getItem(TOKEN_KEY) ?? ''; } catch { return ''; }
}

export const token = signal(readToken());

export function saveToken(text: string) {
  token.value = text;
  try { sessionStorage.setItem(TOKEN_KEY, text); } catch { /* kept for this page only */ }
}

/** What went wrong, in the server's words (RFC 9457). */
export class Problem extends Error {
  constructor(readonly status: number, readonly title: string, readonly detail: string, readonly code: string, readonly hint: string) {
    super(detail || title);
  }
}

async function problemOf(answer: Response): Promise<Problem> {
  const text = await answer.text();
  try {
    const body = JSON.parse(text) as Record<string, unknown>;
    const say = (key: string) => (typeof body[key] === 'string' ? (body[key] as string) : '');
    const title = say('title') || say('errorType') || answer.statusText;
    return new Problem(answer.status, title, say('detail') || say('error') || title, say('code'), say('hint'));
  } catch {
    return new Problem(answer.status, answer.statusText || 'request failed', text.slice(0, 500), '', '');
  }
}

export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (token.peek()) headers.set('authorization', `Bearer ${token.peek()}`);
  let answer: Response;
  try {
    answer = await fetch(path, { ...init, headers });
  } catch (e) {
    if ((e as Error).name === 'AbortError') throw e;
    throw new Problem(0, 'the server does not answer', 'The server does not answer.', '', 'Check that `lem up` is running; this page tries again by itself.');
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

export async function get<T>(path: string, abort?: AbortSignal): Promise<T> {
  const answer = await request(path, { headers: { accept: 'application/json' }, signal: abort ?? null });
  return (await answer.json()) as T;
}

export async function text(path: string): Promise<string> {
  return (await request(path, { headers: { accept: 'text/plain, text/markdown' } })).text();
}

export async function send<T>(method: 'POST' | 'DELETE', path: string, body: unknown): Promise<T> {
  const answer = await request(path, { method, headers: { 'content-type': 'application/json', accept: 'application/json' }, body: JSON.stringify(body) });
  const said = await answer.text();
  return (said ? JSON.parse(said) : {}) as T;
}

export interface Loaded<T> { data: T | undefined; error: Problem | undefined; loading: boolean }
interface Entry { state: Signal<Loaded<unknown>>; running: AbortController | undefined; users: number }

const MAX_CACHED = 60;
const cache = new Map<string, Entry>();

function entryOf(path: string): Entry {
  let entry = cache.get(path);
  if (!entry) {
    entry = { state: signal<Loaded<unknown>>({ data: undefined, error: undefined, loading: true }), running: undefined, users: 0 };
    cache.set(path, entry);
    for (const [key, old] of cache) {
      if (cache.size <= MAX_CACHED) break;
      if (old.users === 0 && key !== path) cache.delete(key);
    }
  }
  return entry;
}

async function load(path: string, entry: Entry) {
  if (entry.running) return;
  const abort = new AbortController();
  entry.running = abort;
  entry.state.value = { ...entry.state.peek(), loading: true };
  try {
    const data = await get<unknown>(path, abort.signal);
    entry.state.value = { data, error: undefined, loading: false };
  } catch (e) {
    if ((e as Error).name !== 'AbortError') {
      const error = e instanceof Problem ? e : new Problem(0, 'unexpected answer', String((e as Error).message), '', '');
      entry.state.value = { data: entry.state.peek().data, error, loading: false };
    }
  } finally {
    entry.running = undefined;
  }
}

export interface Refresh {
  /** Load again when an event of one of these subjects arrives (`rollout` hears `rollout.finished`); `*` hears all. */
  on?: string[];
  /** Load again every so many seconds while the page is visible. */
  everyS?: number;
}

const SETTLE_MS = 300;

/** The answer of a GET; what was there stays in place while it loads again. An empty path asks nothing. */
export function useQuery<T>(path: string, refresh: Refresh = {}): Loaded<T> & { reload: () => void } {
  const entry = useMemo(() => entryOf(path), [path]);
  const on = refresh.on?.join(' ') ?? '';
  useEffect(() => {
    if (!path) return;
    entry.users += 1;
    const reload = () => { if (!document.hidden) void load(path, entry); };
    void load(path, entry);
    let settling: ReturnType<typeof setTimeout> | undefined;
    const forget = on ? onEvents(on.split(' '), () => {
      settling ??= setTimeout(() => { settling = undefined; reload(); }, SETTLE_MS);
    }) : () => {};
    const retry = setInterval(() => { if (entry.state.peek().error?.status === 0) reload(); }, 5_000);
    const every = refresh.everyS ? setInterval(reload, refresh.everyS * 1000) : undefined;
    return () => {
      entry.users -= 1;
      forget();
      clearTimeout(settling);
      clearInterval(retry);
      clearInterval(every);
      if (entry.users === 0) entry.running?.abort();
    };
  }, [path, on, refresh.everyS]);
  const state = entry.state.value as Loaded<T>;
  return { ...state, loading: path !== '' && state.loading, reload: () => void load(path, entry) };
}
