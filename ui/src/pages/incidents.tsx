// Incidents, the worst and newest first.
import { useQuery } from '../api/client';
import type { IncidentRow } from '../api/types';
import { duration } from '../lib/time';
import { param, setParams } from '../lib/url';
import { A, Choice, Empty, Head, IncidentWord, Loading, Table, When } from '../parts/basic';

const OPEN = new Set(['open', 'acknowledged', 'mitigated']);

export default function Incidents() {
  const show = param('state', 'all');
  const incidents = useQuery<IncidentRow[]>('/api/v1/incidents?limit=200', { on: ['incident', 'incidentnote', 'attribution', 'action'] });
  return (
    <>
      <Head title="Incidents" over="What went wrong, and what came of it">
        <Choice label="Which" options={[['all', 'All'], ['open', 'Open'], ['resolved', 'Over']]} value={show} choose={(v) => setParams({ state: v === 'all' ? undefined : v }, 'push')} />
      </Head>
      <Loading query={incidents} what="incidents">
        {(all) => {
          const env = param('env');
          const rows = all.filter((i) => (show === 'all' || OPEN.has(i.state) === (show === 'open')) && (!env || i.environment === env))
            .sort((a, b) => Number(OPEN.has(b.state)) - Number(OPEN.has(a.state)) || (OPEN.has(a.state) ? a.severity.localeCompare(b.severity) : 0) || b.detectedAt.localeCompare(a.detectedAt));
          if (rows.length === 0) return <Empty>{all.length === 0 ? 'No incident yet. An alert with severity page, or a release the judge turns back, opens one.' : 'No incident fits this choice.'}</Empty>;
          return (
            <Table label="Incidents" head={<><th>State</th><th>Severity</th><th>Incident</th><th>Service</th><th class="right">Lasted</th><th class="right">Detected</th></>}>
              {rows.map((i) => (
                <tr key={i.incident}>
                  <td><IncidentWord state={i.state} /></td>
                  <td>{i.severity}</td>
                  <td><A href={`/incidents/${encodeURIComponent(i.incident)}`}><strong>{i.title}</strong></A><p class="muted">{i.status}</p></td>
                  <td class="nowrap">{i.service ?? ''} <span class="muted">in {i.environment}</span></td>
                  <td class="right">{i.resolvedAt ? duration(Date.parse(i.resolvedAt) - Date.parse(i.since ?? i.detectedAt)) : 'goes on'}</td>
                  <td class="right"><When at={i.detectedAt} /></td>
                </tr>
              ))}
            </Table>
          );
        }}
      </Loading>
    </>
  );
}
