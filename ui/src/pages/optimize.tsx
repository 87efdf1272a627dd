// Cost with the change that moved it, recommendations with before and after, and where pipelines spend their time.
import { useRoute } from 'preact-iso';
import { useQuery } from '../api/client';
import type { AdviceStanding, CostRow, OptimizeView, RecommendationRow } from '../api/stages';
import type { State } from '../api/types';
import { count, percent, plural } from '../lib/format';
import { difference, money, signed } from '../lib/money';
import { duration } from '../lib/time';
import { param } from '../lib/url';
import { Empty, EventRef, Fact, Head, Section, Sha, StateWord, Table, Tabs, When } from '../parts/basic';
import { Diff, Stage } from '../parts/stage';

const TABS = [{ id: '', href: '/optimize', title: 'Cost' }, { id: 'recommendations', href: '/optimize/recommendations', title: 'Recommendations' }, { id: 'pipelines', href: '/optimize/pipelines', title: 'Pipelines' }];

/** From here on prices may have moved. */
const STALE_DAYS = 180;

function Costs({ title, rows, first }: { title: string; rows: CostRow[]; first: string }) {
  const known = rows.map((r) => Number(r.monthly?.amount ?? 0));
  const most = Math.max(1, ...known);
  return (
    <Section title={title}>
      {rows.length === 0 ? <Empty command="lem cost">Nothing is priced yet.</Empty> : (
        <Table label={title} head={<><th>{first}</th><th class="right">A month</th><th><span class="only-screenreader">Share</span></th><th class="right">Change</th><th>Moved by</th><th class="right">Not wholly priced</th></>}>
          {rows.map((r) => (
            <tr key={r.name}><td>{r.name === '(none)' ? <span class="muted">not assigned</span> : <strong>{r.name}</strong>}</td><td class="right">{money(r.monthly)}</td><td><span class="bar" aria-hidden="true"><i style={{ width: `${(100 * Number(r.monthly?.amount ?? 0)) / most}%` }} /></span></td><td class="right">{r.before ? difference(r.before, r.monthly) : <span class="muted">not known</span>}</td>
              <td>{r.moved && <>{r.moved.sha && <><Sha sha={r.moved.sha} /> </>}{r.moved.sentence} <EventRef seq={r.moved.seq} /></>}</td><td class="right">{r.unpriced > 0 ? plural(r.unpriced, 'resource') : ''}</td></tr>
          ))}
        </Table>
      )}
    </Section>
  );
}

function Cost({ view: v }: { view: OptimizeView }) {
  return (
    <>
      <dl class="facts">
        <Fact name="Known cost a month">{v.unpriced.length > 0 && <span class="muted">at least </span>}<strong class="big num">{money(v.monthly)}</strong></Fact>{v.monthlyBefore && <Fact name="Against before">{difference(v.monthlyBefore, v.monthly)}</Fact>}
        <Fact name="Not wholly priced">{plural(v.unpriced.length, 'resource')}</Fact><Fact name="Price book">{v.prices}, {plural(v.pricesAgeDays, 'day')} old {v.pricesAgeDays > STALE_DAYS && <StateWord state="waiting" word="old" />}</Fact>
      </dl>
      {v.budgets.length > 0 && (
        <Section title="Budgets">
          <Table label="Budgets" head={<><th>State</th><th>Budget</th><th>Standing</th><th class="right">Estimate</th><th class="right">Limit</th><th class="right">Event</th></>}>
            {v.budgets.map((b) => <tr key={b.budget}><td><StateWord state={b.state} word={b.state === 'ok' ? 'within' : b.state === 'bad' ? 'over' : b.state} /></td><td>{b.budget} <span class="muted">in {b.environment}</span></td><td>{b.sentence}</td><td class="right">{money(b.estimate)}</td><td class="right">{money(b.limit)}</td><td class="right">{b.seq !== null && b.seq !== undefined && <EventRef seq={b.seq} />}</td></tr>)}
          </Table>
        </Section>
      )}
      <Costs title="By service" first="Service" rows={v.byService} />
      <Costs title="By environment" first="Environment" rows={v.byEnvironment} />
      <Costs title="By team" first="Team" rows={v.byTeam} />
      {v.unpriced.length > 0 && <Section title="Not wholly priced"><Table label="Not wholly priced" head={<><th>Resource</th><th>Why</th></>}>{v.unpriced.map((u) => <tr key={u.address}><td class="mono">{u.address}</td><td>{u.reason}</td></tr>)}</Table></Section>}
    </>
  );
}

const STANDING: Record<AdviceStanding, State> = { created: 'waiting', proposed: 'waiting', applied: 'running', verified: 'ok', inconclusive: 'unknown', reverted: 'bad', dismissed: 'unknown', expired: 'unknown', superseded: 'unknown', unknown: 'unknown' };
const wait = (n: number) => (n === 1 ? '1 waits' : `${count(n)} wait`);
/** Somebody still has to decide. */
const isOpen = (r: RecommendationRow) => r.standing === 'created' || r.standing === 'proposed';

function Recommendation({ row: r }: { row: RecommendationRow }) {
  return (
    <Section title={r.target} id={r.recommendation} side={<><StateWord state={STANDING[r.standing] ?? 'unknown'} word={r.standing === 'created' ? 'new' : r.standing} /><span>{r.kind}{r.environment && ` in ${r.environment}`}</span><When at={r.at} /><EventRef seq={r.seq} /></>}>
      <p class="lede pad">{r.sentence}</p>
      <p class="row"><span class="muted">Effect on the cost of a month:</span> <strong class="big num">{signed(r.delta)}</strong></p>
      <div class="columns">
        <div><h3 class="pad">Why</h3><ul class="bullets">{r.evidence.map((e) => <li key={e}>{e}</li>)}</ul><h3 class="pad">Risk</h3><p>{r.risk}</p>{r.standingWhy && <><h3 class="pad">Standing</h3><p>{r.standingWhy}</p></>}<p class="over pad">because of {r.cause}</p></div>
        <div><h3 class="pad">Patch to your file</h3>{r.patch ? <Diff text={r.patch} label={`Patch of ${r.recommendation}`} /> : <p class="muted">No single place in a file can be named.</p>}</div>
      </div>
    </Section>
  );
}

function Pipelines({ view }: { view: OptimizeView }) {
  if (view.pipelines.length === 0) return <Empty command="lem run">After some runs, the critical path and the slowest steps of each workflow will stand here.</Empty>;
  return (
    <>{view.pipelines.map((p) => (
      <Section key={p.workflow} title={p.workflow} side={plural(p.runs, 'run')}>
        <dl class="facts"><Fact name="Median">{p.medianMs === null || p.medianMs === undefined ? 'unknown' : duration(p.medianMs)}</Fact><Fact name="Critical path">{p.criticalPath.join(' → ')}</Fact></dl>
        <Table label={`Slowest steps of ${p.workflow}`} head={<><th>Job</th><th>Step</th><th class="right">Median</th><th class="right">Of the run</th></>}>{p.slowest.map((s) => <tr key={s.job + s.step}><td>{s.job}</td><td>{s.step}</td><td class="right">{duration(s.medianMs)}</td><td class="right">{percent(s.share, 0)}</td></tr>)}</Table>
      </Section>
    ))}</>
  );
}

export default function Optimize() {
  const { params } = useRoute();
  const show = params.show ?? '';
  const env = param('env');
  const view = useQuery<OptimizeView>('/api/v1/optimize', { on: ['cost', 'budget', 'recommendation', 'apply'] });
  return (
    <>
      <Head title="Optimize" over="What it costs, what moved it, what can be better" />
      <Tabs tabs={TABS} at={show} label="Optimize" />
      <Stage query={view} what="cost data" command="lem cost" will="Cost by service, environment and team with the change that moved it, recommendations with before and after, and the slowest steps of the pipelines will stand here.">
        {(v) => {
          if (show === 'pipelines') return <Pipelines view={v} />;
          if (show !== 'recommendations') return <Cost view={v} />;
          const rows = v.recommendations.filter((r) => !env || !r.environment || r.environment === env).sort((a, b) => Number(isOpen(b)) - Number(isOpen(a)));
          return rows.length === 0 ? <Empty command="lem tune">No recommendation. They come from the metrics that are held, once there are enough of them.</Empty> : <><p class="muted">{wait(rows.filter(isOpen).length)} for a decision.</p>{rows.map((r) => <Recommendation key={r.recommendation} row={r} />)}</>;
        }}
      </Stage>
    </>
  );
}
