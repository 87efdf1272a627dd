// One stream of the ledger's events for the whole page, resumed by sequence.
import { signal } from '@preact/signals';
import { shortType } from '../lib/format';
import { get, request, token } from './client';
import type { EventView, LedgerInfo } from './types';

export type Link = 'connecting' | 'live' | 'lost';
export const link = signal<Link>('connecting');

const KEPT = 60;
/** The newest events, newest first. */
export const tail = signal<EventView[]>([]);

type Hear = (event: EventView) => void;
const hearers = new Set<{ subjects: string[]; hear: Hear }>();

/** Calls back for events of these subjects; gives back how to stop. */
export function onEvents(subjects: string[], hear: Hear): () => void {
  const one = { subjects, hear };
  hearers.add(one);
  return () => hearers.delete(one);
}

/** Reads server-sent events from a response, so that the token can travel in a header. */
export async function* sse(answer: Response): AsyncGenerator<{ event: string; data: string; id: string }> {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value.replaceAll('\r\n', '\n');
    const blocks = rest.split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const message = { event: 'message', data: '', id: '' };
      for (const line of block.split('\n')) {
        const at = line.indexOf(':');
        if (at <= 0) continue;
        const field = line.slice(0, at);
        const said = line.slice(at + 1).replace(/^ /, '');
        if (field === 'data') message.data += (message.data ? '\n' : '') + said;
        else if (field === 'event' || field === 'id') message[field] = said;
      }
      if (message.data) yield message;
    }
  }
}

let next: number | undefined;

function take(event: EventView) {
  if (typeof event.seq !== 'number' || (next !== undefined && event.seq < next)) return;
  next = event.seq + 1;
  tail.value = [event, ...tail.peek()].slice(0, KEPT);
  const subject = shortType(event.type).split('.')[0] ?? '';
  for (const { subjects, hear } of hearers) if (subjects.includes('*') || subjects.includes(subject)) hear(event);
}

async function follow() {
  if (next === undefined) {
    const { size } = await get<LedgerInfo>('/api/v1/ledger');
    next = Math.max(0, size - KEPT);
  }
  const headers: Record<string, string> = { accept: 'text/event-stream' };
  if (next > 0) headers['last-event-id'] = String(next - 1);
  const answer = await request(`/api/v1/events?from=${next}`, { headers });
  link.value = 'live';
  for await (const message of sse(answer)) {
    try { take(JSON.parse(message.data) as EventView); } catch { /* a line that is no event is not ours to show */ }
  }
}

const RETRY_MS = 2_000;

export async function start() {
  for (;;) {
    try { await follow(); } catch { /* told by the indicator, tried again below */ }
    link.value = 'lost';
    await new Promise((wake) => { setTimeout(wake, RETRY_MS); });
    if (token.peek() || navigator.onLine) link.value = 'connecting';
  }
}
