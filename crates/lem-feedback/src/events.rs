//! Facts this crate owns, and what it hears.

// owned facts
pub use lem_model::fact::{
    ActionRefused, ActionTaken, AttributionAbstained, AttributionConfirmed, AttributionProposed, AttributionRejected,
    RegressionMarked, ReportPublished, RiskRaised, TestGapRaised,
};

// heard, from their owners
pub use lem_model::fact::{
    AlertFired, AlertResolved, ApplyFinished, ArtifactPackaged, ArtifactQuarantined, ChangeMerged, EvidenceRecorded,
    IncidentDetected, IncidentResolved, InstanceExited, ReleasePlanned, RollbackRefused, RolloutAborted,
    RolloutFinished, RolloutStarted, RoutesApplied, ServiceDeployed, ServiceRolledBack, ServiceUpgraded,
    VerdictReached,
};

// requests made, answered by their owners
pub use lem_model::fact::{
    DriftRequested, IncidentRequested, QuarantineRequested, RecommendationRequested, RevertRequested, RollbackRequested,
};
