//! The Go template subset that alert labels and annotations use, with Prometheus' functions.
//!
//! Rendering is pure: a template that asks a query gets its answer from [`Context::answers`]; when the answer is not
//! there yet, rendering stops with [`TemplateError::Needs`], the caller asks, and renders again.

mod func;
mod parse;
mod run;
mod value;

pub use run::{Context, render};
pub use value::{Sample, Value};

use thiserror::Error;

/// Bytes of a template.
pub const MAX_TEMPLATE_BYTES: usize = 64 << 10;
/// Bytes a template may render.
pub const MAX_OUTPUT_BYTES: usize = 1 << 20;
/// Steps a rendering may take.
pub const MAX_STEPS: usize = 100_000;
/// Nesting of blocks and parentheses.
pub const MAX_DEPTH: usize = 64;

/// Why a template gives no text.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TemplateError {
    /// It does not parse.
    #[error("{0}")]
    Parse(String),
    /// A function failed.
    #[error("{0}")]
    Run(String),
    /// It needs the answer of this query.
    #[error("query {0} has not been asked")]
    Needs(String),
}

/// Whether a template parses.
pub fn check(text: &str) -> Result<(), TemplateError> {
    parse::parse(text).map(drop)
}
