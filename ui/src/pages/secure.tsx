// Security: findings on what runs now first, exceptions with their expiry, secrets by name and lease, artifacts, controls.
import { useRoute } from 'preact-iso';
import { useQuery } from '../api/client';
import type { ExceptionRow, FindingRow, SecretRow, SecureView } from '../api/stages';
import { count, plural, short, shorten } from '../lib/format';
import { param, setParams } from '../lib/url';
import { Choice, Empty, EventRef, Fact, Head, Section, Sha, StateWord, Table, Tabs, When } from '../parts/basic';
import { At, SeverityWord, Stage } from '../parts/stage';

const TABS = [
  { id: '', href: '/secure', title: 'Findings' }, { id: 'exceptions', href: '/secure/exceptions', title: 'Exceptions' }, { id: 'secrets', href: '/secure/secrets', title: 'Secrets' },
  { id: 'artifacts', href: '/secure/artifacts', title: 'Artifacts' }, { id: 'controls', href: '/secure/controls', title: 'Controls' },
];
const RANK = { critical: 0, high: 1, medium: 2, low: 3, info: 4 };
const STALE_DAYS = 14;

function Finding({ finding: f }: { finding: FindingRow }) {
  return (
    <tr>
      <td><SeverityWord severity={f.severity} />{f.unscored && <p class="muted">nobody scored it</p>}</td>
      <td>
        <strong>{f.title}</strong>
        <p class="muted"><span class="mono">{f.rule}</span>{f.aliases.length > 0 && ` · ${f.aliases.join(', ')}`}</p>
        {f.fix && <p>{f.fix}</p>}
        {f.references.map((r) => <p key={r}>{/^https?:\/\//.test(r) ? <a href={r} rel="noreferrer" class="wrap">{r}</a> : <span class="muted">{r}</span>}</p>)}
      </td>
      <td><span class="mono wrap">{f.subject}</span><p><At place={f.place} /></p></td>
      <td>{f.running.length === 0 ? <span class="muted">nowhere</span> : f.running.map((r) => <p key={r.service + r.environment} class="nowrap">{r.service} <span class="mono">{r.version}</span> in {r.environment}</p>)}</td>
      <td>{f.owner ?? <span class="muted">nobody</span>}</td>
      <td class="right"><When at={f.firstSeenAt} /><p><EventRef seq={f.seq} /></p></td>
    </tr>
  );
}

function Findings({ view }: { view: SecureView }) {
  const show = param('show', 'open');
  const env = param('env');
  const rows = view.findings.filter((f) => (show === 'all' || (show === 'running' ? f.running.length > 0 && f.standing === 'open' : f.standing === 'open')) && (!env || f.running.length === 0 || f.running.some((r) => r.environment === env)))
    .sort((a, b) => Number(b.running.length > 0) - Number(a.running.length > 0) || RANK[a.severity] - RANK[b.severity]);
  const s = view.scan;
  return (
    <>
      {s && (
        <dl class="facts">
          <Fact name="Last scan"><When at={s.at} /> <EventRef seq={s.seq} />{s.sha && <> of <Sha sha={s.sha} /></>}</Fact>
          <Fact name="Advisories of">{s.advisoriesDate}, {plural(s.advisoriesAgeDays, 'day')} old {s.advisoriesAgeDays > STALE_DAYS && <StateWord state="waiting" word="stale" />}</Fact>
          <Fact name="Rules"><span class="mono" title={s.rules}>{shorten(s.rules)}</span></Fact><Fact name="Could not be judged">{plural(s.unknown, 'value')}</Fact>
        </dl>
      )}
      <div class="filters pad"><Choice label="Which findings" options={[['open', 'Open'], ['running', 'In what runs now'], ['all', 'All']]} value={show} choose={(v) => setParams({ show: v === 'open' ? undefined : v }, 'push')} /></div>
      {rows.length === 0 ? <Empty command="lem scan">{view.findings.length === 0 ? 'No finding. A scan runs on every change and can be run in any directory.' : 'No finding fits this choice.'}</Empty> : (
        <Table label="Findings" head={<><th>Severity</th><th>Finding</th><th>Where</th><th>Runs in</th><th>Owner</th><th class="right">First seen</th></>}>{rows.map((f) => <Finding key={f.fingerprint} finding={f} />)}</Table>
      )}
      {view.findingsOmitted > 0 && <p class="muted pad">{plural(view.findingsOmitted, 'more finding')}, all milder, are not listed.</p>}
    </>
  );
}

function Exceptions({ rows }: { rows: ExceptionRow[] }) {
  if (rows.length === 0) return <Empty command="lem scan --help">No finding is accepted. An exception has an owner, another person who approved it, a reason and a last day.</Empty>;
  return (
    <Table label="Exceptions" head={<><th>State</th><th>Covers</th><th>Why</th><th>Asked by</th><th>Approved by</th><th class="right">Last day</th><th class="right">Event</th></>}>
      {[...rows].sort((a, b) => Number(b.expired) - Number(a.expired) || (a.expires ?? '9').localeCompare(b.expires ?? '9')).map((e) => (
        <tr key={e.covers}><td><StateWord state={e.expired ? 'bad' : 'ok'} word={e.expired ? 'expired' : 'holds'} /></td><td><strong>{e.title}</strong><p class="muted mono">{e.covers}</p></td><td>{e.reason}</td><td>{e.owner}</td><td>{e.approver ?? <span class="muted">skip comment in the file</span>}</td><td class="right">{e.expires ?? 'none'}</td><td class="right">{e.seq !== null && e.seq !== undefined && <EventRef seq={e.seq} />}</td></tr>
      ))}
    </Table>
  );
}

function Secrets({ rows }: { rows: SecretRow[] }) {
  if (rows.length === 0) return <Empty command="lem secret set NAME">No secret is kept here. Jobs and services get secrets as leases; their values are never shown.</Empty>;
  return (
    <>
      <p class="muted">Names and leases only; a value is never shown, logged or sent to this page.</p>
      <Table label="Secrets" head={<><th>Path</th><th class="right">Version</th><th>Leases that run</th><th>Changed by</th><th class="right">Changed</th><th class="right">Event</th></>}>
        {rows.map((s) => <tr key={s.path}><td class="mono">{s.path}</td><td class="right">{s.version}</td><td>{s.leases.length === 0 ? <span class="muted">none</span> : s.leases.map((l) => <p key={l.lease}><span class="mono">{l.lease}</span> to {l.to}, ends <When at={l.expires} /></p>)}</td><td>{s.by ?? <span class="muted">unknown</span>}</td><td class="right">{s.changedAt ? <When at={s.changedAt} /> : <span class="muted">unknown</span>}</td><td class="right">{s.seq !== null && s.seq !== undefined && <EventRef seq={s.seq} />}</td></tr>)}
      </Table>
    </>
  );
}

/** What a signed statement is called. */
const predicate = (uri: string) => ({ 'https://cyclonedx.org/bom': 'CycloneDX', 'https://slsa.dev/provenance/v1': 'SLSA provenance v1' })[uri] ?? uri;

function Artifacts({ view }: { view: SecureView }) {
  if (view.boms.length === 0) return <Empty command="git commit">The bill of materials and the signed provenance of each artifact will stand here.</Empty>;
  return (
    <Table label="Artifacts" head={<><th>Artifact</th><th>Digest</th><th>Runs now</th><th>Signed statements</th><th class="right">Components</th><th class="right">Event</th></>}>
      {view.boms.map((b) => (
        <tr key={b.artifact}><td><strong>{b.name}</strong> {b.version && (/^[0-9a-f]{40}$/.test(b.version) ? <Sha sha={b.version} /> : <span class="mono">{b.version}</span>)}</td><td class="mono" title={b.artifact}>{b.artifact.replace('sha256:', '').slice(0, 12)}</td><td>{b.running ? 'yes' : <span class="muted">no</span>}</td>
          <td>{b.attestations.length === 0 ? <StateWord state="bad" word="none" /> : <><StateWord state="ok" word={b.attestations.map(predicate).join(', ')} />{b.key && <p class="muted mono">by {b.key}</p>}</>}</td>
          <td class="right">{b.href ? <a href={b.href}>{count(b.components)}</a> : count(b.components)}</td><td class="right"><EventRef seq={b.seq} /></td></tr>
      ))}
    </Table>
  );
}

const ANSWER = { allow: ['ok', 'allowed'], deny: ['bad', 'denied'], unknown: ['unknown', 'not judged'] } as const;
function Controls({ view }: { view: SecureView }) {
  return (
    <>
      {view.controls.length === 0 ? <Empty command="lem comply">Controls and the events that are their evidence will stand here.</Empty> : (
        <Table label="Controls" head={<><th>State</th><th>Control</th><th>What is known</th><th class="right">Evidence</th></>}>
          {view.controls.map((c) => <tr key={c.control}><td><StateWord state={c.state} word={c.state === 'ok' ? 'met' : c.state === 'bad' ? 'not met' : c.state} /></td><td><strong>{c.control}</strong> {c.title}</td><td>{c.sentence}</td><td class="right">{c.seqs.map((q) => <span key={q}><EventRef seq={q} /> </span>)}</td></tr>)}
        </Table>
      )}
      <Section title="What the gates answered">
        {view.gates.length === 0 ? <Empty>No gate was asked yet.</Empty> : (
          <Table label="Gates" head={<><th>Answer</th><th>Gate</th><th>About</th><th>Why</th><th class="right">When</th><th class="right">Event</th></>}>
            {view.gates.map((g) => { const [state, word] = ANSWER[g.answer] ?? ANSWER.unknown; return <tr key={g.seq + g.gate}><td><StateWord state={state} word={word} /></td><td>{g.gate}{g.environment && <span class="muted"> to {g.environment}</span>}</td><td class="mono" title={g.subject}>{/^[0-9a-f]{40}$/.test(g.subject) ? short(g.subject) : shorten(g.subject)}</td><td>{g.reasons.map((r) => <p key={r}>{r}</p>)}</td><td class="right"><When at={g.at} /></td><td class="right"><EventRef seq={g.seq} /></td></tr>; })}
          </Table>
        )}
      </Section>
    </>
  );
}

export default function Secure() {
  const { params } = useRoute();
  const show = params.show ?? '';
  const view = useQuery<SecureView>('/api/v1/secure', { on: ['scan', 'exception', 'gate', 'attestation', 'lease', 'secret', 'service', 'rollout'] });
  return (
    <>
      <Head title="Secure" over="What is found in code, packages, infrastructure and history" />
      <Tabs tabs={TABS} at={show} label="Secure" />
      <Stage query={view} what="security scan" command="lem scan" will="Findings on what runs now, exceptions with their last day, secrets by name and lease, bills of materials and controls will stand here. A scan needs no configuration.">
        {(v) => show === 'exceptions' ? <Exceptions rows={v.exceptions} /> : show === 'secrets' ? <Secrets rows={v.secrets} /> : show === 'artifacts' ? <Artifacts view={v} /> : show === 'controls' ? <Controls view={v} /> : <Findings view={v} />}
      </Stage>
    </>
  );
}
