// Makes a screenshot small: at most 256 colours, areas exactly as they are. Reads what Chromium
// writes (8 bits a channel, not interlaced) and writes an indexed PNG (ISO/IEC 15948).
import { deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const MAX_COLOURS = 256;
/** A colour of more pixels than this is an area and stays exactly what it is. */
const FLAT = 400;
const CRC = Uint32Array.from({ length: 256 }, (_, n) => { let c = n; for (let k = 0; k < 8; k += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1; return c >>> 0; });
const crc32 = (bytes) => { let c = 0xffffffff; for (const b of bytes) c = CRC[(c ^ b) & 255] ^ (c >>> 8); return (c ^ 0xffffffff) >>> 0; };

function chunk(type, data) {
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, 'latin1');
  data.copy(out, 8);
  out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length);
  return out;
}

function read(png) {
  if (!png.subarray(0, 8).equals(SIGNATURE)) throw new Error('no PNG');
  const parts = [];
  let head;
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at);
    const type = png.toString('latin1', at + 4, at + 8);
    if (type === 'IHDR') head = png.subarray(at + 8, at + 8 + length);
    if (type === 'IDAT') parts.push(png.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  const [width, height, depth, kind, , , interlaced] = [head.readUInt32BE(0), head.readUInt32BE(4), ...head.subarray(8, 13)];
  const channels = { 2: 3, 6: 4 }[kind];
  if (depth !== 8 || !channels || interlaced) throw new Error(`a PNG of depth ${depth} and colour type ${kind} is not read here`);
  return { width, height, channels, pixels: unfilter(inflateSync(Buffer.concat(parts)), width * channels, height, channels) };
}

function unfilter(raw, row, height, channels) {
  const out = Buffer.alloc(row * height);
  for (let y = 0; y < height; y += 1) {
    const filter = raw[y * (row + 1)];
    for (let x = 0; x < row; x += 1) {
      const at = y * row + x;
      const left = x >= channels ? out[at - channels] : 0;
      const up = y > 0 ? out[at - row] : 0;
      const corner = x >= channels && y > 0 ? out[at - row - channels] : 0;
      const guess = left + up - corner;
      const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
      const paeth = a <= b && a <= c ? left : b <= c ? up : corner;
      out[at] = raw[y * (row + 1) + 1 + x] + [0, left, up, (left + up) >> 1, paeth][filter];
    }
  }
  return out;
}

const apart = (a, b) => ((a >> 16 & 255) - (b >> 16 & 255)) ** 2 + ((a >> 8 & 255) - (b >> 8 & 255)) ** 2 + ((a & 255) - (b & 255)) ** 2;

/** The most frequent colours that do not look alike, and for each colour the index of the nearest of them. */
function palette(counts) {
  const frequent = [...counts].sort(([, a], [, b]) => b - a).map(([colour]) => colour);
  let colours = [];
  // Letters have hundreds of shades; as few of them are put together as it takes.
  for (let alike = 0; colours.length === 0 || colours.length > MAX_COLOURS; alike = alike * 2 + 8) {
    colours = [];
    for (const c of frequent) if (colours.length <= MAX_COLOURS && colours.every((k) => apart(k, c) > (counts.get(c) > FLAT ? 0 : alike))) colours.push(c);
  }
  const nearest = (c) => colours.reduce((best, k, i) => (apart(k, c) < apart(colours[best], c) ? i : best), 0);
  return { colours, index: new Map(frequent.map((c) => [c, nearest(c)])) };
}

export function small(png) {
  const { width, height, channels, pixels } = read(png);
  const counts = new Map();
  const colourAt = (i) => pixels[i] << 16 | pixels[i + 1] << 8 | pixels[i + 2];
  for (let i = 0; i < pixels.length; i += channels) { const c = colourAt(i); counts.set(c, (counts.get(c) ?? 0) + 1); }
  const { colours, index } = palette(counts);
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0, i = 0; y < height; y += 1) for (let x = 0; x < width; x += 1, i += channels) rows[y * (width + 1) + 1 + x] = index.get(colourAt(i));
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8);
  const table = Buffer.from(colours.flatMap((c) => [c >> 16 & 255, c >> 8 & 255, c & 255]));
  return Buffer.concat([SIGNATURE, chunk('IHDR', head), chunk('PLTE', table), chunk('IDAT', deflateSync(rows, { level: 9, memLevel: 9 })), chunk('IEND', Buffer.alloc(0))]);
}
