// Imported dashboards: the list, and one with its variables and panels.
import { useRoute } from 'preact-iso';
import { useQuery } from '../api/client';
import type { Dashboard, DashboardRow } from '../api/types';
import { useMarkers, useSpan } from '../lib/prom';
import { param, setParams } from '../lib/url';
import { A, Empty, Head, Loading, Table, Tabs } from '../parts/basic';
import { Markers } from '../parts/chart';
import { PanelView } from '../parts/panel';
import { OBSERVE_TABS } from '../parts/observe';

function List() {
  const rows = useQuery<DashboardRow[]>('/api/v1/dashboards');
  return (
    <>
      <Head title="Dashboards" over="Imported from the repository, as they are" />
      <Tabs tabs={OBSERVE_TABS} at="dashboards" label="Observe" />
      <Loading query={rows} what="dashboards">
        {(d) => d.length === 0 ? <Empty command="observe: {dashboards: observe/dashboards}">Grafana dashboards (JSON) in the folder <code>lem.yaml</code> names will stand here.</Empty> : (
          <Table label="Dashboards" head={<><th>Dashboard</th><th>Tags</th><th class="right">Id</th></>}>
            {d.map((r) => <tr key={r.uid}><td><A href={`/observe/dashboards/${encodeURIComponent(r.uid)}`}>{r.title}</A></td><td class="muted">{r.tags.join(', ')}</td><td class="right mono">{r.uid}</td></tr>)}
          </Table>
        )}
      </Loading>
    </>
  );
}

function One({ uid }: { uid: string }) {
  const dashboard = useQuery<Dashboard>(`/api/v1/dashboards/${encodeURIComponent(uid)}`);
  const span = useSpan();
  const markers = useMarkers(span);
  return (
    <>
      <Head title={dashboard.data?.title ?? 'Dashboard'} over={<A href="/observe/dashboards">Dashboards</A>} />
      <Tabs tabs={OBSERVE_TABS} at="dashboards" label="Observe" />
      <Loading query={dashboard} what="the dashboard">
        {(d) => {
          const values = Object.fromEntries(d.variables.map((v) => [v.name, param(`var-${v.name}`) || (v.name === 'environment' && param('env')) || v.current || v.values[0] || '']));
          return (
            <>
              {d.variables.length > 0 && (
                <div class="filters">{d.variables.map((v) => (
                  <label key={v.name} class="row"><span class="muted">{v.label || v.name}</span>
                    <select value={values[v.name]} onChange={(e) => setParams({ [`var-${v.name}`]: e.currentTarget.value }, 'push')}>
                      {[...new Set([...v.values, values[v.name] ?? ''])].filter(Boolean).map((x) => <option key={x}>{x}</option>)}
                    </select></label>
                ))}</div>
              )}
              {markers.length > 0 && <div class="filters"><Markers markers={markers} open={false} /></div>}
              {d.panels.length === 0 ? <Empty>This dashboard has no panels.</Empty> : <div class="panels">{d.panels.map((p) => <PanelView key={p.id} panel={p} values={values} span={span} markers={markers} />)}</div>}
            </>
          );
        }}
      </Loading>
    </>
  );
}

export default function Dashboards() {
  const { params } = useRoute();
  return params.uid ? <One key={params.uid} uid={params.uid} /> : <List />;
}
