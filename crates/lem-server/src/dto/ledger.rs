//! Events, proofs and subscriptions.

use super::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An event of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventRow {
    /// Position.
    pub seq: u64,
    /// Unique together with `source`.
    pub id: String,
    /// Wire type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `subject.predicate` of it.
    pub short_type: String,
    /// When it happened, by the sender's clock.
    pub time_occurred: Time,
    /// When the ledger took it.
    pub time_received: Time,
    /// Who says so.
    pub source: String,
    /// Subject id.
    pub subject: String,
    /// Commit it belongs to.
    pub chain: Option<String>,
    /// The CDEvents document; null once erased.
    #[schema(value_type = Object)]
    pub payload: serde_json::Value,
    /// In one sentence.
    pub sentence: String,
}

/// A page of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventsPage {
    /// In order.
    pub events: Vec<EventRow>,
    /// Position to read from next.
    pub next: u64,
}

/// What became of a received event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EventFate {
    /// It is in the ledger now.
    New,
    /// The same was there before.
    Duplicate,
    /// Another one with the same source and id was there before; this one is in the inbox.
    Conflict,
}

/// Answer for one received event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Received {
    /// Where it, or the other one, stands.
    pub seq: u64,
    /// What became of it.
    pub fate: EventFate,
}

/// An event's proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventProof {
    /// The `.tlog-proof` file.
    pub proof: String,
    /// The checkpoint in it.
    pub checkpoint: String,
}

/// The ledger as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerInfo {
    /// Events.
    pub size: u64,
    /// Root of the last checkpoint, base64.
    pub root: Option<String>,
    /// The last checkpoint as a signed note.
    pub checkpoint: Option<String>,
    /// Key it is checked with.
    pub public_key: Option<String>,
    /// Kind and place of the database, without password.
    pub database: String,
}

/// What verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Whether every row is as it was signed.
    pub verified: bool,
    /// Events looked at.
    pub events: u64,
    /// First row that is not.
    pub first_bad: Option<u64>,
    /// What is wrong with it.
    pub why: Option<String>,
    /// How long it took.
    pub took_ms: u64,
}

/// A signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checkpoint {
    /// Events it covers.
    pub size: u64,
    /// Root, base64.
    pub root: String,
    /// The signed note.
    pub checkpoint: String,
}

/// A webhook: events go out as CloudEvents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// Where to.
    pub url: String,
    /// Which.
    pub filter: EventFilter,
    /// Since when.
    pub since: Time,
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventFilter {
    /// Short or whole types; all when empty.
    #[serde(default)]
    pub types: Vec<String>,
    /// Subject id.
    #[serde(default)]
    pub subject: Option<String>,
    /// Commit.
    #[serde(default)]
    pub chain: Option<String>,
}

/// Asks for a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionRequest {
    /// Where to: http or https.
    pub url: String,
    /// Which events.
    #[serde(default)]
    pub filter: EventFilter,
}
