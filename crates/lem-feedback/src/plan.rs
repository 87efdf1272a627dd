//! Decisions, all pure: values in, values out, time as an argument.

pub mod candidate;
pub mod capacity;
pub mod confirm;
pub mod dora;
pub mod factor;
pub mod gap;
pub mod onset;
pub mod rank;
pub mod safety;
pub mod stats;

pub use candidate::{Candidate, candidates};
pub use rank::{Evidence, Ranking, rank};
