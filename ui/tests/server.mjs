// The real server with a real story behind it: what `lem demo` left behind, opened again by `lem up` on a copy of it.
// LEM_URL and LEM_TOKEN name a server that is up already. Otherwise LEM_DEMO is a directory that `lem demo --into` wrote,
// which the Rust test of the demo keeps in tmp/demo of Cargo's target directory, and LEM_PROGRAM the program.
import { spawn } from 'node:child_process';
import { access, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TARGET = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL('../../target', import.meta.url));
const DEMO = process.env.LEM_DEMO ?? join(TARGET, 'tmp/demo');
const PROGRAM = process.env.LEM_PROGRAM ?? join(TARGET, 'debug/lem');
const START_MS = 60_000;

const there = (path) => access(path).then(() => true, () => false);

/** Why there is no server, or nothing. Where somebody asked for one, its absence is an error and not a reason to skip. */
export async function absent() {
  if (process.env.LEM_URL) return undefined;
  for (const [path, make] of [[join(DEMO, 'shop/.lem'), 'cargo nextest run -p lem the_loop_turns'], [PROGRAM, 'cargo build -p lem']]) {
    if (await there(path)) continue;
    const why = `there is no ${path}; \`${make}\` makes it`;
    if (process.env.LEM_DEMO || process.env.CI === 'true') throw new Error(why);
    return why;
  }
  return undefined;
}

const freePort = () => new Promise((done) => { const s = createServer().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => done(port)); }); });

/** The port that the demo gave to the router may be somebody else's by now. */
async function moveRouter(shop) {
  const file = join(shop, 'lem.yaml');
  await writeFile(file, (await readFile(file, 'utf8')).replace(/listen: 127\.0\.0\.1:\d+/, `listen: 127.0.0.1:${await freePort()}`));
}

/** Where it says that it listens. */
function address(child) {
  return new Promise((resolve, reject) => {
    let said = '';
    const late = setTimeout(() => reject(new Error(`lem up did not start within ${START_MS / 1000} s:\n${said}`)), START_MS);
    child.stderr.on('data', (text) => {
      said += text;
      const url = /web UI and API on (http:\/\/[\d.:]+)\//.exec(said)?.[1];
      if (url) { clearTimeout(late); resolve(url); }
    });
    child.once('exit', (code) => { clearTimeout(late); reject(new Error(`lem up ended with ${code}:\n${said}`)); });
  });
}

/** A server on a copy, so that what a test writes stays in the test. */
export async function serve() {
  if (process.env.LEM_URL) return { url: process.env.LEM_URL.replace(/\/$/, ''), token: process.env.LEM_TOKEN ?? '', stop: async () => {} };
  const dir = await mkdtemp(join(tmpdir(), 'lem-ui-'));
  const shop = join(dir, 'shop');
  await cp(join(DEMO, 'shop'), shop, { recursive: true, verbatimSymlinks: true });
  await moveRouter(shop);
  const { LEM_TOKEN: _token, LEM_SERVER: _server, LEM_DATABASE: _database, ...env } = process.env;
  const child = spawn(PROGRAM, ['up', '-C', shop, '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'ignore', 'pipe'], env: { ...env, NO_COLOR: '1' } });
  const ended = new Promise((done) => { child.once('exit', done); });
  const stop = async () => {
    if (child.exitCode === null) child.kill('SIGTERM');
    await ended;
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const url = await address(child);
    return { url, token: (await readFile(join(shop, '.lem/token'), 'utf8')).trim(), stop };
  } catch (e) {
    await stop();
    throw e;
  }
}
