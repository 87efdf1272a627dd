//! Bare words (extension): `timeout "payment failed" | json` looks for whole words in all streams.

use super::{Dialect, Parsed, Parser};
use crate::ast::{Expr, LineOp, LineTerm, LogExpr, Stage};
use crate::error::{ParseError, Span};
use crate::lex::lex;

/// True for text that starts with words instead of a selector, a function or a number.
pub(super) fn looks_like_words(text: &str) -> bool {
    let text = text.trim_start();
    let Some(first) = text.chars().next() else { return false };
    if matches!(first, '{' | '(' | '#' | '-' | '+' | '|' | '!' | '.' | '`') || first.is_ascii_digit() && is_math(text) {
        return false;
    }
    let name_len = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(name_len);
    let rest = rest.trim_start();
    let is_call = super::metric::is_function(name)
        && (rest.starts_with('(') || rest.starts_with("by") || rest.starts_with("without"));
    !is_call
}

/// A number, or arithmetic that begins with one.
fn is_math(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != 'e').unwrap_or(text.len());
    let rest = text[end..].trim_start();
    text[..end].parse::<f64>().is_ok()
        && (rest.is_empty() || rest.starts_with(['+', '-', '*', '/', '%', '^', '>', '<', '=', '!']))
}

pub(super) fn parse(text: &str) -> Result<Expr, ParseError> {
    let mut stages = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let rest = &text[at..];
        if rest.starts_with('|') || rest.starts_with("!=") || rest.starts_with("!~") || rest.starts_with("!>") {
            break;
        }
        let (word, len) = if let Some(quoted) = rest.strip_prefix('"') {
            let Some(end) = quoted.find('"') else {
                return Err(ParseError::new(text, Span { start: at, end: text.len() }, "quoted words are not closed"));
            };
            (&quoted[..end], end + 2)
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || c == '|').unwrap_or(rest.len());
            (&rest[..end], end)
        };
        stages.push(Stage::Line { op: LineOp::Word, terms: vec![LineTerm::Text(word.to_owned())] });
        at += len;
    }
    stages.extend(rest_of_pipeline(text, at)?);
    let span = Span { start: 0, end: text.len() };
    Ok(Expr::Log(LogExpr { selector: Vec::new(), stages, span }))
}

fn rest_of_pipeline(text: &str, at: usize) -> Parsed<Vec<Stage>> {
    // Blanks in place of the words keep every position.
    let blank: String = text[..at].chars().flat_map(|c| std::iter::repeat_n(' ', c.len_utf8())).collect();
    let padded = blank + &text[at..];
    let mut parser = Parser { text: &padded, tokens: lex(&padded)?, at: 0, dialect: Dialect::Extended, depth: 0 };
    let stages = parser.stages()?;
    parser.end()?;
    Ok(stages)
}
