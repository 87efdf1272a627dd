import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { shop } from '../src/server.mjs';

let server;
let base;

before(async () => {
  server = shop();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${server.address().port}`;
});

after(() => new Promise((resolve) => server.close(resolve)));

async function get(path) {
  const response = await fetch(base + path, { headers: { connection: 'close' } });
  return [response.status, response.headers.get('content-type')?.includes('json') ? await response.json() : await response.text()];
}

test('the catalogue lists items', async () => {
  const [status, body] = await get('/');
  assert.equal(status, 200);
  assert.deepEqual(body.items.slice(0, 2), ['apple', 'bread']);
});

test('a price is told in cents', async () => {
  const [status, body] = await get('/price/bread');
  assert.equal(status, 200);
  assert.equal(body.cents, 320);
});

test('what is not sold is not found', async () => {
  assert.equal((await get('/price/gold'))[0], 404);
  assert.equal((await get('/nowhere'))[0], 404);
});

test('the service says that it is up', async () => {
  assert.equal((await get('/up'))[0], 200);
});

test('requests are counted', async () => {
  await get('/price/apple');
  const [, text] = await get('/metrics');
  assert.match(text, /http_requests_total\{route="\/price\/:item",code="200"\} \d+/);
});
