//! PromQL: parser with spans and columnar evaluator.
//!
//! Box of the workflow: 4 OBSERVE, below the stage; the language in which metrics are asked for.
//! In: query text, parameters, and series through a [`Querier`]. Out: a [`QueryResult`] or an error
//! with its place. Events: none. It never does input or output of its own, reads no clock (but for a
//! deadline the caller set) and spawns nothing: first all selectors are read concurrently (*populate*), then the query is worked
//! out as a pure function of what was read (*evaluate*).
//!
//! Semantics, wording and positions follow Prometheus 3.14.

mod annotations;
pub mod ast;
mod engine;
mod error;
mod eval;
pub mod funcs;
pub mod histogram;
pub mod labels;
mod lex;
pub mod number;
mod parse;
mod print;
pub mod promqltest;
mod querier;
mod value;
mod wire;

pub use annotations::MAX_ANNOTATIONS;
pub use engine::{Engine, InstantParams, Interrupt, MAX_POINTS_PER_SERIES, MAX_TIME_MS, Options, RangeParams};
pub use error::{ParseError, QueryError, position};
pub use labels::{Labels, MatchOp, Matcher};
pub use parse::{Features, MAX_NESTING, MAX_OPERATORS, parse, parse_selector};
pub use print::{LINE_WIDTH, format_query};
pub use querier::{MemoryQuerier, Querier, SelectHints};
pub use value::{QueryResult, QueryValue, Sample, SeriesData, Value, VectorSample};
pub use wire::ast_json;
