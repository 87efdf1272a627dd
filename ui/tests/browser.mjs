// Chromium for the tests: Debian's own, started once per file, never downloaded.
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import puppeteer from 'puppeteer-core';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** Where screenshots go; kept out of the repository. */
export const SHOTS = process.env.LEM_SHOTS ?? fileURLToPath(new URL('../dist-test/shots/', import.meta.url));
export const DESKTOP = { width: 1440, height: 900 };
export const PHONE = { width: 390, height: 844 };

export async function launch() {
  await mkdir(SHOTS, { recursive: true });
  // A container has no user namespaces for the sandbox; the pages are our own.
  return puppeteer.launch({ executablePath: CHROMIUM, headless: true, args: ['--no-sandbox', '--disable-dev-shm-usage', '--hide-scrollbars', '--force-color-profile=srgb', '--disable-gpu'] });
}

/** Windows whose tab was closed: the next tab finds the files in their cache. Two tabs in one would hide one another. */
const idle = new WeakMap();

/** A tab that remembers what went wrong in it and whom it asked; of its own storage, unless it only looks at a page. */
export async function tab(browser, base, { viewport = DESKTOP, theme = 'light', token = '', motion = 'reduce', shared = false } = {}) {
  const context = (shared && idle.get(browser)?.pop()) || await browser.createBrowserContext();
  const page = await context.newPage();
  const trouble = [];
  page.on('pageerror', (e) => trouble.push(`error: ${e.message}`));
  page.on('console', (m) => { if (m.type() === 'error' && !/Failed to load resource/.test(m.text())) trouble.push(`console: ${m.text()}`); });
  page.on('request', (r) => { if (!r.url().startsWith(base) && !/^(data|blob|about):/.test(r.url())) trouble.push(`asked elsewhere: ${r.url()}`); });
  await page.setViewport(viewport);
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }, { name: 'prefers-reduced-motion', value: motion }]);
  page.setDefaultTimeout(Number(process.env.LEM_PATIENCE_MS ?? 30_000));
  const open = async (path) => {
    await page.goto(base + path + (token ? `#token=${token}` : ''), { waitUntil: 'domcontentloaded' });
    await settled(page);
  };
  return { page, trouble, open, close: async () => {
    if (!shared) return context.close();
    await page.close();
    idle.set(browser, [...idle.get(browser) ?? [], context]);
  } };
}

/** The page has drawn what it asked for: nothing says that it is still reading. */
export async function settled(page) {
  await page.waitForFunction(() => document.querySelector('main')?.childElementCount > 0 && !document.querySelector('.loading') && !document.querySelector('#app:empty'));
}

export const text = (page) => page.evaluate(() => document.body.innerText.replace(/\s+/g, ' '));

/** Waits until a person could read these words on the page. */
export async function sees(page, words) {
  try {
    await page.waitForFunction((w) => document.body.innerText.replace(/\s+/g, ' ').includes(w), {}, words);
  } catch {
    throw new Error(`“${words}” is not on ${page.url()}; there is: ${(await text(page)).slice(0, 900)}`);
  }
}

/** Clicks the button or link that reads so. */
export async function press(page, words, within = 'body') {
  const handle = await page.waitForFunction((w, scope) => [...document.querySelectorAll(`${scope} :is(button, a, summary)`)].find((e) => (e.innerText.trim() === w || e.getAttribute('aria-label') === w) && e.offsetParent !== null), {}, words, within);
  await handle.click();
}

export async function shot(page, name, full = false) {
  const path = join(SHOTS, `${name}.png`);
  await page.screenshot({ path, fullPage: full, optimizeForSpeed: true });
  return path;
}

export const scheme = (page, theme) => page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }, { name: 'prefers-reduced-motion', value: 'reduce' }]);
/** Two frames: what changed is drawn. */
export const drawn = (page) => page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const COLOURS = { runOnly: ['color-contrast', 'link-in-text-block'] };
const STRUCTURE = { rules: { 'color-contrast': { enabled: false } } };
/** Every rule at a desk in light; beyond that structure on a phone with the fixture, dark colours with the real server. */
export const FIXTURE_RULES = { 'desk light': {}, 'phone light': STRUCTURE };
export const REAL_RULES = { 'desk light': {}, 'desk dark': COLOURS };

/** What axe finds, or nothing. */
export async function judge(page, all, size, theme) {
  const rules = all[`${size} ${theme}`];
  if (!rules) return '';
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe);
  const found = await page.evaluate(async (o) => (await window.axe.run(document, { resultTypes: ['violations'], ...o })).violations.map((v) => `${v.id}: ${v.help}\n    ${v.nodes.slice(0, 3).map((n) => `${n.target.join(' ')} ${n.any[0]?.message ?? ''}`).join('\n    ')}`), rules);
  return found.join('\n');
}
