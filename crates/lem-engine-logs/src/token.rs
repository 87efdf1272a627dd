//! Words of a line, as the bloom filters see them.
//!
//! Two kinds: maximal runs of word bytes, and maximal runs of `[\w.:-]` that contain a digit (addresses, versions, times),
//! without the punctuation at their ends. Both in ASCII lower case. Bytes from 0x80 on count as word bytes, so the rules
//! hold for any encoding.
//!
//! A literal of a *substring* test may begin or end in the middle of a run of the line: `1.2.3.4` occurs in `11.2.3.45`.
//! So a run of the literal is a token of the line only if something inside the literal ends it on both sides.

use xxhash_rust::xxh3::xxh3_64;

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

pub(crate) fn is_compound(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'.' | b':' | b'-')
}

/// Calls `found` with the hash of every token of a line.
pub(crate) fn each_token(line: &[u8], mut found: impl FnMut(u64)) {
    let mut lower = Vec::new();
    each_run(line, is_compound, |start, end| {
        let run = &line[start..end];
        let trimmed = trim(run);
        let mut words = 0;
        each_run(run, is_word, |s, e| {
            words += 1;
            found(hash(&run[s..e], &mut lower));
        });
        if words > 1 && trimmed.iter().any(u8::is_ascii_digit) {
            found(hash(trimmed, &mut lower));
        }
    });
}

/// Hashes of the tokens a line must have if it contains `literal` as a substring.
pub(crate) fn of_substring(literal: &[u8]) -> Vec<u64> {
    let mut lower = Vec::new();
    let mut out = Vec::new();
    let inside = |start: usize, end: usize| start > 0 && end < literal.len();
    each_run(literal, is_word, |s, e| {
        if inside(s, e) {
            out.push(hash(&literal[s..e], &mut lower));
        }
    });
    each_run(literal, is_compound, |s, e| {
        let trimmed = trim(&literal[s..e]);
        if inside(s, e) && is_compound_token(trimmed) {
            out.push(hash(trimmed, &mut lower));
        }
    });
    out
}

/// Hashes of the tokens a line must have if it contains `literal` as whole words ([`has_token`]).
pub(crate) fn of_token(literal: &[u8]) -> Vec<u64> {
    let mut lower = Vec::new();
    let mut out = Vec::new();
    if literal.iter().copied().all(is_compound) && is_compound_token(literal) {
        out.push(hash(literal, &mut lower));
    }
    each_run(literal, is_word, |s, e| out.push(hash(&literal[s..e], &mut lower)));
    out
}

/// Whole-word test: the literal's ends are ends of words in the line; a literal that is an address, a version or a time
/// must be such a run as a whole, punctuation at its ends aside.
pub(crate) fn has_token(line: &[u8], literal: &[u8], ignore_case: bool) -> bool {
    if literal.is_empty() {
        return true;
    }
    let same = |a: &[u8], b: &[u8]| if ignore_case { a.eq_ignore_ascii_case(b) } else { a == b };
    if literal.iter().copied().all(is_compound) && is_compound_token(literal) && trim(literal) == literal {
        let mut hit = false;
        each_run(line, is_compound, |s, e| hit |= same(trim(&line[s..e]), literal));
        return hit;
    }
    let ends_here = |at: usize| {
        let before = at == 0 || !(is_word(line[at - 1]) && is_word(literal[0]));
        let end = at + literal.len();
        let after = end == line.len() || !(is_word(line[end]) && is_word(literal[literal.len() - 1]));
        before && after
    };
    (0..(line.len() + 1).saturating_sub(literal.len()))
        .any(|at| same(&line[at..at + literal.len()], literal) && ends_here(at))
}

/// A run that is stored as a compound token besides its words.
fn is_compound_token(trimmed: &[u8]) -> bool {
    trimmed.iter().any(u8::is_ascii_digit) && trimmed.iter().any(|b| !is_word(*b)) && trim(trimmed) == trimmed
}

fn trim(run: &[u8]) -> &[u8] {
    let start = run.iter().position(|b| is_word(*b)).unwrap_or(run.len());
    let end = run.iter().rposition(|b| is_word(*b)).map_or(start, |at| at + 1);
    &run[start..end]
}

fn each_run(bytes: &[u8], inside: impl Fn(u8) -> bool, mut found: impl FnMut(usize, usize)) {
    let mut at = 0;
    while at < bytes.len() {
        if !inside(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && inside(bytes[at]) {
            at += 1;
        }
        found(start, at);
    }
}

fn hash(token: &[u8], lower: &mut Vec<u8>) -> u64 {
    if !token.iter().any(u8::is_ascii_uppercase) {
        return xxh3_64(token);
    }
    lower.clear();
    lower.extend(token.iter().map(u8::to_ascii_lowercase));
    xxh3_64(lower)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn tokens(line: &str) -> HashSet<u64> {
        let mut set = HashSet::new();
        each_token(line.as_bytes(), |t| {
            set.insert(t);
        });
        set
    }

    #[test]
    fn substring_literals_never_ask_for_a_token_the_line_lacks() {
        for (line, literal) in [
            ("from 11.2.3.45 port", "1.2.3.4"),
            ("from 1.2.3.4.5 port", "m 1.2.3.4"),
            ("error: xfoo bary", "foo bar"),
            ("a 10.0.0.1: b", " 10.0.0.1: "),
            ("id=AB-12-cd;", "=ab-12-CD;"),
            ("x-1.2.3.4-y z", "-1.2.3.4-"),
            ("größe 5.3.", "ße 5.3"),
        ] {
            assert!(line.to_lowercase().contains(&literal.to_lowercase()), "{line} {literal}");
            let have = tokens(line);
            assert!(of_substring(literal.as_bytes()).iter().all(|t| have.contains(t)), "{literal:?} in {line:?}");
        }
    }

    #[test]
    fn closed_runs_prune() {
        let have = tokens("from 11.2.3.45 port");
        assert!(!of_substring(b" 1.2.3.4 ").iter().all(|t| have.contains(t)));
        assert!(of_substring(b" 11.2.3.45 ").iter().all(|t| have.contains(t)));
        assert!(!of_token(b"1.2.3.4").iter().all(|t| have.contains(t)));
    }

    #[test]
    fn whole_words() {
        for (line, literal, expect) in [
            ("from 1.2.3.4.", "1.2.3.4", true),
            ("from 1.2.3.4:80", "1.2.3.4", false),
            ("from 11.2.3.45", "1.2.3.4", false),
            ("an Error here", "Error", true),
            ("an Errors here", "Error", false),
            ("an my-Error", "Error", true),
            ("got foo bar baz", "foo bar", true),
            ("got xfoo bar", "foo bar", false),
        ] {
            assert_eq!(has_token(line.as_bytes(), literal.as_bytes(), false), expect, "{literal:?} in {line:?}");
            if expect {
                let have = tokens(line);
                assert!(of_token(literal.as_bytes()).iter().all(|t| have.contains(t)), "{literal:?} in {line:?}");
            }
        }
        assert!(has_token(b"an ERROR", b"error", true));
    }
}
