//! The stage as part of the running program: hears the ledger, runs, tells the ledger.

use super::groups::Groups;
use super::journal::{Journal, event};
use super::{Listener, Pipeline, Progress, lines_to, queued, started};
use crate::dialect::github::{RunInfo, TriggerEvent};
use crate::error::PipelineError;
use crate::events::{PipelineCancelRequested, PipelineFact, PipelineRequested, RunFinished, RunRejected};
use crate::execute::Tree;
use crate::plan::{Filters, Plan, Planned, Wanted, plan};
use crate::source::{self, WorkflowFile};
use crate::views::{RunView, RunsView, Stage};
use indexmap::IndexMap;
use lem_ledger::{Consumer, EventLog, Filter, Kept, Recorder, Subscription};
use lem_model::fact::{ChangeMerged, Outcome, RegressionMarked};
use lem_model::port::SecretSource;
use lem_model::{CommitSha, Diagnostic, Digest, Event, Place, RunId};
use lem_source::git::Repository;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Name of the stage's cursor in the ledger.
pub const CONSUMER: &str = "pipeline";
/// Source of the stage's facts.
pub const SOURCE: &str = "/lem/pipeline";
/// What a run says that was running when the program ended.
pub const LOST: &str = "lost: the program ended while it ran";

/// Types of events the stage hears.
const HEARD: [&str; 4] = ["change.merged", "pipeline.requested", "pipelinecancel.requested", "regression.marked"];

/// Runs the pipelines of a repository as the ledger asks for them.
pub struct PipelineService {
    pipeline: Pipeline,
    recorder: Recorder,
    secrets: Option<Arc<dyn SecretSource>>,
    listener: Option<Listener>,
}

impl std::fmt::Debug for PipelineService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PipelineService").field("pipeline", &self.pipeline).finish_non_exhaustive()
    }
}

impl PipelineService {
    /// A service over a ledger.
    pub fn new(pipeline: Pipeline, log: Arc<dyn EventLog>) -> Self {
        Self { pipeline, recorder: Recorder::new(log, SOURCE), secrets: None, listener: None }
    }

    /// The same with a recorder of the caller's choice, for its clock and ids.
    #[must_use]
    pub fn with_recorder(self, recorder: Recorder) -> Self {
        Self { recorder, ..self }
    }

    /// The same with secrets for jobs.
    #[must_use]
    pub fn with_secrets(self, secrets: Arc<dyn SecretSource>) -> Self {
        Self { secrets: Some(secrets), ..self }
    }

    /// The same with somebody who watches lines and facts as they come.
    #[must_use]
    pub fn with_listener(self, listener: Listener) -> Self {
        Self { listener: Some(listener), ..self }
    }

    /// The logs of its runs, for whoever shows them.
    pub fn logs(&self) -> &crate::logs::LogBook {
        self.pipeline.logs()
    }

    /// Serves until it is cancelled; runs that are under way are then stopped and say so.
    pub async fn serve(&self, cancel: CancellationToken) -> Result<(), PipelineError> {
        let mut serving = Serving {
            service: self,
            view: RunsView::default(),
            groups: Groups::default(),
            active: HashMap::new(),
            waiting: HashMap::new(),
            tasks: JoinSet::new(),
        };
        serving.recover().await?;
        let filter = Filter::types(HEARD);
        let mut subscription = self.recorder.log().subscribe(&Consumer::new(CONSUMER), filter).await?;
        serving.follow(&mut subscription, &cancel).await?;
        serving.stop().await
    }
}

struct Serving<'a> {
    service: &'a PipelineService,
    view: RunsView,
    groups: Groups,
    active: HashMap<RunId, CancellationToken>,
    /// Plans of runs that wait for their group.
    waiting: HashMap<RunId, (Plan, jiff::Timestamp)>,
    tasks: JoinSet<RunId>,
}

impl Serving<'_> {
    /// What the ledger says about runs that did not end: those that ran are lost, those that waited start.
    async fn recover(&mut self) -> Result<(), PipelineError> {
        let log = Arc::clone(self.service.recorder.log());
        let mut next = 0;
        loop {
            let events = log.read(next, &Filter::all(), 5_000).await?;
            let Some(last) = events.last() else { break };
            next = last.seq + 1;
            for event in &events {
                self.view.fold(event);
            }
        }
        let open: Vec<RunView> = self.view.open().cloned().collect();
        for run in open {
            match run.stage {
                Stage::Running => self.lose(&run, LOST, Outcome::Error).await?,
                _ => self.resume(&run).await?,
            }
        }
        Ok(())
    }

    async fn lose(&mut self, run: &RunView, why: &str, outcome: Outcome) -> Result<(), PipelineError> {
        self.service.pipeline.engine().sweep(&run.run);
        if let Some(secrets) = &self.service.secrets {
            secrets.release(&holder(&run.run)).await?;
        }
        let fact = PipelineFact::RunFinished(RunFinished {
            run: run.run.clone(),
            pipeline_name: run.pipeline.clone(),
            uri: format!("/runs/{}", run.run),
            outcome,
            errors: Some(why.to_owned()),
            sha: run.sha.clone(),
            branch: run.branch.clone(),
            duration_ms: 0,
            queued_ms: 0,
        });
        self.say(fact).await.map(|_| ())
    }

    /// A run that was queued and never started: plan it again, from the same commit and event.
    async fn resume(&mut self, run: &RunView) -> Result<(), PipelineError> {
        let Some(repository) = self.service.pipeline.repository.clone() else {
            return self.lose(run, "there is no repository", Outcome::Error).await;
        };
        let request = self.view.request(&run.run).cloned();
        let inputs = request.map(|r| r.inputs).unwrap_or_default();
        let asked = Asked { sha: run.sha.clone(), branch: run.branch.clone(), event: run.event.clone(), inputs };
        let event = match Self::event(&repository, &asked) {
            Ok(event) => event,
            Err(error) => return self.lose(run, &error.to_string(), Outcome::Error).await,
        };
        let files = source::of_commit(&repository, &run.sha, std::slice::from_ref(&run.file))?;
        let info = self.info(run.run.clone(), self.view.count(&run.file)).await?;
        let planned =
            files.first().map(|file| file.usable().and_then(|w| plan(w, event, info, &Wanted::All, Filters::Ignore)));
        match planned {
            Some(Ok(Planned::Run(plan))) => self.enter(*plan, run.queued_at.unwrap_or_else(jiff::Timestamp::now)).await,
            _ => self.lose(run, "it can no longer be planned", Outcome::Error).await,
        }
    }

    /// Appends one fact durably and folds it; whether it is new.
    async fn say(&mut self, fact: PipelineFact) -> Result<bool, PipelineError> {
        let recorder = &self.service.recorder;
        let event = event(recorder, &fact)?;
        let at = event.time_occurred;
        let appended = recorder.append(vec![event]).await?;
        let new = appended.last().is_some_and(|a| a.kept == Kept::New);
        if new {
            self.view.fold_fact(&fact, at);
            if let Some(listener) = &self.service.listener {
                listener(Progress::Fact(fact));
            }
        }
        Ok(new)
    }

    async fn follow(
        &mut self,
        subscription: &mut Subscription,
        cancel: &CancellationToken,
    ) -> Result<(), PipelineError> {
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                ended = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    if let Some(Ok(run)) = ended {
                        self.ended(&run).await?;
                    }
                }
                event = subscription.next() => {
                    let event = event?;
                    self.hear(&event).await?;
                    subscription.ack(event.seq).await?;
                }
            }
        }
    }

    /// Stops what runs and waits for it to say so.
    async fn stop(&mut self) -> Result<(), PipelineError> {
        self.active.values().for_each(CancellationToken::cancel);
        while self.tasks.join_next().await.is_some() {}
        Ok(())
    }

    async fn ended(&mut self, run: &RunId) -> Result<(), PipelineError> {
        self.active.remove(run);
        self.close(run);
        self.next_after(run).await
    }

    /// The view learns what the run's own journal told the ledger.
    fn close(&mut self, run: &RunId) {
        if let Some(view) = self.view.run(run).cloned() {
            let fact = PipelineFact::RunFinished(RunFinished {
                run: view.run,
                pipeline_name: view.pipeline,
                uri: String::new(),
                outcome: Outcome::Success,
                errors: None,
                sha: view.sha,
                branch: view.branch,
                duration_ms: 0,
                queued_ms: 0,
            });
            self.view.fold_fact(&fact, jiff::Timestamp::now());
        }
    }

    async fn next_after(&mut self, run: &RunId) -> Result<(), PipelineError> {
        if let Some(next) = self.groups.leave(run)
            && let Some((plan, queued_at)) = self.waiting.remove(&next)
        {
            self.start(plan, queued_at).await?;
        }
        Ok(())
    }

    async fn hear(&mut self, event: &Event) -> Result<(), PipelineError> {
        if let Some(change) = event.read::<ChangeMerged>() {
            return self.merged(event, &change).await;
        }
        if let Some(request) = event.read::<PipelineRequested>() {
            self.view.fold(event);
            return self.requested(&request).await;
        }
        if let Some(request) = event.read::<PipelineCancelRequested>() {
            return self.cancel(&request).await;
        }
        if event.is::<RegressionMarked>() {
            self.view.fold(event);
        }
        Ok(())
    }

    async fn cancel(&mut self, request: &PipelineCancelRequested) -> Result<(), PipelineError> {
        if let Some(cancel) = self.active.get(&request.run) {
            cancel.cancel();
        } else if self.waiting.remove(&request.run).is_some() {
            self.groups.leave(&request.run);
            if let Some(run) = self.view.run(&request.run).cloned() {
                let why = format!("cancelled by {}: {}", request.by, request.reason);
                self.lose(&run, &why, Outcome::Cancel).await?;
            }
        }
        Ok(())
    }

    /// A commit reached the watched branch: every workflow it triggers runs.
    async fn merged(&mut self, event: &Event, change: &ChangeMerged) -> Result<(), PipelineError> {
        let Some(repository) = self.service.pipeline.repository.clone() else { return Ok(()) };
        let files = match source::of_commit(&repository, &change.sha, &self.service.pipeline.config.workflows) {
            Ok(files) => files,
            Err(error) => return self.reject(String::new(), &change.sha, unreadable(&error)).await,
        };
        let listed = change.files.iter().map(|f| f.path.clone()).collect::<Vec<_>>();
        let known = change.files_omitted == 0 && change.parent.is_some() && !listed.is_empty();
        let trigger = TriggerEvent {
            name: "push".into(),
            action: None,
            git_ref: format!("refs/heads/{}", change.branch),
            sha: change.sha.clone(),
            before: change.parent.clone(),
            changed: known.then_some(listed),
            message: change.message.clone(),
            base_ref: String::new(),
            head_ref: String::new(),
            inputs: IndexMap::new(),
            actor: change.author.split(" <").next().unwrap_or_default().to_owned(),
            payload: serde_json::Value::Null,
        };
        for file in files {
            // The same event gives the same runs, however often it is heard.
            let seed = format!("{}\n{}\n{}", event.source, event.id, file.file);
            let run = RunId::new(Digest::of(seed.as_bytes()).hex()[..24].to_owned());
            self.queue(&file, trigger.clone(), run, Filters::Apply).await?;
        }
        Ok(())
    }

    /// Somebody asked for runs.
    async fn requested(&mut self, request: &PipelineRequested) -> Result<(), PipelineError> {
        let Some(repository) = self.service.pipeline.repository.clone() else { return Ok(()) };
        let asked = Asked {
            sha: request.sha.clone(),
            branch: request.branch.clone(),
            event: request.event.clone(),
            inputs: request.inputs.clone(),
        };
        let trigger = match Self::event(&repository, &asked) {
            Ok(mut trigger) => {
                trigger.actor = request.by.to_string();
                trigger
            }
            Err(error) => {
                return self.reject(request.file.clone().unwrap_or_default(), &request.sha, unreadable(&error)).await;
            }
        };
        let named =
            request.file.clone().map_or_else(|| self.service.pipeline.config.workflows.clone(), |file| vec![file]);
        let files = match source::of_commit(&repository, &trigger.sha, &named) {
            Ok(files) => files,
            Err(error) => {
                return self.reject(request.file.clone().unwrap_or_default(), &request.sha, unreadable(&error)).await;
            }
        };
        let filters = if request.file.is_some() { Filters::Ignore } else { Filters::Apply };
        let mut number = 0;
        for file in files {
            let run = if number == 0 { request.run.clone() } else { RunId::new(format!("{}.{number}", request.run)) };
            if self.queue(&file, trigger.clone(), run, filters).await? {
                number += 1;
            }
        }
        Ok(())
    }

    fn event(repository: &Repository, asked: &Asked) -> Result<TriggerEvent, PipelineError> {
        let mut event = TriggerEvent {
            name: if asked.event.is_empty() { "workflow_dispatch".into() } else { asked.event.clone() },
            action: None,
            git_ref: if asked.branch.starts_with("refs/") {
                asked.branch.clone()
            } else {
                format!("refs/heads/{}", asked.branch)
            },
            sha: asked.sha.clone(),
            before: None,
            changed: None,
            message: String::new(),
            base_ref: String::new(),
            head_ref: String::new(),
            inputs: asked.inputs.iter().cloned().collect(),
            actor: String::new(),
            payload: serde_json::Value::Null,
        };
        let sha = repository.commit(asked.sha.as_str())?;
        Pipeline::of_commit(&mut event, repository, sha.clone())?;
        event.actor = repository.author(&sha)?;
        Ok(event)
    }

    async fn reject(
        &mut self,
        file: String,
        sha: &CommitSha,
        diagnostics: Vec<Diagnostic>,
    ) -> Result<(), PipelineError> {
        self.say(PipelineFact::RunRejected(RunRejected { file, sha: sha.clone(), diagnostics })).await.map(|_| ())
    }

    /// What a run is about, with its secrets as leases that end with it.
    async fn info(&self, run: RunId, number: u64) -> Result<RunInfo, PipelineError> {
        let mut secrets = IndexMap::new();
        if let Some(source) = &self.service.secrets {
            for name in source.names().await? {
                if let Some(value) = source.lease(&name, &holder(&run)).await? {
                    secrets.insert(name, value);
                }
            }
        }
        let pipeline = &self.service.pipeline;
        Ok(RunInfo { run, number, repository: pipeline.name.clone(), vars: pipeline.vars(&IndexMap::new()), secrets })
    }

    /// Plans a file and queues its run; whether there is one.
    async fn queue(
        &mut self,
        file: &WorkflowFile,
        event: TriggerEvent,
        run: RunId,
        filters: Filters,
    ) -> Result<bool, PipelineError> {
        let sha = event.sha.clone();
        let info = self.info(run.clone(), self.view.count(&file.file) + 1).await?;
        let planned = file.usable().and_then(|workflow| plan(workflow, event, info, &Wanted::All, filters));
        // Conditions may read secrets, so they are lent before it is known whether there is a run to end them.
        if let (Some(secrets), Ok(Planned::Passed { .. }) | Err(_)) = (&self.service.secrets, &planned) {
            secrets.release(&holder(&run)).await?;
        }
        match planned {
            Ok(Planned::Passed { .. }) => Ok(false),
            Err(diagnostics) => {
                self.reject(file.file.clone(), &sha, diagnostics).await?;
                Ok(false)
            }
            Ok(Planned::Run(plan)) => {
                let marks = self.view.marks(&sha).to_vec();
                // The ledger first. If it knows the run already, it was queued before: recovery has seen to it.
                let new = self.say(PipelineFact::RunQueued(queued(&plan, marks))).await?;
                if new {
                    self.enter(*plan, jiff::Timestamp::now()).await?;
                }
                Ok(true)
            }
        }
    }

    /// A queued run enters its group, and starts when it may.
    async fn enter(&mut self, plan: Plan, queued_at: jiff::Timestamp) -> Result<(), PipelineError> {
        let run = plan.run().run.clone();
        let Some(group) = plan.group.clone() else { return self.start(plan, queued_at).await };
        let entered = self.groups.enter(&group, &run);
        if entered.start {
            return self.start(plan, queued_at).await;
        }
        self.waiting.insert(run, (plan, queued_at));
        for old in entered.superseded {
            self.waiting.remove(&old);
            if let Some(view) = self.view.run(&old).cloned() {
                let why = format!("a newer run took its place in group {}", group.name);
                self.lose(&view, &why, Outcome::Cancel).await?;
            }
        }
        if let Some(cancel) = entered.stop.and_then(|run| self.active.get(&run)) {
            cancel.cancel();
        }
        Ok(())
    }

    async fn start(&mut self, plan: Plan, queued_at: jiff::Timestamp) -> Result<(), PipelineError> {
        let run = plan.run().run.clone();
        if !self.say(PipelineFact::RunStarted(started(&plan))).await? {
            return Ok(()); // it has started before: never twice
        }
        let cancel = CancellationToken::new();
        self.active.insert(run.clone(), cancel.clone());
        let journal = Journal::start(self.service.recorder.clone());
        let (sink, listener) = (journal.sink(), self.service.listener.clone());
        let facts = Arc::new(move |fact: PipelineFact| {
            sink(fact.clone());
            if let Some(listener) = &listener {
                listener(Progress::Fact(fact));
            }
        });
        let waited = self.service.recorder.clock().now().duration_since(queued_at).as_millis();
        let context = crate::execute::RunContext {
            repository: self.service.pipeline.repository.clone(),
            tree: Tree::Commit,
            facts,
            lines: self.service.listener.clone().map(|l| lines_to(l, run.clone())),
            cancel,
            queued_ms: u64::try_from(waited).unwrap_or(0),
        };
        let engine = self.service.pipeline.engine().clone();
        let secrets = self.service.secrets.clone();
        self.tasks.spawn(async move {
            engine.run(&plan, context).await;
            if let Some(secrets) = secrets
                && let Err(error) = secrets.release(&holder(&run)).await
            {
                tracing::error!(%run, %error, "the leases of a run did not end with it; they end by their time");
            }
            if let Err(error) = journal.close().await {
                tracing::error!(%run, %error, "the ledger did not take the end of a run; it counts as lost after a restart");
            }
            run
        });
        Ok(())
    }
}

/// Whom the secrets of a run are lent to.
fn holder(run: &RunId) -> String {
    format!("run:{run}")
}

/// What a request names.
struct Asked {
    sha: CommitSha,
    branch: String,
    event: String,
    inputs: Vec<(String, String)>,
}

fn unreadable(error: &PipelineError) -> Vec<Diagnostic> {
    vec![Diagnostic::error("workflow-file", error.to_string(), Place::default())]
}
