//! Users' files: which ones a repository has, what `lem.yaml` says about them, what git says about their history, and
//! how a message about them is shown.
//!
//! In: a directory. Out: [`Detected`] files, a [`Project`] whose sections the stages read themselves, [`git`] facts,
//! rendered diagnostics. No stage logic: this crate knows that a file is a workflow, not what a workflow means.

mod detect;
pub mod git;
mod init;
mod project;
mod render;

pub use detect::{Detected, FileKind, MAX_SCANNED_FILES, detect};
pub use init::config_text;
pub use project::{CONFIG_FILE, Project, ProjectError, read_file};
pub use render::render;
