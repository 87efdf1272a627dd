//! Which recorded changes could have caused a symptom at all: releases, changes of configuration, applies.

use crate::events::ApplyFinished;
use crate::state::{Apply, Judged, LoopState, Release};
use jiff::{SignedDuration, Timestamp};
use lem_model::fact::{ChangedFile, Onset};
use lem_model::port::{CohortCount, Scope};
use lem_model::text::counted;
use lem_model::{CommitSha, DeploymentId, Digest, EnvironmentName, ServiceName, Version};
use std::collections::BTreeSet;

/// How far back from the onset a change may lie.
pub const LOOKBACK: SignedDuration = SignedDuration::from_hours(24);
/// Candidates that are scored; the newest are kept.
pub const MAX_CANDIDATES: usize = 200;
/// Kind of a new artifact.
pub const RELEASE: &str = "release";
/// Kind of the same artifact with another configuration.
pub const CONFIG: &str = "config";
/// Kind of a change of the infrastructure.
pub const APPLY: &str = "apply";

/// What a change reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// One service in one environment.
    Service(Scope),
    /// What services of an environment stand on; nobody said which when there are none.
    Ground {
        /// Environment.
        environment: EnvironmentName,
        /// Services it is known to serve.
        services: Vec<ServiceName>,
    },
}

impl Reach {
    /// Where.
    pub fn environment(&self) -> &EnvironmentName {
        match self {
            Reach::Service(scope) => &scope.environment,
            Reach::Ground { environment, .. } => environment,
        }
    }
}

/// How much a change changes: lines of a commit, resources of an apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// How many.
    pub count: u32,
    /// As people say it.
    pub sentence: String,
}

/// A change that took effect before the symptom ended its beginning.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// [`RELEASE`], [`CONFIG`] or [`APPLY`].
    pub kind: &'static str,
    /// As people name it.
    pub name: String,
    /// Commit.
    pub sha: Option<CommitSha>,
    /// Rollout.
    pub deployment: Option<DeploymentId>,
    /// Version.
    pub version: Option<Version>,
    /// Apply.
    pub apply: Option<String>,
    /// Artifact.
    pub digest: Option<Digest>,
    /// What it reaches.
    pub reach: Reach,
    /// When it took effect last before the onset: each weight step is an effective time of its own.
    pub effective_at: Timestamp,
    /// How it took effect, before the lag: `took 20 % of traffic`.
    pub effect: String,
    /// Files of the commit, or of the configuration that was applied.
    pub files: Vec<ChangedFile>,
    /// How much it changes.
    pub extent: Extent,
    /// Whether the judge passed it before.
    pub passed: bool,
}

/// All candidates for a symptom, newest first. A release that no longer took traffic when the symptom began is none.
pub fn candidates(state: &LoopState, onset: &Onset) -> Vec<Candidate> {
    let releases = state.releases.values().filter_map(|r| released(state, r, onset));
    let applies = state.applies.values().filter_map(|a| applied(a, onset));
    let mut found: Vec<Candidate> = releases.chain(applies).collect();
    found.sort_by(|a, b| b.effective_at.cmp(&a.effective_at).then_with(|| a.name.cmp(&b.name)));
    found.truncate(MAX_CANDIDATES);
    found
}

fn earliest(onset: &Onset) -> Timestamp {
    onset.from.checked_sub(LOOKBACK).unwrap_or(Timestamp::MIN)
}

fn released(state: &LoopState, release: &Release, onset: &Onset) -> Option<Candidate> {
    let raised = release.weights.iter().filter(|(at, weight)| *weight > 0 && *at <= onset.to);
    let (effective_at, weight) = *raised.max_by_key(|(at, _)| *at)?;
    // The judge may have taken it off before the symptom's beginning was over.
    let served = release.serves_at(onset.from) || release.serves_at(onset.to);
    if effective_at < earliest(onset) || !served {
        return None;
    }
    let plan = &release.plan;
    let files = state.changes.get(&plan.sha).map(|(_, change)| change.files.clone()).unwrap_or_default();
    let lines: u32 = files.iter().map(|f| f.added.unwrap_or(0).saturating_add(f.removed.unwrap_or(0))).sum();
    let place = format!("{} {} in {}", plan.service, plan.version, plan.environment);
    let (kind, name) =
        if is_config_only(state, release) { (CONFIG, format!("configuration of {place}")) } else { (RELEASE, place) };
    Some(Candidate {
        kind,
        name,
        sha: Some(plan.sha.clone()),
        deployment: Some(plan.deployment.clone()),
        version: Some(plan.version.clone()),
        apply: None,
        digest: Some(plan.digest.clone()),
        reach: Reach::Service(release.scope()),
        effective_at,
        effect: format!("took {weight} % of traffic"),
        extent: Extent {
            count: lines,
            sentence: format!(
                "{} in {}",
                counted(lines, "changed line", "changed lines"),
                counted(files.len(), "file", "files")
            ),
        },
        files,
        passed: crate::state::passed(release),
    })
}

/// What the judge counted of a rollout and the version beside it: exact, where samples of the router lag behind.
pub fn judged(state: &LoopState, deployment: &DeploymentId) -> Option<Vec<CohortCount>> {
    let release = state.releases.get(deployment)?;
    let previous = release.plan.previous.as_ref()?;
    let cohort = |version: &Version, (total, bad): (u64, u64)| CohortCount {
        cohort: [("version".to_owned(), version.to_string())].into(),
        total,
        bad,
    };
    let Judged { canary, stable } = release.judged;
    (canary.0 > 0 && stable.0 > 0).then(|| vec![cohort(&release.plan.version, canary), cohort(previous, stable)])
}

/// Whether the release runs the artifact that ran before it, with another configuration.
pub fn is_config_only(state: &LoopState, release: &Release) -> bool {
    let scope = release.scope();
    let before = state.releases_in(&scope).filter(|r| r.seq < release.seq && r.promoted_at.is_some()).last();
    before.is_some_and(|b| b.plan.digest == release.plan.digest && b.plan.config != release.plan.config)
}

fn applied(apply: &Apply, onset: &Onset) -> Option<Candidate> {
    let fact = &apply.fact;
    // What an apply does it does while it runs: its effect begins with it.
    let took = SignedDuration::from_millis(i64::try_from(fact.duration_ms).unwrap_or(i64::MAX));
    let effective_at = apply.at.checked_sub(took).unwrap_or(Timestamp::MIN);
    let changed = changed_resources(fact);
    if changed == 0 || effective_at > onset.to || effective_at < earliest(onset) {
        return None;
    }
    let files: BTreeSet<&str> =
        fact.changes.iter().filter_map(|c| c.place.split(':').next()).filter(|p| !p.is_empty()).collect();
    Some(Candidate {
        kind: APPLY,
        name: format!("apply of {} in {}", fact.root, fact.environment),
        sha: fact.sha.clone(),
        deployment: None,
        version: None,
        apply: Some(fact.apply.clone()),
        digest: None,
        reach: Reach::Ground {
            environment: fact.environment.clone(),
            services: fact.services.iter().map(|s| s.as_str().into()).collect(),
        },
        effective_at,
        effect: "began".into(),
        files: files.into_iter().map(|p| ChangedFile { path: p.to_owned(), added: None, removed: None }).collect(),
        extent: Extent { count: changed, sentence: format!("{} changed", counted(changed, "resource", "resources")) },
        passed: false,
    })
}

/// Resources an apply made, changed or destroyed.
pub fn changed_resources(fact: &ApplyFinished) -> u32 {
    let c = &fact.counts;
    [c.create, c.update, c.replace, c.delete].into_iter().fold(0, u32::saturating_add)
}
