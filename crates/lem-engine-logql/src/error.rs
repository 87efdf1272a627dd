//! Errors with their place.

use thiserror::Error;

use crate::source::SourceError;

/// Bytes `start..end` of the query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
}

/// The query is not LogQL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("parse error at line {line}, col {column}: {message}")]
pub struct ParseError {
    /// What is wrong, and what was expected.
    pub message: String,
    /// Where.
    pub span: Span,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl ParseError {
    pub(crate) fn new(text: &str, span: Span, message: impl Into<String>) -> Self {
        let before = text.get(..span.start.min(text.len())).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Self { message: message.into(), span, line, column }
    }
}

/// The query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EvalError {
    /// A log query at an instant.
    #[error("log queries are not supported as an instant query type, please change your query to a range query type")]
    LogQueryAtInstant,
    /// Lines with an error reached a metric.
    #[error("pipeline error: '{kind}' for series: '{labels}'")]
    Pipeline {
        /// `__error__`.
        kind: String,
        /// The labels of the line.
        labels: String,
    },
    /// A limit was reached.
    #[error("the query reaches the limit of {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// Vectors cannot be matched.
    #[error("{0}")]
    Matching(String),
    /// The range is empty or the step is not positive.
    #[error("{0}")]
    BadRange(String),
    /// The source failed.
    #[error(transparent)]
    Source(#[from] SourceError),
}
