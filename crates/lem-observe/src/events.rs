//! Facts this crate owns, and what it hears.

// owned facts
pub use lem_model::fact::{
    AlertFired, AlertResolved, IncidentDetected, IncidentNoted, IncidentReported, IncidentResolved,
    NotificationCleared, NotificationFailed, NotificationSent, PatternFirstSeen, SilenceCreated, SilenceExpired,
};

// heard, from their owners
pub use lem_model::fact::{
    ActionTaken, AttributionProposed, InstanceExited, InstanceStarted, ReportPublished, RolloutAborted,
    RolloutFinished, RolloutStarted, ServiceDeployed, ServiceRolledBack, ServiceUpgraded, VerdictReached,
};

// requests heard
pub use lem_model::fact::IncidentRequested;
