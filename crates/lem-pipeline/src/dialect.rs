//! Where file formats differ.
//!
//! A dialect turns files and an event into [`Plan`](crate::plan::Plan)s, answers the machine's questions
//! ([`crate::machine::Rules`]) and walks through the steps of a job ([`JobScript`]). Running processes, logs, masking,
//! artifacts and the machine are the same for all. GitHub Actions is filled; GitLab CI and Jenkins take their places
//! beside it.

pub mod github;

use crate::engine::StepExit;
use indexmap::IndexMap;
use lem_model::fact::Outcome;
use std::path::PathBuf;
use std::time::Duration;

/// How a job stands while its steps run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JobStatus {
    /// Nothing failed so far.
    #[default]
    Success,
    /// A step failed.
    Failure,
    /// The job is being stopped.
    Cancelled,
}

/// What to do with a step.
#[derive(Clone, Debug, PartialEq)]
pub enum StepPlan {
    /// Its condition does not hold.
    Skip {
        /// Display name.
        name: String,
        /// The reason as a sentence with its place.
        why: String,
    },
    /// Something in it cannot be evaluated: it fails.
    Fail {
        /// Display name.
        name: String,
        /// What is wrong, with its place.
        why: String,
    },
    /// Run it.
    Run(Box<RunStep>),
}

/// A step to run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunStep {
    /// Display name.
    pub name: String,
    /// What it does.
    pub work: StepWork,
    /// Variables it adds to those of the job, in order.
    pub env: Vec<(String, String)>,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// `file:line:column`.
    pub place: String,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum StepWork {
    /// A script for a shell.
    Script {
        /// Text.
        text: String,
        /// Program and arguments; `{0}` stands for the file of the script.
        shell: Vec<String>,
        /// Extension of the file of the script.
        extension: &'static str,
        /// Directory, relative to the workspace or absolute.
        directory: PathBuf,
    },
    /// One of our own actions.
    Builtin {
        /// Which: `actions/checkout`.
        action: String,
        /// Its inputs.
        inputs: IndexMap<String, String>,
    },
}

/// What a step left behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepResult {
    /// How its process ended, when it had one.
    pub exit: Option<StepExit>,
    /// What went wrong besides its exit, in the runner's words.
    pub errors: Vec<String>,
    /// Outputs it set.
    pub outputs: IndexMap<String, String>,
    /// Variables it set for later steps.
    pub env: IndexMap<String, String>,
    /// Directories it put before the path, in order.
    pub paths: Vec<String>,
    /// Whether the job was being stopped when it ended.
    pub cancelled: bool,
}

impl StepResult {
    /// How it ended, before `continue-on-error`.
    pub fn outcome(&self) -> Outcome {
        match self.exit {
            Some(StepExit::Cancelled) => Outcome::Cancel,
            Some(StepExit::Code(0)) | None if self.errors.is_empty() => Outcome::Success,
            _ => Outcome::Failure,
        }
    }
}

/// How a step counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepEnd {
    /// Raw.
    pub outcome: Outcome,
    /// After `continue-on-error`.
    pub conclusion: Outcome,
}

/// How a job counts, and what it hands on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobClose {
    /// Outputs.
    pub outputs: IndexMap<String, String>,
    /// What could not be evaluated.
    pub errors: Vec<String>,
    /// Whether a failure of the job counts as success.
    pub continue_on_error: bool,
}

/// Walks through the steps of one job.
pub trait JobScript: Send + Sync + std::fmt::Debug {
    /// How many steps there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// How long the whole job may take.
    fn timeout(&self) -> Result<Duration, String>;
    /// Tells where the job runs.
    fn enter(&mut self, place: &JobPlace);
    /// What to do with a step, as the job stands now.
    fn step(&mut self, index: usize, status: JobStatus) -> StepPlan;
    /// Takes what a step left behind; says how it counts.
    fn ended(&mut self, index: usize, result: &StepResult) -> StepEnd;
    /// Notes that a step was skipped.
    fn skipped(&mut self, index: usize);
    /// The job's variables for a process or action of a step, least to most important.
    fn env(&self, index: usize) -> Vec<(String, String)>;
    /// All steps have ended.
    fn close(&mut self, status: JobStatus) -> JobClose;
}

/// Where a job runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPlace {
    /// Workspace.
    pub workspace: PathBuf,
    /// Directory of temporary files.
    pub temp: PathBuf,
    /// HOME.
    pub home: PathBuf,
    /// Variables of the machine, such as PATH.
    pub base: Vec<(String, String)>,
}
