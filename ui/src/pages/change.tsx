// One commit followed round the loop as one thread. Each claim links to the ledger event that makes it.
import { useRoute } from 'preact-iso';
import { useQuery } from '../api/client';
import type { ChangeThread, LoopHome, StationId, ThreadStep } from '../api/types';
import { short } from '../lib/format';
import { A, ChangeWord, Empty, EventRef, Fact, Head, IncidentWord, Loading, Section, Table, When } from '../parts/basic';

/** What would be told of a change by stages this loop does not have. */
const UNTOLD: [StationId, string][] = [['provision', 'its plan and cost'], ['secure', 'findings and gate'], ['optimize', 'its effect on cost and speed']];
const MAX_SEQS = 6;

function Step({ step }: { step: ThreadStep }) {
  return (
    <li class={`is-${step.state}`}>
      <div class="thread-head">
        <span class="thread-station">{step.station}</span>
        <h2><A href={step.href}>{step.title}</A></h2>
        <ChangeWord state={step.state} />
        <When at={step.at} />
      </div>
      <p>{step.sentence}</p>
      {step.details.length > 0 && (
        <details open={step.details.length <= 6}>
          <summary class="muted">{step.details.length} {step.details.length === 1 ? 'detail' : 'details'}</summary>
          <ul>{step.details.map((d, i) => <li key={i}>{d}</li>)}</ul>
        </details>
      )}
      <p class="over">said by {step.seqs.slice(0, MAX_SEQS).map((s) => <span key={s}><EventRef seq={s} /> </span>)}{step.seqs.length > MAX_SEQS && `and ${step.seqs.length - MAX_SEQS} more`}</p>
    </li>
  );
}

export default function Change() {
  const { params } = useRoute();
  const sha = params.sha ?? '';
  const thread = useQuery<ChangeThread>(`/api/v1/changes/${encodeURIComponent(sha)}`, { on: ['*'] });
  const home = useQuery<LoopHome>('/api/v1/loop');
  const untold = UNTOLD.filter(([id]) => home.data?.stations.some((s) => s.id === id && !s.available)).map(([, what]) => what);
  const change = thread.data?.change;
  return (
    <>
      <Head title={change?.subject ?? `Change ${short(sha)}`} over={<>Change <span class="mono">{short(sha)}</span></>}>
        {change && <span><ChangeWord state={change.state} /> <span class="muted">in {change.station}</span></span>}
      </Head>
      <Loading query={thread} what="the change">
        {(t) => (
          <>
            <p class="lede">{t.change.sentence}</p>
            <dl class="facts">
              <Fact name="Author">{t.change.author}</Fact>
              <Fact name="Committed"><When at={t.change.committedAt} /></Fact>
              <Fact name="Branch"><span class="mono">{t.change.branch}</span></Fact>
              <Fact name="Commit"><span class="mono">{t.change.sha}</span></Fact>
              <Fact name="Seen in"><EventRef seq={t.change.seq} /></Fact>
            </dl>
            <div class="columns is-third">
              <div>
                <ol class="thread" aria-label="The way of this change round the loop">
                  {t.steps.map((s, i) => <Step key={`${s.href}${i}`} step={s} />)}
                  {untold.length > 0 && <li class="is-unknown"><div class="thread-head"><span class="thread-station">untold</span></div><p class="muted">Nothing is known of {untold.join(', ')}: this loop does not have those stages yet.</p></li>}
                </ol>
              </div>
              <div>
                {t.message.trim() && <Section title="Message"><pre class="message">{t.message.trim()}</pre></Section>}
                <Section title="Files">
                  {t.files.length === 0 ? <Empty>No file list is known for this commit.</Empty> : (
                    <Table label="Files" head={<><th>Path</th><th class="right">Added</th><th class="right">Removed</th></>}>
                      {t.files.map((f) => <tr key={f.path}><td class="mono wrap">{f.path}</td><td class="right">{f.added ?? 'binary'}</td><td class="right">{f.removed ?? ''}</td></tr>)}
                    </Table>
                  )}
                  {t.filesOmitted > 0 && <p class="muted">{t.filesOmitted} more files are not listed.</p>}
                </Section>
                <Section title="Incidents">
                  {t.incidents.length === 0 ? <Empty>No incident is linked to this change.</Empty>
                    : <ul class="now-list is-narrow">{t.incidents.map((i) => <li key={i.incident}><IncidentWord state={i.state} /><div><A href={`/incidents/${i.incident}`}>{i.title}</A><p class="muted">{i.status}</p></div><When at={i.detectedAt} /></li>)}</ul>}
                </Section>
                <Section title="Reports">
                  {t.reports.length === 0 ? <Empty>It appears in no report yet.</Empty>
                    : <ul class="plain">{t.reports.map((r) => <li key={r.href}><a href={r.href}>{r.name}</a> <span class="muted">{r.kind}</span></li>)}</ul>}
                </Section>
              </div>
            </div>
          </>
        )}
      </Loading>
    </>
  );
}
