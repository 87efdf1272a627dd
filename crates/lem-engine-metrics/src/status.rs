//! The store's state, for people and for the stage's facts.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::Culprit;

/// Whether samples are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Mode {
    /// Yes.
    Writable,
    /// No, because the log cannot be written. Every append tries again.
    ReadOnly {
        /// The failure that caused it.
        reason: String,
    },
}

/// One block on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockStatus {
    /// Folder name.
    pub name: String,
    /// First timestamp of its window.
    pub start_ms: i64,
    /// End of its window, not included.
    pub end_ms: i64,
    /// Series in it.
    pub series: u64,
    /// Samples in it.
    pub samples: u64,
    /// Size on disk.
    pub bytes: u64,
    /// Something unreadable was met in it since the store was opened. Such a block stays, but is not merged.
    pub damaged: bool,
}

/// A block that could not be read and was moved aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// Folder name.
    pub name: String,
    /// Where it lies now.
    pub path: PathBuf,
    /// First timestamp of its window, from its name.
    pub start_ms: i64,
    /// End of its window, not included.
    pub end_ms: i64,
    /// What is wrong with it; empty when it was found in the quarantine folder at opening.
    pub reason: String,
}

/// New series turned away by the budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OverBudgetStatus {
    /// Samples of new series that were turned away since opening.
    pub rejected: u64,
    /// What fills the budget.
    pub culprit: Culprit,
}

/// A snapshot of the store's state. While [`crate::Store::open`] runs, the store is replaying and has no status yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Whether samples are taken.
    pub mode: Mode,
    /// Active series, in the head.
    pub head_series: usize,
    /// Samples in the head.
    pub head_samples: usize,
    /// Oldest sample in the head.
    pub head_min_ms: Option<i64>,
    /// Newest sample in the head.
    pub head_max_ms: Option<i64>,
    /// Samples accepted since opening.
    pub appended: u64,
    /// Writes to the log since opening; fewer than appends when appends share them.
    pub log_writes: u64,
    /// Size of log and checkpoint.
    pub wal_bytes: u64,
    /// Blocks, oldest first.
    pub blocks: Vec<BlockStatus>,
    /// Blocks moved aside.
    pub quarantined: Vec<Quarantined>,
    /// Present when new series were turned away.
    pub over_budget: Option<OverBudgetStatus>,
    /// Why the last maintenance failed, until one succeeds.
    pub maintenance_error: Option<String>,
}
