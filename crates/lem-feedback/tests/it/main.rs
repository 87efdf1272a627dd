//! Stories: what the loop recorded goes in, who is named comes out.
#![expect(clippy::unwrap_used, reason = "tests")]

mod arrows;
mod dora;
mod ranking;
mod reports;
mod story;
