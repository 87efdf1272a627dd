// The real server through the real pages: what it answers is what a person sees. Needs LEM_URL (http://127.0.0.1:PORT) and
// LEM_TOKEN of a server with a story behind it, such as the one `lem demo` leaves up. Without LEM_URL it says so and skips.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, it } from 'node:test';
import { DESKTOP, PHONE, launch, press, sees, shot, tab } from './browser.mjs';

const URL_OF = (process.env.LEM_URL ?? '').replace(/\/$/, '');
const TOKEN = process.env.LEM_TOKEN ?? '';
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const ask = async (path) => {
  const answer = await fetch(`${URL_OF}/api/v1/${path}`, { headers: { accept: 'application/json', ...(TOKEN ? { authorization: `Bearer ${TOKEN}` } : {}) } });
  return answer.ok ? answer.json() : undefined;
};
const squeeze = (text) => text.replace(/\s+/g, ' ').trim();
const STAGES = { provision: '/provision', secure: '/secure', optimize: '/optimize' };
const TEAMS = ['engineering', 'qa', 'product', 'security', 'support', 'finance'];

/** Pages and what the server says must stand on them. */
async function story() {
  const [loop, changes, runs, services, rollouts, incidents, dashboards, ledger, checks] = await Promise.all(['loop', 'changes?limit=20', 'runs?limit=20', 'services', 'rollouts?limit=20', 'incidents?limit=20', 'dashboards', 'ledger', 'doctor'].map(ask));
  const pages = [
    ['home', '/', loop.stations.map((s) => s.title)], ['changes', '/changes', changes.map((c) => c.subject)], ['runs', '/pipeline', runs.runs.map((r) => r.pipelineName)], ['deploy', '/deploy', services.map((s) => s.service)],
    ['rollouts', '/rollouts', rollouts.map((r) => r.version)], ['incidents', '/incidents', incidents.map((i) => i.title)], ['dashboards', '/observe/dashboards', dashboards.map((d) => d.title)], ['ledger', '/ledger', ['Verify the ledger', ledger.database]],
    ['doctor', '/doctor', checks.map((c) => c.check)], ['explore', '/observe/explore?query=up', ['Explore']], ['logs', '/observe/logs?range=1h', ['Logs']], ['patterns', '/observe/patterns?range=1h', ['Log patterns']], ['alerts', '/observe/alerts', ['Rules']], ['targets', '/observe/targets', ['Targets']], ['reports', '/reports', ['Change fail rate']],
  ];
  for (const c of changes.slice(0, 4)) pages.push([`change-${c.sha.slice(0, 8)}`, `/changes/${c.sha}`, [c.subject, c.author, c.sentence]]);
  for (const r of runs.runs.slice(0, 2)) { const run = await ask(`runs/${encodeURIComponent(r.run)}`); pages.push([`run-${r.run}`, `/runs/${encodeURIComponent(r.run)}`, [r.pipelineName, ...run.jobs.map((j) => j.name)]]); }
  for (const r of rollouts.slice(0, 5)) pages.push([`rollout-${r.version}`, `/rollouts/${encodeURIComponent(r.deployment)}`, [r.version, r.verdict?.sentence ?? r.why ?? r.strategy, ...r.steps.map((s) => s.text)]]);
  for (const i of incidents.slice(0, 3)) {
    const whole = await ask(`incidents/${encodeURIComponent(i.incident)}`);
    const cause = whole.attribution?.causes[0];
    pages.push([`incident-${i.incident}`, `/incidents/${encodeURIComponent(i.incident)}`, [i.title, i.status, ...(cause ? [cause.sentence, `${Math.round(cause.confidence * 100)} %`] : []), ...whole.timeline.slice(0, 3).map((t) => t.sentence)]]);
  }
  for (const d of dashboards.slice(0, 2)) { const whole = await ask(`dashboards/${encodeURIComponent(d.uid)}`); pages.push([`dashboard-${d.uid}`, `/observe/dashboards/${encodeURIComponent(d.uid)}?range=1h`, [d.title, ...whole.panels.map((p) => p.title).filter(Boolean)]]); }
  if (ledger.size > 0) { const e = await ask(`events/${ledger.size - 1}`); pages.push(['event', `/ledger/${ledger.size - 1}`, [e.sentence, e.type, 'c2sp.org/tlog-proof@v1']]); }
  // Stages and reports show their data, or say that there is none.
  for (const [name, path] of Object.entries(STAGES)) pages.push([name, path, [(await ask(name)) ? 'Provision Secure Optimize'.split(' ').find((t) => t.toLowerCase() === name) : 'not configured']]);
  for (const team of TEAMS) { const r = await ask(`reports/${team}`); pages.push([`report-${team}`, `/reports/${team}`, r ? [r.title, ...r.sections.map((s) => s.title)] : ['not configured']]); }
  return pages;
}

describe('the real server', { skip: URL_OF ? false : 'LEM_URL is not set' }, () => {
  let browser, pages;
  before(async () => {
    if (!URL_OF) return;
    pages = await story();
    browser = await launch();
  });
  after(() => browser?.close());

  it('shows on every page what it answers, at a desk and on a phone, light and dark', async (t) => {
    for (const [name, path, words] of pages) {
      await t.test(name, async () => {
        const { page, trouble, open, close } = await tab(browser, URL_OF, { viewport: DESKTOP, token: TOKEN });
        await open(path);
        for (const w of words.filter(Boolean).slice(0, 12)) await sees(page, squeeze(w));
        assert.equal(await page.$('.failure'), null, await page.$eval('.failure', (e) => e.innerText).catch(() => ''));
        for (const [size, viewport] of [['desk', DESKTOP], ['phone', PHONE]]) {
          await page.setViewport(viewport);
          for (const theme of ['light', 'dark']) {
            await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }, { name: 'prefers-reduced-motion', value: 'reduce' }]);
            await shot(page, `real-${name.replaceAll(/[^\w.-]/g, '_')}-${size}-${theme}`, true);
          }
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} runs over the edge of the ${size}`);
        }
        await page.setViewport(DESKTOP);
        for (const theme of ['light', 'dark']) {
          await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }, { name: 'prefers-reduced-motion', value: 'reduce' }]);
          await page.evaluate(axe);
          const found = await page.evaluate(async () => (await window.axe.run(document, { resultTypes: ['violations'] })).violations.map((v) => `${v.id}: ${v.nodes[0]?.target.join(' ')}`));
          assert.deepEqual(found, [], `axe on ${name}, ${theme}`);
        }
        assert.deepEqual(trouble, []);
        await close();
      });
    }
  });

  it('tells a new event in the open page, written through the page itself', { skip: TOKEN ? false : 'LEM_TOKEN is not set' }, async () => {
    const [incident] = await ask('incidents?limit=1');
    const watcher = await tab(browser, URL_OF, {});
    await watcher.open('/');
    await sees(watcher.page, 'live');
    const { seq: was } = await ask('loop');
    const { page, open, close } = await tab(browser, URL_OF, { token: TOKEN });
    await open(incident ? `/incidents/${encodeURIComponent(incident.incident)}` : '/deploy');
    const words = `seen by the browser test ${Date.now()}`;
    await press(page, incident ? 'Add a note' : 'Freeze everything', 'main');
    await page.type('#act-reason', words);
    await press(page, incident ? 'Add a note' : 'Freeze everything', 'dialog');
    await sees(page, 'Asked for. It is #');
    await press(page, 'Close', 'dialog');
    await sees(page, words);
    await watcher.page.waitForFunction((before) => [...document.querySelectorAll('.tail .eventref')].some((e) => Number(e.innerText.slice(1)) >= before), {}, was);
    await close();
    await watcher.close();
  });

  it('writes nothing without a token, and says so', async () => {
    const { page, open, close } = await tab(browser, URL_OF, {});
    await open('/ledger');
    await press(page, 'Sign a checkpoint');
    await sees(page, 'Access token');
    await close();
  });

  it('verifies its ledger', { skip: TOKEN ? false : 'LEM_TOKEN is not set' }, async () => {
    const { page, open, close } = await tab(browser, URL_OF, { token: TOKEN });
    await open('/ledger');
    await press(page, 'Verify the ledger');
    await sees(page, 'no event was changed, removed or put in between');
    await close();
  });
});
