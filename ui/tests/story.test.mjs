// What a person does with the UI: follows events, searches, asks for something, reads logs, verifies the ledger.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { PHONE, launch, press, sees, settled, tab, text } from './browser.mjs';
import { Fixture, TOKEN } from './fixture/serve.mjs';
import { PAGES } from './pages.mjs';
import { ROLLOUT, RUN, SHA } from './fixture/story.mjs';

let browser, fixture, open, page, trouble, close;
const start = async (o = {}, f = {}) => {
  fixture = await new Fixture(f).listen();
  ({ page, open, trouble, close } = await tab(browser, fixture.url, o));
};
before(async () => { browser = await launch(); });
after(() => browser.close());
beforeEach(() => { fixture = undefined; });
afterEach(async () => { await close?.(); await fixture?.close(); });
const asked = (key) => page.evaluate((k) => new URLSearchParams(location.search).get(k), key);
const gone = (selector) => page.waitForFunction((s) => !document.querySelector(s), {}, selector);

test('an event moves the change along the loop and is told in the ledger tail', async () => {
  await start({ motion: 'no-preference' });
  await open('/');
  await sees(page, 'live');
  const spot = () => page.$eval(`.dot a[href*="${SHA.cache}"]`, (a) => a.closest('.dot').style.left);
  const was = await spot();
  fixture.home.inFlight[0] = { ...fixture.home.inFlight[0], station: 'release', state: 'waiting', sentence: 'ci passed; shop 1.3.0 waits for its turn.' };
  fixture.tell('pipelinerun.finished', RUN.cache, SHA.cache, 'ci passed on b94d17f3 in 1 min 9 s');
  await sees(page, 'ci passed on b94d17f3 in 1 min 9 s');
  await sees(page, 'shop 1.3.0 waits for its turn.');
  await page.waitForFunction((sha, before) => document.querySelector(`.dot a[href*="${sha}"]`)?.closest('.dot').style.left !== before, {}, SHA.cache, was);
  assert.deepEqual(trouble, []);
});

test('a lost stream is said, comes back by itself, and tells what was missed once', async () => {
  await start();
  await open('/');
  await sees(page, 'live');
  fixture.cut();
  await sees(page, 'not live');
  fixture.tell('change.merged', SHA.cache, SHA.cache, 'Something happened meanwhile');
  await sees(page, 'Something happened meanwhile');
  await page.waitForFunction(() => document.querySelector('.live').innerText.trim() === 'live');
  assert.equal((await text(page)).split('Something happened meanwhile').length - 1, 1);
});

test('search opens with / and with Ctrl-K and goes where the arrow keys say', async () => {
  await start();
  await open('/incidents');
  await page.keyboard.press('/');
  await page.waitForSelector('dialog.search');
  await page.keyboard.type('1.2.1');
  await sees(page, 'progressing in production');
  assert.equal(await page.$eval('.search input', (e) => e.value), '1.2.1', 'the slash itself is not typed');
  await page.keyboard.press('Enter');
  await gone('dialog.search');
  await sees(page, 'shop 1.2.1 in production');
  await page.keyboard.down('Control'); await page.keyboard.press('k'); await page.keyboard.up('Control');
  await page.waitForSelector('dialog.search');
  await page.keyboard.press('ArrowDown');
  assert.equal(await page.$eval('[role=option][aria-selected=true]', (e) => e.id), 'hit-1');
  await page.keyboard.press('Escape');
  await gone('dialog.search');
});

test('range, lens and UTC live in the URL and stay over links', async () => {
  await start();
  await open('/');
  await page.select('#pick-range', '6h');
  await page.select('#pick-lens', 'security');
  await press(page, 'UTC');
  await page.waitForFunction(() => new URLSearchParams(location.search).get('utc') === '1');
  assert.equal(await page.$eval('.now-list strong', (e) => e.innerText), 'release.yml cannot run', 'what was refused is first for security');
  await press(page, 'Ledger', '.rail');
  await sees(page, 'Verify the ledger');
  assert.deepEqual(await Promise.all(['range', 'lens', 'utc'].map(asked)), ['6h', 'security', '1']);
  assert.match(await (await page.waitForSelector('tbody time')).evaluate((e) => e.title), /UTC$/);
  await page.goBack();
  await sees(page, 'In flight');
});

test('a write asks for the token, then for the reason, and says what it will do and what came of it', async () => {
  await start();
  await open(`/rollouts/${ROLLOUT.fix}`);
  await press(page, 'Abort');
  await sees(page, 'All traffic goes back to 1.0.0 at once');
  await page.type('#act-reason', 'errors on checkout');
  assert.ok(await page.$eval('dialog.act button[type=submit].main', (e) => e.disabled), 'nothing is sent without a token');
  await page.type('#token-field', TOKEN);
  await press(page, 'Use for this tab', 'dialog');
  await gone('#token-field');
  await press(page, 'Abort 1.2.1', 'dialog');
  await sees(page, 'Asked for. It is #');
  assert.deepEqual(fixture.wrote, [{ method: 'POST', path: `/api/v1/rollouts/${ROLLOUT.fix}/abort`, body: { reason: 'errors on checkout' } }]);
  await press(page, 'Close', 'dialog');
  await gone('dialog.act');
});

test('what the server refuses is shown in its words, with code and hint', async () => {
  await start({ token: TOKEN });
  await open(`/rollouts/${ROLLOUT.fix}`);
  assert.ok(!page.url().includes('token'), 'the token does not stay in the address');
  await press(page, 'Abort');
  await page.type('#act-reason', 'refuse this');
  await press(page, 'Abort 1.2.1', 'dialog');
  for (const words of ['The rollout was promoted a moment ago.', 'rollout-ended', 'Roll back instead.']) await sees(page, words);
});

test('every button of a rollout and of a service says what it will do', async () => {
  await start({ token: TOKEN });
  await open(`/rollouts/${ROLLOUT.fix}`);
  for (const [button, does] of [['Promote', 'goes to the next one'], ['Promote fully', 'Gives all traffic to 1.2.1 now'], ['Pause', 'The weights stay as they are'], ['Abort', 'All traffic goes back to 1.0.0']]) {
    await press(page, button, 'main');
    await sees(page, does);
    await press(page, 'Cancel', 'dialog');
    await gone('dialog.act');
  }
  await open(`/rollouts/${ROLLOUT.discount}`);
  await press(page, 'Retry', 'main');
  await sees(page, 'A quarantined artifact is refused.');
  await open('/deploy');
  await press(page, 'Roll back to 0.9.4');
  await sees(page, 'A freeze does not stop it.');
});

test('an alert is silenced, and the silence is ended', async () => {
  await start();
  await open(`/observe/alerts#token=${TOKEN}`);
  await sees(page, 'Nothing is silenced.');
  await press(page, 'Silence');
  await sees(page, 'Incidents and rollbacks go on.');
  await page.type('dialog textarea', 'moving the disks');
  await press(page, 'Silence for 2 hours');
  await sees(page, 'It is silent');
  await press(page, 'Close');
  await page.reload();
  await sees(page, 'alertname="TargetDown"');
  await sees(page, 'moving the disks');
  const { body } = fixture.wrote.find((w) => w.path === '/api/v2/silences');
  assert.deepEqual([body.comment, body.createdBy], ['moving the disks', 'web UI']);
  assert.ok(Date.parse(body.endsAt) > Date.now() && body.matchers.every((m) => m.isEqual && !m.isRegex));
  await press(page, 'End');
  await sees(page, 'People are told again at once.');
  await press(page, 'End the silence');
  await sees(page, 'It has ended.');
  await press(page, 'Close');
  await page.reload();
  await sees(page, 'expired');
});

test('a log is coloured, searched, and a line has an address', async () => {
  await start();
  await open('/runs/run-100?job=test-22');
  await sees(page, 'prices rounds half up');
  assert.ok((await page.$$('.log .ansi-31')).length >= 2, 'failed cases are red');
  await page.type('input[aria-label="Search in the log"]', 'discount');
  await sees(page, '1 line');
  await press(page, 'Next match');
  await page.waitForSelector('.log .is-linked');
  await page.waitForFunction(() => new URLSearchParams(location.search).has('line'));
  const line = await asked('line');
  assert.ok(await page.$eval(`#L${line}`, (e) => e.classList.contains('is-linked') && e.innerText.includes('adds a discount')));
  await page.goto(page.url());
  await page.waitForSelector(`#L${line}.is-linked`);
});

test('the log of a running job goes on while one looks', async () => {
  await start();
  await open(`/runs/${RUN.cache}?job=test-22`);
  await sees(page, 'case 15');
  await page.waitForFunction(() => [...document.querySelectorAll('button')].some((b) => b.innerText === 'Following'));
  while (fixture.streams.size < 2) await new Promise((go) => { setImmediate(go); });
  for (const stream of fixture.streams) stream.write(`data: ${JSON.stringify({ n: 20, at: new Date().toISOString(), step: 2, stream: 'out', text: 'a line that came later', group: null, level: null })}\n\n`);
  await sees(page, 'a line that came later');
});

test('a job is chosen by keyboard in the list that equals the graph', async () => {
  await start();
  await open(`/runs/${RUN.fix}`);
  await page.focus('table button');
  await page.keyboard.press('Enter');
  await sees(page, 'Log of lint');
  assert.equal(await asked('job'), 'lint');
});

test('the ledger is filtered by type and verified', async () => {
  await start({ token: TOKEN });
  await open('/ledger');
  await page.type('input[aria-label^="Type"]', 'ver');
  fixture.tell('change.merged', SHA.cache, SHA.cache, 'An event that arrives while somebody types');
  await sees(page, 'An event that arrives while somebody types');
  await page.type('input[aria-label^="Type"]', 'dict');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
  await sees(page, 'Verdict for shop 1.1.0: bad');
  await press(page, 'Verify the ledger');
  await sees(page, 'no event was changed, removed or put in between');
});

test('a query is completed, drawn with its releases, and a wrong one is explained', async () => {
  await start();
  await open('/observe/explore?range=1h');
  await page.type('#query', 'up');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.chart canvas');
  await sees(page, 'shop 1.2.0 rolled back');
  await page.$eval('#query', (e) => e.select());
  await page.type('#query', 'process_res');
  await sees(page, 'process_resident_memory_bytes');
  await page.keyboard.press('Tab');
  assert.equal(await page.$eval('#query', (e) => e.value), 'process_resident_memory_bytes');
  await page.type('#query', ')');
  await page.keyboard.press('Enter');
  await sees(page, 'a parenthesis is not closed');
});

test('logs narrow to a label, and the tail follows', async () => {
  await start();
  await open('/observe/logs?range=1h');
  await page.click('.lines summary');
  await press(page, 'shop', '.lines dl');
  await page.waitForFunction(() => new URLSearchParams(location.search).get('query') === '{service_name="shop"}');
  await press(page, 'Live tail');
  await sees(page, 'following');
  await page.waitForFunction(() => document.querySelectorAll('.lines > li').length >= 8);
});

test('light and dark can be chosen and are kept', async () => {
  await start();
  await open('/');
  const ground = () => page.$eval('body', (e) => getComputedStyle(e).backgroundColor);
  const light = await ground();
  await page.click('[aria-label="Colours: system"]');
  await page.click('[aria-label="Colours: light"]');
  assert.notEqual(await ground(), light);
  await page.reload();
  await settled(page);
  assert.notEqual(await ground(), light);
});

test('on a phone the loop stands upright and the menu reaches every page', async () => {
  await start({ viewport: PHONE });
  await open('/');
  const tops = await page.$$eval('.station', (all) => all.map((e) => [e.getBoundingClientRect().left, e.getBoundingClientRect().top]));
  assert.equal(new Set(tops.map(([left]) => left)).size, 1);
  assert.deepEqual([...tops].sort((a, b) => a[1] - b[1]), tops, 'in the order of the loop');
  await press(page, 'Menu', '.bottom');
  await page.waitForSelector('dialog.menu[open]');
  await press(page, 'Optimize', 'dialog.menu');
  await sees(page, 'Known cost a month');
});

test('everything is reached by keyboard and shows where the focus is', async () => {
  await start();
  await open('/');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.innerText), 'Skip to content');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  const seen = new Set();
  for (let i = 0; i < 60; i += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => { const e = document.activeElement; const s = getComputedStyle(e); return { href: e.getAttribute('href') ?? '', visible: e === document.body || (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1), what: e.outerHTML.slice(0, 90) }; });
    assert.ok(at.visible, `the focus is not seen on ${at.what}`);
    seen.add(at.href);
  }
  for (const href of ['/provision', '/pipeline', '/deploy', '/observe', '/secure', '/optimize', '/releases', `/changes/${SHA.fix}`]) assert.ok(seen.has(href), `${href} is reached by Tab`);
});

test('where nothing happened yet, each page says what will be there, and none pretends', async () => {
  await start({}, { empty: true, withStages: false });
  const own = PAGES.filter((p) => !/\/(changes|runs|rollouts|incidents|ledger|dashboards)\/./.test(p.path) && !/^(resources|plans|drift|infra-docs|exceptions|secrets|artifacts|controls|recommendations|pipelines|explore|reports)$/.test(p.name));
  for (const { path } of own) {
    await open(path);
    await page.waitForSelector('.empty', { timeout: 5_000 }).catch(() => assert.fail(`${path} has no empty state: ${page.url()}`));
    assert.equal(await page.$('.failure'), null, `${path} shows an error instead of being empty`);
  }
  for (const stage of ['provision', 'secure', 'optimize', 'reports/finance']) {
    await open(`/${stage}`);
    await sees(page, 'not configured');
  }
  await open('/');
  assert.equal((await text(page)).split('not yet').length - 1 >= 3, true, 'stages this loop does not have are named so');
});

test('a server that is gone is said, with what to do, and comes back', async () => {
  await start();
  await open('/');
  const { port } = fixture.server.address();
  await fixture.close();
  await press(page, 'Deploy', '.rail');
  await sees(page, 'The server does not answer.');
  await sees(page, 'lem up');
  fixture = await new Fixture().listen(port);
  await sees(page, 'Roll back to 0.9.4');
});

test('a part that is not set up is told as a state, not as an error', async () => {
  await start();
  fixture.unset = '/api/v1/logs';
  await open('/observe/logs');
  await sees(page, 'not set up');
  await sees(page, 'logs is not set up in this server');
  assert.equal(await page.$('.failure'), null);
});

test('what has no address is said', async () => {
  await start();
  await open('/changes/ffffffff');
  await sees(page, 'There is no commit ffffffff.');
  await open('/nowhere/at/all');
  await sees(page, 'No such page');
});
