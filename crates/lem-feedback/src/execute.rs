//! Does what the plan says: hears facts, asks the sources, appends attributions and requests, watches what they did.
//!
//! Everything it appends has an id made from the incident, so that a restart at any moment repeats nothing.

mod act;
mod attribute;
mod settle;

pub use settle::timeline;

use crate::config::Config;
use crate::events::*;
use crate::state::{Incident, LoopState, Standing};
use lem_ledger::{Consumer, Filter, LedgerError, Projection, Recorder, View};
use lem_model::fact::VerdictOutcome;
use lem_model::port::SymptomSource;
use lem_model::{Actor, DeploymentId, Digest, Event, Fact, IncidentId, NewEvent};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// Source of everything feedback appends.
pub const SOURCE: &str = "/lem/feedback";
/// Name under which requests are made.
pub const ACTOR: &str = "policy:feedback";
/// Time between attempts, and between looks at an intervention's outcome.
const PAUSE: Duration = Duration::from_secs(2);

/// Why feedback cannot go on.
#[derive(Debug, Error)]
pub enum FeedbackError {
    /// The ledger failed.
    #[error("feedback cannot use the ledger")]
    Ledger(#[from] LedgerError),
    /// A report cannot be written.
    #[error("cannot write report {path}")]
    Report {
        /// File.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
}

/// What the service needs.
#[derive(Clone)]
pub struct FeedbackOptions {
    /// Appends under `/lem/feedback`.
    pub recorder: Recorder,
    /// What symptoms look like.
    pub symptoms: Arc<dyn SymptomSource>,
    /// Policy.
    pub config: Config,
    /// Where reports are kept.
    pub reports: PathBuf,
    /// While this file exists nothing is done automatically.
    pub kill_switch: PathBuf,
}

impl std::fmt::Debug for FeedbackOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeedbackOptions")
            .field("config", &self.config)
            .field("reports", &self.reports)
            .finish_non_exhaustive()
    }
}

/// The running feedback.
#[derive(Clone)]
pub struct FeedbackService {
    options: FeedbackOptions,
    state: View<LoopState>,
}

impl std::fmt::Debug for FeedbackService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeedbackService").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Projection for LoopState {
    const NAME: &'static str = "feedback";
    const VERSION: u32 = 2;
    fn apply(&mut self, event: &Event) {
        LoopState::apply(self, event);
    }
}

impl FeedbackService {
    /// Folds the ledger; nothing happens before [`FeedbackService::serve`].
    pub fn new(options: FeedbackOptions) -> Self {
        let state = View::start(options.recorder.log().clone());
        Self { options, state }
    }

    /// What feedback knows.
    pub fn state(&self) -> &View<LoopState> {
        &self.state
    }

    /// Runs until cancelled.
    pub async fn serve(&self, cancel: CancellationToken) -> Result<(), FeedbackError> {
        let log = self.options.recorder.log().clone();
        let heard = Filter::types(["verdict.reached", "incident.detected", "incident.resolved"]);
        let mut subscription = log.subscribe(&Consumer::from("feedback"), heard).await?;
        // Questions left open by an earlier run are looked at only once the whole past is known.
        let known = log.size().await?;
        if let Some(last) = known.checked_sub(1) {
            self.state.wait_for(last).await;
        }
        let mut tick = tokio::time::interval(PAUSE);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut attempts: BTreeMap<IncidentId, u32> = BTreeMap::new();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                event = subscription.next() => {
                    let event = event?;
                    self.state.wait_for(event.seq).await;
                    self.hear(&event).await?;
                    subscription.ack(event.seq).await?;
                    self.look(&mut attempts).await?;
                }
                _ = tick.tick() => self.look(&mut attempts).await?,
            }
        }
    }

    /// A failed verdict opens an incident: its release is off traffic already, but somebody must learn from it.
    async fn hear(&self, event: &Event) -> Result<(), FeedbackError> {
        let Some(verdict) = event.read::<VerdictReached>() else { return Ok(()) };
        if verdict.outcome != VerdictOutcome::Bad {
            return Ok(());
        }
        let since =
            self.state.read(|s| s.releases.get(&verdict.deployment).and_then(|r| r.weights.first().map(|w| w.0)));
        let request = IncidentRequested {
            incident: incident_id(&verdict.deployment),
            title: format!("{} {} failed its canary", verdict.service, verdict.version),
            description: verdict.sentence.clone(),
            severity: "SEV3".into(),
            service: verdict.service.clone(),
            environment: verdict.environment.clone(),
            deployment: Some(verdict.deployment.clone()),
            since: since.unwrap_or(event.time_occurred),
            by: Actor::from(ACTOR),
        };
        self.options.recorder.record_as(format!("incident:{}", verdict.deployment), &request).await?;
        Ok(())
    }

    /// One look at every open question: incidents without a cause, interventions without an outcome, reports unwritten.
    async fn look(&self, attempts: &mut BTreeMap<IncidentId, u32>) -> Result<(), FeedbackError> {
        let incidents: Vec<Incident> = self.state.read(|s| s.incidents.values().cloned().collect());
        for incident in incidents {
            match incident.attribution.as_ref().map(|a| a.standing) {
                None => self.attribute(&incident, attempts).await?,
                Some(Standing::Proposed) => self.follow_up(&incident).await?,
                _ => {}
            }
            self.close(&incident).await?;
        }
        Ok(())
    }

    /// An event under an id of ours: said twice, it stands once.
    fn once<F: Fact>(&self, id: String, fact: &F) -> Result<NewEvent, FeedbackError> {
        let now = self.options.recorder.clock().now();
        Ok(NewEvent::of(fact, id, now, SOURCE).map_err(LedgerError::from)?)
    }
}

/// An id people can say, made from the rollout, so that the same verdict opens the same incident.
fn incident_id(deployment: &DeploymentId) -> IncidentId {
    let digest = Digest::of(deployment.as_str().as_bytes());
    IncidentId::new(format!("INC-{}", digest.hex()[..6].to_uppercase()))
}
