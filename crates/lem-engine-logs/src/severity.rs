//! Severity from structured metadata, from a level key in the line, or from the words of the line.

use memchr::memmem;

use crate::record::{Fields, Severity, field};

/// Bytes of a line that are looked at.
const LOOK_BYTES: usize = 1024;
/// Words count only this near the start: later they are usually somebody's message.
const WORD_BYTES: usize = 160;
const FIELD_NAMES: [&str; 7] = ["severity", "level", "lvl", "severity_text", "detected_level", "log.level", "loglevel"];
const LINE_KEYS: [&str; 4] = ["level", "lvl", "severity", "levelname"];

/// The severity of a line, if it says one.
pub fn detect(line: &[u8], fields: &Fields) -> Option<Severity> {
    FIELD_NAMES
        .iter()
        .find_map(|name| field(fields, name).and_then(|v| parse(v.as_bytes())))
        .or_else(|| from_key(&line[..line.len().min(LOOK_BYTES)]))
        .or_else(|| from_words(&line[..line.len().min(WORD_BYTES)]))
}

/// A level's name in the spellings in use, or the numbers of bunyan and pino.
fn parse(value: &[u8]) -> Option<Severity> {
    let mut lower = [0u8; 12];
    let lower = lower.get_mut(..value.len())?;
    lower.copy_from_slice(value);
    lower.make_ascii_lowercase();
    match &*lower {
        b"trace" | b"trc" | b"finest" | b"10" => Some(Severity::Trace),
        b"debug" | b"dbg" | b"debg" | b"fine" | b"20" => Some(Severity::Debug),
        b"info" | b"inf" | b"information" | b"notice" | b"30" => Some(Severity::Info),
        b"warn" | b"warning" | b"wrn" | b"40" => Some(Severity::Warn),
        b"error" | b"err" | b"eror" | b"severe" | b"50" => Some(Severity::Error),
        b"fatal" | b"ftl" | b"panic" | b"critical" | b"crit" | b"alert" | b"emerg" | b"emergency" | b"60" => {
            Some(Severity::Fatal)
        }
        _ => None,
    }
}

/// `level=warn`, `"level":"warn"`, `"level": 40`.
fn from_key(line: &[u8]) -> Option<Severity> {
    LINE_KEYS.iter().find_map(|key| {
        memmem::find_iter(line, key.as_bytes()).find_map(|at| {
            let starts = at == 0 || !crate::token::is_word(line[at - 1]);
            let rest = &line[at + key.len()..];
            let skip = rest.iter().take(4).position(|b| !matches!(b, b'"' | b':' | b'=' | b' '))?;
            let keyed = rest[..skip].iter().any(|b| matches!(b, b':' | b'='));
            let end = rest[skip..].iter().position(|b| !b.is_ascii_alphanumeric()).map_or(rest.len(), |e| skip + e);
            (starts && keyed).then(|| parse(&rest[skip..end])).flatten()
        })
    })
}

/// The first level word: upper case anywhere near the start, or in brackets, or before a colon.
fn from_words(line: &[u8]) -> Option<Severity> {
    let mut at = 0;
    while at < line.len() {
        if !line[at].is_ascii_alphabetic() {
            at += 1;
            continue;
        }
        let start = at;
        while at < line.len() && crate::token::is_word(line[at]) {
            at += 1;
        }
        let word = &line[start..at];
        let opened = start > 0 && matches!(line[start - 1], b'[' | b'<' | b'(');
        let closed = matches!(line.get(at), Some(b':' | b']' | b'>' | b')'));
        let shouted = word.len() >= 3 && word.iter().all(u8::is_ascii_uppercase);
        if word.len() >= 3 && (shouted || closed && (opened || start == 0 || line[start - 1] == b' ')) {
            if word == b"Traceback" {
                return Some(Severity::Error);
            }
            if let Some(severity) = parse(word) {
                return Some(severity);
            }
        }
        if word == b"panicked" || word == b"Traceback" || word.ends_with(b"Exception") {
            return Some(Severity::Error);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        for (line, expect) in [
            ("level=error msg=x", Some(Severity::Error)),
            ("ts=1 lvl=warn", Some(Severity::Warn)),
            (r#"{"ts":1,"level":"INFO","msg":"x"}"#, Some(Severity::Info)),
            (r#"{"level": 50, "msg":"x"}"#, Some(Severity::Error)),
            (r#"{"severity":"CRITICAL"}"#, Some(Severity::Fatal)),
            ("2026-01-01 12:00:00 ERROR failed", Some(Severity::Error)),
            ("[warn] slow", Some(Severity::Warn)),
            ("error: no such file", Some(Severity::Error)),
            ("no error here", None),
            ("sealevel=error", None),
            ("the ERRORS page", None),
            ("thread 'main' panicked at src/main.rs", Some(Severity::Error)),
            ("java.lang.NullPointerException: x", Some(Severity::Error)),
            ("GET / 200", None),
            ("", None),
        ] {
            assert_eq!(detect(line.as_bytes(), &vec![]), expect, "{line}");
        }
        let fields = vec![("severity_text".to_owned(), "Warning".to_owned())];
        assert_eq!(detect(b"level=error", &fields), Some(Severity::Warn));
    }
}
