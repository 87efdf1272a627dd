//! What is where, folded from the ledger. Nothing else is remembered between two runs of the engine: everything that
//! is not here is looked at again.

mod fold;

use crate::events::{
    ArmCounts, DeployRequested, MigrationClass, ReleasePlanned, RollbackRequested, RolloutFinished, SignalShare,
    VerdictReached, VersionWeight,
};
use indexmap::IndexMap;
use jiff::Timestamp;
use lem_engine_judge::condition::Phase as Measurement;
use lem_engine_judge::sequential::Judge;
use lem_model::port::Scope;
use lem_model::{Actor, CommitSha, DeploymentId, Digest, RunId, Version};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Intervals of evidence kept per rollout for people to look at; the judge itself needs none of them.
pub const EVIDENCE_KEPT: usize = 500;
/// Ended rollouts kept per service and environment.
pub const ENDED_KEPT: usize = 50;
/// Commits remembered for release notes.
pub const COMMITS_KEPT: usize = 2000;
/// Runs whose artifacts are remembered.
pub const RUNS_KEPT: usize = 200;
/// Versions that may still run though they serve nothing.
pub const LINGERING_MAX: usize = 16;
/// Deployments of one service to one environment that may wait.
pub const PENDING_MAX: usize = 100;

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Per service and environment.
    pub lanes: BTreeMap<Scope, Lane>,
    /// Digests that may not be deployed, and why.
    pub quarantined: BTreeMap<Digest, String>,
    /// Running freezes by scope.
    pub freezes: BTreeMap<String, Freeze>,
    /// Freezes asked for, not yet begun.
    pub freeze_asked: VecDeque<(String, Option<Timestamp>, String, Actor)>,
    /// Ends of freezes asked for.
    pub unfreeze_asked: VecDeque<(String, String, Actor)>,
    /// Quarantines asked for, not yet done.
    pub quarantine_asked: VecDeque<lem_model::fact::QuarantineRequested>,
    /// Artifacts by run, oldest run first.
    pub artifacts: IndexMap<RunId, Vec<Artifact>>,
    /// Successful runs with their branch, newest last.
    pub succeeded: Vec<(RunId, CommitSha, String)>,
    /// Commits for release notes.
    pub commits: IndexMap<CommitSha, Commit>,
}

/// A freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Freeze {
    /// Until when.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: Actor,
}

/// An artifact of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Name.
    pub name: String,
    /// Digest.
    pub digest: Digest,
    /// Package URL.
    pub purl: String,
    /// Commit.
    pub sha: CommitSha,
}

/// A commit, as release notes need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Whole message.
    pub message: String,
    /// Author.
    pub author: String,
    /// First parent.
    pub parent: Option<CommitSha>,
}

/// A version at its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placed {
    /// Version.
    pub version: Version,
    /// Commit.
    pub sha: CommitSha,
    /// Artifact.
    pub digest: Digest,
    /// Artifact as package URL.
    pub purl: String,
    /// Rollout that brought it.
    pub deployment: DeploymentId,
    /// What of the data it changed.
    pub migration: MigrationClass,
    /// When it took over.
    pub since: Timestamp,
}

/// One service in one environment.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    /// What runs.
    pub stable: Option<Placed>,
    /// Verified versions in order of promotion, without those that were rolled back; the last is the stable one.
    pub verified: Vec<Placed>,
    /// The rollout under way.
    pub rollout: Option<Rollout>,
    /// Ended rollouts, oldest first.
    pub ended: Vec<Ended>,
    /// Deployments asked for and not answered.
    pub pending: Vec<Pending>,
    /// Rollbacks asked for and not answered.
    pub rollbacks: VecDeque<RollbackRequested>,
    /// Versions that no longer serve but may still run.
    pub lingering: Vec<Lingering>,
    /// Weights as last recorded.
    pub weights: Vec<VersionWeight>,
    /// Every deployment that was ever asked for: none is asked for twice by policy.
    pub requested: BTreeSet<DeploymentId>,
    /// Instances that run, by the ledger.
    pub instances: BTreeMap<String, (Version, String, Option<u32>)>,
}

/// A version that was replaced or aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lingering {
    /// It.
    pub placed: Placed,
    /// Since when it serves nothing.
    pub since: Timestamp,
    /// How it got there.
    pub how: Left,
}

/// How a version stopped serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// A newer one took over, or an older one again.
    Replaced,
    /// Its rollout was aborted.
    Aborted,
}

/// A deployment that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// What was asked.
    pub request: DeployRequested,
    /// Package URL, when the artifact is known.
    pub purl: Option<String>,
    /// What it waits for.
    pub held: Option<String>,
    /// Whether somebody may go on against a freeze, and said why.
    pub overridden: bool,
}

/// A rollout that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// What was planned.
    pub planned: ReleasePlanned,
    /// How it ended.
    pub finished: RolloutFinished,
    /// When.
    pub at: Timestamp,
    /// The verdict, if one was reached.
    pub verdict: Option<VerdictReached>,
}

/// Somebody asks for the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promote {
    /// All the way.
    pub full: bool,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: Actor,
}

/// One interval of evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvidencePoint {
    /// End of the interval.
    pub at: Timestamp,
    /// What was counted.
    pub counts: Vec<ArmCounts>,
    /// Combined e-value, natural logarithm.
    pub ln_e: f64,
    /// Of the clearing process.
    pub ln_e_promote: f64,
    /// Requests missing, by estimate.
    pub needed: Option<u64>,
}

/// One measurement of an analysis.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Which analysis.
    pub run: String,
    /// Metric.
    pub metric: String,
    /// When, in milliseconds.
    pub at_ms: i64,
    /// How it ended.
    pub phase: Measurement,
    /// Answer, as given.
    pub value: String,
}

/// A rollout under way.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// What was planned.
    pub planned: ReleasePlanned,
    /// When.
    pub planned_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// Steps done.
    pub step: usize,
    /// When each step began; the last is the current one's.
    pub step_times: Vec<Timestamp>,
    /// Why it waits for a person.
    pub paused: Option<String>,
    /// Pause of a step or an analysis that a person has ended.
    pub pause_ended: bool,
    /// A person went on though the background analysis was inconclusive.
    pub background_waived: bool,
    /// Why it keeps its weight.
    pub held: Option<String>,
    /// The next step was asked for.
    pub promote: Option<Promote>,
    /// Everything was asked for, at once.
    pub full: bool,
    /// A pause was asked for.
    pub pause_asked: Option<(String, Actor)>,
    /// Going on was asked for.
    pub resume_asked: Option<Actor>,
    /// Turning back was asked for.
    pub abort_asked: Option<(String, Actor)>,
    /// The judge beside it, with all evidence folded.
    pub judge: Option<Judge>,
    /// The last verdict.
    pub verdict: Option<VerdictReached>,
    /// Last intervals of evidence.
    pub evidence: VecDeque<EvidencePoint>,
    /// Requests of the new version that were counted as evidence, and bad ones.
    pub exposed: (u64, u64),
    /// Measurements of analyses.
    pub measured: Vec<Measured>,
    /// Turned back: why and by whom.
    pub aborted: Option<(String, Actor)>,
    /// A newer one takes its place.
    pub superseded: Option<DeploymentId>,
    /// The new version took over.
    pub took_over: bool,
    /// Notes are written.
    pub noted: bool,
    /// Somebody went on against a freeze.
    pub overridden: bool,
}

impl Rollout {
    /// Its version as it would be placed.
    pub fn placed(&self) -> Placed {
        Placed {
            version: self.planned.version.clone(),
            sha: self.planned.sha.clone(),
            digest: self.planned.digest.clone(),
            purl: self.planned.purl.clone(),
            deployment: self.planned.deployment.clone(),
            migration: self.planned.migration,
            since: self.planned_at,
        }
    }

    /// When the current step began.
    pub fn step_since(&self) -> Timestamp {
        self.step_times.last().copied().unwrap_or(self.planned_at)
    }

    /// Whether traffic goes back.
    pub fn is_turning_back(&self) -> bool {
        self.aborted.is_some() || self.superseded.is_some()
    }

    /// Each signal's part in the evidence.
    pub fn shares(&self) -> Vec<SignalShare> {
        let Some(judge) = &self.judge else { return vec![] };
        let shares = judge.shares().into_iter();
        shares
            .map(|s| SignalShare {
                sentence: crate::evidence::share_sentence(&s),
                signal: s.signal,
                share: s.share,
                ln_e: s.ln_e,
            })
            .collect()
    }
}

impl Lane {
    /// Where a rollback leads: the last verified version before the stable one.
    pub fn rollback_target(&self) -> Option<&Placed> {
        let stable = self.stable.as_ref()?;
        self.verified.iter().rev().find(|p| p.digest != stable.digest)
    }
}
