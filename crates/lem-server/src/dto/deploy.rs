//! What is where, and how it got there.

use super::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A service and where it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Service {
    /// Service.
    pub service: String,
    /// Its places.
    pub environments: Vec<ServicePlace>,
}

/// How a service is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Instances run and no alert fires for it.
    Ok,
    /// An alert fires or an incident is open.
    Bad,
    /// No instance is known to run.
    Down,
    /// Nothing is known.
    Unknown,
}

/// A service in one environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServicePlace {
    /// Environment.
    pub environment: String,
    /// Version that runs.
    pub version: Option<String>,
    /// Commit of it.
    pub sha: Option<String>,
    /// Version before it.
    pub previous: Option<String>,
    /// Since when.
    pub since: Option<Time>,
    /// How it does.
    pub health: Health,
    /// Traffic split.
    pub weights: Vec<Weight>,
    /// Rollout under way.
    pub rollout: Option<String>,
    /// Why promotion is frozen, if it is.
    pub frozen: Option<String>,
    /// Where it answers, where known.
    pub url: Option<String>,
    /// Instances that run.
    pub instances: Vec<Instance>,
}

/// A process of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    /// Its name.
    pub instance: String,
    /// Version.
    pub version: String,
    /// Address.
    pub address: String,
    /// Process id.
    pub pid: Option<u32>,
    /// Since when.
    pub since: Time,
}

/// A version's part of the traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Weight {
    /// Version.
    pub version: String,
    /// Percent.
    pub weight: u32,
}

/// Where a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// Planned, not begun.
    Planned,
    /// Under way.
    Progressing,
    /// Keeps its weight; `why` says what is missing.
    Held,
    /// Waits for a person.
    Paused,
    /// Turns back.
    Aborting,
    /// Took over.
    Promoted,
    /// The stable version took over again.
    RolledBack,
    /// A newer one took its place.
    Superseded,
    /// Never became ready.
    Failed,
}

/// A rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Rollout.
    pub deployment: String,
    /// Service.
    pub service: String,
    /// Environment.
    pub environment: String,
    /// New version.
    pub version: String,
    /// Version before it.
    pub previous: Option<String>,
    /// Commit.
    pub sha: String,
    /// First line of the commit's message, where it is known.
    pub subject: Option<String>,
    /// recreate, rolling, blueGreen or canary.
    pub strategy: String,
    /// Where it is.
    pub state: RolloutState,
    /// What it waits for, or why it ended so.
    pub why: Option<String>,
    /// Who asked for it.
    pub by: String,
    /// Steps.
    pub steps: Vec<RolloutStep>,
    /// Traffic split as last set.
    pub weights: Vec<Weight>,
    /// Requests counted per version since it began.
    pub observed: Vec<Observed>,
    /// Evidence, oldest first.
    pub evidence: Vec<Evidence>,
    /// Thresholds of the judge, where they are known.
    pub threshold: Option<Threshold>,
    /// What the judge weighs and tolerates, as a sentence.
    pub judge: Option<String>,
    /// The last verdict.
    pub verdict: Option<Verdict>,
    /// When it was planned.
    pub planned_at: Time,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// When it was taken off after it had taken over.
    pub taken_back_at: Option<Time>,
    /// Release notes in Markdown.
    pub notes: Option<String>,
    /// Requests the new version served.
    pub exposed_requests: Option<u64>,
    /// Bad responses among them.
    pub exposed_bad: Option<u64>,
    /// Events that tell it.
    pub seqs: Vec<u64>,
}

/// A step of a strategy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutStep {
    /// From 0.
    pub index: u32,
    /// As a sentence.
    pub text: String,
    /// Where the rollout stands to it.
    pub state: StepState,
    /// When it was done.
    pub at: Option<Time>,
}

/// Where a rollout stands to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    /// Behind it.
    Done,
    /// At it.
    Current,
    /// Before it.
    Pending,
}

/// Requests of one version, as the judge's evidence counted them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Observed {
    /// Version.
    pub version: String,
    /// Requests.
    pub requests: u64,
    /// Bad ones among them.
    pub bad: u64,
    /// Share of all requests, 0 to 1.
    pub share: f64,
}

/// One interval of evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Start.
    pub from: Time,
    /// End.
    pub to: Time,
    /// Combined e-value, natural logarithm.
    pub ln_e: f64,
    /// The same of the promoting process.
    pub ln_e_promote: f64,
    /// Per signal.
    pub counts: Vec<SignalCounts>,
    /// Requests still needed, by estimate.
    pub needed: Option<u64>,
    /// Event.
    pub seq: u64,
}

/// What one signal counted in both arms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignalCounts {
    /// errors, latency, logs ...
    pub signal: String,
    /// Requests to the canary.
    pub canary: u64,
    /// Bad ones among them.
    pub canary_bad: u64,
    /// Requests to the stable version.
    pub stable: u64,
    /// Bad ones among them.
    pub stable_bad: u64,
    /// What was dropped or clipped.
    pub note: Option<String>,
}

/// Thresholds of a sequential judge, natural logarithms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Threshold {
    /// At or above it the new version is worse.
    pub ln_bad: Option<f64>,
    /// At or above it, by the promoting process, it is not.
    pub ln_good: Option<f64>,
}

/// What the judge said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// good, bad or undecided.
    pub outcome: VerdictOutcome,
    /// In one sentence.
    pub sentence: String,
    /// Per signal.
    pub signals: Vec<Signal>,
    /// When.
    pub at: Time,
    /// Event.
    pub seq: u64,
}

/// What a verdict can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerdictOutcome {
    /// Not worse than allowed.
    Good,
    /// Worse than allowed.
    Bad,
    /// Not enough evidence.
    Undecided,
}

/// A signal's part in a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Signal {
    /// Signal.
    pub signal: String,
    /// Its share, 0 to 1.
    pub share: f64,
    /// Its own e-value, natural logarithm.
    pub ln_e: f64,
    /// What was counted, as a sentence.
    pub sentence: String,
}

/// What a person may ask of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RolloutAction {
    /// Go on.
    Promote,
    /// Turn back.
    Abort,
    /// Try again from the first step.
    Retry,
    /// Wait.
    Pause,
    /// Go on after a pause.
    Resume,
}

/// Asks something of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RolloutRequest {
    /// Why, as a sentence.
    pub reason: String,
    /// With `promote`: all the way, not only to the next step.
    #[serde(default)]
    pub full: bool,
}

/// Asks for a rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollbackRequest {
    /// Why, as a sentence.
    pub reason: String,
    /// Version to put back; the last verified one when absent.
    #[serde(default)]
    pub to: Option<String>,
}

/// Asks to stop promotion, or to let it go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FreezeRequest {
    /// `*`, a service, or `environment/service`.
    pub scope: String,
    /// Why, as a sentence.
    pub reason: String,
    /// Until when; open-ended when absent.
    #[serde(default)]
    pub until: Option<Time>,
}

/// A running freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Freeze {
    /// `*`, a service, or `environment/service`.
    pub scope: String,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: Option<Time>,
    /// Who.
    pub by: String,
    /// Since when.
    pub since: Time,
}

/// Asks for a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeployRequest {
    /// Service.
    pub service: String,
    /// Environment.
    pub environment: String,
    /// Commit whose artifact to deploy.
    #[serde(default)]
    pub sha: Option<String>,
    /// Artifact to deploy.
    #[serde(default)]
    pub digest: Option<String>,
    /// Why; needed against a freeze.
    #[serde(default)]
    pub reason: Option<String>,
}
