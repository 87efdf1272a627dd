//! One run: asks the machine, starts jobs, tells what happens.

use super::env::Machine;
use super::job::{JobEnd, JobLimits, JobTask};
use super::shared::{FactSink, RunShared, StoredArtifact};
use super::{LineSink, Tree};
use crate::engine::Executor;
use crate::events::PipelineFact;
use crate::logs::LogBook;
use crate::machine::{Change, Effect, Input, LegId, RunState};
use crate::plan::Plan;
use lem_model::RunId;
use lem_model::fact::{JobFinished, JobSkipped, JobStarted, Outcome, Ref, RunFinished};
use lem_source::git::Repository;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// Runs plans: what all runs of a program share.
#[derive(Clone)]
pub struct Engine {
    executor: Arc<dyn Executor>,
    machine: Arc<Machine>,
    slots: Arc<Semaphore>,
    data: PathBuf,
    logs: LogBook,
    limits: JobLimits,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("data", &self.data).finish_non_exhaustive()
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOutcome {
    /// How.
    pub outcome: Outcome,
    /// What went wrong, in one line.
    pub errors: Option<String>,
    /// From start to end.
    pub duration_ms: u64,
    /// Its artifacts.
    pub artifacts: Vec<StoredArtifact>,
}

/// What a run needs besides its plan.
pub(crate) struct RunContext {
    pub repository: Option<Repository>,
    pub tree: Tree,
    pub facts: FactSink,
    pub lines: Option<Arc<dyn Fn(&str, u32, &crate::logs::LogLine) + Send + Sync>>,
    pub cancel: CancellationToken,
    pub queued_ms: u64,
}

impl Engine {
    /// An engine that keeps its files below `data` and runs at most `jobs` jobs at once.
    pub fn new(executor: Arc<dyn Executor>, data: &Path, jobs: usize, writable: &[PathBuf]) -> Self {
        Self {
            executor,
            machine: Arc::new(Machine::read(writable)),
            slots: Arc::new(Semaphore::new(jobs.max(1))),
            data: data.to_owned(),
            logs: LogBook::new(data.join("logs")),
            limits: JobLimits::default(),
        }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: JobLimits) -> Self {
        Self { limits, ..self }
    }

    /// The logs of all runs.
    pub fn logs(&self) -> &LogBook {
        &self.logs
    }

    /// Where its files are.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Directory of a run's jobs while they run.
    fn work(&self, run: &RunId) -> PathBuf {
        self.data.join("work").join(crate::logs::file_name(run.as_str()))
    }

    /// Removes what a run that was lost left behind.
    pub(crate) fn sweep(&self, run: &RunId) {
        let _ = std::fs::remove_dir_all(self.work(run));
    }

    /// Runs a plan to its end. `RunFinished` is the last fact.
    pub(crate) async fn run(&self, plan: &Plan, context: RunContext) -> RunOutcome {
        let shared = Arc::new(RunShared::new(
            plan.run().clone(),
            plan.event().clone(),
            context.repository.clone(),
            context.tree,
            &self.data,
            Arc::clone(&context.facts),
        ));
        let (tell, heard) = mpsc::unbounded_channel();
        let active = ActiveRun {
            engine: self,
            plan,
            context: &context,
            shared: Arc::clone(&shared),
            state: RunState::new(plan.nodes.clone()),
            tell,
            cancels: HashMap::new(),
            started: 0,
        };
        let began = Instant::now();
        let (outcome, errors) = active.drive(heard).await;
        let duration_ms = began.elapsed().as_millis() as u64;
        let work = self.work(&shared.info.run);
        let _ = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(work)).await;
        (context.facts)(PipelineFact::RunFinished(RunFinished {
            run: shared.info.run.clone(),
            pipeline_name: plan.name.clone(),
            uri: format!("/runs/{}", shared.info.run),
            outcome,
            errors: errors.clone(),
            sha: shared.event.sha.clone(),
            branch: shared.event.ref_kind().1.to_owned(),
            duration_ms,
            queued_ms: context.queued_ms,
        }));
        RunOutcome { outcome, errors, duration_ms, artifacts: shared.artifacts() }
    }
}

/// What jobs tell the run.
enum Told {
    Started(String, String),
    Ended(LegId, String, String, JobEnd, u64),
}

struct ActiveRun<'a> {
    engine: &'a Engine,
    plan: &'a Plan,
    context: &'a RunContext,
    shared: Arc<RunShared>,
    state: RunState,
    tell: mpsc::UnboundedSender<Told>,
    cancels: HashMap<LegId, CancellationToken>,
    started: usize,
}

impl ActiveRun<'_> {
    async fn drive(mut self, mut heard: mpsc::UnboundedReceiver<Told>) -> (Outcome, Option<String>) {
        let mut input = Some(Input::Start);
        let mut cancelled = false;
        loop {
            if let Some(input) = input.take() {
                let (changes, effects) = self.state.advance(input, self.plan.rules());
                for change in changes {
                    self.changed(change);
                }
                for effect in effects {
                    match effect {
                        Effect::Start(id) => self.start(id),
                        Effect::Cancel(id) => {
                            if let Some(cancel) = self.cancels.get(&id) {
                                cancel.cancel();
                            }
                        }
                        Effect::Finish(outcome, errors) => return (outcome, errors),
                    }
                }
            }
            tokio::select! {
                told = heard.recv() => match told {
                    Some(told) => input = self.told(told),
                    None => return (Outcome::Error, Some("the run lost its jobs".into())),
                },
                () = self.context.cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    input = Some(Input::Cancel("it was cancelled".into()));
                }
            }
        }
    }

    fn fact(&self, fact: PipelineFact) {
        (self.context.facts)(fact);
    }

    fn changed(&self, change: Change) {
        let (Change::Skipped { key, why } | Change::Blocked { key, why }) = change;
        let (run, sha) = (self.shared.info.run.clone(), self.shared.event.sha.clone());
        self.fact(PipelineFact::JobSkipped(JobSkipped { run, job: key, why, sha }));
    }

    fn told(&mut self, told: Told) -> Option<Input> {
        let (run, sha) = (self.shared.info.run.clone(), self.shared.event.sha.clone());
        match told {
            Told::Started(job, name) => {
                self.fact(PipelineFact::JobStarted(JobStarted {
                    task_name: name,
                    uri: format!("/runs/{run}/jobs/{job}"),
                    pipeline_run: Ref::to(run.to_string()),
                    run,
                    job,
                    sha,
                }));
                None
            }
            Told::Ended(id, job, name, end, duration_ms) => {
                self.cancels.remove(&id);
                self.fact(PipelineFact::JobFinished(JobFinished {
                    task_name: name,
                    uri: format!("/runs/{run}/jobs/{job}"),
                    pipeline_run: Ref::to(run.to_string()),
                    outcome: end.end.outcome,
                    errors: end.errors,
                    run,
                    job,
                    sha,
                    conclusion: end.end.conclusion,
                    duration_ms,
                }));
                Some(Input::Ended(id, end.end))
            }
        }
    }

    fn start(&mut self, id: LegId) {
        let (Some(leg), Some(script)) = (self.state.leg(id).cloned(), self.plan.script(&self.state, id)) else {
            return;
        };
        let cancel = CancellationToken::new();
        self.cancels.insert(id, cancel.clone());
        self.started += 1;
        let engine = self.engine;
        let directory = engine.work(&self.shared.info.run).join(self.started.to_string());
        let lines = self.context.lines.clone().map(|sink| {
            let key = leg.key.clone();
            Arc::new(move |step: u32, line: &crate::logs::LogLine| sink(&key, step, line)) as LineSink
        });
        let task = JobTask {
            shared: Arc::clone(&self.shared),
            executor: Arc::clone(&engine.executor),
            machine: Arc::clone(&engine.machine),
            logs: engine.logs.clone(),
            limits: engine.limits,
            key: leg.key.clone(),
            directory,
            script,
            cancel: cancel.clone(),
            lines,
        };
        let (tell, slots) = (self.tell.clone(), Arc::clone(&engine.slots));
        tokio::spawn(async move {
            let ended = one(task, &leg.key, &leg.name, &tell, &slots, &cancel).await;
            let (end, duration_ms) = ended;
            let _ = tell.send(Told::Ended(id, leg.key, leg.name, end, duration_ms));
        });
    }
}

/// Waits for a slot and runs the job; a job that is cancelled while it waits never starts.
async fn one(
    task: JobTask,
    key: &str,
    name: &str,
    tell: &mpsc::UnboundedSender<Told>,
    slots: &Semaphore,
    cancel: &CancellationToken,
) -> (JobEnd, u64) {
    let slot = tokio::select! {
        slot = slots.acquire() => slot.ok(),
        () = cancel.cancelled() => None,
    };
    let Some(_slot) = slot else {
        let end = crate::machine::LegEnd {
            outcome: Outcome::Cancel,
            conclusion: Outcome::Cancel,
            outputs: indexmap::IndexMap::new(),
        };
        return (JobEnd { end, errors: Some("cancelled before it started".into()) }, 0);
    };
    let _ = tell.send(Told::Started(key.to_owned(), name.to_owned()));
    let began = Instant::now();
    let directory = task.directory.clone();
    // The job runs in a task of its own: should it panic, the run still learns that it ended.
    let end = match tokio::spawn(task.run()).await {
        Ok(end) => end,
        Err(error) => JobEnd {
            end: crate::machine::LegEnd {
                outcome: Outcome::Error,
                conclusion: Outcome::Error,
                outputs: indexmap::IndexMap::new(),
            },
            errors: Some(format!("internal error: {error}")),
        },
    };
    let _ = std::fs::remove_dir_all(directory);
    (end, began.elapsed().as_millis() as u64)
}
