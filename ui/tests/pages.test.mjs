// Every page in Chromium, at a desk and on a phone, light and dark: a person sees what happened, axe finds nothing, nothing
// runs over the edge, nobody else is asked. Screenshots of all of it stay in dist-test/shots (or $LEM_SHOTS).
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, it } from 'node:test';
import { DESKTOP, PHONE, launch, sees, shot, tab } from './browser.mjs';
import { Fixture } from './fixture/serve.mjs';
import { PAGES } from './pages.mjs';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
let fixture, browser;
before(async () => { [fixture, browser] = await Promise.all([new Fixture().listen(), launch()]); });
after(async () => { await browser.close(); await fixture.close(); });

/** Colours are judged in both themes, structure at both sizes; together every rule in every place where it can differ. */
const RULES = { 'desk light': {}, 'desk dark': { runOnly: ['color-contrast', 'link-in-text-block'] }, 'phone light': { rules: { 'color-contrast': { enabled: false } } } };
async function violations(page, rules) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe);
  const found = await page.evaluate(async (o) => (await window.axe.run(document, { resultTypes: ['violations'], ...o })).violations.map((v) => `${v.id}: ${v.help}\n    ${v.nodes.slice(0, 3).map((n) => `${n.target.join(' ')} ${n.any[0]?.message ?? ''}`).join('\n    ')}`), rules);
  return found.join('\n');
}
const scheme = (page, theme) => page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }, { name: 'prefers-reduced-motion', value: 'reduce' }]);
/** Two frames: what changed is drawn. */
const drawn = (page) => page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));

// Two tabs at a time is what two cores can draw.
describe('pages', { concurrency: 2 }, () => {
  for (const { name, path, sees: words } of PAGES) {
    it(name, async () => {
      const { page, trouble, open, close } = await tab(browser, fixture.url, { viewport: DESKTOP });
      await open(path);
      for (const w of words) await sees(page, w);
      for (const [size, viewport] of [['desk', DESKTOP], ['phone', PHONE]]) {
        await page.setViewport(viewport);
        for (const theme of ['light', 'dark']) {
          await scheme(page, theme);
          await drawn(page);
          const rules = RULES[`${size} ${theme}`];
          if (rules) assert.equal(await violations(page, rules), '', `axe on ${name}, ${size}, ${theme}`);
          await shot(page, `${name}-${size}-${theme}`, true);
        }
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(over <= 0, `${name} runs ${over} px over the edge of the ${size}`);
      }
      assert.deepEqual(trouble, []);
      await close();
    });
  }
});
