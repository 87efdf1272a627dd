// The lemniscate of Bernoulli, stretched to the room it has, and where things stand on it.
import type { StationId } from '../api/types';

export interface Point { x: number; y: number }

/** The drawing is as wide as the page and always this high. */
export const HEIGHT = 488;
const MIDDLE = 178;
const LOBE = 150;
const MARGIN = 26;
/** Where what hangs below the curve stands. */
export const BELOW = MIDDLE + LOBE + 62;

const TURN = Math.PI * 2;
// Bernoulli's lobes are widest where sin² t = 1/3.
const BROAD = Math.asin(1 / Math.sqrt(3));
const at = (t: number) => (Math.PI * 1.5 - t) / TURN;

/**
 * Progress round the loop: 0 is the crossing on the way back, then the upper left, the left end, the lower left, at one
 * half the crossing on the way out, the upper right, the right end, the lower right, and 1 is the crossing again.
 */
export const STATION: Record<StationId, number> = {
  provision: at(Math.PI + BROAD), pipeline: at(Math.PI - BROAD), release: 0.5, deploy: at(BROAD), observe: at(-BROAD), secure: at(Math.PI), optimize: at(-BROAD),
};
/** Where a change stands while it is in a station: a little past it, on the way to the next. */
const PAST = 0.058;
/** How far the next change stands from it. */
const APART = 0.024;
export const placeOf = (station: StationId, nth: number) => STATION[station] + (station === 'release' ? 0.034 : PAST) + nth * APART;

export function pointAt(progress: number, width: number): Point {
  const t = Math.PI * 1.5 - progress * TURN;
  const a = width / 2 - MARGIN;
  const down = 1 + Math.sin(t) ** 2;
  return { x: width / 2 + (a * Math.cos(t)) / down, y: MIDDLE - (LOBE * 2 * Math.SQRT2 * Math.sin(t) * Math.cos(t)) / down };
}

/** Direction of travel in degrees. */
export function headingAt(progress: number, width: number): number {
  const [a, b] = [pointAt(progress - 0.003, width), pointAt(progress + 0.003, width)];
  return (Math.atan2(b.y - a.y, b.x - a.x) * 180) / Math.PI;
}

export function path(width: number, from: number, to: number, pieces = 120): string {
  let d = '';
  for (let i = 0; i <= pieces; i += 1) {
    const { x, y } = pointAt(from + ((to - from) * i) / pieces, width);
    d += `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
  }
  return d;
}
