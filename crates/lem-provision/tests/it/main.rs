//! The stage from outside: files in, graphs, plans and states out.
#![expect(clippy::unwrap_used, reason = "tests")]

mod apply;
mod graphs;
mod kill;
mod store;
