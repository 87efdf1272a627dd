//! What the pages show: one fold over the facts of all stages.
//!
//! Facts of runs, rollouts and incidents are kept as they came; [`crate::view`] makes pages of them. Everything has a
//! limit: the oldest goes first.

mod fold;
mod stages;

pub use stages::{Advice, InfraKey, STAGE_ROWS_KEPT, Stages};

use indexmap::IndexMap;
use jiff::Timestamp;
use lem_model::Seq;
use lem_model::fact::{
    AlertFired, ArtifactPackaged, ChangeMerged, EvidenceRecorded, FreezeStarted, IncidentNoted, InstanceStarted,
    JobFinished, JobSkipped, JudgeStarted, ReleasePlanned, ReportPublished, RolloutFinished, RunFinished, RunQueued,
    RunRejected, StepFinished, TestSuiteFinished, VerdictReached, VersionWeight,
};
use std::collections::{BTreeMap, VecDeque};

/// Changes kept.
pub const CHANGES_KEPT: usize = 2000;
/// Runs kept.
pub const RUNS_KEPT: usize = 1000;
/// Rollouts kept.
pub const ROLLOUTS_KEPT: usize = 500;
/// Intervals of evidence kept per rollout.
pub const EVIDENCE_KEPT: usize = 500;
/// Positions kept per run and rollout.
pub const SEQS_KEPT: usize = 2000;
/// Notes kept per incident.
pub const NOTES_KEPT: usize = 200;
/// Rejected files, refusals and reports kept.
pub const LISTED_KEPT: usize = 200;
/// Alerts that no longer fire, kept for incident pages.
pub const ALERTS_KEPT: usize = 1000;

/// A fact with its time and place.
#[derive(Clone, Debug, PartialEq)]
pub struct At<F> {
    /// When it happened.
    pub at: Timestamp,
    /// Where it stands.
    pub seq: Seq,
    /// It.
    pub fact: F,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// As it was accepted.
    pub queued: At<RunQueued>,
    /// When it started.
    pub started: Option<Timestamp>,
    /// How it ended.
    pub finished: Option<At<RunFinished>>,
    /// When jobs started.
    pub jobs_started: BTreeMap<String, Timestamp>,
    /// Jobs that ended.
    pub jobs_finished: BTreeMap<String, At<JobFinished>>,
    /// Jobs that did not run.
    pub jobs_skipped: BTreeMap<String, At<JobSkipped>>,
    /// Steps by job.
    pub steps: BTreeMap<String, Vec<StepFinished>>,
    /// Test suites by job.
    pub tests: BTreeMap<String, Vec<TestSuiteFinished>>,
    /// Artifacts.
    pub artifacts: Vec<ArtifactPackaged>,
    /// Events.
    pub seqs: Vec<Seq>,
}

/// A rollout.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// As it was planned.
    pub planned: At<ReleasePlanned>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// Steps done, and when.
    pub steps: BTreeMap<u32, Timestamp>,
    /// What it waits for.
    pub held: Option<(Timestamp, String)>,
    /// Why it waits for a person.
    pub paused: Option<(Timestamp, String)>,
    /// Why it turns back.
    pub aborted: Option<(Timestamp, String)>,
    /// The one that takes its place.
    pub superseded: Option<String>,
    /// The judge beside it.
    pub judge: Option<JudgeStarted>,
    /// Evidence.
    pub evidence: VecDeque<At<EvidenceRecorded>>,
    /// The last verdict.
    pub verdict: Option<At<VerdictReached>>,
    /// How it ended.
    pub finished: Option<At<RolloutFinished>>,
    /// When and why it was taken off after it had taken over.
    pub taken_back: Option<(Timestamp, String)>,
    /// Weights while it was under way.
    pub weights: Vec<VersionWeight>,
    /// Release notes.
    pub notes: Option<String>,
    /// Events.
    pub seqs: Vec<Seq>,
}

/// A service in an environment.
#[derive(Clone, Debug, Default)]
pub struct Placed {
    /// Version that runs.
    pub version: Option<String>,
    /// Its commit.
    pub sha: Option<String>,
    /// Version before it.
    pub previous: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Weights as last set.
    pub weights: Vec<VersionWeight>,
    /// Instances that run.
    pub instances: BTreeMap<String, At<InstanceStarted>>,
}

/// An alert.
#[derive(Clone, Debug)]
pub struct Alert {
    /// As it fired last.
    pub fired: At<AlertFired>,
    /// Whether it fires.
    pub firing: bool,
}

/// Something that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// What.
    pub title: String,
    /// Why.
    pub why: String,
    /// Where to look.
    pub href: String,
}

/// The last thing that flowed along an arrow, or happened at a station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// When.
    pub at: Timestamp,
    /// Event.
    pub seq: Seq,
    /// As a sentence.
    pub sentence: String,
}

/// Everything the pages show.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Commits, oldest first.
    pub changes: IndexMap<String, At<ChangeMerged>>,
    /// When something last happened to a commit.
    pub touched: BTreeMap<String, Timestamp>,
    /// Runs, oldest first.
    pub runs: IndexMap<String, Run>,
    /// Files that could not be planned.
    pub rejected: VecDeque<At<RunRejected>>,
    /// Rollouts, oldest first.
    pub rollouts: IndexMap<String, Rollout>,
    /// Services: service, environment.
    pub places: BTreeMap<(String, String), Placed>,
    /// Running freezes.
    pub freezes: BTreeMap<String, At<FreezeStarted>>,
    /// Notes by incident.
    pub notes: BTreeMap<String, Vec<At<IncidentNoted>>>,
    /// Alerts.
    pub alerts: IndexMap<String, Alert>,
    /// What was refused.
    pub refusals: VecDeque<Refusal>,
    /// Published reports.
    pub reports: VecDeque<At<ReportPublished>>,
    /// The last thing along each arrow.
    pub arrows: BTreeMap<(crate::dto::StationId, crate::dto::StationId), Flow>,
    /// The last thing at each station.
    pub last: BTreeMap<crate::dto::StationId, Flow>,
    /// Provision, secure and optimize.
    pub stages: Stages,
    /// Events folded.
    pub size: Seq,
}

impl Record {
    /// First line of a commit's message.
    pub fn subject(&self, sha: &str) -> Option<String> {
        self.changes.get(sha).map(|change| first_line(&change.fact))
    }
}

/// First line of a commit's message.
pub fn first_line(change: &ChangeMerged) -> String {
    let line = change.message.lines().next().filter(|l| !l.is_empty());
    line.map(str::to_owned).or_else(|| change.description.clone()).unwrap_or_else(|| change.sha.short().to_owned())
}
