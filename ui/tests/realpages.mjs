// Every page of the product on the real server, with what the server itself says must stand on it. `empty` names parts
// that this story leaves empty on purpose; every other empty part is a fault.
const squeeze = (text) => text.replace(/\s+/g, ' ').trim();
const TEAMS = ['engineering', 'qa', 'product', 'security', 'support', 'finance'];
const q = encodeURIComponent;
/** Shown letter by letter as the server says it: no time, no digest, no gap. */
const isPlain = (cell) => !/^\d{4}-\d\d-\d\d|[0-9a-f]{32}|^\(none\)$/.test(cell);

/** Asks the API of a server; an answer that is no success is a fault. */
export const asker = ({ url, token }) => async (path) => {
  const answer = await fetch(`${url}/api/v1/${path}`, { headers: { accept: 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) } });
  if (!answer.ok) throw new Error(`GET /api/v1/${path} answers ${answer.status}: ${(await answer.text()).slice(0, 300)}`);
  return answer.json();
};

/** The time of the story with room on both sides, as the pages have it in their address. */
export function spanOf(rollouts) {
  const times = rollouts.flatMap((r) => [r.plannedAt, r.startedAt, r.finishedAt]).filter(Boolean).map(Date.parse);
  return `from=${Math.floor(Math.min(...times) / 1000) - 20}&to=${Math.ceil(Math.max(...times) / 1000) + 10}`;
}

/** A server answers before it has read its whole ledger; the story is there once its failed deployments are counted. */
async function caughtUp(ask) {
  for (let tries = 0; tries < 100; tries += 1) {
    const [{ size }, { seq }, dora] = await Promise.all(['ledger', 'loop', 'dora'].map(ask));
    if (seq >= size && dora.changeFailRate.numerator > 0) return;
    await new Promise((go) => { setTimeout(go, 200); });
  }
  throw new Error('the server has not read the story of the demo within 20 s');
}

export async function realPages(ask) {
  await caughtUp(ask);
  const asked = ['loop', 'changes?limit=20', 'runs?limit=20', 'services', 'rollouts?limit=20', 'incidents?limit=20', 'dashboards', 'ledger', 'doctor', 'provision', 'secure', 'optimize', 'dora'];
  const [loop, changes, runs, services, rollouts, incidents, dashboards, ledger, checks, provision, secure, optimize, dora] = await Promise.all(asked.map(ask));
  const span = spanOf(rollouts);
  const pages = [];
  const page = (name, path, sees, more = {}) => pages.push({ name, path, sees: sees.filter(Boolean).map(squeeze), empty: [], ...more });

  page('home', '/', [...loop.stations.flatMap((s) => [s.title, s.word]), ...loop.now.map((n) => n.title), 'live'], { empty: loop.inFlight.length ? [] : [/No change is on its way/] });
  page('changes', '/changes', changes.flatMap((c) => [c.subject, c.sentence]));
  for (const c of changes.slice(0, 3)) {
    const thread = await ask(`changes/${c.sha}`);
    page(`change-${c.sha.slice(0, 8)}`, `/changes/${c.sha}`, [c.subject, c.author, c.sentence, ...thread.steps.map((s) => s.title), ...thread.files.map((f) => f.path)], { empty: [!thread.incidents.length && /No incident is linked/, !thread.reports.length && /It appears in no report/].filter(Boolean) });
  }
  page('runs', '/pipeline', runs.runs.flatMap((r) => [r.pipelineName, r.subject]));
  for (const r of runs.runs.slice(0, 1)) {
    const run = await ask(`runs/${q(r.run)}`);
    page(`run-${r.sha.slice(0, 8)}`, `/runs/${q(r.run)}`, [r.pipelineName, ...run.jobs.map((j) => j.name), ...run.artifacts.map((a) => a.name)]);
    const job = run.jobs[0];
    const log = await ask(`runs/${q(r.run)}/jobs/${q(job.job)}/log`);
    page(`log-${r.sha.slice(0, 8)}`, `/runs/${q(r.run)}?job=${q(job.job)}`, [`Log of ${job.name}`, log.lines.find((l) => /\w{4}/.test(l.text))?.text.slice(0, 40)]);
  }
  page('deploy', '/deploy', services.flatMap((s) => [s.service, ...s.environments.flatMap((e) => [e.environment, e.version])]), { empty: [/No freeze is in force/] });
  page('service', `/services/${q(services[0].service)}`, [services[0].service, services[0].environments[0].version], { empty: [/No freeze is in force/] });
  page('rollouts', '/rollouts', rollouts.flatMap((r) => [r.version, r.subject]));
  for (const r of rollouts) page(`rollout-${r.version}`, `/rollouts/${q(r.deployment)}`, [r.version, r.state.replace('_', ' '), r.verdict?.sentence, r.why, ...r.steps.map((s) => s.text), 'Failing share by version'], { empty: [!r.notes && /^No release notes/, !r.evidence.length && /^Nothing was judged/, !r.verdict && /^Each signal and its share/].filter(Boolean) });
  const plot = 'sum by (version, code) (rate(lem_router_requests_total[10s]))';
  page('explore', `/observe/explore?${span}&query=${q(plot)}`, ['Explore', ...rollouts.map((r) => `${r.version}`), 'changes in this range']);
  page('explore-table', `/observe/explore?${span}&show=table&query=${q('up')}`, ['Explore', 'shop']);
  page('dashboards', '/observe/dashboards', dashboards.map((d) => d.title));
  for (const d of dashboards) {
    const whole = await ask(`dashboards/${q(d.uid)}`);
    page(`dashboard-${d.uid}`, `/observe/dashboards/${q(d.uid)}?${span}`, [d.title, ...whole.panels.map((p) => p.title)]);
  }
  page('logs', `/observe/logs?${span}&query=${q('{service_name="shop"}')}`, ['Logs', 'lines', 'shop']);
  page('patterns', `/observe/patterns?${span}`, ['Log patterns', 'First said by']);
  page('alerts', '/observe/alerts', ['Rules'], { empty: [/No alert|Nothing fires|fires/i, /Nothing is silenced/] });
  page('targets', '/observe/targets', ['Targets', 'shop']);
  page('incidents', '/incidents', incidents.flatMap((i) => [i.title, i.severity]));
  for (const i of incidents) {
    const whole = await ask(`incidents/${q(i.incident)}`);
    const cause = whole.attribution?.causes[0];
    page(`incident-${i.incident}`, `/incidents/${q(i.incident)}`, [i.title, i.status, cause?.sentence, cause && `${Math.round(cause.confidence * 100)} %`, ...whole.timeline.map((t) => t.sentence)], { empty: whole.notes.length ? [] : [/Nobody wrote anything down/] });
  }
  page('reports', '/reports', ['Change fail rate', `${dora.changeFailRate.numerator} of ${dora.changeFailRate.denominator} deployments`, 'Deployment frequency']);
  for (const team of TEAMS) {
    const r = await ask(`reports/${team}`);
    page(`report-${team}`, `/reports/${team}`, [r.title, ...r.sections.flatMap((s) => [s.title, s.note, ...(s.rows[0] ? [...s.columns, ...s.rows[0].cells.filter(isPlain)] : [])])], { empty: r.sections.some((s) => s.rows.length === 0) ? [/^Nothing to report\./] : [] });
  }
  page('ledger', '/ledger', ['Verify the ledger', ledger.database]);
  for (const seq of [ledger.size - 1]) { const e = await ask(`events/${seq}`); page(`event-${seq}`, `/ledger/${seq}`, [e.sentence, e.type, 'c2sp.org/tlog-proof@v1']); }
  page('provision', '/provision', provision.environments.flatMap((e) => [e.environment, e.root, e.sentence]));
  page('resources', '/provision/resources', provision.resources.filter((r) => r.environment === 'production').map((r) => r.address));
  page('plans', '/provision/plans', provision.plans.flatMap((p) => p.changes.map((c) => c.address)));
  page('drift', '/provision/drift', provision.drift.map((d) => d.environment));
  page('infra-docs', '/provision/docs', provision.docs.map((d) => d.title));
  page('secure', '/secure', secure.findings.filter((f) => f.standing === 'open').slice(0, 20).flatMap((f) => [f.title, f.rule]));
  page('exceptions', '/secure/exceptions', secure.exceptions.map((e) => e.reason), { empty: secure.exceptions.length ? [] : [/No finding is accepted/] });
  page('secrets', '/secure/secrets', secure.secrets.map((s) => s.path));
  page('artifacts', '/secure/artifacts', secure.boms.map((b) => b.artifact.slice(7, 19)));
  page('controls', '/secure/controls', [...secure.controls.map((c) => c.sentence), 'What the gates answered']);
  page('optimize', '/optimize', [...optimize.byEnvironment.map((r) => (r.name === '(none)' ? 'not assigned' : r.name)), ...optimize.unpriced.map((u) => u.address), ...optimize.byService.filter((r) => r.name !== '(none)').map((r) => r.name), ...optimize.budgets.map((b) => b.sentence)]);
  page('recommendations', '/optimize/recommendations', optimize.recommendations.map((r) => r.sentence), { empty: optimize.recommendations.length ? [] : [/No recommendation/] });
  page('pipelines', '/optimize/pipelines', optimize.pipelines.flatMap((p) => [p.workflow, ...p.slowest.map((s) => s.step)]));
  page('doctor', '/doctor', checks.map((c) => c.check));
  return pages;
}
