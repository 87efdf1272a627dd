//! Runs pipelines: once for a person ([`Pipeline`]), or as long as the program lives ([`PipelineService`]).

mod groups;
mod journal;
mod serve;

pub use journal::MAX_BATCH;
pub use serve::{CONSUMER, LOST, PipelineService, SOURCE};

use crate::config::{ExecutorName, PipelineConfig};
use crate::dialect::github::{RunInfo, TriggerEvent};
use crate::engine::Executor;
use crate::engine::embedded::{Embedded, Options, Wanted as Isolation};
use crate::error::PipelineError;
use crate::events::{PipelineFact, RunQueued, RunStarted};
use crate::execute::{Engine, RunOutcome, Tree};
use crate::logs::LogLine;
use crate::plan::{Filters, Plan, Planned, Wanted, plan};
use crate::source;
use indexmap::IndexMap;
use journal::Journal;
use lem_ledger::Recorder;
use lem_model::fact::Outcome;
use lem_model::{CommitSha, Diagnostic, RunId};
use lem_source::git::Repository;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// The commit of a directory that is no repository.
pub const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// Pipelines of one repository.
#[derive(Clone, Debug)]
pub struct Pipeline {
    root: PathBuf,
    repository: Option<Repository>,
    name: String,
    config: PipelineConfig,
    engine: Engine,
}

/// What a person asks for.
#[derive(Clone, Debug, Default)]
pub struct RunRequest {
    /// Workflow files, relative to the repository; none means the configured ones, else every detected one whose
    /// trigger matches.
    pub files: Vec<String>,
    /// Event: `push` when empty.
    pub event: String,
    /// Full ref; the current branch when `None`.
    pub git_ref: Option<String>,
    /// The event's document, as a webhook would bring it.
    pub payload: serde_json::Value,
    /// Inputs of a manual run.
    pub inputs: IndexMap<String, String>,
    /// Only this job and what it needs.
    pub job: Option<String>,
    /// Which files a checkout gives.
    pub tree: Tree,
    /// The `vars` context, over those of the configuration.
    pub vars: IndexMap<String, String>,
    /// The `secrets` context.
    pub secrets: IndexMap<String, String>,
}

/// What would run, before anything does.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Plans.
    pub plans: Vec<Plan>,
    /// Files the event does not concern, and why.
    pub passed: Vec<(String, String)>,
    /// Warnings of all files, and what is not supported in jobs that will be blocked.
    pub diagnostics: Vec<Diagnostic>,
}

/// What ran.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// Runs, one per file.
    pub runs: Vec<FinishedRun>,
    /// Files the event does not concern, and why.
    pub passed: Vec<(String, String)>,
    /// Warnings, and what is not supported.
    pub diagnostics: Vec<Diagnostic>,
}

impl RunResult {
    /// Whether something ran and all of it succeeded.
    pub fn is_success(&self) -> bool {
        !self.runs.is_empty() && self.runs.iter().all(|run| run.outcome.outcome == Outcome::Success)
    }
}

/// One run that has ended.
#[derive(Clone, Debug)]
pub struct FinishedRun {
    /// Run.
    pub run: RunId,
    /// Workflow file.
    pub file: String,
    /// Name of the pipeline.
    pub name: String,
    /// How it ended.
    pub outcome: RunOutcome,
    /// All of it, as the server would show it.
    pub view: crate::views::RunView,
}

/// Something that happens while a run runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// A fact.
    Fact(PipelineFact),
    /// A line of a job.
    Line {
        /// Run.
        run: RunId,
        /// Job.
        job: String,
        /// Index of the step.
        step: u32,
        /// The line, secrets hidden.
        line: LogLine,
    },
}

/// Takes what happens, as it happens; must not block.
pub type Listener = Arc<dyn Fn(Progress) + Send + Sync>;

impl Pipeline {
    /// The pipelines of the repository a directory belongs to, or of the directory itself. Files of runs are kept below
    /// `data`.
    pub fn open(directory: &Path, data: &Path, config: PipelineConfig) -> Self {
        let isolation = match config.executor {
            ExecutorName::Sandbox => Isolation::Sandbox,
            ExecutorName::Host => Isolation::Host,
        };
        let executor = Arc::new(Embedded::new(Options { wanted: isolation, ..Options::default() }));
        Self::with_executor(directory, data, config, executor)
    }

    /// The same with an executor of the caller's choice.
    pub fn with_executor(directory: &Path, data: &Path, config: PipelineConfig, executor: Arc<dyn Executor>) -> Self {
        let repository = Repository::discover(directory).ok();
        let root = repository.as_ref().map_or_else(|| directory.to_owned(), |r| r.root().to_owned());
        let local =
            || format!("local/{}", root.file_name().map_or("directory".into(), |n| n.to_string_lossy().into_owned()));
        let name = repository.as_ref().map_or_else(local, Repository::slug);
        let engine = Engine::new(executor, data, config.job_limit(), &config.writable);
        Self { root, repository, name, config, engine }
    }

    /// The same with other limits of jobs.
    #[must_use]
    pub fn with_limits(self, limits: crate::execute::JobLimits) -> Self {
        Self { engine: self.engine.clone().with_limits(limits), ..self }
    }

    /// The engine behind it.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The logs of its runs.
    pub fn logs(&self) -> &crate::logs::LogBook {
        self.engine.logs()
    }

    /// The artifacts of its runs.
    pub fn artifacts(&self) -> crate::results::store::ArtifactStore {
        crate::results::store::ArtifactStore::new(self.engine.data())
    }

    /// The root of the repository.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn vars(&self, more: &IndexMap<String, String>) -> IndexMap<String, String> {
        self.config.vars.iter().cloned().chain(more.iter().map(|(k, v)| (k.clone(), v.clone()))).collect()
    }

    /// The event a person means: by default a push of HEAD on the current branch.
    fn event(&self, request: &RunRequest) -> Result<TriggerEvent, PipelineError> {
        let name = if request.event.is_empty() { "push" } else { &request.event };
        let mut event = TriggerEvent {
            name: name.to_owned(),
            action: request.payload.get("action").and_then(|a| a.as_str()).map(str::to_owned),
            git_ref: request.git_ref.clone().unwrap_or_else(|| "refs/heads/main".into()),
            sha: CommitSha::from(NO_COMMIT),
            before: None,
            changed: None,
            message: String::new(),
            base_ref: text_at(&request.payload, "/pull_request/base/ref"),
            head_ref: text_at(&request.payload, "/pull_request/head/ref"),
            inputs: request.inputs.clone(),
            actor: std::env::var("USER").unwrap_or_else(|_| "local".into()),
            payload: request.payload.clone(),
        };
        let Some(repository) = &self.repository else { return Ok(event) };
        // A repository without a commit is a directory like any other.
        let Ok(sha) = repository.commit(request.git_ref.as_deref().unwrap_or("HEAD")) else { return Ok(event) };
        if request.git_ref.is_none()
            && let Some(branch) = repository.branch()?
        {
            event.git_ref = format!("refs/heads/{branch}");
        }
        Self::of_commit(&mut event, repository, sha)?;
        Ok(event)
    }

    /// Fills in what follows from the commit.
    fn of_commit(event: &mut TriggerEvent, repository: &Repository, sha: CommitSha) -> Result<(), PipelineError> {
        event.message = repository.message(&sha)?;
        event.before = repository.parent(&sha)?;
        event.changed = match &event.before {
            Some(before) => repository.changed(before, &sha)?,
            None => None,
        };
        event.sha = sha;
        Ok(())
    }

    /// What would run. All errors of all files are reported at once; with one nothing runs.
    pub fn prepare(&self, request: &RunRequest) -> Result<Prepared, PipelineError> {
        let event = self.event(request)?;
        let named = if request.files.is_empty() { &self.config.workflows } else { &request.files };
        let files = source::of(&self.root, self.repository.as_ref(), request.tree, &event.sha, named)?;
        let wanted = request.job.clone().map_or(Wanted::All, Wanted::Job);
        let filters = if request.files.is_empty() { Filters::Apply } else { Filters::Ignore };
        let mut prepared = Prepared { plans: vec![], passed: vec![], diagnostics: vec![] };
        let mut wrong = vec![];
        for file in files {
            let info = RunInfo {
                run: RunId::new(uuid::Uuid::now_v7().to_string()),
                number: 1,
                repository: self.name.clone(),
                vars: self.vars(&request.vars),
                secrets: request.secrets.clone(),
            };
            let planned = file.usable().and_then(|workflow| {
                prepared.diagnostics.extend(file.diagnostics.clone());
                plan(workflow, event.clone(), info, &wanted, filters)
            });
            match planned {
                Ok(Planned::Run(plan)) => prepared.add(*plan),
                Ok(Planned::Passed { why, place }) => prepared.passed.push((file.file, format!("{why} ({place})"))),
                // With several files a job is wanted from the one that has it.
                Err(found) if found.iter().all(|d| d.code == "unknown-job") && named.len() != 1 => {
                    prepared.passed.push((file.file, found[0].message.clone()));
                }
                Err(found) => wrong.extend(found),
            }
        }
        if !wrong.is_empty() {
            return Err(PipelineError::Invalid(wrong));
        }
        if let (Wanted::Job(job), true) = (&wanted, prepared.plans.is_empty()) {
            return Err(PipelineError::NoJob(job.clone()));
        }
        Ok(prepared)
    }

    /// Runs what the request means, all matching files at once, to the end.
    pub async fn run(
        &self,
        request: &RunRequest,
        listener: Option<Listener>,
        cancel: CancellationToken,
    ) -> Result<RunResult, PipelineError> {
        let prepared = self.prepare(request)?;
        self.run_prepared(prepared, request.tree, listener, cancel, None).await
    }

    /// Runs what was prepared. With a recorder every fact also goes to the ledger.
    pub async fn run_prepared(
        &self,
        prepared: Prepared,
        tree: Tree,
        listener: Option<Listener>,
        cancel: CancellationToken,
        recorder: Option<Recorder>,
    ) -> Result<RunResult, PipelineError> {
        let runs =
            prepared.plans.iter().map(|plan| self.one(plan, tree, listener.clone(), cancel.clone(), recorder.clone()));
        let runs = futures::future::try_join_all(runs).await?;
        Ok(RunResult { runs, passed: prepared.passed, diagnostics: prepared.diagnostics })
    }

    async fn one(
        &self,
        plan: &Plan,
        tree: Tree,
        listener: Option<Listener>,
        cancel: CancellationToken,
        recorder: Option<Recorder>,
    ) -> Result<FinishedRun, PipelineError> {
        let run = plan.run().run.clone();
        let journal = recorder.map(Journal::start);
        let view = Arc::new(Mutex::new(crate::views::RunsView::default()));
        let facts = {
            let (journal, listener, view) = (journal.as_ref().map(Journal::sink), listener.clone(), Arc::clone(&view));
            Arc::new(move |fact: PipelineFact| {
                let now = jiff::Timestamp::now();
                view.lock().unwrap_or_else(PoisonError::into_inner).fold_fact(&fact, now);
                if let Some(journal) = &journal {
                    journal(fact.clone());
                }
                if let Some(listener) = &listener {
                    listener(Progress::Fact(fact));
                }
            })
        };
        facts(PipelineFact::RunQueued(queued(plan, vec![])));
        facts(PipelineFact::RunStarted(started(plan)));
        if let Some(journal) = &journal {
            journal.flush().await?;
        }
        let context = crate::execute::RunContext {
            repository: self.repository.clone(),
            tree,
            facts,
            lines: listener.map(|listener| lines_to(listener, run.clone())),
            cancel,
            queued_ms: 0,
        };
        let outcome = self.engine.run(plan, context).await;
        if let Some(journal) = journal {
            journal.close().await?;
        }
        let view = view.lock().unwrap_or_else(PoisonError::into_inner).run(&run).cloned().unwrap_or_default();
        Ok(FinishedRun { run, file: plan.file.clone(), name: plan.name.clone(), outcome, view })
    }
}

type LinesTo = Arc<dyn Fn(&str, u32, &LogLine) + Send + Sync>;

fn lines_to(listener: Listener, run: RunId) -> LinesTo {
    Arc::new(move |job: &str, step: u32, line: &LogLine| {
        listener(Progress::Line { run: run.clone(), job: job.to_owned(), step, line: line.clone() });
    })
}

impl Prepared {
    fn add(&mut self, plan: Plan) {
        self.diagnostics.extend(plan.unsupported.clone());
        self.diagnostics.extend(plan.warnings.clone());
        self.plans.push(plan);
    }
}

fn text_at(json: &serde_json::Value, pointer: &str) -> String {
    json.pointer(pointer).and_then(|v| v.as_str()).unwrap_or_default().to_owned()
}

fn queued(plan: &Plan, marks: Vec<String>) -> RunQueued {
    let event = plan.event();
    RunQueued {
        run: plan.run().run.clone(),
        pipeline_name: plan.name.clone(),
        uri: format!("/runs/{}", plan.run().run),
        sha: event.sha.clone(),
        branch: event.ref_kind().1.to_owned(),
        file: plan.file.clone(),
        event: event.name.clone(),
        jobs: plan.jobs.clone(),
        marks,
    }
}

fn started(plan: &Plan) -> RunStarted {
    RunStarted {
        run: plan.run().run.clone(),
        pipeline_name: plan.name.clone(),
        uri: format!("/runs/{}", plan.run().run),
        sha: plan.event().sha.clone(),
    }
}
