//! Tests of the crate as its users see it.

mod expressions;
mod fixtures;
mod matrix;
mod properties;
mod reader;
mod trigger;
