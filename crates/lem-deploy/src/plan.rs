//! Decisions. Pure: what the ledger says, what was seen, what time it is, in; what to say and what to do, out.
//!
//! The engine folds every event into [`State`] and then asks [`decide`] until nothing more is to be said. Facts come
//! first and alone: they are appended before anything is done, so that an engine that is killed after any of them goes
//! on from there. What is to be done is derived from the state each time anew (which instances should run, what the
//! router should serve), so doing it twice is doing it once.

mod desired;
mod judging;
mod release;
mod rollout;

pub use desired::{Desired, PREVIEW_HEADER, Rule, Wanted, desired};

use crate::config::{Environment, Service};
use crate::events::{
    ArmCounts, ArtifactQuarantined, DeployRequested, FreezeEnded, FreezeStarted, POLICY, QuarantineRequested, Said,
};
use crate::evidence::History;
use crate::promotion;
use crate::state::{Lane, Placed, State};
use jiff::Timestamp;
use lem_engine_judge::condition::Phase as Measurement;
use lem_model::port::{GateAnswer, Scope};
use lem_model::{DeploymentId, Digest, Seq, Version};
use std::collections::BTreeMap;

/// What the engine sees of one service in one environment, apart from the ledger.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Instances that run or should.
    pub instances: Vec<Instance>,
    /// Versions that cannot run, and why.
    pub crashed: BTreeMap<Version, Crash>,
    /// Since when a version has fewer ready instances than wanted.
    pub unready_since: BTreeMap<Version, Timestamp>,
    /// What the router serves.
    pub routed: Option<Routed>,
    /// A closed interval of counts that is not recorded yet.
    pub interval: Option<Interval>,
    /// Measurements that are not recorded yet.
    pub measured: Vec<MeasuredNow>,
    /// The stable version's past, when it was asked for.
    pub history: Option<History>,
    /// Whether there is a log store and a limit for slow responses.
    pub sources: Option<crate::evidence::Sources>,
    /// Answers of the policy gate.
    pub gate: BTreeMap<Digest, GateAnswer>,
    /// Artifacts whose answer waits.
    pub gate_waits: BTreeMap<Digest, AskAgain>,
    /// Events of the ledger that were read.
    pub heard: Seq,
    /// Requests the new version got since its rollout began, and bad ones, by the router.
    pub exposed: (u64, u64),
    /// Release notes that were written.
    pub notes: Option<String>,
}

/// The policy gate gave no answer yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskAgain {
    /// Why, as a sentence.
    pub why: String,
    /// It is asked again at this time.
    pub at: Timestamp,
    /// Or as soon as the ledger has more than these events.
    pub heard: Seq,
}

/// A version that cannot run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Why.
    pub why: String,
    /// What it last said.
    pub last_lines: Vec<String>,
    /// Whose fault it is.
    pub fault: Fault,
    /// When that was seen.
    pub at: Timestamp,
}

/// Whose fault it is that a version cannot run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its own: it is a bad version.
    Version,
    /// It lacks what it needs, such as a secret: nothing is known about the version.
    Surroundings,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Version.
    pub version: Version,
    /// Address.
    pub address: std::net::SocketAddr,
    /// Whether it answers.
    pub readiness: Readiness,
}

/// Whether an instance serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Healthy for long enough.
    Ready,
    /// Not yet.
    Starting,
    /// Told to end: gets nothing new.
    Leaving,
}

/// What the router serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed {
    /// Versions with their addresses and weights, stable first.
    pub versions: Vec<(Version, Vec<std::net::SocketAddr>, u32)>,
    /// Exceptions by header.
    pub rules: Vec<Rule>,
    /// Number of the table.
    pub generation: u64,
}

/// One closed interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// Rollout.
    pub deployment: DeploymentId,
    /// Start.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
    /// Counts.
    pub counts: Vec<ArmCounts>,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredNow {
    /// Rollout.
    pub deployment: DeploymentId,
    /// Which analysis.
    pub run: String,
    /// Metric.
    pub metric: String,
    /// Query as asked.
    pub query: String,
    /// Answer as given.
    pub value: String,
    /// How it ended.
    pub phase: Measurement,
    /// Why it is an error.
    pub why: Option<String>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Run so many instances of a version; more end, missing ones start. Idempotent on digest and configuration.
    Ensure(Wanted),
    /// Serve this table.
    Route {
        /// Salt of sticky users: the rollout.
        release: String,
        /// Versions with weights, stable first.
        versions: Vec<(Version, Vec<std::net::SocketAddr>, u32)>,
        /// Exceptions.
        rules: Vec<Rule>,
    },
    /// Let requests end, then end all instances of a version.
    Retire(Version),
    /// Ask a metrics source.
    Measure {
        /// Rollout.
        deployment: DeploymentId,
        /// Which analysis.
        run: String,
        /// Metric.
        metric: String,
        /// Query with arguments filled in.
        query: String,
    },
    /// Look at the stable version's past.
    ReadHistory {
        /// Stable version.
        stable: Version,
    },
    /// Count evidence for this rollout from now on; a standing order.
    Watch {
        /// Rollout.
        deployment: DeploymentId,
        /// New version.
        canary: Version,
        /// Stable version.
        stable: Option<Version>,
    },
    /// Ask the policy gate.
    AskGate(Digest),
    /// Write release notes.
    WriteNotes(DeploymentId),
}

/// Say these first, or else do those.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// To append, in order.
    pub say: Vec<Said>,
    /// To do; empty while there is something to say.
    pub deeds: Vec<Deed>,
}

/// Everything a decision about one service in one environment rests on.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Which.
    pub scope: &'a Scope,
    /// All that the ledger says.
    pub state: &'a State,
    /// What it says about this one.
    pub lane: &'a Lane,
    /// What was seen.
    pub world: &'a World,
    /// Service.
    pub service: &'a Service,
    /// Environment.
    pub environment: &'a Environment,
    /// Watched branch.
    pub branch: Option<&'a str>,
    /// Digest of the configuration instances run with.
    pub config: &'a Digest,
    /// Time.
    pub now: Timestamp,
}

impl Scene<'_> {
    /// Ready instances of a version.
    pub(crate) fn ready(&self, version: &Version) -> u32 {
        let mine = self.world.instances.iter().filter(|i| i.version == *version);
        mine.filter(|i| i.readiness == Readiness::Ready).count() as u32
    }

    /// Instances of a version that are not about to end.
    pub(crate) fn running(&self, version: &Version) -> u32 {
        let mine = self.world.instances.iter().filter(|i| i.version == *version);
        mine.filter(|i| i.readiness != Readiness::Leaving).count() as u32
    }

    /// Replicas of a whole version.
    pub(crate) fn replicas(&self) -> u32 {
        self.service.strategy.replicas.unwrap_or(self.environment.process.replicas)
    }

    /// Percent of the traffic a version gets by the table in service.
    pub(crate) fn share(&self, version: &Version) -> u32 {
        let versions = self.world.routed.iter().flat_map(|r| &r.versions);
        versions.filter(|(v, ..)| v == version).map(|(_, _, weight)| *weight).sum()
    }

    pub(crate) fn closed(&self) -> Option<String> {
        promotion::closed(self.state, self.service, self.scope, self.now)
    }

    pub(crate) fn stable(&self) -> Option<&Placed> {
        self.lane.stable.as_ref()
    }
}

/// Decisions that belong to no service: freezes and quarantines that were asked for, freezes that are over.
pub fn decide_global(state: &State, now: Timestamp) -> Vec<Said> {
    let mut say: Vec<Said> = vec![];
    for (scope, until, reason, by) in &state.freeze_asked {
        let (scope, until, reason, by) = (scope.clone(), *until, reason.clone(), by.clone());
        say.push(FreezeStarted { scope, until, reason, by }.into());
    }
    for (scope, reason, by) in &state.unfreeze_asked {
        say.push(FreezeEnded { scope: scope.clone(), reason: reason.clone(), by: by.clone() }.into());
    }
    let over = state.freezes.iter().filter(|(_, f)| f.until.is_some_and(|until| until <= now));
    for (scope, _) in over.filter(|(scope, _)| !state.unfreeze_asked.iter().any(|(s, ..)| s == *scope)) {
        let reason = "its time is over".to_owned();
        say.push(FreezeEnded { scope: scope.clone(), reason, by: crate::events::ENGINE.into() }.into());
    }
    for q in &state.quarantine_asked {
        say.push(quarantine(q).into());
    }
    say
}

fn quarantine(q: &QuarantineRequested) -> ArtifactQuarantined {
    ArtifactQuarantined {
        digest: q.digest.clone(),
        service: q.service.clone(),
        version: q.version.clone(),
        sha: q.sha.clone(),
        why: q.reason.clone(),
        incident: q.incident.clone(),
    }
}

/// The next decision about one service in one environment.
pub fn decide(scene: &Scene<'_>) -> Decision {
    // What was done is said before what follows from it.
    let mut say = desired::routes_said(scene);
    if say.is_empty() {
        say = release::requests(scene);
    }
    if say.is_empty() {
        say = rollout::advance(scene);
    }
    if !say.is_empty() {
        return Decision { say, deeds: vec![] };
    }
    let mut deeds = rollout::deeds(scene);
    deeds.extend(desired::deeds(scene));
    Decision { say, deeds }
}

/// The deployment policy asks for by itself, when an artifact is due that never was asked for.
pub(crate) fn due(scene: &Scene<'_>) -> Option<DeployRequested> {
    let artifact = promotion::due(scene.state, scene.service, scene.environment, scene.branch, scene.now)?;
    let deployment = deployment_id(scene.scope, &artifact.digest, artifact.sha.short());
    if scene.lane.requested.contains(&deployment) || scene.stable().is_some_and(|s| s.digest == artifact.digest) {
        return None;
    }
    Some(DeployRequested {
        deployment,
        service: scene.scope.service.clone(),
        environment: scene.scope.environment.clone(),
        version: artifact.sha.short().into(),
        sha: artifact.sha,
        digest: artifact.digest,
        by: POLICY.into(),
        reason: None,
    })
}

/// Id of the rollout of one artifact to one place: asking twice is asking once.
pub fn deployment_id(scope: &Scope, digest: &Digest, short: &str) -> DeploymentId {
    let part = digest.hex().get(..6).unwrap_or(digest.hex());
    format!("{}-{}-{short}-{part}", scope.service, scope.environment).into()
}
