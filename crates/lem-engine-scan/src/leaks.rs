//! Secrets in files and in git history.
//!
//! In: bytes. Out: findings that name the rule and the place, never the value, not even in part. A keyword prefilter
//! decides which expressions look at which stretch; entropy and published checksums come second; what is base64 is
//! decoded once and looked at again.

mod history;
mod rules;
mod tree;

pub use history::{HistoryError, MAX_HISTORY_BYTES, scan as scan_history};
pub use rules::{Checksum, Rule};
pub use tree::scan as scan_tree;

use crate::{Found, Identity};
use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine;
use lem_model::Place;
use lem_model::finding::{Scanner, Subject};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

/// How far before and behind a keyword an expression looks.
const WINDOW_BEFORE: usize = 256;
const WINDOW_BEHIND: usize = 1_400;
/// Secrets reported of one text.
pub const MAX_HITS: usize = 1_000;
/// Shortest and longest stretch of base64 that is decoded.
const BASE64_BYTES: std::ops::RangeInclusive<usize> = 32..=16_384;

/// The compiled prefilter with its rules.
#[derive(Debug)]
pub struct Matcher {
    rules: Vec<Rule>,
    keywords: AhoCorasick,
    rules_of: Vec<Vec<usize>>,
}

/// A secret in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Where it starts, in bytes; for base64 where the encoded stretch starts.
    pub start: usize,
    /// Index of its rule.
    pub rule: usize,
    /// Where it ends.
    pub end: usize,
}

impl Matcher {
    /// The rules that are compiled in.
    pub fn embedded() -> &'static Self {
        static EMBEDDED: LazyLock<Matcher> = LazyLock::new(|| Matcher::new(rules::embedded()));
        &EMBEDDED
    }

    fn new(rules: Vec<Rule>) -> Self {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut words: Vec<&str> = vec![];
        let mut rules_of: Vec<Vec<usize>> = vec![];
        for (index, rule) in rules.iter().enumerate() {
            for word in &rule.keywords {
                let place = *places.entry(word).or_insert_with(|| {
                    words.push(word);
                    rules_of.push(vec![]);
                    words.len() - 1
                });
                rules_of[place].push(index);
            }
        }
        let built = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&words);
        Self { keywords: built.expect("about a hundred short words compile"), rules_of, rules }
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The secrets of a text, in order of place.
    pub fn hits(&self, text: &[u8]) -> Vec<Hit> {
        let mut hits = BTreeSet::new();
        self.look(text, |rule, start, end| {
            hits.insert(Hit { start, rule, end });
        });
        for (start, end) in base64_runs(text) {
            let Some(decoded) = decode(&text[start..end]) else { continue };
            self.look(&decoded, |rule, _, _| {
                hits.insert(Hit { start, rule, end });
            });
        }
        hits.into_iter().take(MAX_HITS).collect()
    }

    fn look(&self, text: &[u8], mut found: impl FnMut(usize, usize, usize)) {
        for keyword in self.keywords.find_overlapping_iter(text) {
            let from = keyword.start().saturating_sub(WINDOW_BEFORE);
            let to = (keyword.end() + WINDOW_BEHIND).min(text.len());
            for &index in &self.rules_of[keyword.pattern().as_usize()] {
                let rule = &self.rules[index];
                for captures in rule.regex().captures_iter(&text[from..to]) {
                    let Some(secret) = captures.get(1) else { continue };
                    if rule.accepts(secret.as_bytes()) {
                        found(index, from + secret.start(), from + secret.end());
                    }
                }
            }
        }
    }

    /// The findings of one file.
    pub fn file(&self, path: &str, text: &[u8]) -> Vec<Found> {
        let subject = Subject::File { path: path.to_owned() };
        let lines = LazyLock::new(|| Lines::of(text));
        let found = |hit: Hit| {
            let (line, column) = lines.at(hit.start);
            let (end, _) = lines.at(hit.end.saturating_sub(1));
            self.found(hit, text, path, subject.clone(), Place::new(path, line, column), end)
        };
        self.hits(text).into_iter().map(found).collect()
    }

    fn found(&self, hit: Hit, text: &[u8], path: &str, subject: Subject, place: Place, end_line: u32) -> Found {
        let rule = &self.rules[hit.rule];
        // Of a value that could be guessed nothing may be derived; its text as a whole stands in.
        let of = if rule.weak { text } else { &text[hit.start..hit.end] };
        let digest = hex::encode(&Sha256::digest(of)[..8]);
        Found {
            rule: rule.id.clone(),
            aliases: rule.aliases.clone(),
            scanner: Scanner::Secret,
            severity: rule.severity,
            unscored: false,
            title: format!("{} in the file", rule.name),
            subject,
            place,
            end_line,
            fix: Some("revoke it where it was issued, then take it from a secret store".into()),
            references: vec![],
            identity: Identity { kind: "secret", key: path.to_owned(), discriminator: digest },
            skipped: None,
        }
    }
}

/// Where lines begin.
struct Lines<'a> {
    text: &'a [u8],
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a [u8]) -> Self {
        let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text).map(|at| at + 1)).collect();
        Self { text, starts }
    }

    /// Line and column, from 1, in characters.
    fn at(&self, offset: usize) -> (u32, u32) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let before = &self.text[self.starts[line - 1]..offset];
        (line as u32, 1 + String::from_utf8_lossy(before).chars().count() as u32)
    }
}

/// Stretches that may be base64 of something: long enough, with letters of both cases or digits.
fn base64_runs(text: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < text.len() {
            let rest = &text[at..];
            let Some(first) = rest.iter().position(|b| is_base64(*b)) else { break };
            let start = at + first;
            let length = text[start..].iter().position(|b| !is_base64(*b)).unwrap_or(text.len() - start);
            at = start + length;
            if BASE64_BYTES.contains(&length) {
                return Some((start, at));
            }
        }
        at = text.len();
        None
    })
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

fn decode(run: &[u8]) -> Option<Vec<u8>> {
    use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
    // A run may be cut anywhere: bits that are left over say nothing.
    const LENIENT: GeneralPurpose =
        GeneralPurpose::new(&base64::alphabet::STANDARD, NO_PAD.with_decode_allow_trailing_bits(true));
    let whole = &run[..run.len() - usize::from(run.len() % 4 == 1)];
    let decoded = LENIENT.decode(whole).ok()?;
    // What decodes to noise is no text.
    let printable = decoded.iter().filter(|b| (0x20..0x7f).contains(*b) || b.is_ascii_whitespace()).count();
    (printable * 10 >= decoded.len() * 9).then_some(decoded)
}
