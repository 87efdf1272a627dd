// One incident: how it stands in one sentence, why, what was done, how it went.
import { useRoute } from 'preact-iso';
import { useMemo } from 'preact/hooks';
import { useQuery } from '../api/client';
import type { Cause, IncidentDetail } from '../api/types';
import { actor, number, percent, plural } from '../lib/format';
import { useMarkers, useRange } from '../lib/prom';
import { duration } from '../lib/time';
import { ActButton } from '../parts/act';
import { A, At, Empty, EventRef, Fact, Head, IncidentWord, Loading, Section, Sha, StateWord, Table, When } from '../parts/basic';
import { Chart } from '../parts/chart';
import { Document } from '../parts/document';

const FACTORS: Record<string, string> = { time: 'Time', topology: 'Topology', anomaly: 'Anomaly', cohort: 'Who fails', prior: 'History', text: 'Stack trace', novelty: 'Novelty', size: 'Size', counterEvidence: 'Counter-evidence', intervention: 'Intervention' };

function CauseView({ cause, rank }: { cause: Cause; rank: number }) {
  return (
    <li class="cause">
      <div class="cause-head"><b class="num">{percent(cause.confidence, 0)}</b><h3>{rank}. {cause.name}</h3><span class="muted">{cause.kind}</span>
        {cause.sha && <Sha sha={cause.sha} />}{cause.deployment && <A href={`/rollouts/${encodeURIComponent(cause.deployment)}`}>its rollout</A>}{cause.effectiveAt && <span class="muted">took effect <At at={cause.effectiveAt} only="clock" /></span>}</div>
      <div class="cause-meter" aria-hidden="true"><i style={{ width: `${cause.confidence * 100}%` }} /></div>
      <p>{cause.sentence}</p>
      {cause.against.length > 0 && <ul class="against">{cause.against.map((a, i) => <li key={i}>{a}</li>)}</ul>}
      <details open={rank === 1}>
        <summary class="muted">{plural(cause.factors.length, 'factor')}, score {number(cause.score)}</summary>
        <Table label={`Factors of ${cause.name}`} head={<><th>Factor</th><th>Why</th><th class="right">×</th></>}>
          {cause.factors.map((f) => <tr key={f.name}><td class="nowrap">{FACTORS[f.name] ?? f.name}</td><td>{f.sentence}{f.query && <> · <A href={`/observe/explore?query=${encodeURIComponent(f.query)}`}>query</A></>}</td><td class="right">{number(f.value)}</td></tr>)}
        </Table>
      </details>
    </li>
  );
}

/** The incident with as much time on both sides as it lasted, at least a minute and a half, within what the server offers. */
function spanOf(i: IncidentDetail) {
  if (!i.symptom) return { from: 0, to: 1 };
  const [first, last] = [Date.parse(i.symptom.from), Math.max(Date.parse(i.symptom.to), Date.parse(i.symptom.from) + 60_000)];
  const [began, over] = [Date.parse(i.since ?? i.detectedAt), Math.min(Date.parse(i.resolvedAt ?? i.symptom.to), last)];
  const room = Math.max(90_000, over - began);
  return { from: Math.max(first, began - room) / 1000, to: Math.min(last, over + room) / 1000 };
}

function Symptom({ incident }: { incident: IncidentDetail }) {
  const s = incident.symptom;
  const span = useMemo(() => spanOf(incident), [incident.incident, s?.from, s?.to, incident.since, incident.resolvedAt]);
  const series = useRange(s?.query ?? '', span);
  const markers = useMarkers(span);
  if (!s) return <Empty>No graph is known for this incident.</Empty>;
  return (
    <div class="pad">
      <Loading query={series} what="the graph">{(d) => <Chart series={d} span={span} expr={s.query} label="The symptom" template={(m) => (Object.keys(m.metric).length > 0 ? undefined : "the symptom")} markers={markers} height={220} unit={/ratio|\/\s*sum/.test(s.query) ? 'percentunit' : ''} />}</Loading>
      <p class="muted"><A href={`/observe/explore?query=${encodeURIComponent(s.query)}&from=${Math.floor(span.from)}&to=${Math.ceil(span.to)}`} class="mono wrap">{s.query}</A></p>
    </div>
  );
}

function Why({ incident: i }: { incident: IncidentDetail }) {
  const a = i.attribution;
  const id = encodeURIComponent(i.incident);
  const standing = { proposed: ['running', 'proposed'], abstained: ['unknown', 'no cause named'], confirmed: ['ok', 'confirmed'], rejected: ['bad', 'rejected'] } as const;
  if (!a) return <Section title="Why"><Empty command={`lem why ${i.incident}`}>No cause has been looked for yet. It is ranked as soon as the symptom has an onset.</Empty></Section>;
  const [state, word] = standing[a.standing];
  return (
    <Section title="Why" side={<StateWord state={state} word={`${word}${a.level && a.level !== 'none' ? `, ${a.level}` : ''}`} />}>
      {a.blindSpots.map((b, n) => <div key={n} class="notice is-waiting pad-top"><StateWord state="waiting" word="blind spot" /><span>{b}</span></div>)}
      {a.abstained && <p class="pad">{a.abstained}</p>}
      {a.settled && <p class="pad"><StateWord state={state} word={word} /> {a.settled}</p>}
      {a.onset && <p class="muted pad">The symptom began between <At at={a.onset.from} only="clock" /> and <At at={a.onset.to} only="clock" />.</p>}
      {a.causes.length === 0 ? <Empty>No recorded change lies near the onset.</Empty> : <ol aria-label="Ranked causes">{a.causes.map((c, n) => <CauseView key={c.name + n} cause={c} rank={n + 1} />)}</ol>}
      {a.standing === 'proposed' && (
        <div class="actions pad">
          <ActButton label="Confirm the cause" act={{ title: 'Confirm the cause', does: 'Says that the first cause is right. It counts for the next incidents.', path: `/api/v1/incidents/${id}/attribution`, body: { verdict: 'confirm' }, field: 'text', fieldLabel: 'How you know' }} />
          <ActButton label="Reject the cause" act={{ title: 'Reject the cause', does: 'Says that the first cause is wrong; the next candidate is considered.', path: `/api/v1/incidents/${id}/attribution`, body: { verdict: 'reject' }, field: 'text', fieldLabel: 'How you know', danger: true }} />
        </div>
      )}
      {i.rejected.length > 0 && <details class="pad"><summary>{plural(i.rejected.length, 'earlier explanation')} that was wrong</summary>{i.rejected.map((r) => <ol key={r.attribution}>{r.causes.slice(0, 1).map((c, n) => <CauseView key={n} cause={c} rank={n + 1} />)}</ol>)}</details>}
    </Section>
  );
}

function Customers({ incident: i }: { incident: IncidentDetail }) {
  const status = { open: 'Investigating', acknowledged: 'Identified', mitigated: 'Monitoring', resolved: 'Resolved', closed: 'Resolved' }[i.state];
  const over = i.state === 'resolved' || i.state === 'closed';
  return (
    <Section title="For support" side={status}>
      <p class="pad">{over
        ? `Some requests to ${i.service ?? 'the service'} failed for ${duration(Date.parse(i.resolvedAt ?? i.detectedAt) - Date.parse(i.since ?? i.detectedAt))}. The service works normally again; nothing needs to be done.`
        : `Some requests to ${i.service ?? 'the service'} fail at the moment. We know of it and are working on it.`}</p>
    </Section>
  );
}

export default function Incident() {
  const { params } = useRoute();
  const id = params.id ?? '';
  const path = `/api/v1/incidents/${encodeURIComponent(id)}`;
  const incident = useQuery<IncidentDetail>(path, { on: ['incident', 'incidentnote', 'attribution', 'action', 'alert', 'rollout', 'service', 'report'] });
  const i = incident.data;
  const note = (kind: string, title: string, does: string, optional = false) => ({ title, does, path: `${path}/notes`, body: { kind }, field: 'text', fieldLabel: 'Note', optional });
  return (
    <>
      <Head title={i?.title ?? 'Incident'} over={<>Incident <span class="mono">{id}</span></>}>
        {i && <IncidentWord state={i.state} />}
        {i && (
          <div class="actions">
            {i.state === 'open' && <ActButton main label="Acknowledge" act={note('acknowledged', 'Acknowledge', 'Says that you are on it. Everybody who looks sees your name.')} />}
            {(i.state === 'open' || i.state === 'acknowledged') && <ActButton label="Mitigated" act={note('mitigated', 'Mark as mitigated', 'Says that users no longer feel it, while the cause is still there.')} />}
            {i.state !== 'resolved' && i.state !== 'closed' && <ActButton label="Resolve" act={note('resolved', 'Resolve', 'Says that it is over.')} />}
            {i.state === 'resolved' && <ActButton label="Close" act={note('closed', 'Close', 'Says that nothing is left to do about it.')} />}
            <ActButton label="Add a note" act={note('note', 'Add a note', 'Writes a line into the timeline.')} />
          </div>
        )}
      </Head>
      <Loading query={incident} what="the incident">
        {(d) => (
          <>
            <p class="lede">{d.status}</p>
            <dl class="facts">
              <Fact name="Severity">{d.severity}</Fact>
              <Fact name="Service">{d.service ? <>{d.service} in {d.environment}</> : d.environment}</Fact>
              <Fact name="Since"><When at={d.since ?? d.detectedAt} /></Fact>
              <Fact name="Lasted">{d.resolvedAt ? duration(Date.parse(d.resolvedAt) - Date.parse(d.since ?? d.detectedAt)) : 'goes on'}</Fact>
              {d.alert && <Fact name="Opened by alert"><A href="/observe/alerts">{d.alert.rule}</A></Fact>}
              {d.deployment && <Fact name="Rollout"><A href={`/rollouts/${encodeURIComponent(d.deployment)}`}>see the rollout</A></Fact>}
              <Fact name="Report"><Document href={`${path}/report?format=html`} name={`${id}.html`}>HTML</Document> · <Document href={`${path}/report?format=md`} name={`${id}.md`}>Markdown</Document> · <Document href={`${path}/why`} name={`${id}-why.txt`}>why</Document></Fact>
            </dl>
            {d.description && d.description !== d.status && <p class="pad">{d.description}</p>}
            <Section title="The symptom"><Symptom incident={d} /></Section>
            <Why incident={d} />
            <div class="columns">
              <div>
                <Section title="Done about it">
                  {d.actions.length + d.refusals.length === 0 ? (d.deployment ? <p class="pad"><StateWord state="ok" word="turned back" /> The judge of <A href={`/rollouts/${encodeURIComponent(d.deployment)}`}>the rollout</A> turned it back before it had all the traffic.</p> : <Empty>No automatic action was taken.</Empty>) : (
                    <ul class="now-list">
                      {d.actions.map((a) => <li key={a.at + a.kind}><StateWord state="ok" word={a.kind} /><div>{a.sentence}</div><When at={a.at} /></li>)}
                      {d.refusals.map((a) => <li key={a.at + a.kind}><StateWord state="waiting" word={`no ${a.kind}`} /><div>{a.sentence}</div><When at={a.at} /></li>)}
                    </ul>
                  )}
                </Section>
                <Section title="Notes">
                  {d.notes.length === 0 ? <Empty>Nobody wrote anything down yet.</Empty>
                    : <ul class="now-list">{d.notes.map((n) => <li key={n.seq}><span class="muted">{n.kind}</span><div>{n.text}<p class="muted">{actor(n.by)} <EventRef seq={n.seq} /></p></div><When at={n.at} /></li>)}</ul>}
                </Section>
                <Customers incident={d} />
              </div>
              <Section title="Timeline">
                <ol class="timeline">{d.timeline.map((t) => <li key={t.seq}><At at={t.at} only="clock" /><span>{t.sentence}</span><EventRef seq={t.seq} /></li>)}</ol>
              </Section>
            </div>
          </>
        )}
      </Loading>
    </>
  );
}
