//! What can go wrong in this stage.

use lem_model::Diagnostic;
use std::path::PathBuf;
use thiserror::Error;

/// Why observing cannot start or go on.
#[derive(Debug, Error)]
pub enum ObserveError {
    /// The users' files cannot be used.
    #[error("the observe configuration has {} errors", .0.iter().filter(|d| d.is_error()).count())]
    Config(Vec<Diagnostic>),
    /// The ledger failed.
    #[error("observe cannot use the ledger")]
    Ledger(#[from] lem_ledger::LedgerError),
    /// The metric store failed.
    #[error("observe cannot use the metric store")]
    Metrics(#[from] lem_engine_metrics::StoreError),
    /// The log store failed.
    #[error("observe cannot use the log store")]
    Logs(#[from] lem_engine_logs::StoreError),
    /// A file of ours cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was attempted.
        action: &'static str,
        /// File.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// The HTTP client cannot be made.
    #[error("cannot make the HTTP client")]
    Http(#[from] reqwest::Error),
    /// A person asked for something that does not apply.
    #[error("{0}")]
    Refused(String),
}
