//! The arrows back. Owner: `lem-feedback`.

use super::facts;
use crate::id::{
    Actor, AttributionId, CommitSha, DeploymentId, Digest, EnvironmentName, IncidentId, ServiceName, Version,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One bounded factor of a score, with the sentence that explains it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Factor {
    /// time, topology, anomaly, cohort, prior, text, novelty, counterEvidence.
    pub name: String,
    /// What the score was multiplied with.
    pub value: f64,
    /// Why, with numbers.
    pub sentence: String,
    /// Query that shows it, if one does.
    pub query: Option<String>,
}

/// One candidate cause, ranked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RankedCause {
    /// release, config, apply, flag, traffic, node, upstream ...
    pub kind: String,
    /// The change as people name it: `shop 3f2a11c0 in production`.
    pub name: String,
    /// Commit, when the cause is one.
    pub sha: Option<CommitSha>,
    /// Rollout, when the cause is one.
    pub deployment: Option<DeploymentId>,
    /// Version, when the cause is a release.
    pub version: Option<Version>,
    /// Apply, when the cause is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply: Option<String>,
    /// When it took effect.
    pub effective_at: Option<Timestamp>,
    /// Product of the factors.
    pub score: f64,
    /// Score against all scores and the chance that nothing recorded explains it.
    pub confidence: f64,
    /// The factors.
    pub factors: Vec<Factor>,
    /// All of it in one sentence.
    pub sentence: String,
    /// What speaks against it.
    pub against: Vec<String>,
}

/// Start of a symptom as an interval, never the time of the alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Onset {
    /// Not before.
    pub from: Timestamp,
    /// Not after.
    pub to: Timestamp,
    /// Series it was read from, as a query.
    pub query: String,
}

facts! {
    /// A change is named as the likely or possible cause of an incident.
    AttributionProposed = "dev.cdeventsx.lem-attribution.proposed.0.1.0", content [],
    subject |s| s.incident.to_string(), chain |c| c.causes.first().and_then(|r| r.sha.as_ref()).map(ToString::to_string),
    {
        /// Attribution.
        attribution: AttributionId,
        /// Incident.
        incident: IncidentId,
        /// When the symptom began.
        onset: Option<Onset>,
        /// Ranked causes, best first, at most 10.
        causes: Vec<RankedCause>,
        /// likely or possible.
        level: String,
        /// Sources that were stale or silent, one sentence each.
        blind_spots: Vec<String>,
    }
    /// No recorded change explains the incident.
    AttributionAbstained = "dev.cdeventsx.lem-attribution.abstained.0.1.0", content [],
    subject |s| s.incident.to_string(), chain |_c| None,
    {
        /// Attribution.
        attribution: AttributionId,
        /// Incident.
        incident: IncidentId,
        /// When the symptom began.
        onset: Option<Onset>,
        /// What was considered all the same.
        causes: Vec<RankedCause>,
        /// Why none was named.
        why: String,
        /// Sources that were stale or silent.
        blind_spots: Vec<String>,
    }
    /// The outcome of the action proved the cause.
    AttributionConfirmed = "dev.cdeventsx.lem-attribution.confirmed.0.1.0", content [],
    subject |s| s.incident.to_string(), chain |c| c.sha.as_ref().map(ToString::to_string),
    {
        /// Attribution.
        attribution: AttributionId,
        /// Incident.
        incident: IncidentId,
        /// Commit.
        sha: Option<CommitSha>,
        /// Rollout.
        deployment: Option<DeploymentId>,
        /// Kind of the cause, for the prior.
        kind: String,
        /// What proved it.
        sentence: String,
        /// The intervention, or a person.
        by: Actor,
    }
    /// The outcome of the action, or a person, spoke against the cause.
    AttributionRejected = "dev.cdeventsx.lem-attribution.rejected.0.1.0", content [],
    subject |s| s.incident.to_string(), chain |c| c.sha.as_ref().map(ToString::to_string),
    {
        /// Attribution.
        attribution: AttributionId,
        /// Incident.
        incident: IncidentId,
        /// Commit.
        sha: Option<CommitSha>,
        /// Rollout.
        deployment: Option<DeploymentId>,
        /// Kind of the cause, for the prior.
        kind: String,
        /// What spoke against it.
        sentence: String,
        /// The intervention, or a person.
        by: Actor,
    }
    /// The one automatic action of an incident was requested.
    ActionTaken = "dev.cdeventsx.lem-action.taken.0.1.0", content [],
    subject |s| s.incident.to_string(), chain |_c| None,
    {
        /// Incident.
        incident: IncidentId,
        /// rollback.
        kind: String,
        /// What, as a sentence.
        sentence: String,
        /// Service.
        service: ServiceName,
        /// Environment.
        environment: EnvironmentName,
    }
    /// No automatic action, and why.
    ActionRefused = "dev.cdeventsx.lem-action.refused.0.1.0", content [],
    subject |s| s.incident.to_string(), chain |_c| None,
    {
        /// Incident.
        incident: IncidentId,
        /// rollback.
        kind: String,
        /// Why, as a sentence.
        why: String,
    }
    /// The pipeline is told: this commit caused an incident; its next run is marked.
    RegressionMarked = "dev.cdeventsx.lem-regression.marked.0.1.0", content [],
    subject |s| s.sha.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Commit.
        sha: CommitSha,
        /// Incident.
        incident: IncidentId,
        /// Service.
        service: ServiceName,
        /// Artifact that carried it.
        digest: Option<Digest>,
        /// One sentence for the run page.
        sentence: String,
    }
    /// Changes to these paths caused an incident before: they bake longer.
    RiskRaised = "dev.cdeventsx.lem-risk.raised.0.1.0", content [],
    subject |s| s.service.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Service.
        service: ServiceName,
        /// Paths.
        paths: Vec<String>,
        /// Commit that taught us.
        sha: CommitSha,
        /// Incident that taught us.
        incident: IncidentId,
    }
    /// An incident is over and its cause is proved: no test had caught it. An item for whoever assures quality.
    TestGapRaised = "dev.cdeventsx.lem-testgap.raised.0.1.0", content [],
    subject |s| s.incident.to_string(), chain |c| c.sha.as_ref().map(ToString::to_string),
    {
        /// Incident.
        incident: IncidentId,
        /// Service.
        service: ServiceName,
        /// Environment it escaped to.
        environment: EnvironmentName,
        /// Kind of the cause: release, config, apply.
        kind: String,
        /// Commit, when the cause is one.
        sha: Option<CommitSha>,
        /// Paths the change touched.
        paths: Vec<String>,
        /// What went wrong, as people saw it.
        symptom: String,
        /// The test that would have caught it, as a sentence.
        wanted: String,
    }
    /// A report exists at a stable address.
    ReportPublished = "dev.cdeventsx.lem-report.published.0.1.0", content [],
    subject |s| s.name.clone(), chain |_c| None,
    {
        /// incident, dora, engineering ...
        kind: String,
        /// Stable name.
        name: String,
        /// Address in the API.
        uri: String,
        /// SHA-256 of the document as published.
        digest: Digest,
    }
}
