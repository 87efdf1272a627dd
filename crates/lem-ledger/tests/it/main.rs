//! The ledger from outside.
#![expect(clippy::unwrap_used, reason = "tests")]

mod conform;
mod crash;
mod facts;
mod outward;
mod postgres;
mod tamper;
mod wires;
