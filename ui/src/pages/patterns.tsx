// Patterns of log lines: how often, and which release said them first.
import { useRef } from 'preact/hooks';
import { useQuery } from '../api/client';
import type { LogPattern, Service } from '../api/types';
import { count } from '../lib/format';
import { useSpan } from '../lib/prom';
import { param, setParams } from '../lib/url';
import { Empty, Head, Loading, StateWord, Table, Tabs, When } from '../parts/basic';
import { OBSERVE_TABS } from '../parts/observe';
import type { State } from '../api/types';

const STATE: Record<string, State> = { error: 'bad', fatal: 'bad', critical: 'bad', warn: 'waiting', warning: 'waiting', info: 'running' };

const rank = (severity: string) => ['bad', 'waiting', 'running', 'unknown'].indexOf(STATE[severity] ?? 'unknown');
const Template = ({ text }: { text: string }) => <span class="template mono">{text.split(/(<_>)/).map((p, i) => (p === '<_>' ? <em key={i}>⟨…⟩</em> : p))}</span>;

export default function Patterns() {
  const services = useQuery<Service[]>('/api/v1/services');
  const names = (services.data ?? []).map((s) => s.service);
  const service = param('service') || names[0] || '';
  const span = useSpan(10);
  const iso = (s: number) => encodeURIComponent(new Date(s * 1000).toISOString());
  const patterns = useQuery<LogPattern[]>(service ? `/api/v1/logs/patterns?service=${encodeURIComponent(service)}&start=${iso(span.from)}&end=${iso(span.to)}` : '');
  const kept = useRef<{ service: string; data: LogPattern[] | undefined }>({ service: '', data: undefined });
  if (kept.current.service !== service) kept.current = { service, data: undefined };
  if (patterns.data) kept.current.data = patterns.data;
  const only = param('pattern');
  return (
    <>
      <Head title="Log patterns" over="Lines that differ only in values, and the release that said them first">
        {names.length > 0 && <select aria-label="Service" value={service} onChange={(e) => setParams({ service: e.currentTarget.value }, 'push')}>{names.map((n) => <option key={n}>{n}</option>)}</select>}
        {only && <button type="button" onClick={() => setParams({ pattern: undefined })}>All patterns</button>}
      </Head>
      <Tabs tabs={OBSERVE_TABS} at="patterns" label="Observe" />
      {!service && !services.loading ? <Empty>No service is configured yet.</Empty> : (
        <Loading query={{ ...patterns, data: kept.current.data }} what="patterns">
          {(rows) => rows.length === 0 ? <Empty>No line of {service} in this range.</Empty> : (
            <Table label="Log patterns" head={<><th>Severity</th><th>Pattern</th><th>First said by</th><th class="right">First seen</th><th>Versions</th><th class="right">Lines</th></>}>
              {rows.filter((p) => !only || p.id === only).sort((a, b) => rank(a.severity) - rank(b.severity) || b.count - a.count).map((p) => (
                <tr key={p.id}>
                  <td><StateWord state={STATE[p.severity] ?? 'unknown'} word={p.severity} /></td>
                  <td><Template text={p.template} /></td>
                  <td class="mono">{p.firstVersion ?? <span class="muted">unknown</span>}</td>
                  <td class="right"><When at={p.firstSeen} /></td>
                  <td>{p.versions.map((v) => <span key={v.version} class="nowrap"><span class="mono">{v.version}</span> <b class="num">{count(v.count)}</b> </span>)}</td>
                  <td class="right">{count(p.count)}</td>
                </tr>
              ))}
            </Table>
          )}
        </Loading>
      )}
    </>
  );
}
