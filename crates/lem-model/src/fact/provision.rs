//! Stage 1. Owner: `lem-provision`. Addresses, counts, digests and redacted values only: the ledger cannot be erased.

use super::facts;
use crate::id::{Actor, CommitSha, Digest, EnvironmentName};
use crate::resource::ResourceAction;
use serde::{Deserialize, Serialize};

/// How many instances a plan creates, updates, replaces, deletes and leaves alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanCounts {
    /// Made.
    pub create: u32,
    /// Changed in place.
    pub update: u32,
    /// Destroyed and made again.
    pub replace: u32,
    /// Destroyed.
    pub delete: u32,
    /// Unchanged.
    pub unchanged: u32,
}

/// A change of one resource as a fact may tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceChange {
    /// Address.
    pub address: String,
    /// Type.
    pub kind: String,
    /// What happens.
    pub action: ResourceAction,
    /// Names of the attributes that differ; never their values.
    pub attributes: Vec<String>,
    /// `file:line` of the block.
    pub place: String,
}

facts! {
    /// A plan was made.
    PlanFinished = "dev.cdeventsx.lem-plan.finished.0.1.0", content [],
    subject |s| s.plan.to_string(), chain |c| c.sha.as_ref().map(ToString::to_string),
    {
        /// Digest of the plan.
        plan: Digest,
        /// Folder of the configuration.
        root: String,
        /// Environment.
        environment: EnvironmentName,
        /// native or terraform.
        engine: String,
        /// Counts.
        counts: PlanCounts,
        /// What changes, at most [`MAX_CHANGES`].
        changes: Vec<ResourceChange>,
        /// Commit, when the tree is at one.
        sha: Option<CommitSha>,
        /// Who asked.
        by: Actor,
    }
    /// An apply began.
    ApplyStarted = "dev.cdeventsx.lem-apply.started.0.1.0", content [],
    subject |s| s.apply.clone(), chain |c| c.sha.as_ref().map(ToString::to_string),
    {
        /// Apply.
        apply: String,
        /// Digest of the plan it carries out.
        plan: Digest,
        /// Folder of the configuration.
        root: String,
        /// Environment.
        environment: EnvironmentName,
        /// Commit.
        sha: Option<CommitSha>,
        /// Who asked.
        by: Actor,
    }
    /// An apply ended, well or not.
    ApplyFinished = "dev.cdeventsx.lem-apply.finished.0.1.0", content [],
    subject |s| s.apply.clone(), chain |c| c.sha.as_ref().map(ToString::to_string),
    {
        /// Apply.
        apply: String,
        /// Digest of the plan.
        plan: Digest,
        /// Folder of the configuration.
        root: String,
        /// Environment.
        environment: EnvironmentName,
        /// Services the environment's tags say it serves; empty when none is said.
        services: Vec<String>,
        /// What was done.
        counts: PlanCounts,
        /// What changed, at most [`MAX_CHANGES`].
        changes: Vec<ResourceChange>,
        /// Addresses that failed, each with its reason.
        failed: Vec<(String, String)>,
        /// From start to end.
        duration_ms: u64,
        /// Whether it destroyed what no later apply brings back.
        irreversible: bool,
        /// Commit.
        sha: Option<CommitSha>,
        /// Who asked.
        by: Actor,
    }
    /// What really exists differs from the state, or no longer does (`changes` is empty then).
    DriftChecked = "dev.cdeventsx.lem-drift.checked.0.1.0", content [],
    subject |s| format!("{}/{}", s.environment, s.root), chain |_c| None,
    {
        /// Folder of the configuration.
        root: String,
        /// Environment.
        environment: EnvironmentName,
        /// What differs.
        changes: Vec<ResourceChange>,
        /// Who asked.
        by: Actor,
    }
    /// Asks whether what exists is what was applied.
    DriftRequested = "dev.cdeventsx.lem-drift.requested.0.1.0", content [],
    subject |s| s.environment.to_string(), chain |_c| None,
    {
        /// Environment.
        environment: EnvironmentName,
        /// Why.
        reason: String,
        /// Incident behind it.
        incident: Option<crate::id::IncidentId>,
        /// Who asks.
        by: Actor,
    }
    /// Asks for a change of the infrastructure: answered by a patch or a plan, never by an unapproved apply.
    InfraChangeRequested = "dev.cdeventsx.lem-infrachange.requested.0.1.0", content [],
    subject |s| s.request.clone(), chain |_c| None,
    {
        /// Request.
        request: String,
        /// Environment.
        environment: EnvironmentName,
        /// What should change, as a sentence.
        description: String,
        /// Unified diff to the user's file, when there is one.
        patch: Option<String>,
        /// Incident or recommendation behind it.
        cause: String,
        /// Who asks.
        by: Actor,
    }
}

/// Changes listed in a plan or apply fact.
pub const MAX_CHANGES: usize = 500;
