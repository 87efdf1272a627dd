//! The rules about secrets: a table, compiled in; expressions are compiled when a keyword first asks for one.

use lem_model::finding::FindingSeverity;
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;
use std::sync::OnceLock;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    rule: Vec<Rule>,
}

/// How the format lets a value prove itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Checksum {
    /// The last six characters are the CRC-32 of the rest of the body in base 62, as GitHub and npm publish it.
    #[serde(rename = "crc32-base62")]
    Crc32Base62,
}

/// A rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Id.
    pub id: String,
    /// What was found, in words.
    pub name: String,
    /// Ids of the same rule elsewhere.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// How bad.
    pub severity: FindingSeverity,
    /// Words one of which stands in every match.
    pub keywords: Vec<String>,
    pattern: String,
    #[serde(default)]
    entropy: f64,
    /// Checksum, where the format has one.
    #[serde(default)]
    pub checksum: Option<Checksum>,
    /// Whether the value may have fewer than 64 bits of entropy, so that nothing may be derived from it.
    #[serde(default)]
    pub weak: bool,
    #[serde(skip)]
    compiled: OnceLock<Regex>,
}

/// Largest automaton of one expression.
const MAX_REGEX_BYTES: usize = 4 * 1024 * 1024;

impl Rule {
    /// The expression; the secret is its first group. Bytes, not characters: see the crate's numbers.
    pub(crate) fn regex(&self) -> &Regex {
        self.compiled.get_or_init(|| {
            let built = RegexBuilder::new(&self.pattern).unicode(false).size_limit(MAX_REGEX_BYTES).build();
            built.expect("a test compiles every expression of the table")
        })
    }

    /// Whether a value is what the rule means and no placeholder.
    pub(crate) fn accepts(&self, value: &[u8]) -> bool {
        if memchr::memmem::find(value, b"EXAMPLE").is_some() || entropy(value) < self.entropy {
            return false;
        }
        match self.checksum {
            Some(Checksum::Crc32Base62) => checksum_holds(value),
            None => true,
        }
    }
}

/// The rules that are compiled in.
pub(crate) fn embedded() -> Vec<Rule> {
    let table: Table = toml::from_str(include_str!("../../rules/leaks.toml")).expect("a test reads the embedded table");
    table.rule
}

/// Shannon entropy in bits per byte.
pub(crate) fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for byte in value {
        counts[*byte as usize] += 1;
    }
    let total = value.len() as f64;
    counts.iter().filter(|n| **n > 0).map(|n| f64::from(*n) / total).map(|p| -p * p.log2()).sum()
}

fn checksum_holds(value: &[u8]) -> bool {
    let Some(start) = value.iter().position(|b| *b == b'_') else { return false };
    let body = &value[start + 1..];
    let Some(split) = body.len().checked_sub(6) else { return false };
    let (random, written) = body.split_at(split);
    base62(crc32(random)) == written
}

/// CRC-32 as in zip files (ISO 3309, reflected polynomial).
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// Six digits of base 62, padded with zeros.
pub(crate) fn base62(mut number: u32) -> [u8; 6] {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut out = [b'0'; 6];
    for place in out.iter_mut().rev() {
        *place = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_and_entropy() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(&base62(61), b"00000z");
        assert!(entropy(b"aaaaaaaa") < 0.01 && entropy(b"abcdefgh") > 2.9);
    }

    #[test]
    fn the_table_reads_and_compiles() {
        let rules = embedded();
        assert!(rules.len() >= 50, "{}", rules.len());
        for rule in &rules {
            assert!(rule.regex().captures_len() >= 2, "{} names no secret", rule.id);
            assert!(rule.keywords.iter().all(|k| k.len() >= 2), "{}", rule.id);
        }
    }
}
