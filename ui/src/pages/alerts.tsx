// What fires, what is about to, and every rule.
import { useQuery } from '../api/client';
import type { PromAlert, PromRule, Prometheus, RuleGroup, Silence, State } from '../api/types';
import { number } from '../lib/format';
import { duration } from '../lib/time';
import { ActButton, ask } from '../parts/act';
import { A, Empty, Head, Loading, Section, StateWord, Table, Tabs, When } from '../parts/basic';
import { OBSERVE_TABS } from '../parts/observe';

const STATE: Record<string, [State, string]> = { firing: ['bad', 'firing'], pending: ['waiting', 'pending'], inactive: ['ok', 'quiet'] };
const HIDDEN = new Set(['alertname', 'severity']);
const SILENCE_HOURS = 2;

/** The wish that nobody is told of an alert with just these labels for a while. */
function silencing(labels: Record<string, string>) {
  const matchers = Object.entries(labels).map(([name, value]) => ({ name, value, isRegex: false, isEqual: true }));
  ask({
    title: `Silence for ${SILENCE_HOURS} hours`,
    does: `Nobody is told of ${labels.alertname ?? 'this alert'} with these labels. Incidents and rollbacks go on.`,
    path: '/api/v2/silences', field: 'comment', fieldLabel: 'Comment',
    body: { matchers, endsAt: new Date(Date.now() + SILENCE_HOURS * 3_600_000).toISOString(), createdBy: 'web UI' },
    done: 'It is silent; the silence stands below and in the ledger.',
  });
}

const SILENCE_STATE: Record<string, State> = { active: 'waiting', pending: 'unknown', expired: 'ok' };
const matcher = (m: Silence['matchers'][number]) => `${m.name}${m.isEqual ? (m.isRegex ? '=~' : '=') : m.isRegex ? '!~' : '!='}"${m.value}"`;

function Silences() {
  const silences = useQuery<Silence[]>('/api/v2/silences', { on: ['silence'], everyS: 30 });
  return (
    <Loading query={silences} what="silences">
      {(all) => all.length === 0 ? <Empty command='lem silence add alertname=NAME --for 2h --comment "why"'>Nothing is silenced.</Empty> : (
        <Table label="Silences" head={<><th>State</th><th>Matches</th><th>Why</th><th class="right">Until</th><th><span class="only-screenreader">Actions</span></th></>}>
          {all.map((s) => (
            <tr key={s.id}>
              <td><StateWord state={SILENCE_STATE[s.status.state] ?? 'unknown'} word={s.status.state} /></td>
              <td class="mono wrap">{s.matchers.map(matcher).join(' ')}</td>
              <td>{s.comment}<p class="muted">{s.createdBy}</p></td>
              <td class="right"><When at={s.endsAt} /></td>
              <td class="right">{s.status.state !== 'expired' && <ActButton label="End" act={{ title: 'End the silence', does: 'People are told again at once.', path: `/api/v2/silence/${encodeURIComponent(s.id)}`, method: 'DELETE', plain: true, done: 'It has ended.' }} />}</td>
            </tr>
          ))}
        </Table>
      )}
    </Loading>
  );
}

function Active({ alerts, rules }: { alerts: PromAlert[]; rules: PromRule[] }) {
  if (alerts.length === 0) return <Empty>Nothing fires and nothing is pending.</Empty>;
  return (
    <Table label="Active alerts" head={<><th>State</th><th>Alert</th><th>What</th><th>Labels</th><th class="right">Value</th><th class="right">Since</th><th><span class="only-screenreader">Actions</span></th></>}>
      {alerts.map((a, i) => {
        const rule = rules.find((r) => r.name === a.labels.alertname);
        return (
          <tr key={i}>
            <td><StateWord state={STATE[a.state]?.[0] ?? 'unknown'} word={a.state} /></td>
            <td><strong class="wrap">{a.labels.alertname}</strong><p class="muted">{a.labels.severity}</p></td>
            <td>{a.annotations.summary ?? a.annotations.description}{a.annotations.runbook_url && <p><a href={a.annotations.runbook_url} rel="noreferrer">runbook</a></p>}{rule && <p><A href={`/observe/explore?query=${encodeURIComponent(rule.query)}`}>see the graph</A></p>}</td>
            <td class="mono">{Object.entries(a.labels).filter(([k]) => !HIDDEN.has(k)).map(([k, v]) => `${k}=${v}`).join(' ')}</td>
            <td class="right">{number(Number(a.value))}</td>
            <td class="right"><When at={a.activeAt} /></td>
            <td class="right"><button type="button" onClick={() => silencing(a.labels)}>Silence</button></td>
          </tr>
        );
      })}
    </Table>
  );
}

export default function Alerts() {
  const alerts = useQuery<Prometheus<{ alerts: PromAlert[] }>>('/api/v1/alerts', { on: ['alert'], everyS: 10 });
  const groups = useQuery<Prometheus<{ groups: RuleGroup[] }>>('/api/v1/rules', { on: ['alert'], everyS: 15 });
  const rules = (groups.data?.data.groups ?? []).flatMap((g) => g.rules);
  return (
    <>
      <Head title="Alerts" over="Rules from the repository, evaluated here" />
      <Tabs tabs={OBSERVE_TABS} at="alerts" label="Observe" />
      <Loading query={alerts} what="alerts">{(a) => <Active alerts={a.data.alerts} rules={rules} />}</Loading>
      <Section title="Silences"><Silences /></Section>
      <Section title="Rules">
        <Loading query={groups} what="rules">
          {(g) => g.data.groups.length === 0 ? <Empty command="observe: {rules: [observe/rules.yml]}">Prometheus rule files that <code>lem.yaml</code> names will stand here.</Empty> : (
            <Table label="Rules" head={<><th>State</th><th>Rule</th><th>Query</th><th class="right">For</th><th class="right">Last evaluated</th></>}>
              {g.data.groups.flatMap((group) => group.rules.map((r) => {
                const [state, word]: [State, string] = r.health === 'err' ? ['bad', 'fails'] : r.type === 'recording' ? ['ok', 'records'] : STATE[r.state ?? ''] ?? ['unknown', r.state ?? 'unknown'];
                return (
                  <tr key={group.name + r.name}>
                    <td><StateWord state={state} word={word} /></td>
                    <td><strong class="wrap">{r.name}</strong><p class="muted">{group.name}{r.labels?.severity ? ` · ${r.labels.severity}` : ''}</p></td>
                    <td><A href={`/observe/explore?query=${encodeURIComponent(r.query)}`} class="mono wrap">{r.query.trim()}</A>{r.lastError && <p class="state is-bad">{r.lastError}</p>}</td>
                    <td class="right">{r.duration ? duration(r.duration * 1000) : ''}</td>
                    <td class="right"><When at={r.lastEvaluation} /></td>
                  </tr>
                );
              }))}
            </Table>
          )}
        </Loading>
      </Section>
    </>
  );
}
