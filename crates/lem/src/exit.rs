//! How a command ends: 0 done; 1 negative result; 2 usage, configuration or file error; 3 an outside system is
//! unreachable; 70 our bug; 130 interrupted.

use lem_model::Diagnostic;
use std::fmt;
use std::process::ExitCode;

/// A command that did not end well.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Exit code.
    pub(crate) code: u8,
    message: String,
    /// Findings in the user's files, shown one by one.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

fn failure(code: u8, message: impl Into<String>) -> Failure {
    Failure { code, message: message.into(), diagnostics: vec![] }
}

/// A negative result: tests failed, verification failed. The message may be empty when all was said already.
pub(crate) fn negative(message: impl Into<String>) -> Failure {
    failure(1, message)
}

/// Somebody stopped it.
pub(crate) fn interrupted() -> Failure {
    failure(130, "")
}

/// The caller or a file is wrong.
pub(crate) fn usage(message: impl Into<String>) -> Failure {
    failure(2, message)
}

/// Files are wrong, and these are the places.
pub(crate) fn invalid(diagnostics: Vec<Diagnostic>) -> Failure {
    let errors = diagnostics.iter().filter(|d| d.is_error()).count();
    let noun = if errors == 1 { "error" } else { "errors" };
    Failure { code: 2, message: format!("{errors} {noun} in your files"), diagnostics }
}

/// An outside system does not answer.
pub(crate) fn unreachable(message: impl Into<String>) -> Failure {
    failure(3, message)
}

impl From<anyhow::Error> for Failure {
    /// What has no better class is the environment's fault, not a bug: files, ports, processes.
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Failure>() {
            Ok(failure) => failure,
            Err(error) => failure(2, format!("{error:#}")),
        }
    }
}

impl From<lem_source::ProjectError> for Failure {
    fn from(error: lem_source::ProjectError) -> Self {
        match error {
            lem_source::ProjectError::Invalid(diagnostics) => invalid(diagnostics),
            lem_source::ProjectError::Read { path, source } => {
                usage(format!("cannot read {}: {source}", path.display()))
            }
        }
    }
}

impl From<lem_source::git::GitError> for Failure {
    fn from(error: lem_source::git::GitError) -> Self {
        usage(error.to_string())
    }
}

/// Says what went wrong on standard error and gives the exit code.
pub(crate) fn report(result: Result<(), Failure>, directory: &std::path::Path) -> ExitCode {
    let Err(failure) = result else { return ExitCode::SUCCESS };
    let color = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    for diagnostic in &failure.diagnostics {
        let source = std::fs::read_to_string(directory.join(&diagnostic.place.file)).ok();
        let text = if color {
            lem_source::render(diagnostic, source.as_deref(), true)
        } else {
            lem_source::render(diagnostic, None, false)
        };
        eprintln!("{}", text.trim_end());
    }
    if !failure.message.is_empty() {
        eprintln!("lem: {failure}");
    }
    ExitCode::from(failure.code)
}
