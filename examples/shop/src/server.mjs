// The shop: GET / lists the catalogue, GET /price/ITEM tells a price, GET /up is the health check, GET /metrics the metrics.

import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';
import { exposition, observe } from './metrics.mjs';
import { items, price } from './prices.mjs';

const version = process.env.SERVICE_VERSION ?? 'dev';

function log(level, message, fields = {}) {
  console.log(JSON.stringify({ level, message, version, ...fields }));
}

async function answer(url) {
  if (url === '/up') return [200, { status: 'up', version }];
  if (url === '/') return [200, { items: items(), version }];
  const item = /^\/price\/([a-z]+)$/.exec(url)?.[1];
  if (!item) return [404, { error: 'no such page' }];
  const cents = await price(item);
  return cents === undefined ? [404, { error: 'no such item' }] : [200, { item, cents, version }];
}

/** The service, not yet listening. */
export function shop() {
  return createServer(async (request, response) => {
    const started = process.hrtime.bigint();
    if (request.url === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(exposition());
      return;
    }
    let status, body;
    try {
      [status, body] = await answer(request.url);
    } catch (error) {
      [status, body] = [500, { error: 'the price store did not answer' }];
      log('error', error.message, { file: 'src/prices.mjs', path: request.url });
    }
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const route = request.url.startsWith('/price/') ? '/price/:item' : request.url;
    observe(route, status, Number(process.hrtime.bigint() - started) / 1e9);
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const server = shop().listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
    log('info', `listening on ${server.address().port}`);
  });
  process.on('SIGTERM', () => {
    log('info', 'asked to stop, finishing what is under way');
    server.close(() => process.exit(0));
    server.closeIdleConnections?.();
  });
}
