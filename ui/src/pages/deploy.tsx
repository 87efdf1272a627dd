// What runs where: services by environments.
import { useRoute } from 'preact-iso';
import { useQuery } from '../api/client';
import type { Freeze, Service, ServicePlace } from '../api/types';
import { actor } from '../lib/format';
import { param } from '../lib/url';
import { ActButton, ask } from '../parts/act';
import { A, Empty, Head, Loading, Section, Sha, StateWord, Table, Tabs, When } from '../parts/basic';
import { Weights } from '../parts/weights';

export const DEPLOY_TABS = [{ id: 'where', href: '/deploy', title: 'What runs where' }, { id: 'rollouts', href: '/rollouts', title: 'Rollouts' }];
const HEALTH = { ok: 'ok', bad: 'bad', down: 'bad', unknown: 'unknown' } as const;

function Place({ service, place }: { service: string; place: ServicePlace }) {
  const path = `/api/v1/services/${encodeURIComponent(service)}/environments/${encodeURIComponent(place.environment)}/rollback`;
  return (
    <div class="place">
      <div class="row">
        <strong class="mono">{place.version ?? 'nothing runs'}</strong>
        <StateWord state={HEALTH[place.health] ?? 'unknown'} word={place.health === 'ok' ? 'healthy' : place.health} />
        {place.since && <span class="muted"><When at={place.since} /></span>}
      </div>
      <Weights weights={place.weights} />
      <div class="row muted">
        {place.sha && <span>commit <Sha sha={place.sha} /></span>}
        {place.previous && <span>before: <span class="mono">{place.previous}</span></span>}
        {place.url && <a href={place.url} rel="noreferrer">{place.url}</a>}
      </div>
      {place.frozen && <StateWord state="waiting" word={`frozen: ${place.frozen}`} />}
      <div class="row">
        {place.rollout && <A href={`/rollouts/${encodeURIComponent(place.rollout)}`}>Follow the rollout</A>}
        {place.previous && <ActButton label={`Roll back to ${place.previous}`} act={{ title: `Roll back ${service} in ${place.environment}`, does: `Gives all traffic of ${service} in ${place.environment} back to ${place.previous}, the last version that was verified here. A freeze does not stop it.`, path, danger: true }} />}
      </div>
      {place.instances.length > 0 && (
        <details><summary class="muted">{place.instances.length} {place.instances.length === 1 ? 'instance' : 'instances'}</summary>
          <ul>{place.instances.map((i) => <li key={i.instance}><span class="mono">{i.version} {i.address}</span> <span class="muted">{i.pid ? `process ${i.pid}, ` : ''}since <When at={i.since} /></span></li>)}</ul>
        </details>
      )}
    </div>
  );
}

function Freezes() {
  const freezes = useQuery<Freeze[]>('/api/v1/freezes', { on: ['freeze'] });
  return (
    <Section title="Freezes" side={<button type="button" class="small" onClick={() => ask({ title: 'Freeze everything', does: 'No release is promoted any more, in any environment, until the freeze is lifted. Rollbacks go on.', path: '/api/v1/freezes', body: { scope: '*' } })}>Freeze everything</button>}>
      <Loading query={freezes} what="freezes">
        {(rows) => rows.length === 0 ? <Empty>No freeze is in force. A freeze blocks promotion, never a rollback.</Empty> : (
          <Table label="Freezes" head={<><th>Scope</th><th>Why</th><th>By</th><th>Since</th><th>Until</th><th><span class="only-screenreader">Action</span></th></>}>
            {rows.map((f) => (
              <tr key={f.scope}><td class="mono">{f.scope === '*' ? 'everything' : f.scope}</td><td>{f.reason}</td><td>{actor(f.by)}</td><td><When at={f.since} /></td><td>{f.until ? <When at={f.until} /> : 'until it is lifted'}</td>
                <td class="right"><ActButton label="Lift" act={{ title: 'Lift the freeze', does: `Releases in ${f.scope === '*' ? 'every environment' : f.scope} are promoted again.`, path: '/api/v1/freezes', method: 'DELETE', body: { scope: f.scope } }} /></td></tr>
            ))}
          </Table>
        )}
      </Loading>
    </Section>
  );
}

export default function Deploy() {
  const { params } = useRoute();
  const services = useQuery<Service[]>('/api/v1/services', { on: ['service', 'rollout', 'routes', 'instance', 'freeze'], everyS: 30 });
  const env = param('env');
  return (
    <>
      <Head title="Deploy" over="Which version serves where" />
      <Tabs tabs={DEPLOY_TABS} at="where" label="Deploy" />
      <Loading query={services} what="services">
        {(all) => {
          const rows = params.service ? all.filter((s) => s.service === params.service) : all;
          const longest = [...rows].sort((a, b) => b.environments.length - a.environments.length);
          const environments = [...new Set(longest.flatMap((s) => s.environments.map((e) => e.environment)))].filter((e) => !env || e === env);
          if (rows.length === 0) return <Empty command="lem init">No service is configured yet. The section <code>deploy</code> of <code>lem.yaml</code> names services and their environments.</Empty>;
          return (
            <div class="matrix"><Table stacked label="What runs where" head={<><th>Service</th>{environments.map((e) => <th key={e}>{e}</th>)}</>}>
              {rows.map((s) => (
                <tr key={s.service}><td><strong>{s.service}</strong></td>
                  {environments.map((e) => { const place = s.environments.find((p) => p.environment === e); return <td key={e}>{place ? <Place service={s.service} place={place} /> : <span class="muted">not deployed here</span>}</td>; })}</tr>
              ))}
            </Table></div>
          );
        }}
      </Loading>
      <Freezes />
    </>
  );
}
