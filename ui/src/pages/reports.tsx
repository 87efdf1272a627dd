// DORA's five measures with what lies behind them, and the documents.
import { useQuery } from '../api/client';
import type { Distribution, Dora, IncidentRow, Service } from '../api/types';
import { number, percent, plural } from '../lib/format';
import { absolute, duration } from '../lib/time';
import { param, setParams } from '../lib/url';
import { A, Choice, Empty, Head, IncidentWord, Loading, Section, Sha, StateWord, Table, Tabs, When } from '../parts/basic';
import { Document } from '../parts/document';
import { REPORT_TABS } from '../parts/reports';

const seconds = (s: number | null | undefined) => (s === null || s === undefined ? 'no data' : duration(s * 1000));

/** Each dot is one value, on a logarithmic line; the bar is the median. */
function Strip({ values, median }: { values: number[]; median: number | null | undefined }) {
  if (values.length === 0) return null;
  const logs = values.map((v) => Math.log10(Math.max(1, v)));
  const [lo, hi] = [Math.min(...logs), Math.max(...logs)];
  const x = (v: number) => 8 + ((Math.log10(Math.max(1, v)) - lo) / (hi - lo || 1)) * (hi === lo ? 0 : 184);
  return (
    <svg class="strip" viewBox="0 0 200 28" role="img" aria-label={`${plural(values.length, 'value')}: ${values.map((v) => seconds(v)).join(', ')}`}>
      <line x1="4" x2="196" y1="14" y2="14" />
      {values.map((v, i) => <circle key={i} cx={x(v)} cy="14" r="4"><title>{seconds(v)}</title></circle>)}
      {median !== null && median !== undefined && <line class="median" x1={x(median)} x2={x(median)} y1="4" y2="24" />}
    </svg>
  );
}

function Spread({ name, d, values }: { name: string; d: Distribution; values: number[] }) {
  return (
    <div><span class="over">{name}</span><b class="num">{seconds(d.medianS)}</b><span class="muted">{d.n === 0 ? 'nothing to measure yet' : `median of ${d.n}; 90 % within ${seconds(d.p90S)}`}</span><Strip values={values} median={d.medianS} /></div>
  );
}

function Numbers({ dora: d }: { dora: Dora }) {
  return (
    <>
      <div class="dist">
        <div><span class="over">Deployment frequency</span><b class="num">{d.deploymentFrequencyPerDay === null || d.deploymentFrequencyPerDay === undefined ? 'no data' : `${number(d.deploymentFrequencyPerDay)} a day`}</b><span class="muted">{plural(d.deployments.filter((r) => r.promoted).length, 'deployment')} that reached users</span></div>
        <Spread name="Change lead time" d={d.changeLeadTime} values={d.deployments.flatMap((r) => r.leadTimesS)} />
        <div><span class="over">Change fail rate</span><b class="num">{percent(d.changeFailRate.value, 0)}</b><span class="muted">{d.changeFailRate.numerator} of {plural(d.changeFailRate.denominator, 'deployment')}</span></div>
        <div><span class="over">Deployment rework rate</span><b class="num">{percent(d.deploymentReworkRate.value, 0)}</b><span class="muted">{d.deploymentReworkRate.numerator} of {d.deploymentReworkRate.denominator} were rollbacks or fixes</span></div>
        <Spread name="Failed deployment recovery time" d={d.failedDeploymentRecoveryTime} values={d.deployments.map((r) => r.recoveryS).filter((v): v is number => typeof v === 'number')} />
      </div>
      <p class="muted">From {absolute(d.from)} to {absolute(d.to)}. The numbers count events that name each other, not guesses by time.</p>
      {d.deployments.length === 0 ? <Empty>No deployment in this time.</Empty> : (
        <Table label="Deployments behind the numbers" head={<><th>Outcome</th><th>Service</th><th>Version</th><th>Commit</th><th>Why it counts as failed</th><th class="right">Lead time</th><th class="right">Recovery</th><th class="right">Began</th></>}>
          {[...d.deployments].reverse().map((r) => (
            <tr key={r.deployment}>
              <td><StateWord state={r.failed ? 'bad' : r.promoted ? 'ok' : 'unknown'} word={r.failed ? 'failed' : r.promoted ? 'promoted' : 'not promoted'} /></td>
              <td>{r.service}</td><td><A href={`/rollouts/${encodeURIComponent(r.deployment)}`} class="mono">{r.version}</A></td><td><Sha sha={r.sha} /></td>
              <td>{r.failed}{r.incident && <> · <A href={`/incidents/${encodeURIComponent(r.incident)}`}>incident</A></>}</td>
              <td class="right">{r.leadTimesS.length ? seconds(Math.max(...r.leadTimesS)) : ''}</td><td class="right">{r.recoveryS === null || r.recoveryS === undefined ? '' : seconds(r.recoveryS)}</td><td class="right"><When at={r.at} /></td>
            </tr>
          ))}
        </Table>
      )}
    </>
  );
}

export default function Reports() {
  const days = param('days', '30');
  const services = useQuery<Service[]>('/api/v1/services');
  const environments = [...new Set((services.data ?? []).flatMap((s) => s.environments.map((e) => e.environment)))];
  const env = param('env') || (environments.includes('production') ? 'production' : environments.at(-1)) || '';
  const dora = useQuery<Dora>(env ? `/api/v1/dora?environment=${encodeURIComponent(env)}&days=${encodeURIComponent(days)}` : '', { on: ['rollout', 'incident', 'attribution'] });
  const incidents = useQuery<IncidentRow[]>('/api/v1/incidents?limit=50');
  return (
    <>
      <Head title="Reports" over={env ? `Delivery in ${env}` : 'Delivery'}>
        <Choice label="Days" options={[['1', '1 day'], ['7', '7 days'], ['30', '30 days'], ['90', '90 days']]} value={days} choose={(v) => setParams({ days: v }, 'push')} />
      </Head>
      <Tabs tabs={REPORT_TABS} at="" label="Reports" />
      {!env && !services.loading ? <Empty>No environment is configured yet.</Empty> : <Loading query={dora} what="the numbers">{(d) => <Numbers dora={d} />}</Loading>}
      <Section title="Incident reports">
        <Loading query={incidents} what="incident reports">
          {(rows) => rows.length === 0 ? <Empty>Each incident gets a report; none is written yet.</Empty> : (
            <Table label="Incident reports" head={<><th>State</th><th>Report</th><th>Documents</th><th class="right">Detected</th></>}>
              {rows.map((i) => <tr key={i.incident}><td><IncidentWord state={i.state} /></td><td><A href={`/incidents/${encodeURIComponent(i.incident)}`}>{i.title}</A></td><td><Document href={`/api/v1/incidents/${encodeURIComponent(i.incident)}/report?format=html`} name={`${i.incident}.html`}>HTML</Document> · <Document href={`/api/v1/incidents/${encodeURIComponent(i.incident)}/report?format=md`} name={`${i.incident}.md`}>Markdown</Document></td><td class="right"><When at={i.detectedAt} /></td></tr>)}
            </Table>
          )}
        </Loading>
      </Section>
    </>
  );
}
