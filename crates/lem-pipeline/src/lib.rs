//! Stage 2 of the workflow, PIPELINE: runs the pipelines a team already has.
//!
//! In: workflow files of a repository, an event (a merged change, a request, a person at the command line), variables,
//! secrets, the git tree. Out: runs with logs, artifacts by digest, test results. Facts appended: see [`events`]; the
//! requests heard are `pipeline.requested`, `pipelinecancel.requested`, and the facts `change.merged` and
//! `regression.marked`.
//!
//! How it goes: a [`dialect`] turns a file and an event into a [`plan`]; the [`machine`] decides what runs next;
//! [`execute`] does it through an [`engine`]; [`service`] listens to the ledger; [`views`] tell what happened.
//!
//! Invariants, stated as absences: no decision reads a clock or a disk; nothing unsupported is skipped in silence; no
//! secret reaches a log; no process outlives its job; no run id runs twice; nothing is acted on before the ledger has it.

pub mod actions;
pub mod command;
pub mod config;
pub mod dialect;
pub mod engine;
pub mod error;
pub mod events;
pub mod execute;
pub mod file_command;
pub mod logs;
pub mod machine;
pub mod plan;
pub mod report;
pub mod results;
pub mod service;
pub mod source;
pub mod views;

pub use config::PipelineConfig;
pub use error::PipelineError;
pub use execute::{RunOutcome, Tree};
pub use logs::{LogBook, LogLine};
pub use plan::{Plan, Planned, plan};
pub use results::store::ArtifactStore;
pub use service::{Pipeline, PipelineService, RunRequest, RunResult};
pub use views::RunsView;
