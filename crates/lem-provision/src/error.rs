//! What can go wrong.

use crate::lock::Holder;
use lem_model::Diagnostic;
use std::path::PathBuf;
use thiserror::Error;

/// Why the stage could not do something.
#[derive(Debug, Error)]
pub enum ProvisionError {
    /// The user's files are wrong.
    #[error("{} problem(s) in the infrastructure files", .0.iter().filter(|d| d.is_error()).count())]
    Files(Vec<Diagnostic>),
    /// A file or directory.
    #[error("cannot {doing} {path}: {source}")]
    File {
        /// What was attempted.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A state file that is not to be used.
    #[error("state {path}: {why}")]
    State {
        /// File.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// A journal that does not read.
    #[error("journal {path} is damaged at byte {offset}: {why}")]
    Journal {
        /// File.
        path: PathBuf,
        /// Where the first bad record begins.
        offset: u64,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Somebody else works on the environment.
    #[error("{0}")]
    Locked(Box<Holder>),
    /// The lease ran out while the operation was under way.
    #[error("the lease on the state was lost; nothing new was started, what had finished is in the journal")]
    LeaseLost,
    /// The plan was made for another configuration, other variables or another state.
    #[error("the plan is out of date: {0}; plan again")]
    Stale(String),
    /// Policy does not let it happen.
    #[error("policy denies it: {0}")]
    Denied(String),
    /// An outside system does not answer.
    #[error("{what}: {why}")]
    Unreachable {
        /// System.
        what: String,
        /// Cause.
        why: String,
    },
    /// An installed program ended badly.
    #[error("{program} ended with {status}: {message}")]
    Program {
        /// Program and its subcommand.
        program: String,
        /// How it ended.
        status: String,
        /// Last of what it said.
        message: String,
    },
    /// A document is not what it should be.
    #[error("{what}: {why}")]
    Document {
        /// Which.
        what: String,
        /// Cause.
        why: String,
    },
    /// The ledger does not take a fact.
    #[error("ledger does not answer: {0}")]
    Ledger(#[from] lem_ledger::LedgerError),
}

impl ProvisionError {
    /// One finding in a file.
    pub fn file(diagnostic: Diagnostic) -> Self {
        Self::Files(vec![diagnostic])
    }

    /// The same as findings: those of the files, or one that says what went wrong.
    pub fn diagnostics(self) -> Vec<Diagnostic> {
        match self {
            Self::Files(found) => found,
            other => vec![Diagnostic::error("infrastructure", other.to_string(), lem_model::Place::default())],
        }
    }
}

/// Wraps an IO error with what was attempted on which path.
pub(crate) fn io<'a>(
    doing: &'static str,
    path: &'a std::path::Path,
) -> impl FnOnce(std::io::Error) -> ProvisionError + 'a {
    move |source| ProvisionError::File { doing, path: path.to_owned(), source }
}
