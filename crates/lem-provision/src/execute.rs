//! Doing what was decided: plans, applies and drift checks of one environment, each recorded as a fact.
//!
//! In: a [`Target`], variables, a store. Out: sealed plans, applied states, facts with names and counts and never a value.

use crate::ProvisionError;
use crate::apply::{Applied, Settings, apply};
use crate::config::{EngineKind, Target};
use crate::events::{ApplyFinished, ApplyStarted, DriftChecked, PlanFinished};
use crate::lock::{Holder, LeaseTimes};
use crate::plan::{Options, SealedPlan, make};
use crate::project::{Given, Project};
use crate::store::{Session, Store};
use lem_ledger::Recorder;
use lem_model::fact::{MAX_CHANGES, ResourceChange};
use lem_model::port::{PlanCost, PriceSource};
use lem_model::resource::ResourceAction;
use lem_model::{Actor, Clock, CommitSha};
use std::sync::Arc;
use std::time::Duration;

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
        let Some(recorder) = &self.recorder else { return Ok(()) };
        let fact = PlanFinished {
            plan: sealed.digest().clone(),
            root: self.target.root_name.clone(),
            environment: self.target.environment.name.clone(),
            engine: EngineKind::Native.name().to_owned(),
            counts: sealed.plan().counts(),
            changes: sealed.plan().told(),
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
        if let Some(recorder) = &self.recorder {
            let fact = ApplyStarted {
                apply: id.clone(),
                plan: sealed.digest().clone(),
                root: self.target.root_name.clone(),
                environment: self.target.environment.name.clone(),
                sha: self.sha.clone(),
                by: self.by.clone(),
            };
            recorder.record(&fact).await?;
        }
        let applied = apply(sealed, session, settings).await;
        if let Some(recorder) = &self.recorder {
            let fact = self.finished(id, sealed, begun, &applied);
            recorder.record(&fact).await?;
        }
        applied
    }

    fn finished(
        &self,
        apply: String,
        sealed: &SealedPlan,
        begun: jiff::Timestamp,
        applied: &Result<Applied, ProvisionError>,
    ) -> ApplyFinished {
        let (counts, mut changes, mut failed) = match applied {
            Ok(applied) => (applied.counts, applied.changes.clone(), applied.failed.clone()),
            Err(error) => {
                (lem_model::fact::PlanCounts::default(), vec![], vec![("apply".to_owned(), error.to_string())])
            }
        };
        changes.truncate(MAX_CHANGES);
        failed.truncate(MAX_CHANGES);
        let destroys = |c: &ResourceChange| {
            !matches!(c.action, ResourceAction::Create | ResourceAction::Update | ResourceAction::NoOp)
        };
        ApplyFinished {
            apply,
            plan: sealed.digest().clone(),
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
        }
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
