//! The ledger from outside.
#![expect(clippy::unwrap_used, reason = "tests")]

mod conform;
mod postgres;
