//! YAML as a tree whose every node knows its place.
//!
//! Reads users' files for every stage. In: text and a file name. Out: a [`Node`] tree, [`lem_model::Diagnostic`]s with
//! file, line and column, and a [`Reader`] that turns trees into typed values and names unknown keys. No stage logic,
//! no IO, no serde on the user path: a message must say what is wrong at which place.

mod node;
mod parse;
mod reader;

pub use node::{Content, Entry, Mark, Node, Resolved, Scalar, Style};
pub use parse::{DuplicateKeys, MAX_BYTES, MAX_DEPTH, MAX_NODES, MergeKeys, Options, parse, parse_one};
pub use reader::{Fields, Reader, parse_duration_ms};
