//! Facts this crate owns, and what it hears. Leases and changes of secrets are the secret store's part of the same
//! stage.

// owned facts
pub use lem_model::fact::{
    AttestationRecorded, ExceptionGranted, GateDecided, LeaseIssued, LeaseRevoked, ScanFinished, SecretChanged,
};

// heard, from their owners
pub use lem_model::fact::{
    ArtifactPackaged, ChangeMerged, ServiceDeployed, ServiceRemoved, ServiceRolledBack, ServiceUpgraded,
};
