//! What can go wrong.

use lem_ledger::LedgerError;
use lem_model::{Diagnostic, FactError, ServiceName, Version};
use std::net::SocketAddr;
use std::path::PathBuf;
use thiserror::Error;

/// Why the stage could not do something.
#[derive(Debug, Error)]
pub enum DeployError {
    /// The configuration is wrong.
    #[error("{} problem(s) in the deploy configuration", .0.len())]
    Config(Vec<Diagnostic>),
    /// The ledger does not take or give events.
    #[error("ledger does not answer")]
    Ledger(#[source] LedgerError),
    /// A fact does not serialise.
    #[error(transparent)]
    Fact(#[from] FactError),
    /// A router did not start.
    #[error("router on {listen} did not start")]
    Router {
        /// Address.
        listen: SocketAddr,
        /// Cause.
        #[source]
        source: lem_engine_router::RouterError,
    },
    /// The router refused a table.
    #[error("router refused the table of {service}: {why}")]
    Table {
        /// Service.
        service: ServiceName,
        /// Cause.
        why: String,
    },
    /// A version could not be placed.
    #[error("version {version} of {service} could not be placed: {why}")]
    Place {
        /// Service.
        service: ServiceName,
        /// Version.
        version: Version,
        /// Cause.
        why: String,
    },
    /// A file or directory of ours.
    #[error("cannot {doing} {path}")]
    File {
        /// What was attempted.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
}

impl From<LedgerError> for DeployError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}
