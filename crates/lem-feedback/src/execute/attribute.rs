//! Asks the sources what an incident looks like, ranks what could have caused it, records the answer.

use super::{FeedbackError, FeedbackService};
use crate::events::*;
use crate::plan::candidate::judged;
use crate::plan::factor::{self, MIN_COHORT};
use crate::plan::onset::{self, Condemned};
use crate::plan::rank::{Evidence, LIKELY, POSSIBLE, Ranking, rank};
use crate::state::{Incident, LoopState};
use jiff::{SignedDuration, Timestamp};
use lem_model::fact::Onset;
use lem_model::port::{CohortCount, Scope, SourceError, Window};
use lem_model::{DeploymentId, IncidentId, Version};
use std::collections::BTreeMap;

/// How far back symptoms are read.
pub(super) const HISTORY: SignedDuration = SignedDuration::from_mins(30);
/// How far back versions are compared when only one has had traffic since the symptom began.
const COHORT_HISTORY: SignedDuration = SignedDuration::from_mins(15);
/// Looks before an abstention is recorded: the first samples of a symptom may not be there yet.
const LOOKS_TO_ABSTAIN: u32 = 4;
/// Looks before a cause that is only possible is recorded.
const LOOKS_TO_DOUBT: u32 = 2;

impl FeedbackService {
    pub(super) async fn attribute(
        &self,
        incident: &Incident,
        looks: &mut BTreeMap<IncidentId, u32>,
    ) -> Result<(), FeedbackError> {
        let Some(scope) = incident.scope() else { return Ok(()) };
        let look = looks.entry(incident.detected.incident.clone()).or_default();
        *look += 1;
        let now = self.options.recorder.clock().now();
        let mut evidence = self.gather(incident, &scope, now).await;
        let onset = self.state.read(|s| began(s, incident, &evidence));
        self.compare(&scope, incident, &onset, &mut evidence, now).await;
        let rejected: Vec<DeploymentId> = incident
            .rejected
            .iter()
            .filter_map(|a| a.proposed.causes.first().and_then(|c| c.deployment.clone()))
            .collect();
        let ranking = self.state.read(|s| rank(s, &scope, &onset, &evidence, &rejected, now));
        let enough = match ranking.named() {
            Some(cause) if cause.confidence >= LIKELY => 1,
            Some(_) => LOOKS_TO_DOUBT,
            None => LOOKS_TO_ABSTAIN,
        };
        if *look < enough {
            return Ok(());
        }
        looks.remove(&incident.detected.incident);
        self.record_attribution(incident, onset.clone(), &ranking).await?;
        self.advise(incident, &scope, &onset, &evidence).await?;
        self.act(incident, &ranking, now).await
    }

    async fn gather(&self, incident: &Incident, scope: &Scope, now: Timestamp) -> Evidence {
        let since = incident.detected.since.unwrap_or(incident.at);
        let window = Window { from: since.checked_sub(HISTORY).unwrap_or(Timestamp::MIN), to: now };
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

    /// Requests and failures per version: those the judge counted when it condemned one; else since the symptom began, or, where one version had all the traffic since then,
    /// since the last incident of the same place, whose failures would speak against the wrong change.
    async fn compare(
        &self,
        scope: &Scope,
        incident: &Incident,
        onset: &Onset,
        evidence: &mut Evidence,
        now: Timestamp,
    ) {
        let deployment = incident.detected.deployment.as_ref();
        if let Some(judged) = deployment.and_then(|d| self.state.read(|s| judged(s, d))) {
            evidence.cohorts = judged;
            return;
        }
        let before = self.state.read(|s| calm_since(s, scope, incident, onset));
        for from in [onset.from, before] {
            match self.options.symptoms.cohorts(scope, Window { from, to: now }).await {
                Ok(cohorts) => evidence.cohorts = cohorts,
                Err(error) => {
                    evidence.blind_spots.push(blind("requests by version", &error));
                    return;
                }
            }
            if is_comparison(&evidence.cohorts) {
                return;
            }
        }
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
}

/// When the symptom began, or, when no series shows it, what the incident itself knows.
fn began(state: &LoopState, incident: &Incident, evidence: &Evidence) -> Onset {
    let release = incident.detected.deployment.as_ref().and_then(|d| state.releases.get(d));
    let exposed = release.and_then(|r| r.weights.iter().find(|(_, w)| *w > 0).map(|(at, _)| (&r.plan.version, *at)));
    let condemned = exposed.map(|(version, exposed_at)| Condemned { version, exposed_at });
    if let Some(found) = onset::of_symptom(&evidence.series, condemned, incident.at) {
        return found;
    }
    let since = incident.detected.since.unwrap_or(incident.at);
    let from = exposed.map_or(since, |(_, at)| at).min(since);
    Onset { from, to: incident.at.max(from), query: String::new() }
}

/// The end of the last incident of the same place before this one, at most [`COHORT_HISTORY`] before the onset.
fn calm_since(state: &LoopState, scope: &Scope, incident: &Incident, onset: &Onset) -> Timestamp {
    let earliest = onset.from.checked_sub(COHORT_HISTORY).unwrap_or(Timestamp::MIN);
    let others = state.incidents.values().filter(|i| i.detected.incident != incident.detected.incident);
    let ended = others.filter(|i| i.scope().as_ref() == Some(scope)).filter_map(|i| i.resolved.as_ref());
    ended.map(|(at, _)| *at).filter(|at| *at < onset.from).fold(earliest, Timestamp::max)
}

/// Whether two versions at least had enough requests to be compared.
fn is_comparison(cohorts: &[CohortCount]) -> bool {
    let version = |c: &CohortCount| c.cohort.get("version").map(|v| Version::from(v.as_str()));
    cohorts
        .iter()
        .filter(|c| c.total >= MIN_COHORT)
        .filter_map(version)
        .any(|v| factor::others(cohorts, &v) >= MIN_COHORT)
}

fn blind(what: &str, error: &SourceError) -> String {
    format!("{what}: {error}")
}
