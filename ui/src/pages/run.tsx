// One run: graph of jobs, their log, tests, artifacts, and why something ran or did not.
import { useRoute } from 'preact-iso';
import { useQuery } from '../api/client';
import type { Job, RunDetail } from '../api/types';
import { bytes, plural } from '../lib/format';
import { duration } from '../lib/time';
import { param, setParams } from '../lib/url';
import { ActButton } from '../parts/act';
import { A, Empty, EventRef, Fact, Head, Loading, RunWord, Section, Sha, StateWord, Table, When } from '../parts/basic';
import { Dag } from '../parts/dag';
import { RunLog } from '../parts/joblog';
import { Markdown } from '../parts/markdown';

function Tests({ jobs }: { jobs: Job[] }) {
  const suites = jobs.flatMap((j) => j.tests.map((t) => ({ job: j.name, ...t })));
  if (suites.length === 0) return <Empty>No test results. A job that writes JUnit XML will show its tests here.</Empty>;
  return (
    <Table label="Tests" head={<><th>Suite</th><th>Job</th><th class="right">Passed</th><th class="right">Failed</th><th class="right">Skipped</th><th class="right">Took</th></>}>
      {suites.map((t) => (
        <tr key={t.job + t.suite}>
          <td><StateWord state={t.failed ? 'bad' : 'ok'} word={t.suite} />
            {t.failures.map((f) => <details key={f.name} open><summary>{f.name}</summary><pre class="wrap">{f.message}</pre></details>)}</td>
          <td>{t.job}</td><td class="right">{t.passed}</td><td class="right">{t.failed}</td><td class="right">{t.skipped}</td><td class="right">{duration(t.durationMs)}</td>
        </tr>
      ))}
    </Table>
  );
}

function Jobs({ jobs, critical, chosen }: { jobs: Job[]; critical: string[]; chosen: string }) {
  return (
    <Table label="Jobs" head={<><th>Status</th><th>Job</th><th>Needs</th><th>Why</th><th class="right">Steps</th><th class="right">Took</th></>}>
      {jobs.map((j) => (
        <tr key={j.job} aria-selected={j.job === chosen}>
          <td><RunWord state={j.state} outcome={j.conclusion ?? j.outcome} /></td>
          <td><button type="button" class="small" aria-pressed={j.job === chosen} onClick={() => setParams({ job: j.job, line: undefined }, 'push')}>{j.name}</button></td>
          <td class="mono">{j.needs.join(', ') || <span class="muted">nothing</span>}</td>
          <td class="muted">{j.why ?? (critical.includes(j.job) ? 'on the critical path' : j.state === 'skipped' ? 'its condition was false' : '')}</td>
          <td class="right">{j.steps.length}</td>
          <td class="right">{duration(j.durationMs ?? undefined)}</td>
        </tr>
      ))}
    </Table>
  );
}

export default function Run() {
  const { params } = useRoute();
  const id = params.run ?? '';
  const run = useQuery<RunDetail>(`/api/v1/runs/${encodeURIComponent(id)}`, { on: ['pipelinerun', 'taskrun', 'job', 'step', 'testsuiterun', 'artifact', 'regression'] });
  const r = run.data;
  return (
    <>
      <Head title={r ? `${r.pipelineName}${r.subject ? `: ${r.subject}` : ''}` : 'Run'} over={<>Run <span class="mono">{id}</span></>}>
        {r && <RunWord state={r.state} outcome={r.outcome} />}
        {r && r.state !== 'finished' && <ActButton label="Cancel" act={{ title: 'Cancel the run', does: 'Stops every job of this run with its whole process tree. The run ends as cancelled.', path: `/api/v1/runs/${encodeURIComponent(id)}/cancel`, danger: true }} />}
      </Head>
      <Loading query={run} what="the run">
        {(d) => {
          const failed = d.jobs.find((j) => j.conclusion === 'failure' || j.conclusion === 'error');
          const job = d.jobs.find((j) => j.job === param('job')) ?? failed ?? d.jobs.find((j) => j.state === 'running') ?? d.jobs.at(-1);
          const summaries = d.jobs.filter((j) => j.summary);
          return (
            <>
              {d.marks.map((m, i) => <div key={i} class="notice is-bad"><StateWord state="bad" word="regression" /><span>{m}</span></div>)}
              {d.errors && <div class="notice is-bad"><StateWord state="bad" word="failed" /><span>{d.errors}</span></div>}
              <dl class="facts">
                <Fact name="Why it ran">{d.event} on <span class="mono">{d.branch}</span></Fact>
                <Fact name="Commit"><Sha sha={d.sha} /></Fact>
                <Fact name="Workflow"><span class="mono">{d.file}</span></Fact>
                <Fact name="Queued"><When at={d.queuedAt} /></Fact>
                <Fact name="Took">{d.durationMs ? duration(d.durationMs) : 'not finished'}{d.usualMs ? <span class="muted"> of usually {duration(d.usualMs)}</span> : null}</Fact>
                <Fact name="Critical path">{d.criticalPath.join(' → ') || 'not known yet'}</Fact>
              </dl>
              <Section title="Jobs" side={plural(d.jobs.length, 'job')}>
                {d.jobs.length === 0 ? <Empty>No job has been planned yet.</Empty> : <>
                  <Dag jobs={d.jobs} critical={d.criticalPath} chosen={job?.job ?? ''} choose={(j) => setParams({ job: j, line: undefined }, 'push')} />
                  <Jobs jobs={d.jobs} critical={d.criticalPath} chosen={job?.job ?? ''} /></>}
              </Section>
              {job && <Section title={`Log of ${job.name}`}><div class="pad"><RunLog key={job.job + job.state} run={id} job={job} /></div></Section>}
              <Section title="Tests"><Tests jobs={d.jobs} /></Section>
              <Section title="Artifacts">
                {d.artifacts.length === 0 ? <Empty>Nothing was uploaded. <code>actions/upload-artifact</code> keeps files here by digest.</Empty> : (
                  <Table label="Artifacts" head={<><th>Name</th><th>Digest</th><th>Package URL</th><th class="right">Size</th></>}>
                    {d.artifacts.map((a) => <tr key={a.digest + a.name}><td><a href={`/api/v1/artifacts/${encodeURIComponent(a.digest)}`} download={`${a.name}.zip`}>{a.name}</a></td><td class="mono clip" title={a.digest}>{a.digest.slice(0, 23)}…</td><td class="mono clip" title={a.purl}>{a.purl}</td><td class="right">{bytes(a.sizeBytes)}</td></tr>)}
                  </Table>
                )}
              </Section>
              {summaries.length > 0 && <Section title="Summary">{summaries.map((j) => <div class="prose" key={j.job}><p class="over">{j.name}</p><Markdown text={j.summary ?? ''} /></div>)}</Section>}
              <p class="over section">told by {d.seqs.slice(0, 8).map((s) => <span key={s}><EventRef seq={s} /> </span>)}{d.seqs.length > 8 && <A href={`/ledger?chain=${d.sha}`}>and {d.seqs.length - 8} more</A>}</p>
            </>
          );
        }}
      </Loading>
    </>
  );
}
