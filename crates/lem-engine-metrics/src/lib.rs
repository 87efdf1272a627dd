//! Time series store: the embedded metrics engine under stage 4 (observe) of the workflow.
//!
//! **In:** samples of labelled series ([`Store::append`]), and expositions as text ([`text::parse`]).
//! **Out:** samples by matcher and time range ([`Store::select`]), label names, values and series, and the store's state.
//! **Events:** none; the stage turns [`Status`] and [`OpenReport`] into facts.
//!
//! How it works: an append is judged by the append rules, logged (group commit, CRC-32C), then applied to the *head* in
//! memory, where XOR chunks hold the recent past. The head's older part is cut into immutable *blocks*, which are merged
//! into larger ones and removed by age or size. A checkpoint of the head replaces the log before it.
//!
//! Invariants:
//! - What `append` acknowledged under [`Sync::Always`] survives the death of the process and of the machine.
//! - Replaying the log gives the same head: the same rules decide about the same samples in the same order.
//! - Values are kept bit for bit, so that every NaN, staleness markers included, comes back as it went in.
//! - Damage is never silent: torn ends, bad records and bad blocks are reported, moved aside and named, not deleted.
//! - It knows no other part of the workflow, opens no socket and never calls the clock but through [`Options::clock`].

mod block;
mod checkpoint;
mod coding;
mod commit;
mod disk;
mod error;
mod head;
mod labels;
mod maintain;
mod matcher;
mod open;
mod options;
mod plan;
mod postings;
mod re2;
mod select;
mod status;
mod store;
mod wal;
mod xor;

pub mod text;

pub use commit::Appended;
pub use disk::{DiskGate, Refusal};
pub use error::{Culprit, RejectReason, StoreError};
pub use labels::{Labels, LabelsError, MAX_LABEL_BYTES, MAX_LABELS, METRIC_NAME};
pub use maintain::{Deleted, Maintained};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use open::{Damage, OpenReport};
pub use options::{Clock, MAX_BATCH_SAMPLES, Maintenance, Options, Sync};
pub use select::{Answer, Selected};
pub use status::{BlockStatus, Mode, OverBudgetStatus, Quarantined, Status};
pub use store::{Sample, SeriesRef, Store, Target};

/// The value that marks the end of a series: a NaN with these bits.
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// A staleness marker.
pub fn stale_marker() -> f64 {
    f64::from_bits(STALE_BITS)
}

/// Is this value a staleness marker? Compares bits: an ordinary NaN is not one.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}
