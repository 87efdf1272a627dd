// The ledger: every fact in order, and the check that nobody changed any of them.
import { useEffect, useState } from 'preact/hooks';
import { Problem, send, useQuery } from '../api/client';
import type { Checkpoint, EventsPage, LedgerInfo, Verification } from '../api/types';
import { count, plural } from '../lib/format';
import { duration } from '../lib/time';
import { param, setParams } from '../lib/url';
import { Empty, EventRef, Fact, Failure, Head, Loading, Section, Sha, StateWord, Table, When } from '../parts/basic';
import { TokenField } from '../parts/frame';

const PAGE = 100;

type Check = { state: 'idle' } | { state: 'running' } | { state: 'done'; verified: Verification } | { state: 'failed'; error: Problem };
const problem = (e: unknown) => (e instanceof Problem ? e : new Problem(0, 'unexpected answer', String((e as Error).message), '', ''));

function Verify({ reload }: { reload: () => void }) {
  const [check, setCheck] = useState<Check>({ state: 'idle' });
  const [signed, setSigned] = useState<Checkpoint>();
  const verify = () => {
    setCheck({ state: 'running' });
    send<Verification>('POST', '/api/v1/ledger/verify', {}).then((verified) => setCheck({ state: 'done', verified }), (e: unknown) => setCheck({ state: 'failed', error: problem(e) }));
  };
  const sign = () => { send<Checkpoint>('POST', '/api/v1/ledger/checkpoint', {}).then((c) => { setSigned(c); reload(); }, (e: unknown) => setCheck({ state: 'failed', error: problem(e) })); };
  return (
    <div class="pad">
      <div class="actions"><button type="button" class="main" disabled={check.state === 'running'} onClick={verify}>{check.state === 'running' ? 'Verifying …' : 'Verify the ledger'}</button>
        <button type="button" onClick={sign}>Sign a checkpoint</button><a class="row" href="/api/v1/ledger/export">Export for another machine</a></div>
      <div role="status" class="pad">
        {check.state === 'running' && <><p>Every leaf, the tree over them and every signature are computed again.</p><progress aria-label="Verifying" /></>}
        {check.state === 'done' && (check.verified.verified
          ? <p><StateWord state="ok" word="verified" /> {plural(check.verified.events, 'event')} in {duration(check.verified.tookMs)}: no event was changed, removed or put in between.</p>
          : <p><StateWord state="bad" word="tampered" /> {check.verified.why}{check.verified.firstBad !== null && check.verified.firstBad !== undefined && <> First bad event: <EventRef seq={check.verified.firstBad} /></>}</p>)}
        {signed && <p><StateWord state="ok" word="signed" /> over {plural(signed.size, 'event')}</p>}
      </div>
      {check.state === 'failed' && (check.error.status === 401 ? <TokenField then={verify} /> : <Failure error={check.error} retry={verify} />)}
    </div>
  );
}

/** What is typed stays while events arrive; it counts once it is entered. */
function Filter({ name, label }: { name: string; label: string }) {
  const value = param(name);
  const [said, setSaid] = useState(value);
  useEffect(() => setSaid(value), [value]);
  return <input class="mono" aria-label={label} placeholder={label} value={said} onInput={(e) => setSaid(e.currentTarget.value)} onChange={(e) => setParams({ [name]: e.currentTarget.value.trim(), at: undefined }, 'push')} />;
}

export default function Ledger() {
  const info = useQuery<LedgerInfo>('/api/v1/ledger', { on: ['*'] });
  const size = info.data?.size ?? 0;
  const [type, subject, chain] = [param('type'), param('subject'), param('chain')];
  const filtered = Boolean(type || subject || chain);
  const given = param('at');
  const from = given ? Number(given) : filtered ? 0 : Math.max(0, size - PAGE);
  const query = new URLSearchParams({ from: String(from), limit: String(PAGE) });
  if (type) query.set('type', type);
  if (subject) query.set('subject', subject);
  if (chain) query.set('chain', chain);
  const events = useQuery<EventsPage>(info.data ? `/api/v1/events?${query.toString()}` : '', given ? {} : { on: ['*'] });
  return (
    <>
      <Head title="Ledger" over="Every fact, in the order it was written" />
      <Loading query={info} what="the ledger">
        {(l) => (
          <>
            <dl class="facts">
              <Fact name="Events"><span class="num">{count(l.size)}</span></Fact>
              <Fact name="Root"><span class="mono wrap">{l.root ?? 'not computed yet'}</span></Fact>
              <Fact name="Database">{l.database}</Fact>
              {l.publicKey && <Fact name="Public key"><span class="mono wrap">{l.publicKey}</span></Fact>}
            </dl>
            <Verify reload={info.reload} />
            {l.checkpoint && <details><summary>Newest signed checkpoint</summary><pre class="json">{l.checkpoint}</pre></details>}
          </>
        )}
      </Loading>
      <Section title="Events">
        <div class="filters pad"><Filter name="type" label="Type, such as rollout.finished" /><Filter name="subject" label="Subject" /><Filter name="chain" label="Commit" />
          {filtered && <button type="button" onClick={() => setParams({ type: undefined, subject: undefined, chain: undefined, at: undefined }, 'push')}>Clear</button>}</div>
        <Loading query={events} what="events">
          {(page) => page.events.length === 0 ? <Empty>{filtered ? 'No event fits these filters.' : 'The ledger is empty. The first commit the loop sees writes its first event.'}</Empty> : (
            <>
              <Table label="Events" head={<><th class="right">#</th><th>When</th><th>What</th><th>Type</th><th>Change</th></>}>
                {[...page.events].reverse().map((e) => (
                  <tr key={e.seq}><td class="right"><EventRef seq={e.seq} /></td><td class="nowrap"><When at={e.timeOccurred} /></td><td>{e.sentence}</td><td class="mono nowrap">{e.shortType}</td><td>{e.chain && /^[0-9a-f]{7,64}$/.test(e.chain) ? <Sha sha={e.chain} /> : <span class="mono muted">{e.chain}</span>}</td></tr>
                ))}
              </Table>
              <div class="actions pad">
                {page.next < size && page.events.length > 0 && <button type="button" onClick={() => setParams({ at: String(page.next) }, 'push')}>Newer</button>}
                {from > 0 && <button type="button" onClick={() => setParams({ at: String(Math.max(0, from - PAGE)) }, 'push')}>Older</button>}
                {given && <button type="button" onClick={() => setParams({ at: undefined }, 'push')}>Newest</button>}
              </div>
            </>
          )}
        </Loading>
      </Section>
    </>
  );
}
