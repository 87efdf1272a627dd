//! Native syntax. A syntax error does not hide others: the parser stops at the first, so blocks are parsed one by one
//! when a file as a whole does not parse.

use super::compile::Compiler;
use super::guard::{self, Lines};
use super::{Body, Expr};
use lem_model::Diagnostic;
use std::sync::Arc;

/// A file in native syntax.
pub fn parse_body(bytes: &[u8], file: &str) -> (Body, Vec<Diagnostic>) {
    let file: Arc<str> = file.into();
    let text = match guard::text(bytes, &file) {
        Ok(text) => text,
        Err(diagnostic) => return (Body::default(), vec![diagnostic]),
    };
    let lines = Lines::new(Arc::clone(&file), text.as_str().into());
    match hcl_edit::parser::parse_body(&text) {
        Ok(body) => {
            let mut compiler = Compiler::new(&lines);
            let body = compiler.body(&body);
            (body, compiler.finish())
        }
        Err(first) => recover(&text, &file, &first),
    }
}

/// An expression that begins at a place of a file.
pub fn parse_expression(text: &str, file: &str, line: u32, column: u32) -> Result<Expr, Diagnostic> {
    let lines = Lines::new(file.into(), text.into()).from(line, column);
    if text.len() as u64 > guard::MAX_FILE_BYTES {
        return Err(Diagnostic::error("too-large", "the expression is too long", lines.pos(0).place()));
    }
    let parsed: hcl_edit::expr::Expression = text.parse().map_err(|e| syntax_error(&e, &lines))?;
    let mut compiler = Compiler::new(&lines);
    let expr = compiler.expression(&parsed);
    compiler.finish().into_iter().next().map_or(Ok(expr), Err)
}

/// A template, as in `templatefile` or a string of a JSON file.
pub fn parse_template(text: &str, file: &str, line: u32, column: u32) -> Result<Expr, Diagnostic> {
    let lines = Lines::new(file.into(), text.into()).from(line, column);
    if text.len() as u64 > guard::MAX_FILE_BYTES {
        return Err(Diagnostic::error("too-large", "the template is too long", lines.pos(0).place()));
    }
    let parsed: hcl_edit::template::Template = text.parse().map_err(|e| syntax_error(&e, &lines))?;
    let mut compiler = Compiler::new(&lines);
    let expr = compiler.bare_template(&parsed);
    compiler.finish().into_iter().next().map_or(Ok(expr), Err)
}

fn syntax_error(error: &hcl_edit::parser::Error, lines: &Lines) -> Diagnostic {
    let location = error.location();
    let first = lines.pos(0);
    let line = first.line + location.line() as u32 - 1;
    let column = location.column() as u32 + if location.line() == 1 { first.column - 1 } else { 0 };
    let message = error.message().trim().replace('\n', "; ");
    let message = message.trim_start_matches("; ");
    let message = if message.is_empty() { "this is not valid here" } else { message };
    Diagnostic::error("hcl-syntax", message, lem_model::Place::new(&*first.file, line, column))
}

/// Every top-level part on its own: what parses is kept, every part that does not is reported.
fn recover(text: &str, file: &Arc<str>, first: &hcl_edit::parser::Error) -> (Body, Vec<Diagnostic>) {
    let mut whole = Body::default();
    let mut diagnostics = vec![];
    for (line, part) in parts(text) {
        let lines = Lines::new(Arc::clone(file), part.into()).from(line, 1);
        match hcl_edit::parser::parse_body(part) {
            Ok(body) => {
                let mut compiler = Compiler::new(&lines);
                let body = compiler.body(&body);
                whole.attributes.extend(body.attributes);
                whole.blocks.extend(body.blocks);
                diagnostics.extend(compiler.finish());
            }
            Err(error) => diagnostics.push(syntax_error(&error, &lines)),
        }
    }
    if !diagnostics.iter().any(Diagnostic::is_error) {
        let lines = Lines::new(Arc::clone(file), text.into());
        return (Body::default(), vec![syntax_error(first, &lines)]);
    }
    (whole, diagnostics)
}

/// Cuts before each line that begins in column one with a word after a line that is only `}`.
fn parts(text: &str) -> Vec<(u32, &str)> {
    let mut parts = vec![];
    let (mut start, mut start_line, mut offset) = (0, 1, 0);
    let mut closed = false;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let begins = line.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if closed && begins && offset > start {
            parts.push((start_line, &text[start..offset]));
            (start, start_line, closed) = (offset, number as u32 + 1, false);
        }
        if line.starts_with('}') || (begins && line.trim_end().ends_with('}')) {
            closed = true;
        }
        offset += line.len();
    }
    parts.push((start_line, &text[start..]));
    parts
}
