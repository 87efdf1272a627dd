// The pictures of the documentation, taken from the real server with the demo's story: `npm run tour`, after
// `cargo nextest run -p lem the_loop_turns` (see server.mjs). A picture heavier than its limit is an error.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drawn, launch, settled, tab } from './browser.mjs';
import { small } from './png.mjs';
import { asker, spanOf } from './realpages.mjs';
import { absent, serve } from './server.mjs';

const PICTURES = fileURLToPath(new URL('../../docs/pictures/', import.meta.url));
const MAX_BYTES = 150 * 1024;
const DESK = { width: 1280, height: 800 };
const HAND = { width: 390, height: 844 };

const missing = await absent();
if (missing) throw new Error(missing);
await mkdir(PICTURES, { recursive: true });
const server = await serve();
const browser = await launch();
try {
  const ask = asker(server);
  const [rollouts, incidents, runs] = await Promise.all(['rollouts?limit=20', 'incidents?limit=20', 'runs?limit=20'].map(ask));
  const span = spanOf(rollouts);
  const turnedBack = rollouts.find((r) => r.state === 'rolled_back' && r.verdict && !r.takenBackAt);
  const takenBack = rollouts.find((r) => r.takenBackAt);
  const alerted = incidents.find((i) => !i.title.includes('canary')) ?? incidents[0];
  const q = encodeURIComponent;
  const tour = [
    ['loop', '/'], ['loop-phone', '/', HAND, 'dark'], ['change', `/changes/${takenBack.sha}`], ['run', `/runs/${q(runs.runs[0].run)}`],
    ['rollout', `/rollouts/${q(turnedBack.deployment)}`], ['incident', `/incidents/${q(alerted.incident)}`], ['dashboard', `/observe/dashboards/shop?${span}`, DESK, 'dark'],
    ['logs', `/observe/patterns?${span}`], ['resources', `/provision/resources?of=${q('infra/cloud')}`], ['secure', '/secure'], ['optimize', '/optimize', DESK, 'dark'], ['report', '/reports'],
  ];
  for (const [name, path, viewport = DESK, theme = 'light'] of tour) {
    const { page, trouble, open, close } = await tab(browser, server.url, { viewport, theme });
    await open(`${path}${path.includes('?') ? '&' : '?'}utc=1`);
    await settled(page);
    await page.waitForNetworkIdle({ idleTime: 400, concurrency: 2 });
    await drawn(page);
    const file = join(PICTURES, `${name}.png`);
    const picture = small(Buffer.from(await page.screenshot()));
    await close();
    await writeFile(file, picture);
    const size = picture.length;
    if (trouble.length > 0) throw new Error(`${name}: ${trouble.join('; ')}`);
    if (size > MAX_BYTES) throw new Error(`${name}.png has ${size} bytes, more than ${MAX_BYTES}`);
    console.log(`${String(Math.round(size / 1024)).padStart(4)} KB  docs/pictures/${name}.png`);
  }
} finally {
  await browser.close();
  await server.stop();
}
