//! Every fact of the loop makes a document that CDEvents 0.5.1 accepts.

use jiff::Timestamp;
use lem_ledger::wire;
use lem_model::fact::*;
use lem_model::{Event, NewEvent};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use std::fmt;

#[derive(Debug)]
struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for Wrong {}
impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Fills whatever type asks: every optional is there, every list has one item, every enum its first variant.
#[derive(Clone, Copy)]
struct Sample(&'static str);

impl<'de> Deserializer<'de> for Sample {
    type Error = Wrong;
    fn deserialize_any<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Wrong> {
        // What says its kind inside asks for anything; texts ask for a string.
        match self.0 {
            "subject" => v.visit_map(Fields(&["kind", "address"], "")),
            "standing" => v.visit_map(Fields(&["state"], "")),
            _ => self.deserialize_str(v),
        }
    }
    fn deserialize_string<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(v)
    }
    fn deserialize_str<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Wrong> {
        v.visit_str(match self.0 {
            "kind" => "resource",
            "state" => "open",
            "amount" => "1.5",
            // Reads as a day and as a time.
            "expires" => "2026-01-02T03:04:05+00:00",
            "uri" | "ticketURI" => "/runs/1",
            "source" => "/lem/test",
            "artifactId" | "purl" => "pkg:generic/x@1",
            // Reads as any text and as a time.
            _ => "2026-01-02T03:04:05Z",
        })
    }
    fn deserialize_bool<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Wrong> {
        v.visit_bool(true)
    }
    fn deserialize_u8<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Wrong> {
        v.visit_u64(1)
    }
    fn deserialize_u16<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Wrong> {
        v.visit_u64(1)
    }
    fn deserialize_u32<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Wrong> {
        v.visit_u64(1)
    }
    fn deserialize_u64<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Wrong> {
        v.visit_u64(1)
    }
    fn deserialize_i32<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Wrong> {
        v.visit_i64(1)
    }
    fn deserialize_i64<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Wrong> {
        v.visit_i64(1)
    }
    fn deserialize_f64<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Wrong> {
        v.visit_f64(0.5)
    }
    fn deserialize_option<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Wrong> {
        // A suite has no source; without one all references look alike.
        if self.0 == "source" { v.visit_none() } else { v.visit_some(self) }
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, v: V) -> Result<V::Value, Wrong> {
        v.visit_newtype_struct(self)
    }
    fn deserialize_seq<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Wrong> {
        v.visit_seq(Items(1))
    }
    fn deserialize_tuple<V: Visitor<'de>>(self, n: usize, v: V) -> Result<V::Value, Wrong> {
        v.visit_seq(Items(n))
    }
    fn deserialize_map<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Wrong> {
        v.visit_map(Fields(&[], ""))
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        v: V,
    ) -> Result<V::Value, Wrong> {
        v.visit_map(Fields(fields, ""))
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        v: V,
    ) -> Result<V::Value, Wrong> {
        v.visit_enum(variants[0].into_deserializer())
    }
    serde::forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 char bytes byte_buf unit unit_struct tuple_struct identifier ignored_any
    }
}

struct Items(usize);

impl<'de> de::SeqAccess<'de> for Items {
    type Error = Wrong;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        if self.0 == 0 {
            return Ok(None);
        }
        self.0 -= 1;
        seed.deserialize(Sample("")).map(Some)
    }
}

struct Fields(&'static [&'static str], &'static str);

impl<'de> de::MapAccess<'de> for Fields {
    type Error = Wrong;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        while let Some((first, rest)) = self.0.split_first() {
            self.0 = rest;
            self.1 = first;
            // An alias that stands in for our own field in events from outside.
            if *first != "subjectId" {
                return seed.deserialize((*first).into_deserializer()).map(Some);
            }
        }
        Ok(None)
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        seed.deserialize(Sample(self.1))
    }
}

fn check<F: Fact + PartialEq + fmt::Debug>(faults: &mut Vec<String>) -> &'static str {
    let fact = F::deserialize(Sample("")).unwrap_or_else(|e| panic!("{}: {e}", F::TYPE));
    let time: Timestamp = "2026-01-02T03:04:05.5Z".parse().unwrap();
    let event = NewEvent::of(&fact, "id-1".into(), time, "/lem/test").unwrap();
    if let Err(error) = wire::parse_document(&event.payload) {
        faults.push(format!("{}: {error}", F::TYPE));
    }
    let strict = serde_json::from_value::<cdevents_sdk::CDEvent>(event.payload.clone());
    if let Err(error) = &strict
        && F::TYPE.starts_with("dev.cdevents.")
    {
        faults.push(format!("{}: {error}\n{}", F::TYPE, event.payload));
    }
    let stored = Event {
        seq: 0,
        id: event.id,
        kind: event.kind,
        time_occurred: time,
        time_received: time,
        source: event.source,
        subject: event.subject,
        chain: event.chain,
        payload: event.payload,
    };
    match stored.fact::<F>() {
        Some(Ok(read)) if read == fact => {}
        other => faults.push(format!("{} does not read back: {other:?}", F::TYPE)),
    }
    F::TYPE
}

macro_rules! check_all {
    ($($fact:ident)*) => {{
        let mut faults = Vec::new();
        let checked = vec![$(check::<$fact>(&mut faults)),*];
        (checked, faults)
    }};
}

#[test]
fn every_fact_is_a_valid_document() {
    let (checked, faults) = check_all!(
        ChangeMerged RunQueued RunStarted RunFinished
        RunRejected JobStarted JobFinished JobSkipped
        StepFinished TestSuiteFinished ArtifactPackaged PipelineRequested
        PipelineCancelRequested ReleasePlanned RolloutStarted RolloutStepFinished
        RolloutHeld RolloutPaused RolloutResumed RolloutSuperseded
        RolloutAborted RolloutFinished RoutesApplied EvidenceRecorded
        JudgeStarted AnalysisMeasured VerdictReached InstanceStarted
        InstanceExited ServiceDeployed ServiceUpgraded ServiceRolledBack
        ServiceRemoved ArtifactQuarantined ReleaseNotesPublished FreezeStarted
        FreezeEnded FreezeOverridden DeployRequested DeployRefused
        PromoteRequested AbortRequested RetryRequested PauseRequested
        ResumeRequested RollbackRequested RollbackRefused FreezeRequested
        UnfreezeRequested QuarantineRequested RevertRequested AlertFired
        AlertResolved NotificationSent NotificationFailed NotificationCleared
        SilenceCreated SilenceExpired PatternFirstSeen
        IncidentDetected IncidentReported IncidentResolved IncidentNoted
        IncidentRequested AttributionProposed AttributionAbstained AttributionConfirmed
        AttributionRejected ActionTaken ActionRefused RegressionMarked
        RiskRaised TestGapRaised ReportPublished
        PlanFinished ApplyStarted ApplyFinished DriftChecked
        DriftRequested InfraChangeRequested ScanFinished ExceptionGranted
        GateDecided AttestationRecorded LeaseIssued LeaseRevoked
        SecretChanged CostEstimated BudgetExceeded RecommendationCreated
        RecommendationMoved RecommendationRequested
    );
    assert_eq!(checked, ALL_TYPES);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn outcomes_are_the_words_of_the_specification() {
    for (outcome, word) in [
        (Outcome::Success, "success"),
        (Outcome::Failure, "failure"),
        (Outcome::Cancel, "cancel"),
        (Outcome::Error, "error"),
    ] {
        assert_eq!(serde_json::to_value(outcome).unwrap(), word);
    }
}
