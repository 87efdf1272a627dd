//! Text with `${{ ... }}` in it.

use crate::expr::{Expr, Names};
use crate::token::{Kind, Token};
use lem_model::Place;
use std::sync::Arc;

const OPEN: &str = "${{";
const NOT_CLOSED: &str =
    "The expression is not closed. An unescaped ${{ sequence was found, but the closing }} sequence was not found.";

/// What is wrong with an expression.
pub(crate) type Problem = String;

/// What is wrong with a text, and at which of its bytes the expression in question starts.
pub(crate) type Located = (usize, Problem);

enum Segment {
    Text(String),
    Expression { source: String, start: usize },
}

/// Reads a text. Several segments become one call of `format`, as the service does it.
pub(crate) fn scalar(text: &str, place: &Place, names: &Names) -> Result<Token, Vec<Located>> {
    let token = |kind| Ok(Token::new(place.clone(), kind));
    if !text.contains(OPEN) {
        return token(Kind::String(text.to_owned()));
    }
    let segments = segments(text).map_err(|located| vec![located])?;
    let mut problems = vec![];
    let mut only = None;
    for segment in &segments {
        let Segment::Expression { source, start } = segment else { continue };
        match directive(source) {
            Ok(true) if segments.len() == 1 => return token(Kind::Insert),
            Ok(true) => return Err(vec![(*start, misplaced_directive())]),
            Ok(false) => match parse(source, names) {
                Ok(expr) => only = Some(expr),
                Err(problem) => problems.push((*start, problem)),
            },
            Err(problem) => problems.push((*start, problem)),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if let ([Segment::Expression { source, .. }], Some(expr)) = (&segments[..], only) {
        return match literal(source) {
            Some(text) => token(Kind::String(text)),
            None => token(Kind::Expression(Arc::new(expr))),
        };
    }
    parse(&joined(&segments), names)
        .map(|expr| Token::new(place.clone(), Kind::Expression(Arc::new(expr))))
        .map_err(|problem| vec![(0, problem)])
}

/// Reads an expression; the message carries position and text.
pub(crate) fn parse(source: &str, names: &Names) -> Result<Expr, Problem> {
    if source.is_empty() {
        return Err("An expression was expected".to_owned());
    }
    Expr::parse(source, names).map_err(|error| error.located(source))
}

fn segments(text: &str) -> Result<Vec<Segment>, Located> {
    let mut segments = vec![];
    let mut rest = text;
    while let Some(start) = rest.find(OPEN) {
        if start > 0 {
            segments.push(Segment::Text(rest[..start].to_owned()));
        }
        let body = &rest[start + OPEN.len()..];
        let at = text.len() - rest.len() + start;
        let Some(end) = close(body) else { return Err((at, NOT_CLOSED.to_owned())) };
        segments.push(Segment::Expression { source: body[..end].trim().to_owned(), start: at });
        rest = &body[end + 2..];
    }
    if !rest.is_empty() {
        segments.push(Segment::Text(rest.to_owned()));
    }
    Ok(segments)
}

/// Where `}}` stands outside a string.
fn close(body: &str) -> Option<usize> {
    let bytes = body.as_bytes();
    let mut in_string = false;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\'' => in_string = !in_string,
            b'}' if !in_string && at > 0 && bytes[at - 1] == b'}' => return Some(at - 1),
            _ => {}
        }
    }
    None
}

/// Whether the expression is `insert`.
fn directive(source: &str) -> Result<bool, Problem> {
    let Some(rest) = source.strip_prefix("insert") else { return Ok(false) };
    if rest.is_empty() {
        return Ok(true);
    }
    if !rest.starts_with(char::is_whitespace) {
        return Ok(false);
    }
    let count = rest.split_whitespace().count();
    Err(format!(
        "Exactly 0 parameter(s) were expected following the directive 'insert'. Actual parameter count: {count}"
    ))
}

fn misplaced_directive() -> Problem {
    "The directive 'insert' is not allowed in this context. Directives are not supported for expressions that are \
     embedded within a string. Directives are only supported when the entire value is an expression."
        .to_owned()
}

/// The text of an expression that is one string literal: `${{ '${{ as is }}' }}`.
fn literal(source: &str) -> Option<String> {
    let inner = source.strip_prefix('\'')?.strip_suffix('\'')?;
    let unquoted = inner.replace("''", "");
    (source.len() >= 2 && !unquoted.contains('\'')).then(|| inner.replace("''", "'"))
}

fn joined(segments: &[Segment]) -> String {
    let mut format = String::new();
    let mut args = String::new();
    let mut count = 0;
    for segment in segments {
        match segment {
            Segment::Text(text) => {
                format.push_str(&text.replace('\'', "''").replace('{', "{{").replace('}', "}}"));
            }
            Segment::Expression { source, .. } => {
                format.push_str(&format!("{{{count}}}"));
                args.push_str(", ");
                args.push_str(source);
                count += 1;
            }
        }
    }
    format!("format('{format}'{args})")
}
