//! What can go wrong with a ledger.

use lem_model::FactError;
use std::path::PathBuf;
use thiserror::Error;

/// Why the ledger did not do what was asked.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// A fact does not serialise.
    #[error(transparent)]
    Fact(#[from] FactError),
    /// Nothing to append.
    #[error("an empty batch cannot be appended")]
    Empty,
    /// More than a batch may have.
    #[error("{what} of {size} is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large.
        size: usize,
        /// Limit.
        limit: usize,
    },
    /// The store refuses writes; readers go on.
    #[error("the ledger is read-only: {why}")]
    ReadOnly {
        /// Why.
        why: String,
    },
    /// The database is not there at the moment; nothing acknowledged is lost.
    #[error("the ledger's database is unreachable: {why}")]
    Unreachable {
        /// Why.
        why: String,
    },
    /// The disk is full; nothing acknowledged is lost.
    #[error("no space is left for the ledger; free some and try again")]
    Full,
    /// A file or database is something else.
    #[error("{path} is not a ledger: {why}")]
    NotALedger {
        /// Where.
        path: String,
        /// Why.
        why: String,
    },
    /// A newer version wrote it.
    #[error("the ledger has schema version {found}; this program knows {known}: update it")]
    Newer {
        /// Version found.
        found: i64,
        /// Version known.
        known: i64,
    },
    /// What is stored does not read.
    #[error("event {seq} does not read: {why}")]
    Corrupt {
        /// Position.
        seq: u64,
        /// Why.
        why: String,
    },
    /// No such event.
    #[error("there is no event {0}")]
    NoSuchEvent(u64),
    /// A file of the ledger cannot be used.
    #[error("cannot use {path}")]
    File {
        /// File.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// The database complains.
    #[error("the ledger's database failed")]
    Database(#[from] sqlx::Error),
    /// The log has ended.
    #[error("the log is closed")]
    Closed,
}
