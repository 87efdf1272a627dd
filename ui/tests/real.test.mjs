// The real server through the real pages: what it answers is what a person sees, on every page, at a desk and on a phone,
// light and dark. Its data is what the demo left behind; see server.mjs. Screenshots stay in dist-test/shots (or $LEM_SHOTS).
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { DESKTOP, PHONE, REAL_RULES, drawn, judge, launch, press, scheme, sees, shot, tab } from './browser.mjs';
import { asker, realPages } from './realpages.mjs';
import { absent, serve } from './server.mjs';

const missing = await absent();
const server = missing ? undefined : await serve();
const ask = server && asker(server);
const pages = ask ? await realPages(ask) : [];
const browser = server && await launch();
const [BASE, TOKEN] = [server?.url ?? '', server?.token ?? ''];
after(async () => { await browser?.close(); await server?.stop(); });

/** What no page may say of a story that has happened: parts that are empty without being meant to be, and what is no word. */
const oddities = (page, meant) => page.evaluate((allowed) => {
  const main = document.querySelector('main');
  const empty = [...main.querySelectorAll('.empty, .chart-empty')].map((e) => e.innerText.trim()).filter((t) => !allowed.some((a) => new RegExp(a).test(t)));
  const words = main.innerText.match(/\b(undefined|NaN|null|\[object Object\]|Infinity|Invalid Date)\b/g) ?? [];
  const failed = [...main.querySelectorAll('.failure')].map((e) => e.innerText);
  const blank = [...main.querySelectorAll('.chart canvas')].filter((c) => !new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer).some((p) => p !== 0)).length;
  return { empty, words, failed, blank };
}, meant.map((r) => r.source));

describe('the real server', { skip: missing ?? false, concurrency: 2 }, () => {
  for (const { name, path, sees: words, empty } of pages) {
    it(name, async () => {
      const { page, trouble, open, close } = await tab(browser, BASE, { viewport: DESKTOP, token: TOKEN, shared: true });
      await open(path);
      for (const w of words) await sees(page, w);
      assert.deepEqual(await oddities(page, empty), { empty: [], words: [], failed: [], blank: 0 }, `${name} shows what it should not`);
      for (const [size, viewport] of [['desk', DESKTOP], ['phone', PHONE]]) {
        await page.setViewport(viewport);
        for (const theme of ['light', 'dark']) {
          await scheme(page, theme);
          await drawn(page);
          assert.equal(await judge(page, REAL_RULES, size, theme), '', `axe on ${name}, ${size}, ${theme}`);
          await shot(page, `real-${name.replaceAll(/[^\w.-]/g, '_')}-${size}-${theme}`, true);
        }
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(over <= 0, `${name} runs ${over} px over the edge of the ${size}`);
      }
      assert.deepEqual(trouble, []);
      await close();
    });
  }
});

describe('the real server, acted on', { skip: missing ?? false }, () => {
  it('tells a new event in the open page, written through the page itself', async () => {
    const [incident] = await ask('incidents?limit=1');
    const watcher = await tab(browser, BASE, {});
    await watcher.open('/');
    await sees(watcher.page, 'live');
    const { seq: was } = await ask('loop');
    const { page, open, close } = await tab(browser, BASE, { token: TOKEN });
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
    const { page, open, close } = await tab(browser, BASE, {});
    await open('/ledger');
    await press(page, 'Sign a checkpoint');
    await sees(page, 'Access token');
    await close();
  });

  it('verifies its ledger', async () => {
    const { page, open, close } = await tab(browser, BASE, { token: TOKEN });
    await open('/ledger');
    await press(page, 'Verify the ledger');
    await sees(page, 'no event was changed, removed or put in between');
    await close();
  });
});
