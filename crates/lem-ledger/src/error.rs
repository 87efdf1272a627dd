//! What can go wrong, said so that somebody can act on it.

use crate::DbError;
use lem_model::{FactError, Seq};
use std::sync::Arc;
use thiserror::Error;

/// Why the ledger could not do what was asked. Cloneable, because one failed commit answers many waiting appends.
#[derive(Clone, Debug, Error)]
pub enum LedgerError {
    /// The address is not one of ours.
    #[error("{0:?} is no ledger address; write sqlite:PATH or postgres://...")]
    Address(String),
    /// The event cannot be kept as it is.
    #[error("event {id:?} of {source_name:?} cannot be kept: {why}")]
    Invalid {
        /// Event id.
        id: String,
        /// Event source.
        source_name: String,
        /// What is wrong.
        why: String,
    },
    /// More in one call than the ledger takes.
    #[error("{what}: {have} is over the limit of {limit}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        have: u64,
        /// The limit.
        limit: u64,
    },
    /// No room left where the database lives. Nothing of the batch was kept; reading goes on.
    #[error("no space left for the ledger; nothing of this batch was kept")]
    Full {
        /// Cause.
        #[source]
        source: Arc<DbError>,
    },
    /// The database does not answer, also after retries.
    #[error("ledger database {address} does not answer")]
    Gone {
        /// Address without password.
        address: String,
        /// Cause.
        #[source]
        source: Arc<DbError>,
    },
    /// The file or database is something else.
    #[error("{address} is not a ledger: {why}")]
    NotALedger {
        /// Address without password.
        address: String,
        /// How one can tell.
        why: String,
    },
    /// Written by a newer version of this program.
    #[error("{address} has ledger schema {found}, this program knows up to {known}; use a newer version of it")]
    Newer {
        /// Address without password.
        address: String,
        /// Schema version found.
        found: i64,
        /// Newest we know.
        known: i64,
    },
    /// The tree does not extend what was signed: nothing is appended or signed any more.
    #[error("ledger is read-only: {why}")]
    ReadOnly {
        /// What disagrees.
        why: String,
    },
    /// The database answered with an error that is none of the above.
    #[error("ledger database failed while {doing}")]
    Database {
        /// What was attempted.
        doing: &'static str,
        /// Cause.
        #[source]
        source: Arc<DbError>,
    },
    /// A file beside the database.
    #[error("cannot {doing} {path}")]
    File {
        /// What was attempted.
        doing: &'static str,
        /// Which file.
        path: String,
        /// Cause.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A stored row, note, key or proof does not read.
    #[error("{what} is malformed: {why}")]
    Malformed {
        /// Which.
        what: String,
        /// How.
        why: String,
    },
    /// There is no such event, or the tree is not that large.
    #[error("no event {seq}, the ledger has {size}")]
    NoSuchEvent {
        /// Asked for.
        seq: Seq,
        /// Events there are.
        size: Seq,
    },
    /// A fact does not serialise.
    #[error("{0}")]
    Fact(Arc<FactError>),
    /// The writer has ended.
    #[error("ledger is closed")]
    Closed,
}

impl From<FactError> for LedgerError {
    fn from(error: FactError) -> Self {
        Self::Fact(Arc::new(error))
    }
}

impl LedgerError {
    pub(crate) fn file(doing: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        Self::File { doing, path: path.display().to_string(), source: Arc::new(source) }
    }

    pub(crate) fn malformed(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Malformed { what: what.into(), why: why.into() }
    }
}
