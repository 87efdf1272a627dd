//! Which recorded changes could have caused a symptom at all.

use crate::state::{LoopState, Release};
use jiff::{SignedDuration, Timestamp};
use lem_model::fact::{ChangedFile, Onset};
use lem_model::port::Scope;
use lem_model::{CommitSha, DeploymentId, Digest, Version};

/// How far back from the onset a change may lie.
pub const LOOKBACK: SignedDuration = SignedDuration::from_hours(24);
/// Candidates that are scored; the newest are kept.
pub const MAX_CANDIDATES: usize = 200;

/// A change that took effect before the symptom ended its beginning.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// release, or another kind of change.
    pub kind: String,
    /// As people name it.
    pub name: String,
    /// Commit.
    pub sha: CommitSha,
    /// Rollout.
    pub deployment: DeploymentId,
    /// Version.
    pub version: Version,
    /// Artifact.
    pub digest: Digest,
    /// Service and environment it changed.
    pub scope: Scope,
    /// When it took effect last before the onset: each weight step is an effective time of its own.
    pub effective_at: Timestamp,
    /// Share of traffic from then on, in percent.
    pub weight: u32,
    /// First line of the commit.
    pub subject: String,
    /// Author of the commit.
    pub author: String,
    /// Files of the commit.
    pub files: Vec<ChangedFile>,
    /// Whether the judge passed it before.
    pub passed: bool,
}

/// All candidates for a symptom, newest first. A release that no longer took traffic when the symptom began is none.
pub fn candidates(state: &LoopState, onset: &Onset) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = state.releases.values().filter_map(|r| candidate(state, r, onset)).collect();
    found.sort_by(|a, b| b.effective_at.cmp(&a.effective_at).then_with(|| a.deployment.cmp(&b.deployment)));
    found.truncate(MAX_CANDIDATES);
    found
}

fn candidate(state: &LoopState, release: &Release, onset: &Onset) -> Option<Candidate> {
    let earliest = onset.from.checked_sub(LOOKBACK).unwrap_or(Timestamp::MIN);
    let raised = release.weights.iter().filter(|(at, weight)| *weight > 0 && *at <= onset.to);
    let (effective_at, weight) = *raised.max_by_key(|(at, _)| *at)?;
    // The judge may have taken it off before the symptom's beginning was over.
    let served = release.serves_at(onset.from) || release.serves_at(onset.to);
    if effective_at < earliest || !served {
        return None;
    }
    let plan = &release.plan;
    let change = state.changes.get(&plan.sha).map(|(_, change)| change);
    Some(Candidate {
        kind: "release".into(),
        name: format!("{} {} in {}", plan.service, plan.version, plan.environment),
        sha: plan.sha.clone(),
        deployment: plan.deployment.clone(),
        version: plan.version.clone(),
        digest: plan.digest.clone(),
        scope: release.scope(),
        effective_at,
        weight,
        subject: change.and_then(|c| c.description.clone()).unwrap_or_default(),
        author: change.map(|c| c.author.clone()).unwrap_or_default(),
        files: change.map(|c| c.files.clone()).unwrap_or_default(),
        passed: crate::state::passed(release),
    })
}
