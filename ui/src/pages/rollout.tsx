// One release: its steps, the split, what the judge saw, what a person can do about it.
import { useRoute } from 'preact-iso';
import { useQuery } from '../api/client';
import type { Evidence, Rollout, RolloutAction, RolloutState, Service, SignalCounts, StepState } from '../api/types';
import { actor, count, percent, plural } from '../lib/format';
import { useMarkers, useRange } from '../lib/prom';
import { At, Empty, EventRef, Fact, Head, Loading, RolloutWord, Section, Sha, StateWord, Table, When } from '../parts/basic';
import { type Act, ActButton } from '../parts/act';
import { Chart } from '../parts/chart';
import { EvidenceLine, Staircase, took } from '../parts/evidence';
import { Markdown } from '../parts/markdown';
import { ObservedSplit, Weights } from '../parts/weights';

const OPEN: RolloutState[] = ['planned', 'progressing', 'held', 'paused'];

/** What a person can do; going back is for what serves now. */
function actsOf(r: Rollout, serves: boolean): { label: string; act: Act; main?: boolean }[] {
  const path = (a: RolloutAction) => `/api/v1/rollouts/${encodeURIComponent(r.deployment)}/${a}`;
  const back = r.previous ? `All traffic goes back to ${r.previous} at once; ${r.version} drains and stops.` : `${r.version} stops; no earlier version is known.`;
  if (OPEN.includes(r.state)) {
    return [
      { label: 'Promote', main: true, act: { title: `Promote ${r.version} one step`, does: `Ends the current step now, without waiting for its time or its evidence, and goes to the next one. The judge stays.`, path: path('promote') } },
      { label: 'Promote fully', act: { title: `Promote ${r.version} fully`, does: `Gives all traffic to ${r.version} now and skips the steps that are left.`, path: path('promote'), body: { full: true } } },
      r.state === 'paused'
        ? { label: 'Resume', act: { title: 'Resume', does: 'The rollout goes on from the step it stands at.', path: path('resume') } }
        : { label: 'Pause', act: { title: 'Pause', does: 'The weights stay as they are until a person resumes. The judge goes on and can still turn the release back.', path: path('pause') } },
      { label: 'Abort', act: { title: `Abort ${r.version}`, does: back, path: path('abort'), danger: true } },
    ];
  }
  if (r.state === 'promoted') {
    return r.previous && serves ? [{ label: 'Roll back', act: { title: `Roll back ${r.service} in ${r.environment}`, does: `Gives all traffic of ${r.service} in ${r.environment} back to ${r.previous}. No new judgement is asked for; a freeze does not stop it.`, path: `/api/v1/services/${encodeURIComponent(r.service)}/environments/${encodeURIComponent(r.environment)}/rollback`, danger: true, body: { to: r.previous } } }] : [];
  }
  if (r.state === 'aborting' || r.state === 'superseded') return [];
  return [{ label: 'Retry', act: { title: `Retry ${r.version}`, does: `Starts the same release again from its first step. A quarantined artifact is refused.`, path: path('retry') } }];
}

/** The time a rollout is about, with room on both sides. */
function spanOf(r: Rollout | undefined) {
  const from = Date.parse(r?.startedAt ?? r?.plannedAt ?? '') / 1000;
  const end = r?.takenBackAt ?? r?.finishedAt;
  const to = end ? Date.parse(end) / 1000 : Math.floor(Date.now() / 5000) * 5;
  return Number.isFinite(from) ? { from: from - 60, to: to + 60 } : { from: 0, to: 1 };
}

function BeforeAfter({ rollout }: { rollout: Rollout }) {
  const span = spanOf(rollout);
  const scope = `service="${rollout.service}",environment="${rollout.environment}"`;
  const expr = `sum by (version) (rate(lem_router_requests_total{${scope},code=~"5.."}[30s])) / sum by (version) (rate(lem_router_requests_total{${scope}}[30s]))`;
  const series = useRange(expr, span);
  const markers = useMarkers(span);
  return (
    <Section title="Failing share by version" side="before, during and after">
      <div class="pad"><Loading query={series} what="metrics">{(s) => <Chart series={s} span={span} expr={expr} label="Share of failing requests by version" markers={markers} unit="percentunit" height={200} compact />}</Loading></div>
    </Section>
  );
}

function StepWord({ state, over }: { state: StepState; over: boolean }) {
  if (state === 'done') return <StateWord state="ok" word="done" />;
  if (state === 'current') return over ? <StateWord state="bad" word="ended here" /> : <StateWord state="running" word="now" />;
  return <StateWord state="unknown" word={over ? 'not reached' : 'to come'} />;
}

/** What each signal counted so far, until a verdict gives their shares. */
function Counted({ evidence }: { evidence: Evidence[] }) {
  const sums = new Map<string, SignalCounts>();
  for (const c of evidence.flatMap((e) => e.counts)) {
    const s = sums.get(c.signal);
    sums.set(c.signal, s ? { ...s, canary: s.canary + c.canary, canaryBad: s.canaryBad + c.canaryBad, stable: s.stable + c.stable, stableBad: s.stableBad + c.stableBad } : c);
  }
  if (sums.size === 0) return <Empty>Each signal and its share in the verdict will stand here.</Empty>;
  const share = (bad: number, all: number) => (all > 0 ? percent(bad / all, 2) : 'no data');
  return (
    <Table label="Signals so far" head={<><th>Bad so far</th><th class="right">New version</th><th class="right">Stable</th></>}>
      {[...sums.values()].map((s) => <tr key={s.signal}><td><strong>{s.signal}</strong></td><td class="right">{share(s.canaryBad, s.canary)}<p class="muted">{count(s.canaryBad)} of {count(s.canary)}</p></td><td class="right">{share(s.stableBad, s.stable)}<p class="muted">{count(s.stableBad)} of {count(s.stable)}</p></td></tr>)}
    </Table>
  );
}

export default function RolloutPage() {
  const { params } = useRoute();
  const id = params.deployment ?? '';
  const rollout = useQuery<Rollout>(`/api/v1/rollouts/${encodeURIComponent(id)}`, { on: ['rollout', 'release', 'routes', 'evidence', 'verdict', 'judge', 'analysis', 'service', 'releasenotes'] });
  const r = rollout.data;
  const services = useQuery<Service[]>(r?.state === 'promoted' ? '/api/v1/services' : '', { on: ['service'] });
  const serves = services.data?.find((s) => s.service === r?.service)?.environments.find((p) => p.environment === r?.environment)?.version === r?.version;
  return (
    <>
      <Head title={r ? `${r.service} ${r.version} in ${r.environment}` : 'Rollout'} over={r?.subject ?? <span class="mono">{id}</span>}>
        {r && <RolloutWord state={r.state} />}
        {r && <div class="actions">{actsOf(r, serves).map((a) => <ActButton key={a.label} {...a} />)}</div>}
      </Head>
      <Loading query={rollout} what="the rollout">
        {(d) => {
          const needed = d.evidence.at(-1)?.needed;
          return (
            <>
              {d.takenBackAt && <p class="lede">It took over and was taken back <When at={d.takenBackAt} />: {d.why}</p>}
              {!d.takenBackAt && (d.verdict || d.why) && <p class="lede">{d.verdict?.sentence ?? d.why}{d.verdict && <> <EventRef seq={d.verdict.seq} /></>}</p>}
              {d.takenBackAt && d.verdict && <p class="muted pad">Its verdict before: {d.verdict.sentence} <EventRef seq={d.verdict.seq} /></p>}
              {!d.takenBackAt && d.why && d.verdict && d.why !== d.verdict.sentence && <p class="muted">{d.why}</p>}
              <dl class="facts">
                <Fact name="Commit"><Sha sha={d.sha} /></Fact>
                <Fact name="Before">{d.previous ? <span class="mono">{d.previous}</span> : 'nothing ran here'}</Fact>
                <Fact name="Strategy">{d.strategy}</Fact>
                <Fact name="Asked by">{actor(d.by)}</Fact>
                <Fact name="Started"><When at={d.startedAt} /></Fact>
                <Fact name="Took">{took(d)}</Fact>
                {d.exposedRequests !== null && d.exposedRequests !== undefined && <Fact name="Served by the new version">{plural(d.exposedRequests, 'request')}, {count(d.exposedBad ?? 0)} bad</Fact>}
              </dl>
              <div class="columns">
                <Section title="Steps">
                  {d.steps.length === 0 ? <Empty>This strategy has no steps: it goes to all traffic at once.</Empty> : (
                    <><div class="pad"><Staircase rollout={d} /></div>
                      <ol class="steps">{d.steps.map((s) => <li key={s.index}><StepWord state={s.state} over={Boolean(d.finishedAt)} /><span>{s.text}</span>{s.at ? <At at={s.at} only="clock" /> : <span />}</li>)}</ol></>
                  )}
                </Section>
                <Section title="Traffic">
                  <div class="pad"><p class="over">asked of the router</p><Weights weights={d.weights} /></div>
                  <div class="pad"><p class="over">observed</p><ObservedSplit observed={d.observed} weights={d.weights} /></div>
                </Section>
              </div>
              <Section title="The judge" side={d.judge ?? 'no judge stands beside this release'}>
                <div class="columns is-third">
                  <div class="pad">
                    <p class="over">evidence, as natural logarithm; 4.6 is one chance in a hundred</p>
                    <EvidenceLine rollout={d} />
                    <p class="muted">{d.evidence.length > 0 && (!d.finishedAt && needed !== undefined && needed !== null && needed > 0 ? `About ${count(needed)} more requests are needed for a verdict (an estimate).` : d.verdict ? 'The verdict is reached.' : d.finishedAt ? 'It ended without a verdict.' : 'How many requests are still needed cannot be said yet.')}</p>
                  </div>
                  <div class="pad">
                    {d.verdict && d.verdict.signals.length > 0 ? (
                      <Table label="Signals" head={<><th>Signal</th><th class="right">Share</th><th class="right">ln E</th></>}>
                        {d.verdict.signals.map((s) => <tr key={s.signal}><td><strong>{s.signal}</strong><p class="muted">{s.sentence}</p></td><td class="right">{percent(s.share, 0)}</td><td class="right">{s.lnE.toFixed(2)}</td></tr>)}
                      </Table>
                    ) : <Counted evidence={d.evidence} />}
                  </div>
                </div>
                {d.evidence.length > 0 && (
                  <details class="pad"><summary>{plural(d.evidence.length, 'interval')} as a table</summary>
                    <Table label="Evidence" head={<><th>Until</th><th>Signal</th><th class="right">New version</th><th class="right">Stable</th><th class="right">ln E</th><th class="right">ln E promote</th><th class="right">Event</th></>}>
                      {[...d.evidence].reverse().flatMap((e) => e.counts.map((c, i) => (
                        <tr key={`${e.seq}${c.signal}`}><td>{i === 0 && <At at={e.to} only="clock" />}</td><td>{c.signal}{c.note && <p class="muted">{c.note}</p>}</td><td class="right">{count(c.canaryBad)} of {count(c.canary)}</td><td class="right">{count(c.stableBad)} of {count(c.stable)}</td><td class="right">{i === 0 && e.lnE.toFixed(2)}</td><td class="right">{i === 0 && e.lnEPromote.toFixed(2)}</td><td class="right">{i === 0 && <EventRef seq={e.seq} />}</td></tr>
                      )))}
                    </Table>
                  </details>
                )}
              </Section>
              <BeforeAfter rollout={d} />
              <Section title="Release notes">{d.notes ? <div class="prose"><Markdown text={d.notes} /></div> : <Empty>{d.finishedAt ? 'No release notes: it never took over.' : 'Written from the commits when it takes over.'}</Empty>}</Section>
              <p class="over section">told by {d.seqs.slice(0, 10).map((s) => <span key={s}><EventRef seq={s} /> </span>)}{d.seqs.length > 10 && `and ${d.seqs.length - 10} more`}</p>
            </>
          );
        }}
      </Loading>
    </>
  );
}
