//! Why the stage could not do what it was asked.

use lem_engine_scan::leaks::HistoryError;
use lem_engine_scan::sca::db::DbError;
use lem_ledger::LedgerError;
use lem_model::port::SourceError;
use lem_source::git::GitError;
use std::path::PathBuf;
use thiserror::Error;

/// The stage's errors.
#[derive(Debug, Error)]
pub enum SecureError {
    /// The ledger failed.
    #[error("secure cannot use the ledger")]
    Ledger(#[from] LedgerError),
    /// Advisories.
    #[error("advisories: {0}")]
    Advisories(#[from] DbError),
    /// History.
    #[error("history: {0}")]
    History(#[from] HistoryError),
    /// Git.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Infrastructure files.
    #[error("infrastructure: {0}")]
    Graphs(#[from] SourceError),
    /// A file of ours.
    #[error("cannot use {path}")]
    File {
        /// File.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// A part of the scan ended before its time.
    #[error("the scan of {0} ended early")]
    Ended(&'static str),
    /// Advisories cannot be fetched.
    #[error("{what} is unreachable: {why}")]
    Unreachable {
        /// Address.
        what: String,
        /// Cause.
        why: String,
    },
    /// There is no common ancestor.
    #[error("{base} and HEAD have no common commit")]
    NoBase {
        /// What was asked for.
        base: String,
    },
    /// An exception does not serialise.
    #[error("exception: {0}")]
    Exception(String),
    /// An attestation does not verify.
    #[error("attestation: {0}")]
    Attestation(String),
}
