//! A workflow after reading: everything a planner needs, each part with its place.
//!
//! Values that may hold expressions stay [`Token`]s; `token.evaluate(&context)` gives their value. What the language
//! fixes at reading time (ids, needs, trigger filters, permissions) is typed.

use crate::expr::Expr;
use crate::token::Token;
use indexmap::IndexMap;
use lem_model::Place;
use std::sync::Arc;

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<T> Spanned<T> {
    /// A value at a place.
    pub fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }
}

/// One workflow file.
#[derive(Clone, Debug, PartialEq)]
pub struct Workflow {
    /// Name of the file as it was given to the reader.
    pub file: String,
    /// `name`.
    pub name: Option<Spanned<String>>,
    /// `run-name`.
    pub run_name: Option<Token>,
    /// `on`, in source order.
    pub triggers: Vec<Trigger>,
    /// `permissions`; `None` leaves it to the policy of the caller.
    pub permissions: Option<Permissions>,
    /// `env`: a mapping.
    pub env: Option<Token>,
    /// `defaults`.
    pub defaults: Option<Defaults>,
    /// `concurrency`.
    pub concurrency: Option<Concurrency>,
    /// `jobs`, in source order. Permissions of the workflow are those of every job that has none of its own.
    pub jobs: Vec<Job>,
}

impl Workflow {
    /// A job by id; ids ignore case.
    pub fn job(&self, id: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id.value.eq_ignore_ascii_case(id))
    }

    /// A trigger by event name.
    pub fn trigger(&self, event: &str) -> Option<&Trigger> {
        self.triggers.iter().find(|trigger| trigger.event == event)
    }

    /// The name shown for it: `name`, else the file.
    pub fn title(&self) -> &str {
        self.name.as_ref().map_or(&self.file, |name| &name.value)
    }
}

/// One event of `on`.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// `push`, `pull_request`, `schedule` ...
    pub event: String,
    /// Where it stands.
    pub place: Place,
    /// `types`; `None` when not given.
    pub types: Option<Vec<Spanned<String>>>,
    /// `branches` or `branches-ignore`.
    pub branches: Filter,
    /// `tags` or `tags-ignore`.
    pub tags: Filter,
    /// `paths` or `paths-ignore`.
    pub paths: Filter,
    /// `workflows` of `workflow_run`.
    pub workflows: Vec<Spanned<String>>,
    /// `names` of `image_version`.
    pub names: Vec<Spanned<String>>,
    /// `versions` of `image_version`.
    pub versions: Vec<Spanned<String>>,
    /// `cron` lines of `schedule`.
    pub schedule: Vec<Schedule>,
    /// `inputs` of `workflow_dispatch` and `workflow_call`.
    pub inputs: IndexMap<String, Input>,
    /// `secrets` of `workflow_call`.
    pub secrets: IndexMap<String, Secret>,
    /// `outputs` of `workflow_call`.
    pub outputs: IndexMap<String, Output>,
    /// The configuration as it was written.
    pub raw: Option<Token>,
}

/// Patterns an event's ref or files must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `branches`, `tags`, `paths`: `None` when not given.
    pub only: Option<Vec<Spanned<String>>>,
    /// `branches-ignore`, `tags-ignore`, `paths-ignore`: `None` when not given.
    pub ignore: Option<Vec<Spanned<String>>>,
}

impl Filter {
    /// Whether neither form was given.
    pub fn is_empty(&self) -> bool {
        self.only.is_none() && self.ignore.is_none()
    }
}

/// One entry of `schedule`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The cron line.
    pub cron: Spanned<String>,
    /// `timezone`, when given.
    pub timezone: Option<Spanned<String>>,
}

/// Type of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputType {
    /// Text.
    String,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// One of `options`.
    Choice,
    /// Name of an environment.
    Environment,
}

/// One of `inputs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Where its name stands.
    pub place: Place,
    /// `type`; a string when not given.
    pub kind: InputType,
    /// `description`.
    pub description: Option<String>,
    /// `required`.
    pub required: bool,
    /// `default`; may be an expression in `workflow_call`.
    pub default: Option<Token>,
    /// `options` of a choice.
    pub options: Vec<String>,
    /// The definition as it was written.
    pub raw: Token,
}

/// One of `secrets` of `workflow_call`.
#[derive(Clone, Debug, PartialEq)]
pub struct Secret {
    /// Where its name stands.
    pub place: Place,
    /// `required`.
    pub required: bool,
    /// The definition as it was written.
    pub raw: Token,
}

/// One of `outputs` of `workflow_call`.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Where its name stands.
    pub place: Place,
    /// `value`.
    pub value: Option<Token>,
}

/// What a token may do with one scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Nothing.
    None,
    /// Read.
    Read,
    /// Read and write.
    Write,
}

/// `permissions`, scope by scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// What each scope allows, sorted by scope; [`Access::None`] is not listed.
    pub scopes: std::collections::BTreeMap<String, Access>,
    /// What every other scope allows: something only under `read-all` and `write-all`.
    pub rest: Access,
}

impl Permissions {
    /// What a scope allows.
    pub fn access(&self, scope: &str) -> Access {
        self.scopes.get(scope).copied().unwrap_or(self.rest)
    }
}

/// `defaults.run`.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// `shell`.
    pub shell: Option<Token>,
    /// `working-directory`.
    pub working_directory: Option<Token>,
    /// As it was written.
    pub raw: Token,
}

/// `concurrency`.
#[derive(Clone, Debug, PartialEq)]
pub struct Concurrency {
    /// `group`; for `concurrency: ${{ ... }}` the whole expression, whose value may be an object or a string.
    pub group: Token,
    /// `cancel-in-progress`.
    pub cancel_in_progress: Option<Token>,
    /// `queue: max`: everything waits its turn instead of replacing what is pending.
    pub queue: Queue,
    /// As it was written.
    pub raw: Token,
}

/// How many runs of a group may wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Queue {
    /// One; a newer replaces it.
    #[default]
    Single,
    /// Up to 100, first in first out.
    Max,
}

/// `if`, with `success() &&` already implied where no status function is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Where it stands; the job or step itself when it is implied.
    pub place: Place,
    /// What the file says; empty when there is none.
    pub source: String,
    /// What is evaluated.
    pub expr: Arc<Expr>,
    /// Whether the file's own condition calls `success`, `failure`, `cancelled` or `always`.
    pub calls_status: bool,
}

/// One of `jobs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Key under `jobs`.
    pub id: Spanned<String>,
    /// `name`; the id when not given.
    pub name: Option<Token>,
    /// `needs`.
    pub needs: Vec<Spanned<String>>,
    /// `if`.
    pub condition: Condition,
    /// `strategy`.
    pub strategy: Option<Strategy>,
    /// `continue-on-error`.
    pub continue_on_error: Option<Token>,
    /// `timeout-minutes`.
    pub timeout_minutes: Option<Token>,
    /// `cancel-timeout-minutes`.
    pub cancel_timeout_minutes: Option<Token>,
    /// `concurrency`.
    pub concurrency: Option<Concurrency>,
    /// `permissions`.
    pub permissions: Option<Permissions>,
    /// What it does.
    pub work: Work,
}

impl Job {
    /// The steps, if it has its own.
    pub fn steps(&self) -> &[Step] {
        match &self.work {
            Work::Steps(work) => &work.steps,
            Work::Call(_) => &[],
        }
    }
}

/// What a job does.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Runs steps on a runner.
    Steps(Box<StepsWork>),
    /// Calls another workflow.
    Call(Box<Call>),
}

/// A job with steps.
#[derive(Clone, Debug, PartialEq)]
pub struct StepsWork {
    /// `runs-on`: a string, a list of labels, a mapping with `group` and `labels`, or an expression.
    pub runs_on: Token,
    /// `env`: a mapping.
    pub env: Option<Token>,
    /// `environment`: a string, or a mapping with `name`, `url` and `deployment`.
    pub environment: Option<Token>,
    /// `defaults`.
    pub defaults: Option<Defaults>,
    /// `container`: an image, or a mapping.
    pub container: Option<Token>,
    /// `services`: a mapping from name to an image or a mapping.
    pub services: Option<Token>,
    /// `outputs`: a mapping.
    pub outputs: Option<Token>,
    /// `snapshot`, as it was written.
    pub snapshot: Option<Token>,
    /// `steps`.
    pub steps: Vec<Step>,
}

/// A job that calls a workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// `uses`.
    pub uses: Spanned<String>,
    /// `with`: a mapping.
    pub with: Option<Token>,
    /// `secrets`.
    pub secrets: CallSecrets,
    /// The called workflow, when the reader was given [`crate::Files`] to load it from.
    pub workflow: Option<Box<Workflow>>,
}

/// `secrets` of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum CallSecrets {
    /// None are passed.
    None,
    /// `inherit`: all of the caller's.
    Inherit,
    /// A mapping.
    Map(Token),
}

/// `strategy`.
#[derive(Clone, Debug, PartialEq)]
pub struct Strategy {
    /// `matrix`: a mapping, or an expression that gives one.
    pub matrix: Option<Token>,
    /// `fail-fast`; true when not given.
    pub fail_fast: Option<Token>,
    /// `max-parallel`.
    pub max_parallel: Option<Token>,
    /// As it was written.
    pub raw: Token,
}

/// One of `steps`.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// `id`, or the implied one, which starts with two underscores.
    pub id: String,
    /// Where the step stands.
    pub place: Place,
    /// Whether the id is the file's own; only such steps appear in the `steps` context.
    pub own_id: bool,
    /// `name`.
    pub name: Option<Token>,
    /// `if`.
    pub condition: Condition,
    /// `continue-on-error`.
    pub continue_on_error: Option<Token>,
    /// `timeout-minutes`.
    pub timeout_minutes: Option<Token>,
    /// `env`: a mapping.
    pub env: Option<Token>,
    /// What it does.
    pub action: Action,
    /// `background`: the next step starts at once.
    pub background: bool,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `run`.
    Run {
        /// The script.
        run: Token,
        /// `shell`.
        shell: Option<Token>,
        /// `working-directory`.
        working_directory: Option<Token>,
    },
    /// `uses`.
    Uses {
        /// Which action.
        uses: Spanned<String>,
        /// `with`: a mapping.
        with: Option<Token>,
    },
    /// `wait`: for these background steps.
    Wait(Vec<Spanned<String>>),
    /// `wait-all`: for all background steps.
    WaitAll,
    /// `cancel`: this background step.
    Cancel(Spanned<String>),
    /// `parallel`: these steps at once, and wait for all.
    Parallel(Vec<Step>),
}
