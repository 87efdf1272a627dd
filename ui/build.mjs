// Bundles the UI into dist: index.html and hashed assets, split so that heavy pages load when they are opened.
// Prints the gzip size of the first view and fails when it is over the budget.
//   node build.mjs [--out FOLDER] [--budget BYTES]
import { build } from 'esbuild';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';

const { values: asked } = parseArgs({ options: { out: { type: 'string', default: 'dist' }, budget: { type: 'string', default: String(120 * 1024) } } });
const BUDGET_BYTES = Number(asked.budget);
const root = dirname(fileURLToPath(import.meta.url));
const out = resolve(root, asked.out);

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: { app: 'src/main.tsx', style: 'src/style/index.css' },
  outdir: join(out, 'assets'),
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  target: ['es2022', 'chrome123', 'firefox121', 'safari17.5'],
  minify: true,
  legalComments: 'none',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  metafile: true,
  logLevel: 'warning',
});

const outputs = Object.entries(metafile.outputs);
const entry = (source) => outputs.find(([, o]) => o.entryPoint === source)?.[0];
const script = entry('src/main.tsx');
const style = entry('src/style/index.css');
if (!script || !style) throw new Error('the bundle lacks its entry points');

/** The entry and everything it imports before the first paint. */
function firstView(file, seen = new Set()) {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const i of metafile.outputs[file].imports) if (i.kind === 'import-statement') firstView(i.path, seen);
  return seen;
}
const first = [...firstView(script), style];
// The home page is a chunk of its own; it belongs to the first view as well.
const home = outputs.find(([, o]) => o.entryPoint === 'src/pages/home.tsx')?.[0];
if (home) for (const file of firstView(home)) if (!first.includes(file)) first.push(file);

const href = (file) => '/' + relative(out, join(root, file)).replaceAll('\\', '/');
const template = await readFile(join(root, 'src/index.html'), 'utf8');
const html = template.replace('%STYLE%', href(style)).replace('%SCRIPT%', href(script));
await writeFile(join(out, 'index.html'), html);
await writeFile(join(out, 'icon.svg'), await readFile(join(root, 'src/icon.svg')));

const zipped = async (file) => gzipSync(await readFile(join(root, file)), { level: 9 }).length;
const kilobytes = (bytes) => (bytes / 1024).toFixed(1).padStart(6) + ' KB gzip';
let total = gzipSync(html, { level: 9 }).length;
for (const file of first) total += await zipped(file);
for (const [file] of outputs.sort(([a], [b]) => a.localeCompare(b))) {
  console.log(kilobytes(await zipped(file)), first.includes(file) ? '*' : ' ', file);
}
console.log(kilobytes(total), 'first view (*), budget', BUDGET_BYTES / 1024, 'KB');
if (total > BUDGET_BYTES) {
  console.error('the first view is over its budget');
  process.exit(1);
}
