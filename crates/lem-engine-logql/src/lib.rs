//! LogQL under stage 4, observe: a library of its own that knows no stage.
//!
//! In: query text, a time or a range, and a [`LogSource`] that hands out lines in order. Out: streams, a matrix, a vector
//! or a scalar. No events. [`StoreSource`] adapts `lem-engine-logs`.
//!
//! ```text
//! text -> lex -> parse (spans) -> Expr -> literals for pruning -> lines through the pipeline -> samples -> vectors
//! ```
//!
//! What it must never do: skip syntax it does not know, answer a metric query from lines that carry an `__error__`, or
//! read lines outside a window. Windows are left-open and right-closed.

pub mod ast;
mod error;
mod eval;
mod lex;
pub mod limits;
mod literal;
mod parse;
mod pipeline;
mod source;
mod units;
mod value;

pub use error::{EvalError, ParseError, Span};
pub use eval::{Evaluator, RangeParams};
pub use literal::required_literals;
pub use parse::{Dialect, parse, parse_with};
pub use source::{
    LineFound, LogSource, SourceError, SourceRequest, StoreSource, line_metadata, store_matchers, stream_labels,
};
pub use value::{Entry, LabelSet, MatrixSeries, QueryResult, Sample, StreamResult, Value};
