// Asking for something: what it will do, why, and a token where none is known.
import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Problem, send, token } from '../api/client';
import type { Accepted } from '../api/types';
import { EventRef, Failure } from './basic';
import { TokenField } from './frame';

export interface Act {
  title: string; does: string; path: string; method?: 'POST' | 'DELETE'; danger?: boolean;
  /** Name of the text field in the request, `reason` unless said otherwise. */
  field?: string; fieldLabel?: string; optional?: boolean; body?: Record<string, unknown>;
  /** Nothing is asked but whether it is meant. */
  plain?: boolean;
  /** What is said once it is done at once, rather than asked for. */
  done?: string;
}

const asked = signal<Act | undefined>(undefined);
export const ask = (act: Act) => { asked.value = act; };

export function ActButton({ act, label, main }: { act: Act; label: string; main?: boolean }) {
  return <button type="button" class={`${main ? 'main ' : ''}${act.danger ? 'danger' : ''}`} title={act.does} onClick={() => ask(act)}>{label}</button>;
}

/** Stands once in the page; opens when something is asked for. */
export function ActDialog() {
  const act = asked.value;
  return act ? <Open key={act.path + act.title} act={act} /> : null;
}

function Open({ act }: { act: Act }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [said, setSaid] = useState('');
  const [error, setError] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState<Accepted>();
  useEffect(() => { dialog.current?.showModal(); }, []);
  const close = () => { asked.value = undefined; };
  const field = act.field ?? 'reason';
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      setDone(await send<Accepted>(act.method ?? 'POST', act.path, act.plain ? act.body : { ...act.body, [field]: said.trim() }));
    } catch (e) {
      setError(e instanceof Problem ? e : new Problem(0, 'unexpected answer', String((e as Error).message), '', ''));
    } finally {
      setBusy(false);
    }
  };
  const needsToken = !token.value || error?.status === 401;
  return (
    <dialog class="act" ref={dialog} aria-labelledby="act-title" onClose={close}>
      {needsToken && <div class="act-token"><TokenField then={() => setError(undefined)} /></div>}
      <form onSubmit={(e) => void submit(e)}>
        <h2 id="act-title">{act.title}</h2>
        <p>{act.does}</p>
        {done ? (
          <p role="status">{act.done ?? <>Asked for. It is <EventRef seq={done.seq} /> in the ledger; what comes of it will show here as it happens.</>}</p>
        ) : act.plain ? null : (
          <>
            <label for="act-reason">{act.fieldLabel ?? 'Reason'}{act.optional ? ' (optional)' : ''}</label>
            <textarea id="act-reason" rows={3} value={said} required={!act.optional} onInput={(e) => setSaid(e.currentTarget.value)} placeholder="Goes into the ledger with your request" />
          </>
        )}
        {error && <Failure error={error} />}
        <div class="act-buttons">
          <button type="button" onClick={close}>{done ? 'Close' : 'Cancel'}</button>
          {!done && <button type="submit" class={`main${act.danger ? ' danger' : ''}`} disabled={busy || needsToken || (!act.optional && !act.plain && !said.trim())}>{busy ? 'Asking …' : act.title}</button>}
        </div>
      </form>
    </dialog>
  );
}
