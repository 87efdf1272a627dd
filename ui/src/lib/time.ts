// Times: relative in the page, absolute on hover; the range all pages share.
import { computed, signal } from '@preact/signals';
import { param } from './url';

/** The clock of the page, for relative times. */
export const now = signal(Date.now());
setInterval(() => { if (!document.hidden) now.value = Date.now(); }, 5_000);

export const RANGES: [string, number][] = [
  ['5m', 300], ['15m', 900], ['1h', 3_600], ['6h', 21_600], ['24h', 86_400], ['7d', 604_800], ['30d', 2_592_000],
];
const DEFAULT_RANGE = '15m';
export const RANGE_WORDS: Record<string, string> = {
  '5m': 'last 5 minutes', '15m': 'last 15 minutes', '1h': 'last hour', '6h': 'last 6 hours',
  '24h': 'last 24 hours', '7d': 'last 7 days', '30d': 'last 30 days',
};

export interface Span { from: number; to: number }

export const utc = computed(() => param('utc') === '1');
export const rangeName = computed(() => (param('from') ? 'custom' : param('range', DEFAULT_RANGE)));

/** The range in seconds since 1970, to this moment unless the URL pins it. */
export function range(): Span {
  const from = Number(param('from'));
  const end = Number(param('to'));
  if (from > 0 && end > from) return { from, to: end };
  const length = RANGES.find(([name]) => name === param('range', DEFAULT_RANGE))?.[1] ?? 900;
  const to = Date.now() / 1000;
  return { from: to - length, to };
}

/** A step that gives about 300 points, never below a second. */
export function stepOf({ from, to }: Span): number {
  const raw = (to - from) / 300;
  return [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600].find((s) => s >= raw) ?? 86_400;
}

const UNITS: [number, string][] = [[86_400, 'd'], [3_600, 'h'], [60, 'min'], [1, 's']];

/** `2 min`, `3 h 5 min`: at most two units, rounded down. */
export function duration(ms: number | undefined | null): string {
  if (ms === undefined || ms === null || !Number.isFinite(ms)) return 'unknown';
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  let rest = Math.round(ms / 1000);
  const parts: string[] = [];
  for (const [size, unit] of UNITS) {
    const n = Math.floor(rest / size);
    if (n === 0 && parts.length === 0) continue;
    rest -= n * size;
    if (n > 0) parts.push(`${n} ${unit}`);
    if (parts.length === 2 || parts.length === 1 && rest === 0) break;
  }
  return parts.slice(0, 2).join(' ');
}

export function ago(time: string | number | undefined | null, at = now.value): string {
  if (!time) return '';
  const ms = at - new Date(time).getTime();
  if (!Number.isFinite(ms)) return String(time);
  if (Math.abs(ms) < 5_000) return 'just now';
  const s = Math.abs(ms) / 1000;
  const [size, unit] = UNITS.find(([u]) => s >= u) ?? [1, 's'];
  const text = `${Math.floor(s / size)} ${unit}`;
  return ms < 0 ? `in ${text}` : `${text} ago`;
}

const pad = (n: number, width = 2) => String(n).padStart(width, '0');

/** `2026-11-24 03:12:45` in local time or UTC. */
export function absolute(time: string | number | undefined | null, inUtc = utc.value): string {
  if (!time) return '';
  const d = new Date(time);
  if (Number.isNaN(d.getTime())) return String(time);
  const [y, mo, da, h, m, s] = inUtc
    ? [d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate(), d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds()]
    : [d.getFullYear(), d.getMonth(), d.getDate(), d.getHours(), d.getMinutes(), d.getSeconds()];
  return `${y}-${pad(mo + 1)}-${pad(da)} ${pad(h)}:${pad(m)}:${pad(s)}${inUtc ? ' UTC' : ''}`;
}

export const clock = (time: string | number, inUtc = utc.value) => absolute(time, inUtc).slice(11, 19);

/** Clock with milliseconds, for log lines. */
export const clockMs = (time: string | number) => `${clock(time)}.${pad(new Date(time).getMilliseconds(), 3)}`;
