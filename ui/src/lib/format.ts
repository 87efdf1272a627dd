// Numbers and names as people read them.
const plain = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

export const short = (sha: string | undefined | null) => (sha ?? '').slice(0, 8);
export const count = (n: number | undefined | null) => (n === undefined || n === null ? 'unknown' : plain.format(n));
export const plural = (n: number, one: string, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** Three significant digits, no exponent for numbers a person meets. */
export function number(value: number | undefined | null, decimals?: number): string {
  if (value === undefined || value === null || Number.isNaN(value)) return 'no data';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (decimals !== undefined) return value.toLocaleString('en', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e12)) return value.toExponential(2);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

export const percent = (share: number | undefined | null, decimals = 1) =>
  share === undefined || share === null || Number.isNaN(share) ? 'no data' : `${(share * 100).toFixed(decimals)} %`;

export function bytes(n: number | undefined | null): string {
  if (n === undefined || n === null || Number.isNaN(n)) return 'no data';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = Math.abs(n);
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) { size /= 1024; unit += 1; }
  return `${n < 0 ? '-' : ''}${size.toFixed(unit === 0 || size >= 100 ? 0 : 1)} ${units[unit]}`;
}

function seconds(s: number): string {
  const size = Math.abs(s);
  if (size === 0) return '0 s';
  if (size < 0.001) return `${number(s * 1e6)} µs`;
  if (size < 1) return `${number(s * 1e3)} ms`;
  if (size < 120) return `${number(s)} s`;
  if (size < 7_200) return `${number(s / 60)} min`;
  return size < 172_800 ? `${number(s / 3600)} h` : `${number(s / 86_400)} d`;
}

/** Grafana's unit names that imported dashboards use; anything else stays a plain number with its unit behind. */
export function inUnit(value: number | undefined | null, unit = '', decimals?: number): string {
  if (value === undefined || value === null || Number.isNaN(value)) return 'no data';
  switch (unit) {
    case '': case 'none': case 'short': return number(value, decimals);
    case 'percentunit': return percent(value, decimals ?? 2);
    case 'percent': return `${number(value, decimals)} %`;
    case 'bytes': case 'decbytes': return bytes(value);
    case 'Bps': case 'binBps': return `${bytes(value)}/s`;
    case 's': return seconds(value);
    case 'ms': return seconds(value / 1000);
    case 'reqps': return `${number(value, decimals)} req/s`;
    case 'ops': return `${number(value, decimals)} op/s`;
    case 'cps': case 'wps': case 'rps': return `${number(value, decimals)} /s`;
    case '%': return `${number(value, decimals)} %`;
    default:
      if (/^[A-Z]{3}$/.test(unit)) return value.toLocaleString('en', { style: 'currency', currency: unit, maximumFractionDigits: Math.abs(value) >= 100 ? 0 : 2 });
      return `${number(value, decimals)} ${unit}`;
  }
}

/** `{a="b", c="d"}` as Prometheus writes it. */
export function labelText(labels: Record<string, string>): string {
  const { __name__: name = '', ...rest } = labels;
  const inner = Object.entries(rest).map(([k, v]) => `${k}="${v}"`).join(', ');
  return inner ? `${name}{${inner}}` : name || '{}';
}

/** The legend of a series: Grafana's `{{label}}` template, or the labels in which the series differ. */
export function legend(labels: Record<string, string>, template: string | undefined, expr: string, all: Record<string, string>[]): string {
  if (template) return template.replace(/\{\{\s*([\w.]+)\s*\}\}/g, (_, key: string) => labels[key] ?? '');
  const differing = Object.keys(labels).filter((k) => new Set(all.map((l) => l[k])).size > 1);
  if (all.length > 1 && differing.length > 0) return differing.map((k) => labels[k]).join(' ');
  return Object.keys(labels).length > 0 ? labelText(labels) : expr;
}

/** `rollout.finished` of `dev.cdeventsx.lem-rollout.finished.0.1.0`. */
export function shortType(type: string): string {
  const match = /^dev\.cdevents(?:x\.[a-zA-Z0-9]+-|\.)([a-zA-Z]+\.[a-zA-Z]+)\./.exec(type);
  return match?.[1] ?? type;
}

/** `the deploy policy`, `operator`: who acted, of `policy:deploy`, `person:operator`. */
export function actor(by: string): string {
  const [kind, name] = [by.slice(0, Math.max(0, by.indexOf(':'))), by.slice(by.indexOf(':') + 1)];
  if (kind === 'person') return name;
  if (kind === 'policy') return `the ${name} policy`;
  if (kind === 'engine') return `the ${name} stage`;
  return by;
}

/** The name in `Ada Example <ada@example.com>`. */
export const person = (author: string) => author.replace(/\s*<[^>]*>$/, '') || author;

/** Digests and commits as long as people compare them; the whole stands in a title. */
export const shorten = (text: string) => text.replace(/\b([0-9a-f]{12})[0-9a-f]{20,}\b/g, '$1…');
