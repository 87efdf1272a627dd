//! Home, search and doctor.

use super::{State, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The boxes of the workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StationId {
    /// Infrastructure as code.
    Provision,
    /// Build and test.
    Pipeline,
    /// The crossing: a release.
    Release,
    /// Progressive rollout.
    Deploy,
    /// Metrics, logs, alerts, incidents.
    Observe,
    /// Findings, secrets, policy.
    Secure,
    /// Cost and performance.
    Optimize,
}

/// The loop, live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoopHome {
    /// Name of the repository.
    pub repository: String,
    /// Watched branch.
    pub branch: String,
    /// The stations in the order of the loop.
    pub stations: Vec<Station>,
    /// The arrows between them, with the last thing that flowed along each.
    pub arrows: Vec<Arrow>,
    /// Changes on their way round.
    pub in_flight: Vec<ChangeRow>,
    /// What needs a person, worst first.
    pub now: Vec<NowItem>,
    /// Events in the ledger when this was read.
    pub seq: u64,
}

/// One box of the workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Station {
    /// Which.
    pub id: StationId,
    /// Its name.
    pub title: String,
    /// How it is.
    pub state: State,
    /// The same in one word.
    pub word: String,
    /// The same in one sentence.
    pub sentence: String,
    /// When something last happened here.
    pub last_activity: Option<Time>,
    /// The one number that matters.
    pub number: Option<Number>,
    /// Its page.
    pub href: String,
    /// Whether this release of the program has it.
    pub available: bool,
}

/// A number with what it counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Number {
    /// What it counts.
    pub label: String,
    /// Value.
    pub value: f64,
    /// Unit; empty for a plain count.
    pub unit: String,
}

/// What flows from one station to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Arrow {
    /// From.
    pub from: StationId,
    /// To.
    pub to: StationId,
    /// The last thing that flowed, if anything ever did.
    pub sentence: Option<String>,
    /// When.
    pub at: Option<Time>,
    /// Event that says so.
    pub seq: Option<u64>,
}

/// A change and where it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeRow {
    /// Commit.
    pub sha: String,
    /// First line of its message.
    pub subject: String,
    /// Who wrote it.
    pub author: String,
    /// When it was committed.
    pub committed_at: Option<Time>,
    /// Branch it reached.
    pub branch: String,
    /// Station it is at.
    pub station: StationId,
    /// How it is.
    pub state: State,
    /// The same in one sentence.
    pub sentence: String,
    /// When something last happened to it.
    pub at: Time,
    /// Event with which it came.
    pub seq: u64,
}

/// Something that needs a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NowItem {
    /// incident, approval, held, alert, freeze, failed.
    pub kind: NowKind,
    /// In a few words.
    pub title: String,
    /// In one sentence.
    pub sentence: String,
    /// Where to act.
    pub href: String,
    /// Since when.
    pub since: Time,
    /// How bad.
    pub severity: State,
}

/// Kinds of what needs a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NowKind {
    /// An open incident.
    Incident,
    /// A firing alert.
    Alert,
    /// A rollout waits for a person.
    Paused,
    /// A rollout keeps its weight.
    Held,
    /// Promotion is frozen.
    Freeze,
    /// The last run of the watched branch failed.
    Failed,
    /// A deployment or rollback was refused.
    Refused,
    /// A plan waits to be applied.
    Approval,
    /// An exception is over.
    Exception,
    /// A critical finding is in what runs now.
    Finding,
    /// An estimate goes over a budget.
    Budget,
}

/// A search result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hit {
    /// change, run, rollout, service, incident, alert, event.
    pub kind: String,
    /// What.
    pub title: String,
    /// More, in one sentence.
    pub sentence: String,
    /// Where.
    pub href: String,
}

/// One thing `lem doctor` looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// What was looked at.
    pub check: String,
    /// What was found.
    pub state: State,
    /// In one sentence.
    pub sentence: String,
    /// What to do about it.
    pub fix: Option<String>,
}
