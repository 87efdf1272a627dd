//! Facts this stage says and requests it hears.
//!
//! Said: `release.planned`, `rollout.*`, `routes.applied`, `evidence.recorded`, `judge.started`, `analysis.measured`,
//! `verdict.reached`, `instance.*`, `service.deployed|upgraded|rolledback|removed`, `artifact.quarantined`,
//! `releasenotes.published`, `freeze.*`, `deploy.refused`, `rollback.refused`, and `deploy.requested` when an artifact
//! is due. Heard: every `*.requested` of these subjects, `pipelinerun.finished`, `artifact.packaged`, `change.merged`.

pub use lem_model::fact::{
    AbortRequested, AnalysisMeasured, ArmCounts, ArtifactPackaged, ArtifactQuarantined, ChangeMerged, DeployRefused,
    DeployRequested, EvidenceRecorded, FreezeEnded, FreezeOverridden, FreezeRequested, FreezeStarted, InstanceExited,
    InstanceStarted, JudgeStarted, MigrationClass, Outcome, PauseRequested, PromoteRequested, QuarantineRequested, Ref,
    ReleaseNotesPublished, ReleasePlanned, ResumeRequested, RetryRequested, RollbackRefused, RollbackRequested,
    RolloutAborted, RolloutFinished, RolloutHeld, RolloutOutcome, RolloutPaused, RolloutResumed, RolloutStarted,
    RolloutStepFinished, RolloutSuperseded, RoutesApplied, RunFinished, ServiceDeployed, ServiceRolledBack,
    ServiceUpgraded, SignalShare, UnfreezeRequested, VerdictOutcome, VerdictReached, VersionWeight,
};

use jiff::Timestamp;
use lem_model::{FactError, NewEvent};

/// Source of this stage's events.
pub const SOURCE: &str = "/lem/deploy";
/// Who acts when nobody asked: the engine.
pub const ENGINE: &str = "engine:deploy";
/// Who asks when an artifact is due.
pub const POLICY: &str = "policy:deploy";

macro_rules! said {
    ($($name:ident),* $(,)?) => {
        /// Any fact this stage says.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Said {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name(Box<$name>),)*
        }
        $(impl From<$name> for Said {
            fn from(fact: $name) -> Self {
                Self::$name(Box::new(fact))
            }
        })*
        impl Said {
            /// As an event, ready to append.
            pub fn event(&self, id: String, time: Timestamp) -> Result<NewEvent, FactError> {
                match self {
                    $(Self::$name(fact) => NewEvent::of(fact.as_ref(), id, time, SOURCE),)*
                }
            }
        }
    };
}

said!(
    AnalysisMeasured,
    ArtifactQuarantined,
    DeployRefused,
    DeployRequested,
    EvidenceRecorded,
    FreezeEnded,
    FreezeOverridden,
    FreezeStarted,
    InstanceExited,
    InstanceStarted,
    JudgeStarted,
    ReleaseNotesPublished,
    ReleasePlanned,
    RollbackRefused,
    RolloutAborted,
    RolloutFinished,
    RolloutHeld,
    RolloutPaused,
    RolloutResumed,
    RolloutStarted,
    RolloutStepFinished,
    RolloutSuperseded,
    RoutesApplied,
    ServiceDeployed,
    ServiceRolledBack,
    ServiceUpgraded,
    VerdictReached,
);
