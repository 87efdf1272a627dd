// The lemniscate of Bernoulli, stretched to the room it has, and where things stand on it.
import type { StationId } from '../api/types';

export interface Point { x: number; y: number }
export interface Room { width: number; height: number }

const MARGIN_X = 56;
const TOP = 56;
const BOTTOM = 176;

/** Point at parameter `t`; t = 0 is the rightmost, the crossing is at quarter turns. The upper right is t just above 3π/2. */
export function pointAt(t: number, { width, height }: Room): Point {
  const a = width / 2 - MARGIN_X;
  // Bernoulli's lobes are a/√8 high.
  const stretch = (height - TOP - BOTTOM) / 2 / (a / Math.SQRT2 / 2);
  const down = 1 + Math.sin(t) ** 2;
  return {
    x: width / 2 + (a * Math.cos(t)) / down,
    y: TOP + (height - TOP - BOTTOM) / 2 + (stretch * a * Math.sin(t) * Math.cos(t)) / down,
  };
}

// Travel runs with falling t: crossing (3π/2 seen from below left) → deploy → observe → crossing → provision → pipeline.
const TURN = Math.PI * 2;

/** Progress along the loop, 0 at provision's entry to the lobe, 1 back there; to the curve's parameter. */
export const parameter = (progress: number) => Math.PI * 1.5 - progress * TURN;

/** Where a change stands while it is in a station: just before the plate, so that the dot stays visible. */
export const DOT: Record<StationId, number> = {
  provision: 0.06, pipeline: 0.25, release: 0.425, deploy: 0.55, observe: 0.75, secure: 0.25, optimize: 0.955,
};

export function path(room: Room, from: number, to: number, steps = 120): string {
  let d = '';
  for (let i = 0; i <= steps; i += 1) {
    const { x, y } = pointAt(parameter(from + ((to - from) * i) / steps), room);
    d += `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
  }
  return d;
}
