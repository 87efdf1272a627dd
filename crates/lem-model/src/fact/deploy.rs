//! Stage 3. Owner: `lem-deploy`.

use super::{Ref, facts};
use crate::id::{Actor, CommitSha, DeploymentId, Digest, EnvironmentName, IncidentId, ServiceName, Version};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What one version gets of the traffic, in percent of the whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionWeight {
    /// Version.
    pub version: Version,
    /// Weight; the weights of one plan add up to 100.
    pub weight: u32,
}

/// How a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutOutcome {
    /// The new version took all the traffic.
    Promoted,
    /// The stable version took it back.
    RolledBack,
    /// A newer release took its place.
    Superseded,
    /// It never became ready.
    Failed,
}

/// What the judge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictOutcome {
    /// Not worse than allowed.
    Good,
    /// Worse than allowed.
    Bad,
    /// Not enough evidence.
    Undecided,
}

/// How a database or state change that comes with a release can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MigrationClass {
    /// No migration.
    None,
    /// Old and new version both work with it.
    Expand,
    /// Removes what the old version needs; waits until the rollback window closes.
    Contract,
    /// Cannot be taken back.
    Irreversible,
}

/// One signal's part in a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignalShare {
    /// errors, latency, logs, a metric's name ...
    pub signal: String,
    /// Its share of the combined evidence, 0 to 1.
    pub share: f64,
    /// Its own e-value, natural logarithm.
    pub ln_e: f64,
    /// What was counted, as a sentence.
    pub sentence: String,
}

facts! {
    /// A release is about to go out; everything a rollback needs is decided here, before step 1.
    ReleasePlanned = "dev.cdeventsx.lem-release.planned.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// This rollout.
        deployment: DeploymentId,
        /// Service.
        service: ServiceName,
        /// Environment.
        environment: EnvironmentName,
        /// New version.
        version: Version,
        /// Commit it was built from.
        sha: CommitSha,
        /// Artifact.
        digest: Digest,
        /// Artifact as package URL.
        purl: String,
        /// Digest of the configuration it runs with.
        config: Digest,
        /// Version that runs now; `None` for a first deployment.
        previous: Option<Version>,
        /// Commit of the version that runs now.
        previous_sha: Option<CommitSha>,
        /// recreate, rolling, blueGreen or canary.
        strategy: String,
        /// Steps as sentences, in order.
        steps: Vec<String>,
        /// Where a rollback leads: the last verified version.
        rollback_to: Option<Version>,
        /// Worst migration class it carries.
        migration: MigrationClass,
        /// Who asked for it.
        by: Actor,
    }
    /// The rollout of a planned release began.
    RolloutStarted = "dev.cdeventsx.lem-rollout.started.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Rollout.
        deployment: DeploymentId,
        /// Service.
        service: ServiceName,
        /// Environment.
        environment: EnvironmentName,
        /// New version.
        version: Version,
        /// Commit.
        sha: CommitSha,
    }
    /// A step of the strategy is done.
    RolloutStepFinished = "dev.cdeventsx.lem-rollout.stepfinished.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Rollout.
        deployment: DeploymentId,
        /// Index of the step, from 0.
        index: u32,
        /// The step as a sentence.
        step: String,
        /// Commit.
        sha: CommitSha,
    }
    /// The rollout keeps its weight because something is missing: evidence, a window, an approval, a person.
    RolloutHeld = "dev.cdeventsx.lem-rollout.held.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Rollout.
        deployment: DeploymentId,
        /// What is missing, as a sentence.
        why: String,
        /// Commit.
        sha: CommitSha,
    }
    /// The rollout waits for a person.
    RolloutPaused = "dev.cdeventsx.lem-rollout.paused.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Rollout.
        deployment: DeploymentId,
        /// Why.
        why: String,
        /// Who paused it.
        by: Actor,
        /// Commit.
        sha: CommitSha,
    }
    /// The rollout goes on.
    RolloutResumed = "dev.cdeventsx.lem-rollout.resumed.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Rollout.
        deployment: DeploymentId,
        /// Who resumed it.
        by: Actor,
        /// Commit.
        sha: CommitSha,
    }
    /// A newer release takes this one's place.
    RolloutSuperseded = "dev.cdeventsx.lem-rollout.superseded.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Rollout.
        deployment: DeploymentId,
        /// The newer one.
        by_deployment: DeploymentId,
        /// Commit.
        sha: CommitSha,
    }
    /// The rollout turned back: traffic returns to the stable version.
    RolloutAborted = "dev.cdeventsx.lem-rollout.aborted.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Rollout.
        deployment: DeploymentId,
        /// Why, as a sentence.
        why: String,
        /// The judge, a person, a policy.
        by: Actor,
        /// Commit.
        sha: CommitSha,
    }
    /// The rollout ended.
    RolloutFinished = "dev.cdeventsx.lem-rollout.finished.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Rollout.
        deployment: DeploymentId,
        /// Service.
        service: ServiceName,
        /// Environment.
        environment: EnvironmentName,
        /// New version.
        version: Version,
        /// Commit.
        sha: CommitSha,
        /// How it ended.
        outcome: RolloutOutcome,
        /// Why, as a sentence.
        why: String,
        /// From start to end.
        duration_ms: u64,
        /// Requests the new version served.
        exposed_requests: u64,
        /// Bad responses among them.
        exposed_bad: u64,
    }
    /// The router accepted a table.
    RoutesApplied = "dev.cdeventsx.lem-routes.applied.0.1.0", content [],
    subject |s| format!("{}/{}", s.environment, s.service), chain |_c| None,
    {
        /// Service.
        service: ServiceName,
        /// Environment.
        environment: EnvironmentName,
        /// Rollout that caused it.
        deployment: Option<DeploymentId>,
        /// Weights, in percent.
        weights: Vec<VersionWeight>,
        /// Generation of the table.
        generation: u64,
    }
    /// One interval of evidence, exactly as the judge folded it: a verdict replays from these.
    EvidenceRecorded = "dev.cdeventsx.lem-evidence.recorded.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Rollout.
        deployment: DeploymentId,
        /// Start of the interval.
        from: Timestamp,
        /// End of the interval.
        to: Timestamp,
        /// Counts per signal: requests and bad events of canary and stable.
        counts: Vec<ArmCounts>,
        /// Natural logarithm of the combined e-value after this interval.
        ln_e: f64,
        /// The same of the promoting process.
        ln_e_promote: f64,
        /// Requests still needed for a verdict, by estimate.
        needed: Option<u64>,
        /// Commit.
        sha: CommitSha,
    }
    /// The judge took its place beside a rollout; with the recorded evidence this is all a verdict replays from.
    JudgeStarted = "dev.cdeventsx.lem-judge.started.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Rollout.
        deployment: DeploymentId,
        /// sequential ...
        judge: String,
        /// Its settings, as the judge writes them.
        settings: serde_json::Value,
        /// Its signals with weight and dispersion, as the judge writes them.
        signals: serde_json::Value,
        /// What it tolerates and how it corrects, as a sentence.
        sentence: String,
        /// Commit.
        sha: CommitSha,
    }
    /// A metric of an analysis was measured.
    AnalysisMeasured = "dev.cdeventsx.lem-analysis.measured.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Rollout.
        deployment: DeploymentId,
        /// Which analysis of the rollout: `background` or `step 2`.
        run: String,
        /// Metric.
        metric: String,
        /// Query as it was asked.
        query: String,
        /// Answer, as it was given.
        value: String,
        /// successful, failed, inconclusive or error.
        phase: String,
        /// Why it is an error.
        why: Option<String>,
        /// Commit.
        sha: CommitSha,
    }
    /// The judge decided.
    VerdictReached = "dev.cdeventsx.lem-verdict.reached.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Rollout.
        deployment: DeploymentId,
        /// Service.
        service: ServiceName,
        /// Environment.
        environment: EnvironmentName,
        /// New version.
        version: Version,
        /// Commit.
        sha: CommitSha,
        /// sequential, conditions, health.
        judge: String,
        /// Good, bad or undecided.
        outcome: VerdictOutcome,
        /// Natural logarithm of the combined e-value.
        ln_e: f64,
        /// Natural logarithm of the threshold.
        ln_threshold: f64,
        /// Per signal.
        signals: Vec<SignalShare>,
        /// The verdict as one sentence.
        sentence: String,
    }
    /// A process, container or pod of a version runs.
    InstanceStarted = "dev.cdeventsx.lem-instance.started.0.1.0", content [],
    subject |s| s.instance.clone(), chain |_c| None,
    {
        /// Instance, unique.
        instance: String,
        /// Service.
        service: ServiceName,
        /// Environment.
        environment: EnvironmentName,
        /// Version.
        version: Version,
        /// Address it serves on, `127.0.0.1:40123`.
        address: String,
        /// Process id, for the process target.
        pid: Option<u32>,
    }
    /// An instance ended.
    InstanceExited = "dev.cdeventsx.lem-instance.exited.0.1.0", content [],
    subject |s| s.instance.clone(), chain |_c| None,
    {
        /// Instance.
        instance: String,
        /// Service.
        service: ServiceName,
        /// Environment.
        environment: EnvironmentName,
        /// Version.
        version: Version,
        /// `exit 1`, `signal 9`.
        status: String,
        /// Whether we asked it to end.
        expected: bool,
        /// Last lines it said, at most 20.
        last_lines: Vec<String>,
    }
    /// A version was deployed where none ran.
    ServiceDeployed = "dev.cdevents.service.deployed.0.3.0", content ["environment", "artifactId"],
    subject |s| format!("{}/{}", s.environment.id, s.service), chain |c| Some(c.sha.to_string()),
    {
        /// Environment, as CDEvents refers to it.
        environment: Ref,
        /// Package URL of the artifact.
        artifact_id: String,
        /// Service.
        #[serde(alias = "subjectId")]
        service: ServiceName,
        /// Version.
        #[serde(default)]
        version: Version,
        /// Commit.
        #[serde(default)]
        sha: CommitSha,
        /// Rollout.
        #[serde(default)]
        deployment: DeploymentId,
    }
    /// A version took over from another.
    ServiceUpgraded = "dev.cdevents.service.upgraded.0.3.0", content ["environment", "artifactId"],
    subject |s| format!("{}/{}", s.environment.id, s.service), chain |c| Some(c.sha.to_string()),
    {
        /// Environment, as CDEvents refers to it.
        environment: Ref,
        /// Package URL of the artifact.
        artifact_id: String,
        /// Service.
        #[serde(alias = "subjectId")]
        service: ServiceName,
        /// Version.
        #[serde(default)]
        version: Version,
        /// Version before.
        #[serde(default)]
        previous: Option<Version>,
        /// Commit.
        #[serde(default)]
        sha: CommitSha,
        /// Rollout.
        #[serde(default)]
        deployment: DeploymentId,
    }
    /// An earlier version took over again.
    ServiceRolledBack = "dev.cdevents.service.rolledback.0.3.0", content ["environment", "artifactId"],
    subject |s| format!("{}/{}", s.environment.id, s.service), chain |c| Some(c.sha.to_string()),
    {
        /// Environment, as CDEvents refers to it.
        environment: Ref,
        /// Package URL of the artifact that runs again.
        artifact_id: String,
        /// Service.
        #[serde(alias = "subjectId")]
        service: ServiceName,
        /// Version that runs again.
        #[serde(default)]
        version: Version,
        /// Version that was taken off.
        #[serde(default)]
        from: Version,
        /// Commit that was taken off.
        #[serde(default)]
        sha: CommitSha,
        /// Rollout that brought it.
        #[serde(default)]
        deployment: DeploymentId,
        /// Why, as a sentence.
        #[serde(default)]
        why: String,
        /// Who asked.
        #[serde(default)]
        by: Actor,
        /// Incident it answers, if any.
        #[serde(default)]
        incident: Option<IncidentId>,
    }
    /// A service no longer runs in an environment.
    ServiceRemoved = "dev.cdevents.service.removed.0.3.0", content ["environment"],
    subject |s| format!("{}/{}", s.environment.id, s.service), chain |_c| None,
    {
        /// Environment, as CDEvents refers to it.
        environment: Ref,
        /// Service.
        #[serde(alias = "subjectId")]
        service: ServiceName,
    }
    /// A digest may not be deployed anywhere again.
    ArtifactQuarantined = "dev.cdeventsx.lem-artifact.quarantined.0.1.0", content [],
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
        why: String,
        /// Incident, if any.
        incident: Option<IncidentId>,
    }
    /// Release notes were written.
    ReleaseNotesPublished = "dev.cdeventsx.lem-releasenotes.published.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// Rollout.
        deployment: DeploymentId,
        /// Service.
        service: ServiceName,
        /// Version.
        version: Version,
        /// Commit.
        sha: CommitSha,
        /// Notes in Markdown.
        markdown: String,
    }
    /// Promotion stops; rollback never does.
    FreezeStarted = "dev.cdeventsx.lem-freeze.started.0.1.0", content [],
    subject |s| s.scope.clone(), chain |_c| None,
    {
        /// `*`, a service, or `environment/service`.
        scope: String,
        /// Until when; open-ended when absent.
        until: Option<Timestamp>,
        /// Why.
        reason: String,
        /// Who.
        by: Actor,
    }
    /// Promotion goes on.
    FreezeEnded = "dev.cdeventsx.lem-freeze.ended.0.1.0", content [],
    subject |s| s.scope.clone(), chain |_c| None,
    {
        /// As it was started.
        scope: String,
        /// Why.
        reason: String,
        /// Who.
        by: Actor,
    }
    /// Somebody went on in spite of a freeze or a closed window.
    FreezeOverridden = "dev.cdeventsx.lem-freeze.overridden.0.1.0", content [],
    subject |s| s.deployment.to_string(), chain |_c| None,
    {
        /// Rollout.
        deployment: DeploymentId,
        /// Why.
        reason: String,
        /// Who.
        by: Actor,
    }
}

/// What one signal counted in one interval for both arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArmCounts {
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
    /// What was dropped or clipped, as a sentence.
    pub note: Option<String>,
}
