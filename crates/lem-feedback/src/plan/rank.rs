//! From candidates and evidence to a ranking, or to the admission that nothing recorded explains the symptom.

use super::candidate::{CONFIG, Candidate, Reach, candidates};
use super::factor::{self, is_fresh};
use crate::state::{KindHistory, LoopState};
use jiff::Timestamp;
use lem_model::fact::{Factor, Onset, RankedCause};
use lem_model::port::{CohortCount, NewPattern, Scope, Series};
use std::collections::BTreeMap;

/// Weight of "nothing recorded explains it" against the scores.
const S0: f64 = 0.15;
/// From here on a cause is likely.
pub const LIKELY: f64 = 0.8;
/// From here on a cause is possible; below, nothing is named.
pub const POSSIBLE: f64 = 0.4;
/// Without a cohort or an intervention no cause is surer than this.
const WITHOUT_PROOF: f64 = 0.9;
/// Causes that are kept.
const MAX_CAUSES: usize = 10;
/// Age of the newest sample from which on a source is stale.
const STALE_AFTER_S: f64 = 120.0;

/// What the sources said about one symptom.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Rate, errors and duration, per version and for the service as a whole.
    pub series: Vec<Series>,
    /// Requests and failures per version.
    pub cohorts: Vec<CohortCount>,
    /// Patterns of error lines.
    pub patterns: Vec<NewPattern>,
    /// Sources that did not answer, one sentence each.
    pub blind_spots: Vec<String>,
}

/// A ranking, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Causes with their confidence.
    pub causes: Vec<RankedCause>,
    /// Sources that were stale or silent.
    pub blind_spots: Vec<String>,
}

impl Ranking {
    /// The named cause: the best one, if it is at least possible.
    pub fn named(&self) -> Option<&RankedCause> {
        self.causes.first().filter(|c| c.confidence >= POSSIBLE)
    }

    /// likely, possible or none.
    pub fn level(&self) -> &'static str {
        match self.named() {
            Some(cause) if cause.confidence >= LIKELY => "likely",
            Some(_) => "possible",
            None => "none",
        }
    }
}

/// Ranks all recorded changes, and what is no change, for a symptom. `rejected` were disproved before.
pub fn rank(
    state: &LoopState,
    symptom: &Scope,
    onset: &Onset,
    evidence: &Evidence,
    rejected: &[lem_model::DeploymentId],
    now: Timestamp,
) -> Ranking {
    let mean = mean_rate(&state.history);
    let mut causes: Vec<RankedCause> = candidates(state, onset)
        .iter()
        .map(|candidate| score(state, candidate, symptom, onset, evidence, rejected, mean))
        .collect();
    causes.extend(surge(onset, evidence));
    let mut blind_spots = evidence.blind_spots.clone();
    if !evidence.series.is_empty() && !is_fresh(&evidence.series, now, STALE_AFTER_S) {
        blind_spots.push(format!("metrics of {} are older than {STALE_AFTER_S:.0} s", symptom.service));
    }
    let doubt = if blind_spots.is_empty() { 1.0 } else { 0.5 };
    let total: f64 = causes.iter().map(|c| c.score).sum::<f64>();
    for cause in &mut causes {
        let proved = cause.factors.iter().any(|f| f.name == "cohort" && f.value >= 4.0);
        let confidence = doubt * cause.score / (S0 + total);
        cause.confidence = if proved { confidence } else { confidence.min(WITHOUT_PROOF) };
        cause.sentence = sentence(cause);
    }
    causes.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.name.cmp(&b.name)));
    causes.truncate(MAX_CAUSES);
    Ranking { causes, blind_spots }
}

fn score(
    state: &LoopState,
    candidate: &Candidate,
    symptom: &Scope,
    onset: &Onset,
    evidence: &Evidence,
    rejected: &[lem_model::DeploymentId],
    mean: f64,
) -> RankedCause {
    let history = state.history.get(candidate.kind).copied().unwrap_or_default();
    // The same artifact with the old configuration is healthy by definition: that speaks for the change, not against it.
    let elsewhere = if candidate.kind == CONFIG { vec![] } else { healthy_elsewhere(state, candidate) };
    let (counter, mut against) = factor::counter_evidence(candidate, &elsewhere);
    let mut factors = vec![
        factor::time(candidate, onset),
        factor::topology(candidate, symptom),
        factor::anomaly(candidate, onset, &evidence.series, &evidence.cohorts),
        factor::cohort(candidate, &evidence.cohorts),
        factor::prior(history, mean),
        factor::text(candidate, &evidence.patterns),
        factor::size(candidate),
        counter,
    ];
    if candidate.deployment.as_ref().is_some_and(|d| rejected.contains(d)) {
        let sentence = "rolling it back did not help".to_owned();
        against.push(sentence.clone());
        factors.push(Factor { name: "intervention".into(), value: 0.05, sentence, query: None });
    }
    RankedCause {
        kind: candidate.kind.into(),
        name: candidate.name.clone(),
        sha: candidate.sha.clone(),
        deployment: candidate.deployment.clone(),
        version: candidate.version.clone(),
        apply: candidate.apply.clone(),
        effective_at: Some(candidate.effective_at),
        score: factors.iter().map(|f| f.value).product(),
        confidence: 0.0,
        factors,
        sentence: String::new(),
        against,
    }
}

fn surge(onset: &Onset, evidence: &Evidence) -> Option<RankedCause> {
    let (strength, sentence, query) = factor::traffic(onset, &evidence.series)?;
    let factor = Factor { name: "anomaly".into(), value: strength, sentence, query: Some(query) };
    Some(RankedCause {
        kind: "traffic".into(),
        name: "more traffic than before".into(),
        sha: None,
        deployment: None,
        version: None,
        apply: None,
        effective_at: Some(onset.from),
        score: strength,
        confidence: 0.0,
        factors: vec![factor],
        sentence: String::new(),
        against: vec![],
    })
}

/// Other environments where the same artifact took all traffic and nothing is wrong.
fn healthy_elsewhere(state: &LoopState, candidate: &Candidate) -> Vec<String> {
    let (Some(digest), Reach::Service(scope)) = (&candidate.digest, &candidate.reach) else { return vec![] };
    let open: Vec<Scope> =
        state.incidents.values().filter(|i| i.resolved.is_none()).filter_map(|i| i.scope()).collect();
    let twins = state.releases.values().filter(|r| r.plan.digest == *digest && r.scope() != *scope);
    let healthy = twins.filter(|r| r.promoted_at.is_some() && r.removed.is_none() && !open.contains(&r.scope()));
    healthy.map(|r| r.plan.environment.to_string()).collect()
}

fn mean_rate(history: &BTreeMap<String, KindHistory>) -> f64 {
    let rates: Vec<f64> = history.values().map(|h| f64::from(h.confirmed + 1) / f64::from(h.seen + 2)).collect();
    if rates.is_empty() { 0.5 } else { rates.iter().sum::<f64>() / rates.len() as f64 }
}

/// The factors that decided, in one sentence, and what speaks against it.
fn sentence(cause: &RankedCause) -> String {
    let mut telling: Vec<&Factor> = cause.factors.iter().filter(|f| f.name != "counterEvidence").collect();
    let order = |f: &Factor| ["cohort", "time", "anomaly", "text", "topology"].iter().position(|n| *n == f.name);
    telling.retain(|f| {
        order(f).is_some() && !(f.name == "text" && f.value <= 1.0) && !(f.name == "cohort" && f.value == 1.0)
    });
    telling.sort_by_key(|f| order(f));
    let mut text = telling.iter().take(4).map(|f| f.sentence.as_str()).collect::<Vec<_>>().join("; ");
    if !cause.against.is_empty() {
        text += &format!(". Against: {}", cause.against.join("; "));
    }
    format!("{}: {text}", cause.name)
}
