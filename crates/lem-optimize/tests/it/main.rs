//! Stories: files and facts go in, what they cost and what to do about it comes out.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bill;
mod cost;
mod graph;
mod prices;
mod service;
