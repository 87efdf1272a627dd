//! What can go wrong: while reading a query, and while running it.

use crate::ast::Span;

/// A query that cannot be read, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: parse error: {message}")]
pub struct ParseError {
    /// What is wrong, in the reference's words.
    pub message: String,
    /// The bytes it is about.
    pub span: Span,
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// What was probably meant; not part of the message, whose wording is the reference's.
    pub hint: Option<String>,
}

impl ParseError {
    /// An error at a span of `source`.
    pub fn new(source: &str, span: Span, message: impl Into<String>) -> Self {
        let (line, column) = position(source, span.start);
        Self { message: message.into(), span, line, column, hint: None }
    }

    /// With a hint.
    pub fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

/// Line and column (both from 1, column in bytes) of a byte offset.
pub fn position(source: &str, offset: usize) -> (usize, usize) {
    let before = &source.as_bytes()[..offset.min(source.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    (line, offset.saturating_sub(line_start) + 1)
}

/// A query that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The text is no valid query.
    #[error("{0}")]
    Parse(#[from] ParseError),
    /// Parameters that no query can be run with.
    #[error("{0}")]
    BadParameters(String),
    /// The evaluation found something it cannot do.
    #[error("{0}")]
    Execution(String),
    /// Too many samples in memory.
    #[error("query processing would load too many samples into memory in {0}")]
    TooManySamples(&'static str),
    /// The deadline passed.
    #[error("query timed out in {0}")]
    TimedOut(&'static str),
    /// The caller went away.
    #[error("query was canceled in {0}")]
    Canceled(&'static str),
    /// The store failed.
    #[error("expanding series: {0}")]
    Storage(String),
}

impl QueryError {
    pub(crate) fn execution(message: impl Into<String>) -> Self {
        Self::Execution(message.into())
    }
}
