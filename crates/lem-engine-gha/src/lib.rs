//! GitHub Actions: expression language and workflow reader.
//!
//! An engine below stage 2 (pipeline): it knows text and values, never a process or a run. In: workflow files and
//! `Context`s. Out: a [`Workflow`] whose parts know their place, [`lem_model::Diagnostic`]s for everything that is
//! wrong with a file, values of expressions, and the pure decisions the format fixes: whether an event starts a
//! workflow and which jobs a matrix gives. No IO: files come through [`Files`] and [`Host`].
//!
//! The lexer and parser are our own and not those of `github-actions-expressions`: that crate refuses empty input,
//! accepts about a third of the expressions the service refuses (argument counts, unknown names, depth) and does not
//! give the offset the service names in its messages.

pub mod conformance;
pub mod expr;
pub mod glob;
pub mod matrix;
pub mod model;
mod normal_form;
mod read;
pub mod token;
pub mod trigger;

pub use expr::{Context, EvalError, Expr, Host, Names, Object, Phase, Status, Value, eval};
pub use model::*;
pub use normal_form::{Sources, events, normal_form, to_template_json};
pub use read::{
    Checks, MAX_CALL_DEPTH, MAX_DEPTH, MAX_FILE_CHARS, MAX_FILES, MAX_JOBS, MAX_WORKFLOW_BYTES, Options,
    PermissionsPolicy, read,
};
pub use token::{Kind, Token, TokenError};
pub use trigger::{Match, TriggerEvent};

/// Where called workflows are loaded from. A file that is not there is `None`.
pub trait Files {
    /// The text of a workflow by what stands behind `uses`: `./.github/workflows/build.yml`, or
    /// `owner/repository/.github/workflows/build.yml@ref`.
    fn load(&self, uses: &str) -> Option<String>;
}
