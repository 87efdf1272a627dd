//! Does what the plan says: hears facts, asks the sources, appends attributions and requests, watches what they did.
//!
//! Everything it appends has an id made from the incident, so that a restart at any moment repeats nothing.

use crate::config::Config;
use crate::events::*;
use crate::plan::confirm::{self, Outcome};
use crate::plan::onset;
use crate::plan::rank::{Evidence, Ranking, rank};
use crate::plan::safety::{self, Decision};
use crate::plan::{factor::RATIO_FLOOR, rank::POSSIBLE};
use crate::report;
use crate::state::{Incident, LoopState, Standing};
use jiff::{SignedDuration, Timestamp};
use lem_ledger::{Consumer, EventLog, Filter, LedgerError, Projection, Recorder, View};
use lem_model::fact::{Onset, VerdictOutcome};
use lem_model::port::{Scope, Series, SourceError, SymptomSource, Window};
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
/// How far back symptoms are read.
const HISTORY: SignedDuration = SignedDuration::from_mins(30);
/// How far back cohorts are compared.
const COHORT_HISTORY: SignedDuration = SignedDuration::from_mins(15);
/// Attempts before an abstention is recorded: the first samples of a symptom may not be there yet.
const ATTEMPTS: u32 = 4;
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
    const VERSION: u32 = 1;
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
            self.publish(&incident).await?;
        }
        Ok(())
    }

    async fn attribute(
        &self,
        incident: &Incident,
        attempts: &mut BTreeMap<IncidentId, u32>,
    ) -> Result<(), FeedbackError> {
        let Some(scope) = incident.scope() else { return Ok(()) };
        let attempt = attempts.entry(incident.detected.incident.clone()).or_default();
        *attempt += 1;
        let now = self.options.recorder.clock().now();
        let began = incident.detected.since.unwrap_or(incident.at);
        let window = Window { from: began.checked_sub(HISTORY).unwrap_or(Timestamp::MIN), to: now };
        let mut evidence = self.gather(&scope, window).await;
        let onset = self.onset(incident, &mut evidence);
        let cohort_window = Window { from: onset.from.checked_sub(COHORT_HISTORY).unwrap_or(Timestamp::MIN), to: now };
        match self.options.symptoms.cohorts(&scope, cohort_window).await {
            Ok(cohorts) => evidence.cohorts = cohorts,
            Err(error) => evidence.blind_spots.push(blind("requests by version", &error)),
        }
        let rejected: Vec<DeploymentId> = incident
            .rejected
            .iter()
            .filter_map(|a| a.proposed.causes.first().and_then(|c| c.deployment.clone()))
            .collect();
        let ranking = self.state.read(|s| rank(s, &scope, &onset, &evidence, &rejected, now));
        if ranking.named().is_none() && *attempt < ATTEMPTS {
            return Ok(());
        }
        attempts.remove(&incident.detected.incident);
        self.record_attribution(incident, onset, &ranking).await?;
        self.act(incident, &ranking, now).await
    }

    async fn gather(&self, scope: &Scope, window: Window) -> Evidence {
        let mut evidence = Evidence::default();
        match self.options.symptoms.series(scope, window).await {
            Ok(series) => evidence.series = series,
            Err(error) => evidence.blind_spots.push(blind("metrics", &error)),
        }
        match self.options.symptoms.patterns(scope, window).await {
            Ok(patterns) => evidence.patterns = patterns,
            Err(error) => evidence.blind_spots.push(blind("logs", &error)),
        }
        evidence
    }

    /// The earliest changepoint of the symptom, or, when no series shows one, what the incident itself knows.
    fn onset(&self, incident: &Incident, evidence: &mut Evidence) -> Onset {
        let is_symptom = |s: &&Series| s.labels.get("signal").is_some_and(|s| s == "error_ratio" || s == "latency");
        let whole = |s: &&Series| !s.labels.contains_key("version");
        let symptoms: Vec<Series> = evidence.series.iter().filter(is_symptom).filter(whole).cloned().collect();
        if let Some(found) = onset::earliest(&symptoms, RATIO_FLOOR, incident.at) {
            return found;
        }
        let released = incident
            .detected
            .deployment
            .as_ref()
            .and_then(|d| self.state.read(|s| s.releases.get(d).and_then(|r| r.weights.first().map(|w| w.0))));
        let since = incident.detected.since.unwrap_or(incident.at);
        let from = released.unwrap_or(since).min(since);
        let query = symptoms.first().map_or_else(String::new, |s| s.query.clone());
        Onset { from, to: incident.at.max(from), query }
    }

    async fn record_attribution(
        &self,
        incident: &Incident,
        onset: Onset,
        ranking: &Ranking,
    ) -> Result<(), FeedbackError> {
        let id = &incident.detected.incident;
        let key = format!("attribution:{id}:{}", incident.rejected.len());
        let recorder = &self.options.recorder;
        let appended = if ranking.named().is_some() {
            let fact = AttributionProposed {
                attribution: key.as_str().into(),
                incident: id.clone(),
                onset: Some(onset),
                causes: ranking.causes.clone(),
                level: ranking.level().into(),
                blind_spots: ranking.blind_spots.clone(),
            };
            recorder.record_as(key.clone(), &fact).await?
        } else {
            let best = ranking.causes.first().map_or(0.0, |c| c.confidence);
            let fact = AttributionAbstained {
                attribution: key.as_str().into(),
                incident: id.clone(),
                onset: Some(onset),
                causes: ranking.causes.clone(),
                why: format!(
                    "no recorded change explains this: the best candidate reaches {best:.2}, {POSSIBLE} is needed"
                ),
                blind_spots: ranking.blind_spots.clone(),
            };
            recorder.record_as(key.clone(), &fact).await?
        };
        self.state.wait_for(appended.seq).await;
        Ok(())
    }

    async fn act(&self, incident: &Incident, ranking: &Ranking, now: Timestamp) -> Result<(), FeedbackError> {
        let stopped =
            self.options.kill_switch.exists().then(|| format!("{} exists", self.options.kill_switch.display()));
        let decision = self.state.read(|s| {
            let current = s.incidents.get(&incident.detected.incident).unwrap_or(incident);
            safety::decide(s, current, ranking, &self.options.config, stopped.as_deref(), now)
        });
        match decision {
            Decision::RollBack { deployment } => self.roll_back(incident, &deployment, ranking).await,
            Decision::AlreadyOff => self.mark(incident, ranking).await,
            Decision::Refuse(why) => {
                let key = format!("refusal:{}:{}", incident.detected.incident, incident.rejected.len());
                let fact = ActionRefused { incident: incident.detected.incident.clone(), kind: "rollback".into(), why };
                self.options.recorder.record_as(key.clone(), &fact).await?;
                Ok(())
            }
        }
    }

    /// The one automatic action of an incident. All of it goes in one batch: the action is recorded with its request.
    async fn roll_back(
        &self,
        incident: &Incident,
        deployment: &DeploymentId,
        ranking: &Ranking,
    ) -> Result<(), FeedbackError> {
        let Some(plan) = self.state.read(|s| s.releases.get(deployment).map(|r| r.plan.clone())) else { return Ok(()) };
        let id = &incident.detected.incident;
        let sentence = ranking.named().map_or_else(String::new, |c| c.sentence.clone());
        let target = plan.rollback_to.as_ref().map_or_else(String::new, ToString::to_string);
        let action = ActionTaken {
            incident: id.clone(),
            kind: "rollback".into(),
            sentence: format!("{} goes back from {} to {target} in {}", plan.service, plan.version, plan.environment),
            service: plan.service.clone(),
            environment: plan.environment.clone(),
        };
        let rollback = RollbackRequested {
            service: plan.service.clone(),
            environment: plan.environment.clone(),
            from: Some(plan.version.clone()),
            to: plan.rollback_to.clone(),
            reason: sentence.clone(),
            incident: Some(id.clone()),
            by: Actor::from(ACTOR),
        };
        let quarantine = QuarantineRequested {
            digest: plan.digest.clone(),
            service: plan.service.clone(),
            version: plan.version.clone(),
            sha: plan.sha.clone(),
            reason: format!("caused {id}"),
            incident: Some(id.clone()),
            by: Actor::from(ACTOR),
        };
        let revert = RevertRequested {
            service: plan.service,
            environment: plan.environment,
            sha: plan.sha,
            reason: format!("caused {id}: {sentence}"),
        };
        let batch = vec![
            self.once(format!("action:{id}"), &action)?,
            self.once(format!("rollback:{id}"), &rollback)?,
            self.once(format!("quarantine:{id}"), &quarantine)?,
            self.once(format!("revert:{id}"), &revert)?,
        ];
        self.options.recorder.append(batch).await?;
        self.mark(incident, ranking).await
    }

    /// An event under an id of ours: said twice, it stands once.
    fn once<F: Fact>(&self, id: String, fact: &F) -> Result<NewEvent, FeedbackError> {
        let now = self.options.recorder.clock().now();
        Ok(NewEvent::of(fact, id, now, SOURCE).map_err(LedgerError::from)?)
    }

    /// Tells the pipeline: the next run of that commit carries the mark.
    async fn mark(&self, incident: &Incident, ranking: &Ranking) -> Result<(), FeedbackError> {
        let Some(cause) = ranking.named() else { return Ok(()) };
        let (Some(sha), Some(scope)) = (cause.sha.clone(), incident.scope()) else { return Ok(()) };
        let digest = cause
            .deployment
            .as_ref()
            .and_then(|d| self.state.read(|s| s.releases.get(d).map(|r| r.plan.digest.clone())));
        let id = &incident.detected.incident;
        let fact = RegressionMarked {
            sha,
            incident: id.clone(),
            service: scope.service,
            digest,
            sentence: format!("{id}: {}", cause.sentence),
        };
        self.options.recorder.record_as(format!("regression:{id}"), &fact).await?;
        Ok(())
    }

    /// Whether taking the named release off traffic made the symptom go away.
    async fn follow_up(&self, incident: &Incident) -> Result<(), FeedbackError> {
        let Some(attribution) = &incident.attribution else { return Ok(()) };
        let (Some(cause), Some(onset), Some(scope)) =
            (attribution.proposed.causes.first(), &attribution.proposed.onset, incident.scope())
        else {
            return Ok(());
        };
        let Some(deployment) = &cause.deployment else { return Ok(()) };
        let acted_at = self.state.read(|s| {
            let release = s.releases.get(deployment)?;
            release.weights.iter().rev().find(|(_, w)| *w == 0).map(|(at, _)| *at).filter(|at| *at >= onset.from)
        });
        let Some(acted_at) = acted_at else { return Ok(()) };
        let now = self.options.recorder.clock().now();
        let window = Window { from: onset.from.checked_sub(HISTORY).unwrap_or(Timestamp::MIN), to: now };
        // A silent source proves nothing either way; the next look asks again.
        let Ok(series) = self.options.symptoms.series(&scope, window).await else { return Ok(()) };
        let key = |verdict: &str| format!("{verdict}:{}", attribution.proposed.attribution);
        let recorder = &self.options.recorder;
        match confirm::outcome(&series, onset, acted_at, now, &self.options.config) {
            Outcome::Waiting | Outcome::RecoveredBefore => {}
            Outcome::Helped(sentence) => {
                let fact = AttributionConfirmed {
                    attribution: attribution.proposed.attribution.clone(),
                    incident: incident.detected.incident.clone(),
                    sha: cause.sha.clone(),
                    deployment: cause.deployment.clone(),
                    kind: cause.kind.clone(),
                    sentence,
                    by: Actor::from("intervention"),
                };
                recorder.record_as(key("confirmed"), &fact).await?;
                self.raise_risk(incident, cause).await?;
            }
            Outcome::DidNotHelp(sentence) => {
                let fact = AttributionRejected {
                    attribution: attribution.proposed.attribution.clone(),
                    incident: incident.detected.incident.clone(),
                    sha: cause.sha.clone(),
                    deployment: cause.deployment.clone(),
                    kind: cause.kind.clone(),
                    sentence,
                    by: Actor::from("intervention"),
                };
                let appended = recorder.record_as(key("rejected"), &fact).await?;
                self.state.wait_for(appended.seq).await;
            }
        }
        Ok(())
    }

    async fn raise_risk(&self, incident: &Incident, cause: &lem_model::fact::RankedCause) -> Result<(), FeedbackError> {
        let (Some(sha), Some(scope)) = (&cause.sha, incident.scope()) else { return Ok(()) };
        let paths = self.state.read(|s| {
            let change = s.changes.get(sha).map(|(_, c)| c);
            change.map_or_else(Vec::new, |c| c.files.iter().map(|f| f.path.clone()).collect())
        });
        let fact = RiskRaised {
            service: scope.service,
            paths,
            sha: sha.clone(),
            incident: incident.detected.incident.clone(),
        };
        self.options.recorder.record_as(format!("risk:{}", incident.detected.incident), &fact).await?;
        Ok(())
    }

    /// Writes the report once the incident is over and its cause is settled, or will not be any more.
    async fn publish(&self, incident: &Incident) -> Result<(), FeedbackError> {
        let Some((resolved_at, _)) = &incident.resolved else { return Ok(()) };
        let Some(attribution) = &incident.attribution else { return Ok(()) };
        let waited = self.options.recorder.clock().now().duration_since(*resolved_at);
        let patience = self.options.config.recovered_within + self.options.config.recovered_for;
        let settled = attribution.standing != Standing::Proposed;
        if !settled && waited < SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX) {
            return Ok(());
        }
        let id = &incident.detected.incident;
        let path = self.options.reports.join(format!("{id}.md"));
        if path.exists() {
            return Ok(());
        }
        let markdown = self.report(id).await?.unwrap_or_default();
        write_new(&path, &markdown)?;
        let fact = ReportPublished {
            kind: "incident".into(),
            name: id.to_string(),
            uri: format!("/api/v1/incidents/{id}/report"),
            digest: Digest::of(markdown.as_bytes()),
        };
        self.options.recorder.record_as(format!("report:{id}"), &fact).await?;
        Ok(())
    }

    /// The report as it stands: the published document, or a draft from what is known now.
    pub async fn report(&self, id: &IncidentId) -> Result<Option<String>, FeedbackError> {
        if let Ok(published) = std::fs::read_to_string(self.options.reports.join(format!("{id}.md"))) {
            return Ok(Some(published));
        }
        let timeline = timeline(self.options.recorder.log(), &self.state, id).await?;
        Ok(self.state.read(|s| s.incidents.get(id).map(|incident| report::incident_markdown(s, incident, &timeline))))
    }
}

/// The timeline of an incident, read from the log.
pub async fn timeline(
    log: &Arc<dyn EventLog>,
    state: &View<LoopState>,
    id: &IncidentId,
) -> Result<Vec<report::TimelineEntry>, FeedbackError> {
    let since = state.read(|s| {
        let incident = s.incidents.get(id)?;
        let cause = incident.attribution.as_ref().and_then(|a| a.proposed.causes.first());
        let deployment = cause.and_then(|c| c.deployment.as_ref()).or(incident.detected.deployment.as_ref());
        let planned = deployment.and_then(|d| s.releases.get(d)).map(|r| r.planned_at);
        let committed = cause.and_then(|c| c.sha.as_ref()).and_then(|sha| s.changes.get(sha)).map(|(at, _)| *at);
        [Some(incident.at), planned, committed].into_iter().flatten().min()
    });
    let Some(since) = since else { return Ok(vec![]) };
    let filter = Filter { since: Some(since), ..Filter::all() };
    let mut events = vec![];
    let mut next = 0;
    loop {
        let page = log.read(next, &filter, lem_ledger::MAX_READ).await?;
        let Some(last) = page.last() else { break };
        next = last.seq + 1;
        events.extend(page);
    }
    Ok(state.read(|s| report::timeline(s, id, &events)))
}

fn blind(what: &str, error: &SourceError) -> String {
    format!("{what}: {error}")
}

/// An id people can say, made from the rollout, so that the same verdict opens the same incident.
fn incident_id(deployment: &DeploymentId) -> IncidentId {
    let digest = Digest::of(deployment.as_str().as_bytes());
    IncidentId::new(format!("INC-{}", digest.hex()[..6].to_uppercase()))
}

/// Write, sync, rename: a report is there whole or not at all.
fn write_new(path: &std::path::Path, text: &str) -> Result<(), FeedbackError> {
    let wrap = |source| FeedbackError::Report { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(wrap)?;
    }
    let draft = path.with_extension("md.tmp");
    let mut file = std::fs::File::create(&draft).map_err(wrap)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(wrap)?;
    file.sync_all().map_err(wrap)?;
    std::fs::rename(&draft, path).map_err(wrap)
}
