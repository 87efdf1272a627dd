//! Incidents, their causes, and DORA.

use super::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Where an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IncidentState {
    /// Nobody has seen it yet.
    Open,
    /// Somebody looks at it.
    Acknowledged,
    /// The harm is stopped.
    Mitigated,
    /// It is over.
    Resolved,
    /// It is over and learned from.
    Closed,
}

/// An incident in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IncidentRow {
    /// Incident.
    pub incident: String,
    /// Short title.
    pub title: String,
    /// SEV1 to SEV4.
    pub severity: String,
    /// Where it is.
    pub state: IncidentState,
    /// Service.
    pub service: Option<String>,
    /// Environment.
    pub environment: String,
    /// Since when, as far as known.
    pub since: Option<Time>,
    /// When it was detected.
    pub detected_at: Time,
    /// When it was resolved.
    pub resolved_at: Option<Time>,
    /// How it stands, in one sentence.
    pub status: String,
}

/// An incident, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IncidentDetail {
    /// What the list shows.
    #[serde(flatten)]
    pub summary: IncidentRow,
    /// One sentence.
    pub description: String,
    /// Who or what is named as the cause.
    pub attribution: Option<Attribution>,
    /// Attributions that were wrong.
    pub rejected: Vec<Attribution>,
    /// Automatic actions.
    pub actions: Vec<IncidentAction>,
    /// Automatic actions that were refused.
    pub refusals: Vec<IncidentAction>,
    /// What people wrote down.
    pub notes: Vec<IncidentNote>,
    /// The story, in order.
    pub timeline: Vec<TimelineEntry>,
    /// The graph that shows it.
    pub symptom: Option<Symptom>,
    /// Alert that opened it.
    pub alert: Option<AlertInfo>,
    /// Rollout it is about.
    pub deployment: Option<String>,
}

/// Where an attribution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Named, not yet proved.
    Proposed,
    /// Nothing recorded explains it.
    Abstained,
    /// Proved.
    Confirmed,
    /// Disproved.
    Rejected,
}

/// An attribution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attribution {
    /// Its id.
    pub attribution: String,
    /// likely, possible or none.
    pub level: String,
    /// Where it stands.
    pub standing: Standing,
    /// Why nothing was named, for an abstention.
    pub abstained: Option<String>,
    /// When the symptom began.
    pub onset: Option<Onset>,
    /// Ranked causes, best first.
    pub causes: Vec<Cause>,
    /// Sources that were stale or silent.
    pub blind_spots: Vec<String>,
    /// What settled it.
    pub settled: Option<String>,
    /// When it was proposed.
    pub at: Time,
}

/// Start of a symptom, as an interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Onset {
    /// Not before.
    pub from: Time,
    /// Not after.
    pub to: Time,
    /// Query it was read from.
    pub query: String,
}

/// A candidate cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// release, config, flag, traffic, upstream ...
    pub kind: String,
    /// As people name it.
    pub name: String,
    /// Commit, when it is one.
    pub sha: Option<String>,
    /// Rollout, when it is one.
    pub deployment: Option<String>,
    /// Version, when it is a release.
    pub version: Option<String>,
    /// When it took effect.
    pub effective_at: Option<Time>,
    /// Product of the factors.
    pub score: f64,
    /// 0 to 1.
    pub confidence: f64,
    /// Factors.
    pub factors: Vec<Factor>,
    /// In one sentence.
    pub sentence: String,
    /// What speaks against it.
    pub against: Vec<String>,
}

/// A factor of a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Factor {
    /// time, topology, anomaly ...
    pub name: String,
    /// What the score was multiplied with.
    pub value: f64,
    /// Why, with numbers.
    pub sentence: String,
    /// Query that shows it.
    pub query: Option<String>,
}

/// An automatic action, taken or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentAction {
    /// rollback.
    pub kind: String,
    /// What, or why not.
    pub sentence: String,
    /// When.
    pub at: Time,
}

/// What a person wrote down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentNote {
    /// acknowledged, mitigated, closed, resolved or note.
    pub kind: String,
    /// What.
    pub text: String,
    /// Who.
    pub by: String,
    /// When.
    pub at: Time,
    /// Event.
    pub seq: u64,
}

/// A line of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimelineEntry {
    /// When.
    pub at: Time,
    /// What.
    pub sentence: String,
    /// Event.
    pub seq: u64,
}

/// A graph worth looking at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Symptom {
    /// PromQL.
    pub query: String,
    /// From.
    pub from: Time,
    /// To.
    pub to: Time,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertInfo {
    /// Rule and label fingerprint.
    pub alert: String,
    /// Rule.
    pub rule: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Query.
    pub query: String,
    /// Value at firing.
    pub value: f64,
    /// Since when.
    pub active_at: Time,
    /// Whether it fires now.
    pub firing: bool,
}

/// What a person may write on an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NoteKind {
    /// I look at it.
    Acknowledged,
    /// The harm is stopped.
    Mitigated,
    /// For the record.
    Note,
    /// It is over.
    Resolved,
    /// Over and learned from.
    Closed,
}

/// Writes on an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteRequest {
    /// What it means.
    pub kind: NoteKind,
    /// What.
    pub text: String,
}

/// What a person says about an attribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Judgement {
    /// It was that.
    Confirm,
    /// It was not.
    Reject,
}

/// Settles an attribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttributionRequest {
    /// Was it that?
    pub verdict: Judgement,
    /// How you know.
    pub text: String,
}

/// DORA's five metrics over a window, for one environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dora {
    /// From.
    pub from: Time,
    /// To.
    pub to: Time,
    /// Environment.
    pub environment: String,
    /// Deployments per day; a rollback is none.
    pub deployment_frequency_per_day: Option<f64>,
    /// Commit to healthy, per commit shipped.
    pub change_lead_time: Distribution,
    /// Deployments that needed immediate intervention.
    pub change_fail_rate: Share,
    /// Unplanned deployments an incident caused.
    pub deployment_rework_rate: Share,
    /// Failed deployment to restored service.
    pub failed_deployment_recovery_time: Distribution,
    /// The rows behind the numbers.
    pub deployments: Vec<DoraRow>,
}

/// A distribution, never a lone average.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Distribution {
    /// How many values.
    pub n: u64,
    /// Median, in seconds.
    pub median_s: Option<f64>,
    /// 90th percentile, in seconds.
    pub p90_s: Option<f64>,
}

/// A share with both its parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Share {
    /// Counted.
    pub numerator: u64,
    /// Out of.
    pub denominator: u64,
    /// The share; absent when there is nothing to divide by.
    pub value: Option<f64>,
}

/// One deployment as the metrics count it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DoraRow {
    /// Rollout.
    pub deployment: String,
    /// Service.
    pub service: String,
    /// Version.
    pub version: String,
    /// Commit.
    pub sha: String,
    /// When its rollout began.
    pub at: Time,
    /// Whether it took over all traffic.
    pub promoted: bool,
    /// Why it counts as failed, if it does.
    pub failed: Option<String>,
    /// Incident it caused.
    pub incident: Option<String>,
    /// From failure to restoration, in seconds.
    pub recovery_s: Option<f64>,
    /// Lead times of the commits it shipped, in seconds.
    pub lead_times_s: Vec<f64>,
}
