//! Doing what was decided: plans, applies and drift checks of one environment, each recorded as a fact.
//!
//! In: a [`Target`], variables, a store. Out: sealed plans, applied states, facts with names and counts and never a value.

use crate::ProvisionError;
use crate::apply::{Applied, Settings, apply};
use crate::config::{EngineKind, Target};
use crate::events::{ApplyFinished, ApplyStarted, DriftChecked, PlanFinished};
use crate::exec::{Exec, Planned};
use crate::lock::{Holder, LeaseTimes};
use crate::plan::{Options, SealedPlan, make};
use crate::planread;
use crate::project::{Given, Project};
use crate::store::{Session, Store};
use lem_ledger::Recorder;
use lem_model::fact::{MAX_CHANGES, PlanCounts, ResourceChange};
use lem_model::port::{PlanCost, PriceSource};
use lem_model::resource::ResourceAction;
use lem_model::{Actor, Clock, CommitSha, Digest};
use std::sync::Arc;
use std::time::Duration;

/// How an apply ended: counts, changes, failures with their reasons.
type Ended = (PlanCounts, Vec<ResourceChange>, Vec<(String, String)>);

/// One environment, ready to be worked on.
#[derive(Clone)]
pub struct Environment {
    target: Target,
    store: Store,
    clock: Arc<dyn Clock>,
    recorder: Option<Recorder>,
    prices: Option<Arc<dyn PriceSource>>,
    by: Actor,
    sha: Option<CommitSha>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Environment {
    /// With the usual lease; nothing is recorded until [`Self::recording`] says where.
    pub fn new(target: Target, clock: Arc<dyn Clock>) -> Self {
        Self::with_lease(target, clock, LeaseTimes::default())
    }

    /// With a lease of another length.
    pub fn with_lease(target: Target, clock: Arc<dyn Clock>, times: LeaseTimes) -> Self {
        let store = Store::new(&target.folder, &target.state, clock.clone(), times);
        let by = Actor::from(crate::events::ENGINE);
        Self { target, store, clock, recorder: None, prices: None, by, sha: None }
    }

    /// Records facts, said to be asked for by somebody at a commit.
    #[must_use]
    pub fn recording(mut self, recorder: Recorder, by: Actor, sha: Option<CommitSha>) -> Self {
        (self.recorder, self.by, self.sha) = (Some(recorder), by, sha);
        self
    }

    /// Prices plans.
    #[must_use]
    pub fn priced(mut self, prices: Arc<dyn PriceSource>) -> Self {
        self.prices = Some(prices);
        self
    }

    /// Root, environment and files.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Its state.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Reads the configuration and plans, without the lock.
    pub async fn plan(&self, given: &Given, options: &Options) -> Result<SealedPlan, ProvisionError> {
        let project = Arc::new(Project::load(self.target.clone(), given)?);
        let loaded = self.store.load()?;
        let sealed = make(project, &loaded.state, options, self.clock.now()).await?;
        self.planned(&sealed).await?;
        Ok(sealed)
    }

    async fn planned(&self, sealed: &SealedPlan) -> Result<(), ProvisionError> {
        let plan = sealed.plan();
        self.tell_plan(EngineKind::Native, sealed.digest(), plan.counts(), plan.told()).await
    }

    async fn tell_plan(
        &self,
        engine: EngineKind,
        plan: &Digest,
        counts: PlanCounts,
        changes: Vec<ResourceChange>,
    ) -> Result<(), ProvisionError> {
        let Some(recorder) = &self.recorder else { return Ok(()) };
        let fact = PlanFinished {
            plan: plan.clone(),
            root: self.target.root_name.clone(),
            environment: self.target.environment.name.clone(),
            engine: engine.name().to_owned(),
            counts,
            changes,
            sha: self.sha.clone(),
            by: self.by.clone(),
        };
        recorder.record(&fact).await?;
        Ok(())
    }

    /// Lets an installed program plan.
    pub async fn plan_with(&self, exec: &Exec, options: &Options) -> Result<Planned, ProvisionError> {
        let planned = exec.plan(options).await?;
        let graph = &planned.graph;
        self.tell_plan(EngineKind::Terraform, &planned.digest, planread::counts(graph), planread::told(graph)).await?;
        Ok(planned)
    }

    /// Lets an installed program apply its plan; the answer is what it said.
    pub async fn apply_with(
        &self,
        exec: &Exec,
        planned: &Planned,
        parallelism: usize,
    ) -> Result<String, ProvisionError> {
        let id = uuid::Uuid::now_v7().to_string();
        let begun = self.clock.now();
        self.tell_start(&id, &planned.digest).await?;
        let said = exec.apply(planned, parallelism).await;
        let graph = &planned.graph;
        let (counts, changes, failed) = match &said {
            Ok(_) => (planread::counts(graph), planread::told(graph), vec![]),
            // What of it was done before it failed, the program's state knows and its message may not say.
            Err(error) => (PlanCounts::default(), planread::told(graph), vec![("apply".to_owned(), error.to_string())]),
        };
        self.tell_end(id, &planned.digest, begun, (counts, changes, failed)).await?;
        said
    }

    async fn tell_start(&self, apply: &str, plan: &Digest) -> Result<(), ProvisionError> {
        let Some(recorder) = &self.recorder else { return Ok(()) };
        let fact = ApplyStarted {
            apply: apply.to_owned(),
            plan: plan.clone(),
            root: self.target.root_name.clone(),
            environment: self.target.environment.name.clone(),
            sha: self.sha.clone(),
            by: self.by.clone(),
        };
        recorder.record(&fact).await?;
        Ok(())
    }

    /// What a plan costs a month; `None` when nobody prices it.
    pub async fn cost(&self, sealed: &SealedPlan) -> Option<Result<PlanCost, lem_model::port::SourceError>> {
        let prices = self.prices.as_ref()?;
        Some(prices.estimate(&crate::terraform::of_plan(sealed)).await)
    }

    /// Takes the lock, and what a killed holder left into the state.
    pub async fn session(
        &self,
        operation: &str,
        timeout: Duration,
        waiting: &(dyn Fn(&Holder) + Sync),
    ) -> Result<Session, ProvisionError> {
        self.store.session(operation, timeout, waiting).await
    }

    /// Plans under the lock, from exactly the state that will be changed.
    pub async fn plan_in(
        &self,
        session: &Session,
        given: &Given,
        options: &Options,
    ) -> Result<SealedPlan, ProvisionError> {
        let project = Arc::new(Project::load(self.target.clone(), given)?);
        let sealed = make(project, session.state(), options, self.clock.now()).await?;
        self.planned(&sealed).await?;
        Ok(sealed)
    }

    /// Applies a plan.
    pub async fn apply(
        &self,
        sealed: &SealedPlan,
        session: &mut Session,
        settings: &Settings,
    ) -> Result<Applied, ProvisionError> {
        let id = uuid::Uuid::now_v7().to_string();
        let begun = self.clock.now();
        self.tell_start(&id, sealed.digest()).await?;
        let applied = apply(sealed, session, settings).await;
        let ended = match &applied {
            Ok(applied) => (applied.counts, applied.changes.clone(), applied.failed.clone()),
            Err(error) => (PlanCounts::default(), vec![], vec![("apply".to_owned(), error.to_string())]),
        };
        self.tell_end(id, sealed.digest(), begun, ended).await?;
        applied
    }

    async fn tell_end(
        &self,
        apply: String,
        plan: &Digest,
        begun: jiff::Timestamp,
        (counts, mut changes, mut failed): Ended,
    ) -> Result<(), ProvisionError> {
        let Some(recorder) = &self.recorder else { return Ok(()) };
        changes.truncate(MAX_CHANGES);
        failed.truncate(MAX_CHANGES);
        let destroys = |c: &ResourceChange| {
            !matches!(c.action, ResourceAction::Create | ResourceAction::Update | ResourceAction::NoOp)
        };
        let fact = ApplyFinished {
            apply,
            plan: plan.clone(),
            root: self.target.root_name.clone(),
            environment: self.target.environment.name.clone(),
            services: self.target.environment.services.iter().map(ToString::to_string).collect(),
            counts,
            irreversible: changes.iter().any(destroys),
            changes,
            failed,
            duration_ms: self.clock.now().as_millisecond().saturating_sub(begun.as_millisecond()).max(0) as u64,
            sha: self.sha.clone(),
            by: self.by.clone(),
        };
        recorder.record(&fact).await?;
        Ok(())
    }

    /// What exists against what was applied; recorded whether it differs or not.
    pub async fn drift(&self, given: &Given) -> Result<SealedPlan, ProvisionError> {
        let project = Arc::new(Project::load(self.target.clone(), given)?);
        let options = Options { refresh_only: true, ..Options::default() };
        let sealed = make(project, &self.store.load()?.state, &options, self.clock.now()).await?;
        if let Some(recorder) = &self.recorder {
            let fact = DriftChecked {
                root: self.target.root_name.clone(),
                environment: self.target.environment.name.clone(),
                changes: crate::plan::tell(&sealed.plan().drift),
                by: self.by.clone(),
            };
            recorder.record(&fact).await?;
        }
        Ok(sealed)
    }
}
