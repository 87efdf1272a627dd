// Every page in Chromium, at a desk and on a phone: a person sees what happened, axe finds nothing, nothing runs over the
// edge, nobody else is asked. With $LEM_SHOTS, screenshots of all of it stay there, light and dark; those of the real server
// (real.test.mjs) are always kept.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { DESKTOP, FIXTURE_RULES, PHONE, drawn, judge, launch, scheme, sees, shot, tab } from './browser.mjs';
import { Fixture } from './fixture/serve.mjs';
import { PAGES } from './pages.mjs';

let fixture, browser;
before(async () => { [fixture, browser] = await Promise.all([new Fixture().listen(), launch()]); });
after(async () => { await browser.close(); await fixture.close(); });

// Two tabs at a time is what two cores can draw.
describe('pages', { concurrency: 2 }, () => {
  for (const { name, path, sees: words } of PAGES) {
    it(name, async () => {
      const { page, trouble, open, close } = await tab(browser, fixture.url, { viewport: DESKTOP, shared: true });
      await open(path);
      for (const w of words) await sees(page, w);
      for (const [size, viewport] of [['desk', DESKTOP], ['phone', PHONE]]) {
        await page.setViewport(viewport);
        for (const theme of process.env.LEM_SHOTS ? ['light', 'dark'] : ['light']) {
          await scheme(page, theme);
          await drawn(page);
          assert.equal(await judge(page, FIXTURE_RULES, size, theme), '', `axe on ${name}, ${size}, ${theme}`);
          if (process.env.LEM_SHOTS) await shot(page, `${name}-${size}-${theme}`, true);
        }
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(over <= 0, `${name} runs ${over} px over the edge of the ${size}`);
      }
      assert.deepEqual(trouble, []);
      await close();
    });
  }
});
