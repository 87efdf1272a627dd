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

let busy = 0;

/** The price of an item in cents, or undefined when there is no such item. */
export async function price(item) {
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
