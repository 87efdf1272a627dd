// Every release, newest first.
import { useQuery } from '../api/client';
import type { Rollout } from '../api/types';
import { count, percent } from '../lib/format';
import { duration } from '../lib/time';
import { param } from '../lib/url';
import { A, Empty, Head, Loading, RolloutWord, Sha, Table, Tabs, When } from '../parts/basic';
import { DEPLOY_TABS } from './deploy';

export default function Rollouts() {
  const env = param('env');
  const rollouts = useQuery<Rollout[]>(`/api/v1/rollouts?limit=50${env ? `&environment=${encodeURIComponent(env)}` : ''}`, { on: ['rollout', 'release', 'verdict'] });
  return (
    <>
      <Head title="Rollouts" over="Every release and how it ended" />
      <Tabs tabs={DEPLOY_TABS} at="rollouts" label="Deploy" />
      <Loading query={rollouts} what="rollouts">
        {(rows) => rows.length === 0 ? <Empty command="git push">A successful run on the watched branch starts a release; it will stand here.</Empty> : (
          <Table label="Rollouts" head={<><th>State</th><th>Service</th><th>Version</th><th>Change</th><th>Why</th><th class="right">Served</th><th class="right">Bad</th><th class="right">Took</th><th class="right">Planned</th></>}>
            {rows.map((r) => (
              <tr key={r.deployment}>
                <td><RolloutWord state={r.state} /></td>
                <td class="nowrap">{r.service} <span class="muted">in {r.environment}</span></td>
                <td><A href={`/rollouts/${encodeURIComponent(r.deployment)}`} class="mono">{r.version}</A></td>
                <td>{r.subject ?? <Sha sha={r.sha} />}</td>
                <td class="muted">{r.why}</td>
                <td class="right">{r.exposedRequests === null || r.exposedRequests === undefined ? '' : count(r.exposedRequests)}</td>
                <td class="right">{r.exposedRequests ? percent((r.exposedBad ?? 0) / r.exposedRequests) : ''}</td>
                <td class="right">{r.startedAt && r.finishedAt ? duration(Date.parse(r.finishedAt) - Date.parse(r.startedAt)) : ''}</td>
                <td class="right"><When at={r.plannedAt} /></td>
              </tr>
            ))}
          </Table>
        )}
      </Loading>
    </>
  );
}
