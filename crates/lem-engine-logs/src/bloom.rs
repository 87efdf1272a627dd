//! Bloom filters over token hashes: 16 bits per token, 6 probes.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

const BITS_PER_TOKEN: usize = 16;
const PROBES: u64 = 6;

/// Token hashes are already well mixed.
#[derive(Debug, Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 << 8) | u64::from(*byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

pub(crate) type TokenSet = HashSet<u64, BuildHasherDefault<Identity>>;

/// The filter's bits; empty for an empty set.
pub(crate) fn build(tokens: &TokenSet) -> Vec<u8> {
    let bytes = (tokens.len() * BITS_PER_TOKEN).div_ceil(8).next_multiple_of(8);
    let mut bits = vec![0u8; bytes];
    for token in tokens {
        for bit in probes(*token, bytes) {
            bits[bit / 8] |= 1 << (bit % 8);
        }
    }
    bits
}

/// False only if the token was never inserted.
pub(crate) fn may_contain(bits: &[u8], token: u64) -> bool {
    !bits.is_empty() && probes(token, bits.len()).all(|bit| bits[bit / 8] & (1 << (bit % 8)) != 0)
}

fn probes(token: u64, bytes: usize) -> impl Iterator<Item = usize> {
    let bits = (bytes * 8) as u64;
    let step = token.rotate_left(32) | 1;
    (0..PROBES).map(move |i| {
        let mixed = token.wrapping_add(step.wrapping_mul(i)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (((u128::from(mixed)) * u128::from(bits)) >> 64) as usize
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    #[test]
    fn everything_inserted_is_found_and_little_else() {
        let tokens: TokenSet = (0u32..5000).map(|i| xxh3_64(&i.to_le_bytes())).collect();
        let bits = build(&tokens);
        assert!(tokens.iter().all(|t| may_contain(&bits, *t)));
        let wrong = (5000u32..25_000).filter(|i| may_contain(&bits, xxh3_64(&i.to_le_bytes()))).count();
        assert!(wrong < 100, "{wrong} false positives of 20000");
        assert!(!may_contain(&build(&TokenSet::default()), 1));
    }
}
