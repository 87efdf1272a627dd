// Pipeline runs: status, branch, commit, how long against the usual.
import { useQuery } from '../api/client';
import type { RunRow, RunsPage } from '../api/types';
import { duration, now } from '../lib/time';
import { param, setParams } from '../lib/url';
import { A, Empty, EventRef, Head, Loading, RunWord, Section, Sha, Table, When, outcomeOf } from '../parts/basic';
import { ActButton } from '../parts/act';

/** The bar is scaled so that the usual stands at two thirds. */
function Duration({ run }: { run: RunRow }) {
  const ms = run.durationMs ?? (run.startedAt && run.state === 'running' ? Math.max(0, now.value - Date.parse(run.startedAt)) : undefined);
  if (ms === undefined) return <span class="muted">not started</span>;
  const usual = run.usualMs ?? undefined;
  const whole = Math.max(ms, usual ? usual * 1.5 : ms);
  const [colour] = outcomeOf(run.state, run.outcome);
  return (
    <span class="usual" title={usual ? `usual: ${duration(usual)}` : 'no usual duration known yet'}>
      <span class={`bar is-${colour}`} aria-hidden="true"><i style={{ width: `${(100 * ms) / whole}%` }} />{usual && <b style={{ left: `${(100 * usual) / whole}%` }} />}</span>
      <span class="num">{duration(ms)}</span>{usual !== undefined && <p class="muted">usually {duration(usual)}</p>}
    </span>
  );
}

export default function Runs() {
  const branch = param('branch');
  const runs = useQuery<RunsPage>(`/api/v1/runs?limit=100${branch ? `&branch=${encodeURIComponent(branch)}` : ''}`, { on: ['pipelinerun', 'taskrun', 'pipelineplan'] });
  const branches = [...new Set((runs.data?.runs ?? []).map((r) => r.branch))];
  return (
    <>
      <Head title="Pipeline" over="Runs of the workflows in this repository">
        {(branches.length > 1 || branch) && (
          <select aria-label="Branch" value={branch} onChange={(e) => setParams({ branch: e.currentTarget.value }, 'push')}>
            <option value="">all branches</option>{[...new Set([...branches, branch])].filter(Boolean).map((b) => <option key={b}>{b}</option>)}
          </select>
        )}
        <ActButton label="Run now" act={{ title: 'Run now', does: 'Runs the workflows that match a push of the newest commit on the watched branch.', path: '/api/v1/runs', body: { inputs: {} }, field: 'comment', optional: true, fieldLabel: 'Comment' }} />
      </Head>
      <Loading query={runs} what="runs">
        {({ runs: rows, rejected }) => (
          <>
            {rows.length === 0 ? <Empty command="git commit, or lem run">Each push to the watched branch starts the workflows that match it; their runs will stand here.</Empty> : (
              <Table label="Runs" head={<><th>Status</th><th>Run</th><th>Commit</th><th>Branch</th><th>Because of</th><th>Duration</th><th class="right">Queued</th></>}>
                {rows.map((r) => (
                  <tr key={r.run}>
                    <td><RunWord state={r.state} outcome={r.outcome} /></td>
                    <td><A href={`/runs/${encodeURIComponent(r.run)}`}>{r.pipelineName}</A>{r.errors && <p class="muted">{r.errors}</p>}{r.marks.map((m, i) => <p key={i} class="state is-bad">{m}</p>)}</td>
                    <td><Sha sha={r.sha} />{r.subject && <> {r.subject}</>}</td>
                    <td class="mono nowrap">{r.branch}</td>
                    <td>{r.event}</td>
                    <td><Duration run={r} /></td>
                    <td class="right"><When at={r.queuedAt} /></td>
                  </tr>
                ))}
              </Table>
            )}
            {rejected.length > 0 && (
              <Section title="Refused before they ran">
                <Table label="Refused runs" head={<><th>File</th><th>Commit</th><th>Why</th><th class="right">When</th><th><span class="only-screenreader">Event</span></th></>}>
                  {rejected.map((r) => <tr key={r.seq}><td class="mono">{r.file}</td><td><Sha sha={r.sha} /></td><td>{r.diagnostics.map((d, i) => <pre key={i} class="wrap">{d}</pre>)}</td><td class="right"><When at={r.at} /></td><td><EventRef seq={r.seq} /></td></tr>)}
                </Table>
              </Section>
            )}
          </>
        )}
      </Loading>
    </>
  );
}
