//! Requests to stage 3, and its refusals. Owner: `lem-deploy`.

use super::facts;
use crate::id::{Actor, CommitSha, DeploymentId, Digest, EnvironmentName, IncidentId, ServiceName, Version};
use jiff::Timestamp;

facts! {
    /// Asks for a deployment of an artifact.
    DeployRequested = "dev.cdeventsx.lem-deploy.requested.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Id the rollout will have; makes the request idempotent.
        deployment: DeploymentId,
        /// Service.
        service: ServiceName,
        /// Environment.
        environment: EnvironmentName,
        /// Version.
        version: Version,
        /// Commit.
        sha: CommitSha,
        /// Artifact.
        digest: Digest,
        /// Who asks.
        by: Actor,
        /// Why, when a person asks against the rules (freeze, missing evidence).
        reason: Option<String>,
    }
    /// A deployment was refused, and why: quarantine, policy, bad strategy.
    DeployRefused = "dev.cdeventsx.lem-deploy.refused.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Rollout that will not be.
        deployment: DeploymentId,
        /// Service.
        service: ServiceName,
        /// Environment.
        environment: EnvironmentName,
        /// Version.
        version: Version,
        /// Commit.
        sha: CommitSha,
        /// Why, as a sentence.
        why: String,
    }
    /// Asks to go on: to the next step, or to the end when `full`.
    PromoteRequested = "dev.cdeventsx.lem-promote.requested.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |_c| None,
    {
        /// Rollout.
        deployment: DeploymentId,
        /// All the way.
        full: bool,
        /// Why.
        reason: String,
        /// Who asks.
        by: Actor,
    }
    /// Asks to turn back.
    AbortRequested = "dev.cdeventsx.lem-abort.requested.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |_c| None,
    {
        /// Rollout.
        deployment: DeploymentId,
        /// Why.
        reason: String,
        /// Who asks.
        by: Actor,
    }
    /// Asks to try an aborted rollout again from its first step.
    RetryRequested = "dev.cdeventsx.lem-retry.requested.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |_c| None,
    {
        /// Rollout.
        deployment: DeploymentId,
        /// Why.
        reason: String,
        /// Who asks.
        by: Actor,
    }
    /// Asks to wait.
    PauseRequested = "dev.cdeventsx.lem-pause.requested.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |_c| None,
    {
        /// Rollout.
        deployment: DeploymentId,
        /// Why.
        reason: String,
        /// Who asks.
        by: Actor,
    }
    /// Asks to go on after a pause.
    ResumeRequested = "dev.cdeventsx.lem-resume.requested.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |_c| None,
    {
        /// Rollout.
        deployment: DeploymentId,
        /// Why.
        reason: String,
        /// Who asks.
        by: Actor,
    }
    /// Asks to put an earlier version back.
    RollbackRequested = "dev.cdeventsx.lem-rollback.requested.0.1.0", content [],
    subject |s| format!("{}/{}", s.environment, s.service), chain |_c| None,
    {
        /// Service.
        service: ServiceName,
        /// Environment.
        environment: EnvironmentName,
        /// Version to take off; whatever runs now when absent.
        from: Option<Version>,
        /// Version to put back; the last verified one when absent.
        to: Option<Version>,
        /// Why, as a sentence.
        reason: String,
        /// Incident it answers, if any.
        incident: Option<IncidentId>,
        /// Who asks.
        by: Actor,
    }
    /// A rollback was refused, and why.
    RollbackRefused = "dev.cdeventsx.lem-rollback.refused.0.1.0", content [],
    subject |s| format!("{}/{}", s.environment, s.service), chain |_c| None,
    {
        /// Service.
        service: ServiceName,
        /// Environment.
        environment: EnvironmentName,
        /// Why, as a sentence.
        why: String,
        /// Incident, if any.
        incident: Option<IncidentId>,
    }
    /// Asks to stop promotion.
    FreezeRequested = "dev.cdeventsx.lem-freeze.requested.0.1.0", content [],
    subject |s| s.scope.clone(), chain |_c| None,
    {
        /// `*`, a service, or `environment/service`.
        scope: String,
        /// Until when.
        until: Option<Timestamp>,
        /// Why.
        reason: String,
        /// Who asks.
        by: Actor,
    }
    /// Asks to let promotion go on.
    UnfreezeRequested = "dev.cdeventsx.lem-unfreeze.requested.0.1.0", content [],
    subject |s| s.scope.clone(), chain |_c| None,
    {
        /// As it was started.
        scope: String,
        /// Why.
        reason: String,
        /// Who asks.
        by: Actor,
    }
    /// Asks that a digest is not deployed again.
    QuarantineRequested = "dev.cdeventsx.lem-quarantine.requested.0.1.0", content [],
    subject |s| s.digest.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Artifact.
        digest: Digest,
        /// Service.
        service: ServiceName,
        /// Version.
        version: Version,
        /// Commit.
        sha: CommitSha,
        /// Why, as a sentence.
        reason: String,
        /// Incident, if any.
        incident: Option<IncidentId>,
        /// Who asks.
        by: Actor,
    }
    /// Asks that a commit be reverted in git; idempotent per release and environment.
    RevertRequested = "dev.cdeventsx.lem-revert.requested.0.1.0", content [],
    subject |s| format!("{}/{}", s.environment, s.sha), chain |c| Some(c.sha.to_string()),
    {
        /// Service.
        service: ServiceName,
        /// Environment.
        environment: EnvironmentName,
        /// Commit.
        sha: CommitSha,
        /// Why, as a sentence.
        reason: String,
    }
}
