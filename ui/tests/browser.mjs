// Chromium for the tests: Debian's own, started once per file, never downloaded.
import { mkdir } from 'node:fs/promises';
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

/** A tab of its own storage that remembers what went wrong in it and whom it asked. */
export async function tab(browser, base, { viewport = DESKTOP, theme = 'light', token = '', motion = 'reduce' } = {}) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const trouble = [];
  page.on('pageerror', (e) => trouble.push(`error: ${e.message}`));
  page.on('console', (m) => { if (m.type() === 'error' && !/Failed to load resource/.test(m.text())) trouble.push(`console: ${m.text()}`); });
  page.on('request', (r) => { if (!r.url().startsWith(base) && !/^(data|blob|about):/.test(r.url())) trouble.push(`asked elsewhere: ${r.url()}`); });
  await page.setViewport(viewport);
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }, { name: 'prefers-reduced-motion', value: motion }]);
  page.setDefaultTimeout(30_000);
  const open = async (path) => {
    await page.goto(base + path + (token ? `#token=${token}` : ''), { waitUntil: 'domcontentloaded' });
    await settled(page);
  };
  return { page, trouble, open, close: () => context.close() };
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
