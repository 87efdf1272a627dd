//! XOR chunks: delta-of-delta timestamps and XORed values, after Pelkonen et al., "Gorilla: A Fast, Scalable, In-Memory
//! Time Series Database", VLDB 2015, sections 4.1.1 and 4.1.2, with the bucket sizes that Prometheus uses for milliseconds.
//!
//! Values are handled as bits throughout, so that every NaN survives exactly.

/// Most samples in one chunk.
pub(crate) const MAX_SAMPLES: u16 = 120;
const HEADER: usize = 2;

/// One sample as bits: timestamp in milliseconds and the value's bit pattern.
pub(crate) type Point = (i64, u64);

/// Appends samples to one chunk.
#[derive(Debug, Clone)]
pub(crate) struct XorWriter {
    bytes: Vec<u8>,
    free: u32,
    count: u16,
    t: i64,
    delta: i64,
    value: u64,
    leading: u32,
    trailing: u32,
}

/// No previous window of meaningful bits.
const NO_WINDOW: u32 = u32::MAX;

impl XorWriter {
    pub(crate) fn new() -> XorWriter {
        XorWriter {
            bytes: vec![0; HEADER],
            free: 0,
            count: 0,
            t: 0,
            delta: 0,
            value: 0,
            leading: NO_WINDOW,
            trailing: 0,
        }
    }

    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    /// Timestamp of the newest sample.
    pub(crate) fn last_t(&self) -> i64 {
        self.t
    }

    pub(crate) fn push(&mut self, t: i64, value: u64) {
        if self.count == 0 {
            self.bits(t as u64, 64);
            self.bits(value, 64);
        } else {
            let delta = t.wrapping_sub(self.t);
            self.push_time(delta.wrapping_sub(self.delta));
            self.push_value(value);
            self.delta = delta;
        }
        self.t = t;
        self.value = value;
        self.count += 1;
    }

    fn push_time(&mut self, dod: i64) {
        match dod {
            0 => self.bits(0, 1),
            _ if fits(dod, 14) => self.bits(0b10 << 14 | low(dod, 14), 16),
            _ if fits(dod, 17) => self.bits(0b110 << 17 | low(dod, 17), 20),
            _ if fits(dod, 20) => self.bits(0b1110 << 20 | low(dod, 20), 24),
            _ => {
                self.bits(0b1111, 4);
                self.bits(dod as u64, 64);
            }
        }
    }

    fn push_value(&mut self, value: u64) {
        let xor = value ^ self.value;
        if xor == 0 {
            return self.bits(0, 1);
        }
        // Five bits hold the leading zeros.
        let leading = xor.leading_zeros().min(31);
        let trailing = xor.trailing_zeros();
        if self.leading != NO_WINDOW && leading >= self.leading && trailing >= self.trailing {
            self.bits(0b10, 2);
            return self.bits(xor >> self.trailing, 64 - self.leading - self.trailing);
        }
        let meaningful = 64 - leading - trailing;
        // 64 meaningful bits are written as 0, which cannot occur otherwise.
        let header = 0b11 << 11 | u64::from(leading) << 6 | u64::from(meaningful & 63);
        self.bits(header, 13);
        self.bits(xor >> trailing, meaningful);
        (self.leading, self.trailing) = (leading, trailing);
    }

    /// Writes the lowest `n` bits, most significant first.
    fn bits(&mut self, value: u64, mut n: u32) {
        while n > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let take = n.min(self.free);
            let part = (value >> (n - take)) as u8 & (0xffu16 >> (8 - take)) as u8;
            let last = self.bytes.len() - 1;
            self.bytes[last] |= part << (self.free - take);
            self.free -= take;
            n -= take;
        }
    }

    /// The chunk as stored: sample count, then the bit stream.
    pub(crate) fn to_bytes(&self) -> Box<[u8]> {
        let mut bytes = self.bytes.clone();
        bytes[..HEADER].copy_from_slice(&self.count.to_le_bytes());
        bytes.into()
    }

    /// The samples written so far.
    pub(crate) fn read(&self) -> XorReader<'_> {
        XorReader::over(&self.bytes[HEADER..], self.count)
    }
}

fn fits(n: i64, bits: u32) -> bool {
    (-(1 << (bits - 1))..1 << (bits - 1)).contains(&n)
}

fn low(n: i64, bits: u32) -> u64 {
    n as u64 & ((1 << bits) - 1)
}

/// Encodes samples as one chunk.
pub(crate) fn encode(points: &[Point]) -> Box<[u8]> {
    debug_assert!(u16::try_from(points.len()).is_ok());
    let mut writer = XorWriter::new();
    for &(t, value) in points {
        writer.push(t, value);
    }
    writer.to_bytes()
}

/// How many samples a stored chunk says it holds.
pub(crate) fn count(bytes: &[u8]) -> usize {
    bytes.first_chunk::<HEADER>().map_or(0, |head| usize::from(u16::from_le_bytes(*head)))
}

/// Decodes a stored chunk; `None` if its bits end too early.
pub(crate) fn decode_into(bytes: &[u8], out: &mut Vec<Point>) -> Option<()> {
    let head = bytes.first_chunk::<HEADER>()?;
    let count = u16::from_le_bytes(*head);
    let before = out.len();
    out.extend(XorReader::over(&bytes[HEADER..], count));
    (out.len() - before == usize::from(count)).then_some(())
}

/// Iterates over the samples of a chunk; ends early if the bits do.
#[derive(Debug)]
pub(crate) struct XorReader<'a> {
    rest: &'a [u8],
    buffer: u64,
    valid: u32,
    left: u16,
    first: bool,
    t: i64,
    delta: i64,
    value: u64,
    leading: u32,
    trailing: u32,
}

impl<'a> XorReader<'a> {
    fn over(rest: &'a [u8], left: u16) -> XorReader<'a> {
        XorReader { rest, buffer: 0, valid: 0, left, first: true, t: 0, delta: 0, value: 0, leading: 0, trailing: 0 }
    }

    fn refill(&mut self) {
        if let Some((word, rest)) = self.rest.split_first_chunk::<8>()
            && self.valid == 0
        {
            self.buffer = u64::from_be_bytes(*word);
            self.valid = 64;
            self.rest = rest;
            return;
        }
        while self.valid <= 56
            && let Some((&byte, rest)) = self.rest.split_first()
        {
            self.buffer |= u64::from(byte) << (56 - self.valid);
            self.valid += 8;
            self.rest = rest;
        }
    }

    #[inline]
    fn bits(&mut self, n: u32) -> Option<u64> {
        if n > self.valid {
            return self.bits_across(n);
        }
        let out = self.buffer >> (64 - n);
        self.buffer = self.buffer.checked_shl(n).unwrap_or(0);
        self.valid -= n;
        Some(out)
    }

    fn bits_across(&mut self, n: u32) -> Option<u64> {
        let have = self.valid;
        let high = if have == 0 { 0 } else { self.buffer >> (64 - have) };
        (self.buffer, self.valid) = (0, 0);
        self.refill();
        let need = n - have;
        if need > self.valid {
            return None;
        }
        let low = self.bits(need)?;
        Some(if need == 64 { low } else { high << need | low })
    }

    fn signed(&mut self, n: u32) -> Option<i64> {
        let raw = self.bits(n)?;
        Some((raw << (64 - n)) as i64 >> (64 - n))
    }

    fn time(&mut self) -> Option<i64> {
        if self.bits(1)? == 0 {
            return Some(0);
        }
        if self.bits(1)? == 0 {
            return self.signed(14);
        }
        if self.bits(1)? == 0 {
            return self.signed(17);
        }
        if self.bits(1)? == 0 { self.signed(20) } else { Some(self.bits(64)? as i64) }
    }

    fn value(&mut self) -> Option<u64> {
        if self.bits(1)? == 0 {
            return Some(self.value);
        }
        if self.bits(1)? == 1 {
            self.leading = self.bits(5)? as u32;
            let meaningful = match self.bits(6)? as u32 {
                0 => 64,
                n => n,
            };
            self.trailing = 64u32.checked_sub(self.leading + meaningful)?;
        }
        let meaningful = 64 - self.leading - self.trailing;
        Some(self.value ^ (self.bits(meaningful)? << self.trailing))
    }

    fn step(&mut self) -> Option<Point> {
        if self.first {
            self.first = false;
            self.t = self.bits(64)? as i64;
            self.value = self.bits(64)?;
        } else {
            self.delta = self.delta.wrapping_add(self.time()?);
            self.t = self.t.wrapping_add(self.delta);
            self.value = self.value()?;
        }
        Some((self.t, self.value))
    }
}

impl Iterator for XorReader<'_> {
    type Item = Point;

    fn next(&mut self) -> Option<Point> {
        self.left = self.left.checked_sub(1)?;
        self.step()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn round_trip(points: &[Point]) {
        let bytes = encode(points);
        assert_eq!(count(&bytes), points.len());
        let mut out = Vec::new();
        decode_into(&bytes, &mut out).unwrap();
        assert_eq!(out, points);
    }

    #[test]
    fn edges() {
        round_trip(&[]);
        round_trip(&[(i64::MIN, 0), (i64::MAX, u64::MAX), (0, 1)]);
        let stale = 0x7ff0_0000_0000_0002;
        round_trip(&[(0, stale), (15_000, 0x7ff8_0000_0000_0001), (30_000, stale), (30_001, (-0.0f64).to_bits())]);
        round_trip(&[(0, 0), (1, u64::MAX), (2, 0), (3, 1), (4, 1 << 63 | 1)]);
    }

    #[test]
    fn regular_constant_series_is_small() {
        let points: Vec<Point> = (0..120).map(|i| (i * 15_000, 1.0f64.to_bits())).collect();
        assert!(encode(&points).len() < 120 / 2);
    }

    proptest! {
        #[test]
        fn any_samples_round_trip(points in proptest::collection::vec(any::<(i64, u64)>(), 0..300)) {
            round_trip(&points);
        }

        #[test]
        fn realistic_samples_round_trip(
            start in 0i64..2_000_000_000_000,
            steps in proptest::collection::vec((1i64..60_000, -1000i32..1000), 1..200),
        ) {
            let mut t = start;
            let points: Vec<Point> = steps
                .iter()
                .map(|&(dt, v)| {
                    t += dt;
                    (t, (f64::from(v) / 8.0).to_bits())
                })
                .collect();
            round_trip(&points);
        }

        #[test]
        fn damaged_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            let _ = decode_into(&bytes, &mut out);
        }
    }
}
