// Infrastructure: environments, resources as graph and table, plans with cost and policy beside each line, drift, docs.
import { useRoute } from 'preact-iso';
import { useQuery } from '../api/client';
import type { DriftCheck, InfraEnvironment, InfraPlan, InfraResource, ProvisionView } from '../api/stages';
import type { State } from '../api/types';
import { actor, count, plural } from '../lib/format';
import { difference, money } from '../lib/money';
import { param, setParams } from '../lib/url';
import { A, Empty, EventRef, Fact, Head, Section, Sha, StateWord, Table, Tabs, When } from '../parts/basic';
import { Graph } from '../parts/graph';
import { Markdown } from '../parts/markdown';
import { Changes } from '../parts/plan';
import { At, Stage } from '../parts/stage';

const TABS = [
  { id: '', href: '/provision', title: 'Environments' }, { id: 'resources', href: '/provision/resources', title: 'Resources' },
  { id: 'plans', href: '/provision/plans', title: 'Plans' }, { id: 'drift', href: '/provision/drift', title: 'Drift' }, { id: 'docs', href: '/provision/docs', title: 'Docs' },
];
/** A graph of more boxes helps nobody; the table holds all. */
const MAX_BOXES = 120;

const here = <T extends { environment: string }>(rows: T[]): T[] => { const env = param('env'); return env ? rows.filter((r) => r.environment === env) : rows; };
const unpriced = (n: number) => (n > 0 ? `${count(n)} not wholly priced` : '');
/** Resources that are looked at together: of one folder in one environment. */
const groupOf = (r: { environment: string; root: string }) => (r.environment ? `${r.environment} · ${r.root}` : r.root);

/** Drawn under Resources, so its source is left out here. */
const undrawn = (text: string) => text.replace(/\n#+ Graph\s+```mermaid\n[\s\S]*?\n```\s*/, '\n');

function Environments({ rows }: { rows: InfraEnvironment[] }) {
  if (rows.length === 0) return <Empty command="lem plan">No environment is known here.</Empty>;
  return (
    <Table label="Environments" head={<><th>State</th><th>Environment</th><th>Standing</th><th>Files</th><th class="right">Resources</th><th class="right">A month</th><th class="right">Applied</th></>}>
      {rows.map((e) => (
        <tr key={e.environment + e.root}>
          <td><StateWord state={e.state} word={e.word} /></td><td><A href={`/provision/resources?of=${encodeURIComponent(groupOf(e))}`}><strong>{e.environment || 'none'}</strong></A></td><td>{e.sentence}</td>
          <td><span class="mono">{e.root}</span><p class="muted">{e.language}, {e.engine === 'files' ? 'read only' : `${e.engine} engine`}</p></td>
          <td class="right">{count(e.resources)}</td>
          <td class="right">{money(e.monthly)}<p class="muted">{unpriced(e.unpriced)}</p></td>
          <td class="right"><When at={e.appliedAt} /><p>{e.appliedSha && <Sha sha={e.appliedSha} />} {e.appliedSeq !== null && e.appliedSeq !== undefined && <EventRef seq={e.appliedSeq} />}</p></td>
        </tr>
      ))}
    </Table>
  );
}

function OneResource({ resource: r }: { resource: InfraResource }) {
  return (
    <Section title={r.address}>
      <dl class="facts">
        <Fact name="Type"><span class="mono">{r.kind}</span></Fact><Fact name="Written at"><At place={r.place} /></Fact>{r.region && <Fact name="Region">{r.region}</Fact>}
        <Fact name="A month">{r.monthly ? money(r.monthly) : 'unknown'}</Fact>{r.unpricedWhy && <Fact name="Not priced">{r.unpricedWhy}</Fact>}<Fact name="Needs">{r.dependsOn.join(', ') || 'nothing'}</Fact>
      </dl>
      <Table label={`Attributes of ${r.address}`} head={<><th>Attribute</th><th>Value</th></>}>
        {r.attributes.map((a) => <tr key={a.name}><td class="mono nowrap">{a.name}</td><td class={/^\((sensitive|unknown)\)$/.test(a.value) ? 'muted' : 'mono wrap'}>{a.value}</td></tr>)}
      </Table>
    </Section>
  );
}

function Resources({ view }: { view: ProvisionView }) {
  const env = param('env');
  const groups = [...new Set(view.resources.filter((r) => !env || !r.environment || r.environment === env).map(groupOf))];
  const of = groups.find((g) => g === param('of')) ?? groups.find((g) => g.startsWith('production ')) ?? groups[0] ?? '';
  const rows = view.resources.filter((r) => groupOf(r) === of);
  const chosen = rows.find((r) => r.address === param('resource'));
  const choose = (address: string) => setParams({ resource: address }, 'push');
  if (rows.length === 0) return <Empty command={`lem plan --environment ${env || 'staging'}`}>No resource of {env || 'any environment'} is known yet.</Empty>;
  return (
    <>
      {groups.length > 1 && <p class="row"><select aria-label="Which resources" value={of} onChange={(e) => setParams({ of: e.currentTarget.value, resource: undefined }, 'push')}>{groups.map((g) => <option key={g}>{g}</option>)}</select><span class="muted">{plural(rows.length, 'resource')}</span></p>}
      {rows.length <= MAX_BOXES ? <Graph mono width={268} boxes={rows.map((r) => ({ id: r.address, title: r.address, sub: `${r.word}${r.monthly ? ` · ${money(r.monthly)}` : ''}`, state: r.state }))} edges={rows.flatMap((r) => r.dependsOn.map((d) => ({ from: d, to: r.address })))} chosen={chosen?.address ?? ''} choose={choose} label="Graph of resources; the table below lists the same" />
        : <p class="muted">{plural(rows.length, 'resource')} are too many for a graph; the table lists them all.</p>}
      <Table label="Resources" head={<><th>State</th><th>Address</th><th>Needs</th><th>Written at</th><th class="right">Findings</th><th class="right">A month</th></>}>
        {rows.map((r) => (
          <tr key={r.address} aria-selected={r === chosen}>
            <td><StateWord state={r.state} word={r.word} /></td><td><button type="button" class="link mono" aria-pressed={r === chosen} onClick={() => choose(r.address)}>{r.address}</button></td>
            <td class="mono muted">{r.dependsOn.join(', ')}</td><td><At place={r.place} /></td>
            <td class="right">{r.findings > 0 ? <A href="/secure">{count(r.findings)}</A> : '0'}</td><td class="right" title={r.unpricedWhy ?? ''}>{r.monthly && r.unpricedWhy && <span class="muted">at least </span>}{r.monthly ? money(r.monthly) : <span class="muted">not priced</span>}</td>
          </tr>
        ))}
      </Table>
      {view.resourcesOmitted > 0 && <p class="muted pad">{plural(view.resourcesOmitted, 'more resource')} are not listed.</p>}
      {chosen && <OneResource resource={chosen} />}
    </>
  );
}

const PLAN: Record<InfraPlan['state'], State> = { proposed: 'waiting', applied: 'ok', failed: 'bad', refused: 'bad', stale: 'unknown' };
const GATE = { allow: ['ok', 'allowed'], deny: ['bad', 'denied'], unknown: ['unknown', 'not judged'] } as const;

function Plan({ plan: p }: { plan: InfraPlan }) {
  const [gate, word] = GATE[p.gate.answer] ?? GATE.unknown;
  const c = p.counts;
  return (
    <Section title={`${p.environment}, ${p.root}`} side={<><StateWord state={PLAN[p.state] ?? 'unknown'} word={p.state} /><When at={p.at} /><EventRef seq={p.seq} /></>}>
      <dl class="facts">
        <Fact name="Changes">{c.create} create · {c.update} update · {c.replace} replace · {c.delete} delete · <span class="muted">{c.unchanged} unchanged</span></Fact>
        <Fact name="A month">{money(p.before)} → <strong>{money(p.after)}</strong> <span class="muted">{difference(p.before, p.after)}</span></Fact>
        <Fact name="Gate"><StateWord state={gate} word={word} /></Fact>
        <Fact name="Asked by">{actor(p.by)}</Fact>{p.sha && <Fact name="Commit"><Sha sha={p.sha} /></Fact>}<Fact name="Plan"><span class="mono">{p.plan.slice(0, 19)}</span></Fact>
      </dl>
      {p.gate.reasons.length > 0 && <ul class="reasons">{p.gate.reasons.map((r) => <li key={r}>{r}</li>)}</ul>}
      <Changes changes={p.changes} label={`Plan of ${p.environment}`} />
      {p.changesOmitted > 0 && <p class="muted pad">{plural(p.changesOmitted, 'more change')} are not listed.</p>}
      {p.unpriced.length > 0 && <p class="muted pad">Not in these sums: {p.unpriced.map((u) => `${u.address} (${u.reason})`).join(', ')}.</p>}
      {p.state === 'proposed' && <p class="pad">To apply exactly this plan: <code>lem apply {p.plan.slice(0, 19)}</code></p>}
    </Section>
  );
}

function Drift({ checks }: { checks: DriftCheck[] }) {
  if (checks.length === 0) return <Empty command="lem drift">Nobody has compared what exists with what was applied yet.</Empty>;
  return (
    <>{checks.map((d) => (
      <Section key={d.environment + d.root} title={`${d.environment}, ${d.root}`} side={<><StateWord state={d.changes.length ? 'bad' : 'ok'} word={d.changes.length ? `${plural(d.changes.length, 'resource')} drifted` : 'as applied'} /><When at={d.at} /><EventRef seq={d.seq} /></>}>
        {d.changes.length === 0 ? <p class="muted pad">What exists is what was applied.</p> : <Changes changes={d.changes} label={`Drift of ${d.environment}`} drift />}
      </Section>
    ))}</>
  );
}

export default function Provision() {
  const { params } = useRoute();
  const show = params.show ?? '';
  const view = useQuery<ProvisionView>('/api/v1/provision', { on: ['plan', 'apply', 'drift', 'infrachange', 'cost', 'gate'] });
  return (
    <>
      <Head title="Provision" over="Infrastructure as it is written, planned and applied" />
      <Tabs tabs={TABS} at={show} label="Provision" />
      <Stage query={view} what="infrastructure" command="lem plan" will="Name a folder of Terraform, CloudFormation or Kubernetes files in the section provision of lem.yaml. Its environments, resources, plans with their cost and policy, and drift will stand here.">
        {(v) => show === 'resources' ? <Resources view={v} />
          : show === 'plans' ? (here(v.plans).length ? <>{here(v.plans).map((p) => <Plan key={p.plan + p.environment} plan={p} />)}</> : <Empty command="lem plan">No plan was made yet.</Empty>)
          : show === 'drift' ? <Drift checks={here(v.drift)} />
          : show === 'docs' ? (v.docs.length ? <>{v.docs.map((d) => <Section key={d.root} title={d.title}><div class="prose"><Markdown text={undrawn(d.text)} /><p class="pad"><A href={`/provision/resources?of=${encodeURIComponent(d.root)}`}>Its resources as a graph and as a table</A></p></div></Section>)}</> : <Empty command="lem docs">No documentation was written yet.</Empty>)
          : <Environments rows={here(v.environments)} />}
      </Stage>
    </>
  );
}
