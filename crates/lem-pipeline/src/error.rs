//! What can go wrong with a pipeline as a whole. A failed job is a result, not an error.

use lem_model::Diagnostic;
use thiserror::Error;

/// Why a pipeline could not be planned, run or served.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// Files cannot be used as they are; nothing started.
    #[error("{}", first_of(.0))]
    Invalid(Vec<Diagnostic>),
    /// There is no workflow to run.
    #[error("no workflow in {directory}")]
    NoWorkflow {
        /// Where they were looked for.
        directory: String,
    },
    /// A file is not readable.
    #[error("{path}")]
    File {
        /// File.
        path: String,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// Git did not answer.
    #[error("the repository does not answer")]
    Git(#[from] lem_source::git::GitError),
    /// The ledger did not take or give events.
    #[error("the ledger does not answer")]
    Ledger(#[from] lem_ledger::LedgerError),
    /// Secrets could not be read.
    #[error("secrets cannot be read")]
    Secrets(#[from] lem_model::port::SourceError),
    /// There is no such run.
    #[error("no run {0}")]
    NoRun(lem_model::RunId),
    /// There is no such job.
    #[error("no job \"{0}\" in the plan")]
    NoJob(String),
}

fn first_of(diagnostics: &[Diagnostic]) -> String {
    match diagnostics {
        [] => "invalid".to_owned(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first}\n(and {} more)", rest.len()),
    }
}
