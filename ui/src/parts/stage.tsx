// What the pages of provision, secure, optimize and the team reports share.
import type { ComponentChildren } from 'preact';
import type { Loaded } from '../api/client';
import type { Place, Severity } from '../api/stages';
import type { State } from '../api/types';
import { Empty, Loading, NOT_SET_UP, StateWord } from './basic';

/** A stage the server has no view of says so; that is not an error, and nothing on its page is measured. */
export function Stage<T>({ query, what, will, command, children }: { query: Loaded<T> & { reload: () => void }; what: string; will: string; command: string; children: (data: T) => ComponentChildren }) {
  if (query.error?.status !== 404 && query.error?.code !== NOT_SET_UP) return <Loading query={query} what={what}>{children}</Loading>;
  return <><p class="notice is-unknown"><StateWord state="unknown" word="not configured" /><span>This loop has no {what} yet, so nothing on this page is measured.</span></p><Empty command={command}>{will}</Empty></>;
}

const SEVERITY: Record<Severity, State> = { critical: 'bad', high: 'bad', medium: 'waiting', low: 'unknown', info: 'unknown' };
export const SeverityWord = ({ severity }: { severity: Severity }) => <StateWord state={SEVERITY[severity] ?? 'unknown'} word={severity} />;

export const At = ({ place }: { place: Place }) => <span class="mono place-of">{place.file}:{place.line}</span>;

/** A unified diff, coloured by its first letters; the letters stay, so colour is not all that tells. */
export function Diff({ text, label }: { text: string; label: string }) {
  return (
    <pre class="diff" tabIndex={0} role="group" aria-label={label}>
      {text.replace(/\n$/, '').split('\n').map((l, i) => {
        const kind = /^(\+\+\+|---|@@)/.test(l) ? 'is-head' : l.startsWith('+') ? 'is-in' : l.startsWith('-') ? 'is-out' : '';
        return <span key={i} class={kind}>{l}{'\n'}</span>;
      })}
    </pre>
  );
}
