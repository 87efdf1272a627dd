// The size budget fails the build, and what is built asks nobody else.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

test('a first view over its budget fails the build', async () => {
  const out = await mkdtemp(join(tmpdir(), 'lem-ui-'));
  await assert.rejects(run('node', ['build.mjs', '--out', out, '--budget', '10240'], { cwd: root }), (e) => e.code === 1 && /over its budget/.test(e.stderr));
  await rm(out, { recursive: true });
});

test('the first view is at most 120 KB gzip, has no inline script and names no other host', async () => {
  const out = await mkdtemp(join(tmpdir(), 'lem-ui-'));
  const { stdout } = await run('node', ['build.mjs', '--out', out], { cwd: root });
  const kilobytes = Number(/([\d.]+) KB gzip first view/.exec(stdout)?.[1]);
  assert.ok(kilobytes > 10 && kilobytes <= 120, `${kilobytes} KB`);
  const html = await readFile(join(out, 'index.html'), 'utf8');
  assert.doesNotMatch(html, /<script(?![^>]*\ssrc=)|\son\w+=|style="|https?:\/\//);
  for (const name of await readdir(join(out, 'assets'))) {
    const text = await readFile(join(out, 'assets', name), 'utf8');
    // SVG's namespace, names of signed statements, a manual in an error message and the base of relative addresses are no requests; the page tests watch those.
    const hosts = [...text.matchAll(/https?:\/\/([\w.-]+)/g)].map((m) => m[1]).filter((h) => !['www.w3.org', 'github.com', 'localhost', 'cyclonedx.org', 'slsa.dev'].includes(h));
    assert.deepEqual(hosts, [], name);
  }
  await rm(out, { recursive: true });
});
