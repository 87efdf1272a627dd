// One event: what it says, as it was written, and the proof that it is in the ledger.
import { useRoute } from 'preact-iso';
import { useQuery } from '../api/client';
import type { EventProof, EventView } from '../api/types';
import { A, At, Fact, Head, Loading, Section, Sha } from '../parts/basic';

export default function LedgerEvent() {
  const { params } = useRoute();
  const seq = Number(params.seq ?? 0);
  const event = useQuery<EventView>(`/api/v1/events/${seq}`);
  const proof = useQuery<EventProof>(`/api/v1/events/${seq}/proof`);
  return (
    <>
      <Head title={`Event #${seq}`} over={<A href="/ledger">Ledger</A>}>
        <div class="actions">{seq > 0 && <A href={`/ledger/${seq - 1}`}>Before</A>}<A href={`/ledger/${seq + 1}`}>After</A></div>
      </Head>
      <Loading query={event} what="the event">
        {(e) => (
          <>
            <p class="lede">{e.sentence}</p>
            <dl class="facts">
              <Fact name="Type"><span class="mono">{e.type}</span></Fact>
              <Fact name="Subject"><span class="mono">{e.subject}</span></Fact>
              <Fact name="Said by"><span class="mono">{e.source}</span></Fact>
              <Fact name="Happened"><At at={e.timeOccurred} /></Fact>
              <Fact name="Written"><At at={e.timeReceived} /></Fact>
              {e.chain && <Fact name="Change">{/^[0-9a-f]{7,64}$/.test(e.chain) ? <Sha sha={e.chain} /> : <span class="mono">{e.chain}</span>}</Fact>}
              <Fact name="Id"><span class="mono">{e.id}</span></Fact>
            </dl>
            <Section title="As it was written"><pre class="json" tabIndex={0}>{e.payload ? JSON.stringify(e.payload, null, 2) : 'The payload was erased; the proof still holds.'}</pre></Section>
          </>
        )}
      </Loading>
      <Section title="Proof" side="checks without this server: lem ledger verify, or any tlog-proof tool">
        <Loading query={proof} what="the proof">{(p) => <pre class="json" tabIndex={0}>{p.proof}</pre>}</Loading>
      </Section>
    </>
  );
}
