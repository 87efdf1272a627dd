// All view state lives in the URL, so that a link shows a colleague the same thing.
import { signal } from '@preact/signals';

/** Parameters every page shares; links inside the product carry them along. */
export const SHARED = ['range', 'from', 'to', 'env', 'lens', 'utc'] as const;

/** The query of the page as it is now. */
export const search = signal(new URLSearchParams(location.search));

export function syncSearch() {
  if (location.search.replace(/^\?/, '') !== search.peek().toString()) search.value = new URLSearchParams(location.search);
}

// Back, forward and links change the address without this module: read it again after each.
addEventListener('popstate', syncSearch);
addEventListener('click', () => setTimeout(syncSearch));

const same = (url: string) => location.pathname + location.search === url;

/** Sets or removes parameters. `push` keeps the step in the history; typing replaces it. */
export function setParams(changes: Record<string, string | undefined>, how: 'push' | 'replace' = 'replace') {
  const next = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined || value === '') next.delete(key);
    else next.set(key, value);
  }
  const text = next.toString();
  const url = location.pathname + (text ? `?${text}` : '') + location.hash;
  if (same(url)) return;
  history[how === 'push' ? 'pushState' : 'replaceState'](null, '', url);
  search.value = next;
}

export const param = (name: string, otherwise = '') => search.value.get(name) ?? otherwise;

/** A link to another page that keeps what all pages share. */
export function to(path: string, own: Record<string, string | undefined> = {}): string {
  const [bare = '', rest = ''] = path.split('#');
  const [pathname = '', query = ''] = bare.split('?');
  const next = new URLSearchParams(query);
  for (const key of SHARED) {
    const value = search.value.get(key);
    if (value && !next.has(key)) next.set(key, value);
  }
  for (const [key, value] of Object.entries(own)) if (value !== undefined && value !== '') next.set(key, value);
  const text = next.toString();
  return pathname + (text ? `?${text}` : '') + (rest ? `#${rest}` : '');
}
