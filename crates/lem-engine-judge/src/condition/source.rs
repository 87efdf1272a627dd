//! Two things the library's grammar does not give us, done on the text: names that do not exist are found when the
//! condition is read, and an index into the result goes through a function that knows its bounds.

use super::CompileError;

/// Function that stands for `result[...]`.
pub(super) const INDEX: &str = "__index";

const KEYWORDS: [&str; 14] = [
    "and",
    "or",
    "not",
    "in",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "true",
    "false",
    "nil",
    "let",
    "if",
    "else",
];

struct Word<'a> {
    at: usize,
    text: &'a str,
    /// Follows `.` or `?.`: a field, not a name.
    field: bool,
}

/// Words outside strings and comments.
fn words(text: &str) -> Vec<Word<'_>> {
    let bytes = text.as_bytes();
    let mut found = vec![];
    let mut at = 0;
    let mut last = b' ';
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            quote @ (b'"' | b'\'' | b'`') => at = after_string(bytes, at, quote),
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = text[at..].find('\n').map_or(bytes.len(), |end| at + end);
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = text[at..].find("*/").map_or(bytes.len(), |end| at + end + 2);
            }
            c if is_start(c) => {
                while at < bytes.len() && is_part(bytes[at]) {
                    at += 1;
                }
                found.push(Word { at: start, text: &text[start..at], field: last == b'.' });
            }
            // A number with its letters: 1e3, 0xff.
            c if c.is_ascii_digit() => {
                while at < bytes.len() && is_part(bytes[at]) {
                    at += 1;
                }
            }
            _ => at += 1,
        }
        if !bytes[start].is_ascii_whitespace() {
            last = bytes[at - 1];
        }
    }
    found
}

fn is_start(c: u8) -> bool {
    c.is_ascii_alphabetic() || matches!(c, b'_' | b'$' | b'#')
}

fn is_part(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'_' | b'$' | b'#')
}

fn after_string(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' && quote != b'`' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// Reports the first function or variable that does not exist. Variables are not looked at where the condition can
/// bind its own (`let`, closures), there an unknown one is an error of the measurement.
pub(super) fn check_names(text: &str, known_function: impl Fn(&str) -> bool) -> Result<(), CompileError> {
    let binds = text.contains(['{', '#']) || text.contains("let ");
    for word in words(text) {
        if word.field || KEYWORDS.contains(&word.text) {
            continue;
        }
        let is_call = text[word.at + word.text.len()..].trim_start().starts_with('(');
        let known = if is_call { known_function(word.text) } else { binds || matches!(word.text, "result" | "$env") };
        // `b"..."` is a bytes literal, not a name.
        let is_bytes = text[word.at + word.text.len()..].starts_with(['"', '\'']);
        if !known && !is_bytes {
            let kind = if is_call { "function" } else { "name" };
            let (line, column) = place(text, word.at);
            return Err(CompileError { line, column, message: format!("unknown {kind} {}", word.text) });
        }
    }
    Ok(())
}

fn place(text: &str, at: usize) -> (u32, u32) {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line as u32, column as u32)
}

/// The same text with `result[i]` written as a call that fails outside the list. Slices stay as they are.
pub(super) fn checked_index(text: &str) -> String {
    for word in words(text).iter().filter(|w| w.text == "result" && !w.field) {
        let end = word.at + word.text.len();
        let open = text.len() - text[end..].trim_start().len();
        if text.as_bytes().get(open) != Some(&b'[') {
            continue;
        }
        let Some(close) = closing(text.as_bytes(), open) else { continue };
        let inner = &text[open + 1..close];
        if is_slice(inner.as_bytes()) {
            continue;
        }
        let (before, after) = (&text[..word.at], checked_index(&text[close + 1..]));
        return format!("{before}{INDEX}(result, {}){after}", checked_index(inner));
    }
    text.to_owned()
}

fn closing(bytes: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = open;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'' | b'`') => {
                at = after_string(bytes, at, quote);
                continue;
            }
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Whether `a:b` stands in the brackets; a ternary's colon comes after its question mark.
fn is_slice(inner: &[u8]) -> bool {
    let (mut depth, mut at) = (0_i32, 0);
    while at < inner.len() {
        match inner[at] {
            quote @ (b'"' | b'\'' | b'`') => {
                at = after_string(inner, at, quote);
                continue;
            }
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => depth -= 1,
            b'?' if depth == 0 => return false,
            b':' if depth == 0 => return true,
            _ => {}
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_becomes_a_call() {
        for (text, expect) in [
            ("result[0] > 1", "__index(result, 0) > 1"),
            (
                "len(result) > 0 && result[0] < 0.5 || result [1] == 2",
                "len(result) > 0 && __index(result, 0) < 0.5 || __index(result, 1) == 2",
            ),
            ("result[result[0]]", "__index(result, __index(result, 0))"),
            ("result[1:] == []", "result[1:] == []"),
            ("'result[0]' == \"x\"", "'result[0]' == \"x\""),
            ("result[true ? 0 : 1]", "__index(result, true ? 0 : 1)"),
            ("result > 1", "result > 1"),
            ("x.result[0]", "x.result[0]"),
        ] {
            assert_eq!(checked_index(text), expect, "{text}");
        }
    }
}
