//! The store from outside.
#![expect(clippy::unwrap_used, reason = "tests")]

mod basic;
mod crash;
mod faults;
mod kill;
mod limits;
mod model;
mod patterns;
