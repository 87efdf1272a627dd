//! The logfmt, regexp and pattern parsers.

use regex::Regex;

use super::pattern::Pattern;
use super::{Row, sanitise};

pub(super) fn regexp(row: &mut Row<'_>, regex: &Regex) {
    let text = row.text().into_owned();
    let Some(captures) = regex.captures(&text) else { return };
    let mut done = Vec::new();
    for name in regex.capture_names().flatten() {
        if let Some(found) = captures.name(name) {
            row.extract(name, found.as_str().to_owned(), &mut done);
        }
    }
}

pub(super) fn pattern(row: &mut Row<'_>, pattern: &Pattern) {
    let line = row.line.clone().into_owned();
    let mut done = Vec::new();
    for (name, value) in pattern.captures(&line) {
        row.extract(name, String::from_utf8_lossy(value).into_owned(), &mut done);
    }
}

pub(super) fn logfmt(row: &mut Row<'_>, strict: bool, keep_empty: bool, wanted: &[(String, String)]) {
    let text = row.text().into_owned();
    let (pairs, error) = logfmt_pairs(&text, strict);
    let mut done = Vec::new();
    for (key, value) in pairs {
        if value.is_empty() && !keep_empty {
            continue;
        }
        if wanted.is_empty() {
            row.extract(&sanitise(&key), value, &mut done);
            continue;
        }
        for (name, _) in wanted.iter().filter(|(_, k)| *k == key) {
            row.extract(name, value.clone(), &mut done);
        }
    }
    if let Some(why) = error {
        row.fail("LogfmtParserErr", why);
    }
}

/// Pairs, and what is wrong. Without `strict` a malformed pair is passed over.
fn logfmt_pairs(text: &str, strict: bool) -> (Vec<(String, String)>, Option<String>) {
    let mut pairs = Vec::new();
    let mut error = None;
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < bytes.len() {
        if bytes[at] <= b' ' {
            at += 1;
            continue;
        }
        let end = text[at..].find(|c: char| c <= ' ' || c == '=' || c == '"').map_or(text.len(), |n| at + n);
        let key = &text[at..end];
        let (value, next, problem) = match bytes.get(end) {
            Some(b'=') if !key.is_empty() => value_at(text, end + 1),
            Some(b'=' | b'"') => {
                (None, skip_word(text, end), Some(format!("unexpected {:?} at {end}", bytes[end] as char)))
            }
            _ => (Some(String::new()), end, None),
        };
        if let Some(problem) = problem {
            error.get_or_insert(problem);
            if strict {
                break;
            }
        }
        if let Some(value) = value {
            pairs.push((key.to_owned(), value));
        }
        at = next.max(at + 1);
    }
    (pairs, error.filter(|_| strict))
}

fn skip_word(text: &str, at: usize) -> usize {
    text[at..].find(|c: char| c <= ' ').map_or(text.len(), |n| at + n)
}

/// A value, where it ends, and what is wrong with it.
fn value_at(text: &str, at: usize) -> (Option<String>, usize, Option<String>) {
    let rest = &text[at..];
    if !rest.starts_with('"') {
        let end = skip_word(text, at);
        let value = &text[at..end];
        let odd = value.find(['"', '=']).map(|n| format!("unexpected {:?} at {}", &value[n..n + 1], at + n));
        return if odd.is_some() { (None, end, odd) } else { (Some(value.to_owned()), end, None) };
    }
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return (Some(out), at + i + 1, None),
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, 't')) => out.push('\t'),
                Some((_, 'r')) => out.push('\r'),
                Some((_, 'u')) => {
                    let hex: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
                    out.push(u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'));
                }
                Some((_, c)) => out.push(c),
                None => break,
            },
            c => out.push(c),
        }
    }
    (None, text.len(), Some(format!("the quoted value at {at} does not end")))
}
