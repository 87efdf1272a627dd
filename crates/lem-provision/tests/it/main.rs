//! The stage from outside: files in, graphs, plans and states out.
#![expect(clippy::unwrap_used, reason = "tests")]

mod apply;
mod graphs;
mod http;
mod kill;
mod store;
mod tls;
