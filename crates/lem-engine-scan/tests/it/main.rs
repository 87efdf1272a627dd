//! Scanners, asked in tables.

#![expect(clippy::unwrap_used, reason = "tests")]

mod packages;
mod pipelines;
mod rules;
mod secrets;
mod skips;
