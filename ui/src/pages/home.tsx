// The loop: every station, every change in flight, what needs a person, what just happened.
import { useQuery } from '../api/client';
import { tail } from '../api/live';
import type { ChangeRow, LoopHome, NowItem, StationId } from '../api/types';
import { param } from '../lib/url';
import { A, ChangeWord, Empty, EventRef, Head, Loading, Section, Sha, StateWord, When } from '../parts/basic';
import { Loop } from '../parts/loop';

const STATIONS_OF: Record<string, StationId[]> = {
  engineering: ['pipeline', 'deploy', 'observe'], qa: ['pipeline', 'release', 'observe'], product: ['release', 'deploy'],
  security: ['secure', 'provision'], support: ['observe'], finance: ['optimize', 'provision'],
};
/** What each team looks at first. The rest follows; nothing is hidden. */
const KINDS_OF: Record<string, string[]> = {
  engineering: ['incident', 'alert', 'failed', 'held', 'paused', 'approval'], qa: ['failed', 'held', 'paused', 'incident'],
  product: ['held', 'paused', 'freeze', 'incident'], security: ['finding', 'exception', 'approval', 'refused', 'freeze', 'incident'],
  support: ['incident', 'alert'], finance: ['budget', 'approval'],
};
const WEIGHT = { bad: 0, waiting: 1, running: 2, unknown: 3, ok: 4 };

export function arrange(items: NowItem[], lens: string): NowItem[] {
  const order = KINDS_OF[lens] ?? [];
  const place = (i: NowItem) => (order.includes(i.kind) ? order.indexOf(i.kind) : order.length);
  return [...items].sort((a, b) => place(a) - place(b) || WEIGHT[a.severity] - WEIGHT[b.severity] || a.since.localeCompare(b.since));
}

function Now({ items }: { items: NowItem[] }) {
  if (items.length === 0) return <Empty>Nothing needs a person. Incidents, held releases and pauses will stand here.</Empty>;
  return (
    <ul class="now-list">
      {arrange(items, param('lens')).map((i) => (
        <li key={i.href + i.title}>
          <StateWord state={i.severity} word={i.kind} />
          <div><A href={i.href}><strong>{i.title}</strong></A><p class="muted">{i.sentence}</p></div>
          <When at={i.since} />
        </li>
      ))}
    </ul>
  );
}

function Flight({ changes }: { changes: ChangeRow[] }) {
  if (changes.length === 0) return <Empty command="git commit && git push">No change is on its way. The next commit on the watched branch starts round the loop by itself.</Empty>;
  return (
    <ul class="now-list">
      {changes.map((c) => (
        <li key={c.sha}>
          <span class="nowrap"><ChangeWord state={c.state} /> <span class="muted">in {c.station}</span></span>
          <div><Sha sha={c.sha} /> <A href={`/changes/${c.sha}`}><strong>{c.subject}</strong></A><p class="muted">{c.sentence}</p></div>
          <When at={c.at} />
        </li>
      ))}
    </ul>
  );
}

/** Told every second while a judge looks; they stand on the page of the rollout and in the ledger. */
const QUIET = ['evidence.recorded'];

function Tail() {
  if (tail.value.length === 0) return <Empty>The ledger is quiet. Each fact will be told here as it is written.</Empty>;
  return (
    <ol class="tail" aria-label="Newest events">
      {tail.value.filter((e) => !QUIET.includes(e.shortType)).slice(0, 18).map((e) => (
        <li key={e.seq}><When at={e.timeOccurred} /><span>{e.sentence}</span><EventRef seq={e.seq} /></li>
      ))}
    </ol>
  );
}

export default function Home() {
  const home = useQuery<LoopHome>('/api/v1/loop', { on: ['*'], everyS: 30 });
  const mine = STATIONS_OF[param('lens')] ?? [];
  return (
    <>
      <div class="only-screenreader"><Head title="Loop" /></div>
      <Loading query={home} what="the loop">
        {(data) => (
          <>
            <Loop home={data} lensed={(id) => mine.includes(id)} />
            <div class="columns">
              <div>
                <Section title="Now"><Now items={data.now} /></Section>
                <Section title="In flight" side={<A href="/changes">All changes</A>}><Flight changes={data.inFlight} /></Section>
              </div>
              <Section title="Ledger" side={<A href="/ledger">All events</A>}><Tail /></Section>
            </div>
          </>
        )}
      </Loading>
    </>
  );
}
