//! Tokens with spans.

use crate::error::{ParseError, Span};
use crate::units;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Ident(String),
    Text(String),
    Number(f64),
    /// Nanoseconds.
    Duration(f64),
    Bytes(f64),
    /// `--strict`
    Flag(String),
    /// Punctuation and operators.
    Op(&'static str),
    End,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ident(name) => write!(f, "{name}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Number(n) => write!(f, "{n}"),
            Self::Duration(ns) => write!(f, "duration of {ns} ns"),
            Self::Bytes(n) => write!(f, "size of {n} bytes"),
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Op(op) => write!(f, "{op}"),
            Self::End => write!(f, "end of query"),
        }
    }
}

/// Longest first.
const OPERATORS: [&str; 29] = [
    "|=", "|~", "|>", "!=", "!~", "!>", "=~", "==", ">=", "<=", "{", "}", "(", ")", "[", "]", ",", "|", "=", ">", "<",
    "+", "-", "*", "/", "%", "^", ".", "@",
];

pub(crate) fn lex(text: &str) -> Result<Vec<(Token, Span)>, ParseError> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let start = at;
        let rest = &text[at..];
        let token = if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        } else if c == '#' {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        } else if c == '"' || c == '`' {
            let (value, len) = text_at(text, at)?;
            at += len;
            Token::Text(value)
        } else if c.is_ascii_digit() || c == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
            let len = number_len(rest);
            at += len;
            number(text, start, &rest[..len])?
        } else if c.is_ascii_alphabetic() || c == '_' {
            let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            at += len;
            Token::Ident(rest[..len].to_owned())
        } else if rest.starts_with("--") && rest[2..].starts_with(|c: char| c.is_ascii_alphabetic()) {
            let len = rest[2..].find(|c: char| !c.is_ascii_alphabetic() && c != '-').map_or(rest.len(), |n| n + 2);
            at += len;
            Token::Flag(rest[2..len].to_owned())
        } else if let Some(op) = OPERATORS.into_iter().find(|op| rest.starts_with(op)) {
            at += op.len();
            Token::Op(op)
        } else {
            let span = Span { start, end: start + c.len_utf8() };
            return Err(ParseError::new(text, span, format!("unexpected character {c:?}")));
        };
        out.push((token, Span { start, end: at }));
    }
    out.push((Token::End, Span { start: text.len(), end: text.len() }));
    Ok(out)
}

/// Digits with an exponent, or with the letters of a unit.
fn number_len(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut end = 0;
    while end < bytes.len() {
        let is_exponent_sign = matches!(bytes[end], b'+' | b'-')
            && matches!(bytes[end - 1], b'e' | b'E')
            && bytes[..end - 1].iter().all(|b| b.is_ascii_digit() || *b == b'.')
            && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        if !(bytes[end].is_ascii_alphanumeric() || bytes[end] == b'.' || bytes[end] >= 0x80 || is_exponent_sign) {
            break;
        }
        end += 1;
    }
    end
}

fn number(text: &str, start: usize, word: &str) -> Result<Token, ParseError> {
    if let Ok(number) = word.parse::<f64>() {
        return Ok(Token::Number(number));
    }
    if let Some(hex) = word.strip_prefix("0x").and_then(|h| u64::from_str_radix(h, 16).ok()) {
        return Ok(Token::Number(hex as f64));
    }
    if let Some(ns) = units::duration_ns(word) {
        return Ok(Token::Duration(ns));
    }
    if let Some(bytes) = units::bytes(word) {
        return Ok(Token::Bytes(bytes));
    }
    let span = Span { start, end: start + word.len() };
    Err(ParseError::new(text, span, format!("{word:?} is no number, duration or size")))
}

/// A Go string literal, interpreted or raw, and its length in the text.
fn text_at(text: &str, at: usize) -> Result<(String, usize), ParseError> {
    let rest = &text[at..];
    let fail = |start: usize, end: usize, message: &str| {
        Err(ParseError::new(text, Span { start: at + start, end: at + end }, message))
    };
    if let Some(raw) = rest.strip_prefix('`') {
        return match raw.find('`') {
            Some(end) => Ok((raw[..end].to_owned(), end + 2)),
            None => fail(0, rest.len(), "raw string is not closed"),
        };
    }
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return Ok((out, i + 1)),
            '\n' => return fail(0, i, "string is not closed on its line"),
            '\\' => {
                let Some((_, escape)) = chars.next() else { break };
                let digits = match escape {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                if digits > 0 {
                    let hex: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                    let decoded = u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32);
                    let Some(decoded) = decoded.filter(|_| hex.len() == digits) else {
                        return fail(i, i + 2 + hex.len(), "bad escape in string");
                    };
                    out.push(decoded);
                    continue;
                }
                out.push(match escape {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'a' => '\x07',
                    'b' => '\x08',
                    'f' => '\x0c',
                    'v' => '\x0b',
                    '\\' => '\\',
                    '"' => '"',
                    '\'' => '\'',
                    _ => return fail(i, i + 1 + escape.len_utf8(), "unknown escape in string; use `...` for raw text"),
                });
            }
            c => out.push(c),
        }
    }
    fail(0, rest.len(), "string is not closed")
}
