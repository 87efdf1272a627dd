//! Tests of the judges, one module per judge.
#![expect(clippy::unwrap_used, reason = "tests")]

mod analysis;
mod condition;
mod sequential;
mod simulate;

#[path = "../../examples/simulation/mod.rs"]
mod simulation;
