// The price store: a slow neighbour behind a pool of connections.

const PRICES = new Map([
  ['apple', 40],
  ['bread', 320],
  ['cheese', 890],
  ['coffee', 1250],
]);

/** Time the store takes to answer, in milliseconds. */
const LATENCY_MS = 5;

/** Connections to the price store. */
export const POOL_SIZE = 32;

/** Lookups the price store grants us per second. */
const LOOKUPS_PER_SECOND = 140;

let second = 0;
let lookups = 0;

function granted() {
  const now = Math.floor(Date.now() / 1000);
  if (now !== second) [second, lookups] = [now, 0];
  lookups += 1;
  return lookups <= LOOKUPS_PER_SECOND;
}

let busy = 0;

/** The price of an item in cents, or undefined when there is no such item. */
export async function price(item) {
  if (!granted()) throw new Error(`prices: more than ${LOOKUPS_PER_SECOND} lookups in one second`);
  if (busy >= POOL_SIZE) throw new Error(`prices: all ${POOL_SIZE} connections are busy`);
  busy += 1;
  try {
    await new Promise((resolve) => setTimeout(resolve, LATENCY_MS));
    return PRICES.get(item);
  } finally {
    busy -= 1;
  }
}

/** Everything that can be bought. */
export function items() {
  return [...PRICES.keys()];
}
