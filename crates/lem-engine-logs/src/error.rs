//! What can go wrong, and how a caller is told.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

/// The store could not be opened or maintained.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Another process has the directory open.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The store's directory.
        path: PathBuf,
    },
    /// The manifest or the pattern registry cannot be read.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// True when the volume has no room left.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_disk_full(source),
            Self::Locked { .. } | Self::Damaged { .. } => false,
        }
    }
}

pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// Why a batch was not stored. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// The memory budget is used up until the next flush.
    #[error("busy: memory for unflushed lines is used up, retry in {} ms", retry_after.as_millis())]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The batch is larger than one WAL frame.
    #[error("batch of {actual} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// `limits::BATCH_MAX_BYTES`.
        limit: u64,
        /// The size of the batch.
        actual: u64,
    },
    /// The volume is full or failing; reads go on.
    #[error("the log store is read-only: {why}")]
    ReadOnly {
        /// What happened.
        why: String,
    },
    /// Some records are not acceptable.
    #[error("{} of the records refused, first: {}", .0.len(), .0.first().map_or("", |i| i.why.as_str()))]
    Items(Vec<ItemError>),
}

/// One record that is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemError {
    /// Its place in the batch.
    pub index: usize,
    /// What is wrong with it.
    pub why: String,
}

/// A query that has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QueryError {
    /// It read more than allowed.
    #[error("the query reads more than the limit of {limit_bytes} bytes; narrow the range or the selector")]
    TooLarge {
        /// The limit in force.
        limit_bytes: u64,
    },
    /// Its cancel flag was raised.
    #[error("the query was cancelled")]
    Cancelled,
    /// Too many live tails.
    #[error("{limit} live tails are open, which is the limit")]
    TooManyTails {
        /// `limits::TAILS_MAX`.
        limit: usize,
    },
    /// The range is empty or reversed.
    #[error("the range ends at {end_ns}, before it starts at {start_ns}")]
    EmptyRange {
        /// Start of the range.
        start_ns: i64,
        /// End of the range.
        end_ns: i64,
    },
}

/// Lines an answer misses, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The part's file name.
    pub part: String,
    /// First instant that may be missing.
    pub min_ts_ns: i64,
    /// Last instant that may be missing.
    pub max_ts_ns: i64,
    /// What is wrong.
    pub why: String,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "lines between {} and {} may be missing: part {} is quarantined: {}",
            self.min_ts_ns, self.max_ts_ns, self.part, self.why
        )
    }
}
