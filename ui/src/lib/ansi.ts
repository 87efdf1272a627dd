// ANSI colours of a log line as runs of text with class names; other escape sequences are dropped.
export interface Run { text: string; classes: string }

// eslint-disable-next-line no-control-regex
const ESCAPE = /\u001b\[([0-9;:]*)([A-Za-z])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[@-Z\\-_]/g;
const KNOWN = new Set([1, 2, 3, 4, ...Array.from({ length: 8 }, (_, i) => 30 + i), ...Array.from({ length: 8 }, (_, i) => 90 + i)]);

export function ansi(line: string): Run[] {
  const runs: Run[] = [];
  let on = new Set<number>();
  let last = 0;
  const push = (text: string) => { if (text) runs.push({ text, classes: [...on].map((n) => `ansi-${n}`).join(' ') }); };
  for (const match of line.matchAll(ESCAPE)) {
    push(line.slice(last, match.index));
    last = match.index + match[0].length;
    if (match[2] !== 'm') continue;
    const codes = (match[1] || '0').split(/[;:]/).map(Number);
    for (let i = 0; i < codes.length; i += 1) {
      const code = codes[i] ?? 0;
      if (code === 0) on = new Set();
      else if (code === 22) { on.delete(1); on.delete(2); } else if (code === 23) on.delete(3);
      else if (code === 24) on.delete(4);
      else if (code === 39) on = new Set([...on].filter((n) => n < 30));
      else if (code === 38 || code === 48) i += codes[i + 1] === 5 ? 2 : 4;
      else if (KNOWN.has(code)) { if (code >= 30) on = new Set([...on].filter((n) => n < 30)); on.add(code); }
    }
  }
  push(line.slice(last));
  return runs;
}

export const plain = (line: string) => line.replace(ESCAPE, '');
