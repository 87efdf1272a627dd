//! An event as the ledger keeps it.

use crate::fact::{Fact, FactError};
use crate::id::Actor;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fmt;

/// Position in the ledger, from 0; the leaf index of the Merkle tree.
pub type Seq = u64;
/// Id of an event: UUID v7 for our own, any non-empty text for events from outside.
pub type EventId = String;

/// Wire type of an event, such as `dev.cdevents.pipelinerun.finished.0.3.0`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventType(String);

impl EventType {
    /// Wraps a wire type.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The whole wire type.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `subject.predicate` without prefix and version: `pipelinerun.finished`, `alert.fired`.
    pub fn short(&self) -> &str {
        short_type(&self.0)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `subject.predicate` of a wire type; the whole text when it is not one of CDEvents' two shapes.
pub fn short_type(wire: &str) -> &str {
    let rest = wire
        .strip_prefix("dev.cdevents.")
        .or_else(|| wire.strip_prefix("dev.cdeventsx.").and_then(|r| r.split_once('-').map(|(_, subject)| subject)));
    let Some(rest) = rest else { return wire };
    match rest.match_indices('.').nth(1) {
        Some((end, _)) => &rest[..end],
        None => rest,
    }
}

/// An event that is about to be appended. `payload` is the whole CDEvents document, so that nothing an outside sender
/// said is lost; [`NewEvent::of`] builds it for our own facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewEvent {
    /// Unique together with `source`.
    pub id: EventId,
    /// Wire type.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When it happened, by the sender's clock.
    pub time_occurred: Timestamp,
    /// Who says so, as a URI reference: `/lem/deploy`.
    pub source: String,
    /// Subject id.
    pub subject: String,
    /// The change this belongs to: the commit sha, where one is known.
    pub chain: Option<String>,
    /// The CDEvents document.
    pub payload: Value,
}

/// Version of CDEvents we write.
pub const CDEVENTS_VERSION: &str = "0.5.1";

impl NewEvent {
    /// The CDEvents 0.5.1 document of a fact, ready to append.
    pub fn of<F: Fact>(fact: &F, id: EventId, time: Timestamp, source: &str) -> Result<Self, FactError> {
        let (content, custom) = fact.split()?;
        let subject = fact.subject();
        let chain = fact.chain();
        let mut context = Map::new();
        context.insert("specversion".into(), json!(CDEVENTS_VERSION));
        context.insert("id".into(), json!(id));
        context.insert("source".into(), json!(source));
        context.insert("type".into(), json!(F::TYPE));
        context.insert("timestamp".into(), json!(time.to_string()));
        if let Some(chain) = &chain {
            context.insert("chainId".into(), json!(chain));
        }
        let mut document = Map::new();
        document.insert("context".into(), Value::Object(context));
        document.insert("subject".into(), json!({ "id": subject, "source": source, "content": content }));
        if let Some(custom) = custom {
            document.insert("customData".into(), custom);
            document.insert("customDataContentType".into(), json!("application/json"));
        }
        Ok(Self {
            id,
            kind: EventType::new(F::TYPE),
            time_occurred: time,
            source: source.to_owned(),
            subject,
            chain,
            payload: Value::Object(document),
        })
    }
}

/// An event as it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position.
    pub seq: Seq,
    /// Unique together with `source`.
    pub id: EventId,
    /// Wire type.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When it happened, by the sender's clock.
    pub time_occurred: Timestamp,
    /// When the ledger took it, by ours.
    pub time_received: Timestamp,
    /// Who says so.
    pub source: String,
    /// Subject id.
    pub subject: String,
    /// The change this belongs to.
    pub chain: Option<String>,
    /// The CDEvents document; null once erased.
    pub payload: Value,
}

impl Event {
    /// Whether this is a fact of type `F`, whatever its version.
    pub fn is<F: Fact>(&self) -> bool {
        self.kind.short() == short_type(F::TYPE)
    }

    /// The fact, when the event is of its type; `Some(Err)` when it is but does not read.
    pub fn fact<F: Fact>(&self) -> Option<Result<F, FactError>> {
        self.is::<F>().then(|| F::join(&self.subject, self.content(), self.payload.get("customData")))
    }

    /// The fact, when the event is of its type and reads; anything else is `None`.
    pub fn read<F: Fact>(&self) -> Option<F> {
        self.fact::<F>().and_then(Result::ok)
    }

    /// `subject.content` of the document.
    pub fn content(&self) -> Option<&Value> {
        self.payload.get("subject")?.get("content")
    }

    /// Who asked, for requests: the `by` of the content.
    pub fn actor(&self) -> Option<Actor> {
        self.content()?.get("by")?.as_str().map(Actor::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_types() {
        for (wire, short) in [
            ("dev.cdevents.pipelinerun.finished.0.3.0", "pipelinerun.finished"),
            ("dev.cdeventsx.lem-alert.fired.0.1.0", "alert.fired"),
            ("dev.cdeventsx.acme-thing.done.1.0.0", "thing.done"),
            ("com.example.other", "com.example.other"),
            ("dev.cdevents.odd", "odd"),
        ] {
            assert_eq!(short_type(wire), short);
        }
    }
}
