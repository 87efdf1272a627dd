//! Facts and requests: the inter-stage API.
//!
//! A fact is past tense and belongs to one owning stage, which re-exports it from its `events.rs`. A request
//! (`*.requested`) asks the owner of its subject to act. Both travel as CDEvents 0.5 documents: where the vocabulary
//! has a type, its required content is filled and what is ours goes to `customData`; otherwise the type is
//! `dev.cdeventsx.lem-<subject>.<predicate>.0.1.0` (letters only) and everything is content.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use thiserror::Error;

mod change;
mod deploy;
mod deploy_request;
mod feedback;
mod observe;
mod optimize;
mod pipeline;
mod provision;
mod secure;

pub use change::*;
pub use deploy::*;
pub use deploy_request::*;
pub use feedback::*;
pub use observe::*;
pub use optimize::*;
pub use pipeline::*;
pub use provision::*;
pub use secure::*;

/// Why a fact could not be written or read.
#[derive(Debug, Error)]
pub enum FactError {
    /// A field does not serialise to JSON.
    #[error("{kind} does not serialise")]
    Write {
        /// Wire type.
        kind: &'static str,
        /// Cause.
        #[source]
        source: serde_json::Error,
    },
    /// The document lacks what the fact needs.
    #[error("{kind} does not read")]
    Read {
        /// Wire type.
        kind: &'static str,
        /// Cause.
        #[source]
        source: serde_json::Error,
    },
}

/// A typed fact or request.
pub trait Fact: Serialize + DeserializeOwned + Send + Sync {
    /// Wire type.
    const TYPE: &'static str;
    /// Keys that go to the content of a standard CDEvents type; empty for our own types, where all is content.
    const CONTENT: &'static [&'static str];

    /// Subject id.
    fn subject(&self) -> String;

    /// Commit the fact belongs to, when it has one.
    fn chain(&self) -> Option<String>;

    /// `subject.content` and, for standard types, `customData`.
    fn split(&self) -> Result<(Value, Option<Value>), FactError> {
        let whole = serde_json::to_value(self).map_err(|source| FactError::Write { kind: Self::TYPE, source })?;
        let Value::Object(whole) = whole else { return Ok((whole, None)) };
        if Self::CONTENT.is_empty() {
            return Ok((Value::Object(whole), None));
        }
        let (content, custom): (Map<_, _>, Map<_, _>) =
            whole.into_iter().filter(|(_, v)| !v.is_null()).partition(|(k, _)| Self::CONTENT.contains(&k.as_str()));
        Ok((Value::Object(content), (!custom.is_empty()).then_some(Value::Object(custom))))
    }

    /// Reads a fact from a document's parts: content, overlaid with customData. Events from outside carry no field of
    /// ours for the subject, so the subject id stands in for it.
    fn join(subject: &str, content: Option<&Value>, custom: Option<&Value>) -> Result<Self, FactError> {
        let mut whole = Map::new();
        for part in [content, custom].into_iter().flatten() {
            if let Value::Object(part) = part {
                whole.extend(part.iter().map(|(k, v)| (k.clone(), v.clone())));
            }
        }
        let ours = serde_json::from_value(Value::Object(whole.clone()));
        ours.or_else(|_| {
            whole.insert("subjectId".into(), Value::String(subject.to_owned()));
            serde_json::from_value(Value::Object(whole))
        })
        .map_err(|source| FactError::Read { kind: Self::TYPE, source })
    }
}

/// A reference to another subject, as CDEvents writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, Default)]
pub struct Ref {
    /// Subject id.
    pub id: String,
    /// Its source, where it is not the event's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Ref {
    /// A reference by id.
    pub fn to(id: impl Into<String>) -> Self {
        Self { id: id.into(), source: None }
    }
}

/// Declares facts: the struct, its wire type, which keys are CDEvents content, its subject and its chain.
macro_rules! facts {
    ($(
        $(#[$doc:meta])*
        $name:ident = $wire:literal, content [$($key:literal),*],
        subject |$s:ident| $subject:expr, chain |$c:ident| $chain:expr,
        { $($(#[$fdoc:meta])* $field:ident : $ty:ty,)* }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name { $($(#[$fdoc])* pub $field: $ty,)* }

        impl $crate::fact::Fact for $name {
            const TYPE: &'static str = $wire;
            const CONTENT: &'static [&'static str] = &[$($key),*];
            fn subject(&self) -> String { let $s = self; $subject }
            fn chain(&self) -> Option<String> { let $c = self; $chain }
        }
    )*};
}
use facts;

/// Every wire type we append, for checks that hold over all of them.
pub const ALL_TYPES: &[&str] = &[
    ChangeMerged::TYPE,
    RunQueued::TYPE,
    RunStarted::TYPE,
    RunFinished::TYPE,
    RunRejected::TYPE,
    JobStarted::TYPE,
    JobFinished::TYPE,
    JobSkipped::TYPE,
    StepFinished::TYPE,
    TestSuiteFinished::TYPE,
    ArtifactPackaged::TYPE,
    PipelineRequested::TYPE,
    PipelineCancelRequested::TYPE,
    ReleasePlanned::TYPE,
    RolloutStarted::TYPE,
    RolloutStepFinished::TYPE,
    RolloutHeld::TYPE,
    RolloutPaused::TYPE,
    RolloutResumed::TYPE,
    RolloutSuperseded::TYPE,
    RolloutAborted::TYPE,
    RolloutFinished::TYPE,
    RoutesApplied::TYPE,
    EvidenceRecorded::TYPE,
    JudgeStarted::TYPE,
    AnalysisMeasured::TYPE,
    VerdictReached::TYPE,
    InstanceStarted::TYPE,
    InstanceExited::TYPE,
    ServiceDeployed::TYPE,
    ServiceUpgraded::TYPE,
    ServiceRolledBack::TYPE,
    ServiceRemoved::TYPE,
    ArtifactQuarantined::TYPE,
    ReleaseNotesPublished::TYPE,
    FreezeStarted::TYPE,
    FreezeEnded::TYPE,
    FreezeOverridden::TYPE,
    DeployRequested::TYPE,
    DeployRefused::TYPE,
    PromoteRequested::TYPE,
    AbortRequested::TYPE,
    RetryRequested::TYPE,
    PauseRequested::TYPE,
    ResumeRequested::TYPE,
    RollbackRequested::TYPE,
    RollbackRefused::TYPE,
    FreezeRequested::TYPE,
    UnfreezeRequested::TYPE,
    QuarantineRequested::TYPE,
    RevertRequested::TYPE,
    AlertFired::TYPE,
    AlertResolved::TYPE,
    NotificationSent::TYPE,
    NotificationFailed::TYPE,
    NotificationCleared::TYPE,
    SilenceCreated::TYPE,
    SilenceExpired::TYPE,
    PatternFirstSeen::TYPE,
    IncidentDetected::TYPE,
    IncidentReported::TYPE,
    IncidentResolved::TYPE,
    IncidentNoted::TYPE,
    IncidentRequested::TYPE,
    AttributionProposed::TYPE,
    AttributionAbstained::TYPE,
    AttributionConfirmed::TYPE,
    AttributionRejected::TYPE,
    ActionTaken::TYPE,
    ActionRefused::TYPE,
    RegressionMarked::TYPE,
    RiskRaised::TYPE,
    TestGapRaised::TYPE,
    ReportPublished::TYPE,
    PlanFinished::TYPE,
    ApplyStarted::TYPE,
    ApplyFinished::TYPE,
    DriftChecked::TYPE,
    DriftRequested::TYPE,
    InfraChangeRequested::TYPE,
    ScanFinished::TYPE,
    ExceptionGranted::TYPE,
    GateDecided::TYPE,
    AttestationRecorded::TYPE,
    LeaseIssued::TYPE,
    LeaseRevoked::TYPE,
    SecretChanged::TYPE,
    CostEstimated::TYPE,
    BudgetExceeded::TYPE,
    RecommendationCreated::TYPE,
    RecommendationMoved::TYPE,
    RecommendationRequested::TYPE,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, NewEvent};
    use jiff::Timestamp;

    #[test]
    fn a_standard_fact_splits_into_content_and_custom_data_and_reads_back() {
        let fact = RunFinished {
            run: "r1".into(),
            pipeline_name: "ci".into(),
            uri: "/runs/r1".into(),
            outcome: Outcome::Success,
            errors: None,
            sha: "a".repeat(40).into(),
            branch: "main".into(),
            duration_ms: 12,
            queued_ms: 1,
        };
        let event = NewEvent::of(&fact, "e1".into(), Timestamp::UNIX_EPOCH, "/lem/pipeline").expect("serialises");
        assert_eq!(event.payload["subject"]["content"]["outcome"], "success");
        assert!(event.payload["subject"]["content"].get("sha").is_none(), "CDEvents content is a closed object");
        assert_eq!(event.payload["customData"]["durationMs"], 12);
        let stored = Event {
            seq: 0,
            id: event.id,
            kind: event.kind,
            time_occurred: event.time_occurred,
            time_received: event.time_occurred,
            source: event.source,
            subject: event.subject,
            chain: event.chain,
            payload: event.payload,
        };
        assert_eq!(stored.read::<RunFinished>(), Some(fact));
        assert!(stored.fact::<RunStarted>().is_none());
    }

    #[test]
    fn custom_types_are_letters_only() {
        for wire in ALL_TYPES {
            if let Some(rest) = wire.strip_prefix("dev.cdeventsx.lem-") {
                let name = rest.strip_suffix(".0.1.0").expect("our types are version 0.1.0");
                assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '.'), "{wire}");
                assert_eq!(name.matches('.').count(), 1, "{wire}: one subject, one predicate");
            } else {
                assert!(wire.starts_with("dev.cdevents."), "{wire}");
            }
        }
    }

    #[test]
    fn no_two_facts_share_a_type() {
        let unique: std::collections::BTreeSet<_> = ALL_TYPES.iter().collect();
        assert_eq!(unique.len(), ALL_TYPES.len());
    }
}
