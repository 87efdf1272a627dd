//! Integration tests: the reference's own test files, and the engine from outside.
#![expect(clippy::unwrap_used, reason = "tests")]

mod conformance;
mod language;
mod limits;
mod semantics;
