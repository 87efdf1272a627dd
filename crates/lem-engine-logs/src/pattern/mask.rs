//! Splits a line into words and what stands between them, and marks the words that vary: times, uuids, addresses,
//! numbers, urls, paths, and every word with a digit.

use crate::limits;
use crate::token::is_word;

/// A word, or a run that is masked as variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) varies: bool,
}

/// A line cut into words.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) words: Vec<Word>,
    /// Bytes looked at; the rest of the line counts as one variable word.
    pub(super) len: usize,
    pub(super) truncated: bool,
}

/// Cuts `line` into `out`, whose memory is reused.
pub(super) fn cut(line: &[u8], out: &mut Cut) {
    out.words.clear();
    let mut line = line;
    while let [rest @ .., b'\n' | b'\r'] = line {
        line = rest;
    }
    let text = &line[..line.len().min(limits::PATTERN_LINE_BYTES)];
    out.truncated = text.len() < line.len();
    out.len = text.len();
    let mut at = 0;
    while at < text.len() {
        let Some(word) = word_at(text, at) else {
            at += 1;
            continue;
        };
        at = word.end;
        match out.words.last_mut() {
            Some(last) if word.varies && last.varies && is_joint(&text[last.end..word.start]) => last.end = word.end,
            _ => out.words.push(word),
        }
        if out.words.len() == limits::PATTERN_TOKENS_MAX && at < text.len() {
            out.truncated = true;
            out.len = at;
            return;
        }
    }
    if out.truncated {
        // The last word may go on behind the cut.
        if let Some(last) = out.words.last().filter(|w| w.end == text.len()).copied() {
            out.len = last.start;
            out.words.pop();
        }
    }
}

/// Between two variable words these make one: `12.5`, `fe80::1`, `a1-b2`.
fn is_joint(between: &[u8]) -> bool {
    !between.is_empty() && between.len() <= 2 && between.iter().all(|b| matches!(b, b'.' | b':' | b'-' | b'+'))
}

fn word_at(text: &[u8], at: usize) -> Option<Word> {
    let byte = text[at];
    let varies = |end| Some(Word { start: at, end, varies: true });
    let fresh = at == 0 || !is_word(text[at - 1]);
    if fresh && byte == b'/' && starts_path(text, at) {
        return varies(until_space(text, at));
    }
    if fresh && matches!(byte, b'-' | b'+') && text.get(at + 1).is_some_and(u8::is_ascii_digit) && opens(text, at) {
        return varies(number_end(text, at + 1));
    }
    if !is_word(byte) {
        return None;
    }
    if byte.is_ascii_hexdigit()
        && let Some(end) = uuid_end(text, at)
    {
        return varies(end);
    }
    if byte.is_ascii_digit() {
        return varies(number_end(text, at));
    }
    let end = text[at..].iter().position(|b| !is_word(*b)).map_or(text.len(), |n| at + n);
    if text[end..].starts_with(b"://") {
        return varies(until_space(text, at));
    }
    let word = &text[at..end];
    let varying = word.iter().any(u8::is_ascii_digit) || std::str::from_utf8(word).is_err();
    Some(Word { start: at, end, varies: varying })
}

/// A sign belongs to its number after a space, a bracket or an equals sign.
fn opens(text: &[u8], at: usize) -> bool {
    at == 0 || matches!(text[at - 1], b' ' | b'\t' | b'(' | b'[' | b'=' | b',' | b':' | b'"' | b'\'')
}

fn starts_path(text: &[u8], at: usize) -> bool {
    opens(text, at) && text.get(at + 1).is_some_and(|b| is_word(*b) || *b == b'.')
}

/// Paths and urls end at a space, a quote or a bracket; a full stop or comma at their end is not theirs.
fn until_space(text: &[u8], at: usize) -> usize {
    let stop = |b: &u8| {
        b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b')' | b']' | b'}' | b'>' | b'<' | b';' | b'`' | b'|')
    };
    let mut end = text[at..].iter().position(stop).map_or(text.len(), |n| at + n);
    while end > at + 1 && matches!(text[end - 1], b'.' | b',' | b':') {
        end -= 1;
    }
    end
}

/// Numbers, dates, times, addresses, sizes: digits, letters, and punctuation followed by a digit.
fn number_end(text: &[u8], at: usize) -> usize {
    let mut end = at;
    while let Some(byte) = text.get(end) {
        let joins = matches!(byte, b'.' | b':' | b',' | b'-' | b'+' | b'/')
            && text.get(end + 1).is_some_and(u8::is_ascii_digit);
        if !is_word(*byte) && !joins && *byte != b'%' {
            break;
        }
        end += 1;
    }
    end
}

fn uuid_end(text: &[u8], at: usize) -> Option<usize> {
    let uuid = text.get(at..at + 36)?;
    let shaped = uuid.iter().enumerate().all(|(i, b)| match i {
        8 | 13 | 18 | 23 => *b == b'-',
        _ => b.is_ascii_hexdigit(),
    });
    let closed = text.get(at + 36).is_none_or(|b| !is_word(*b));
    (shaped && closed).then_some(at + 36)
}
