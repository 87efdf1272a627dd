//! The port: what every event log can do, whatever keeps it.

use crate::{LedgerError, SignedCheckpoint, Subscription, tree::Hash};
use async_trait::async_trait;
use jiff::Timestamp;
use lem_model::{Event, NewEvent, Seq};
use serde::{Deserialize, Serialize};

/// Events in one [`EventLog::append`].
pub const MAX_BATCH: usize = 10_000;
/// Bytes of one event's document.
pub const MAX_PAYLOAD_BYTES: usize = 4 << 20;
/// Events in one [`EventLog::read`].
pub const MAX_READ: u32 = 10_000;

/// What became of an event that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    /// It is in the ledger now.
    New,
    /// The same bytes were there before.
    Duplicate,
    /// Another version with the same source and id was there before; this one is in the inbox.
    Conflict,
}

/// Answer for one event of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended {
    /// Where the event stands; for a conflict, where the other version stands.
    pub seq: Seq,
    /// What became of it.
    pub kept: Kept,
}

/// Which events; an empty filter is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Short types (`pipelinerun.finished`) or whole wire types; any of them.
    #[serde(default)]
    pub types: Vec<String>,
    /// Subject id.
    #[serde(default)]
    pub subject: Option<String>,
    /// Commit.
    #[serde(default)]
    pub chain: Option<String>,
    /// Source.
    #[serde(default)]
    pub source: Option<String>,
    /// Occurred at or after.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Occurred before.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl Filter {
    /// All events.
    pub fn all() -> Self {
        Self::default()
    }

    /// Events of these types, short or whole.
    pub fn types<T: Into<String>>(types: impl IntoIterator<Item = T>) -> Self {
        Self { types: types.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Only of this subject.
    pub fn subject(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }

    /// Only of this commit.
    pub fn chain(self, chain: impl Into<String>) -> Self {
        Self { chain: Some(chain.into()), ..self }
    }

    /// Only from this source.
    pub fn source(self, source: impl Into<String>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// Only what occurred in `[since, until)`.
    pub fn between(self, since: Timestamp, until: Timestamp) -> Self {
        Self { since: Some(since), until: Some(until), ..self }
    }

    /// Whether an event passes.
    pub fn matches(&self, event: &Event) -> bool {
        let same = |want: &Option<String>, have: &str| want.as_deref().is_none_or(|want| want == have);
        (self.types.is_empty() || self.types.iter().any(|t| t == event.kind.short() || t == event.kind.as_str()))
            && same(&self.subject, &event.subject)
            && self.chain.as_ref().is_none_or(|chain| event.chain.as_ref() == Some(chain))
            && same(&self.source, &event.source)
            && self.since.is_none_or(|since| event.time_occurred >= since)
            && self.until.is_none_or(|until| event.time_occurred < until)
    }
}

/// Name of a durable cursor: `deploy`, `webhook/7` ...
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Consumer(String);

impl Consumer {
    /// Wraps a name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Consumer {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// What to prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProofOf {
    /// That event `seq` is in the tree of the first `size` events.
    Inclusion {
        /// Event.
        seq: Seq,
        /// Events in the tree.
        size: Seq,
    },
    /// That the tree of `to` events extends the one of `from`.
    Consistency {
        /// The smaller tree.
        from: Seq,
        /// The larger tree.
        to: Seq,
    },
}

/// A proof, as RFC 6962 section 2.1 orders its hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// What it proves.
    pub of: ProofOf,
    /// Hashes from the leaf's sibling upward.
    pub path: Vec<Hash>,
}

/// Why a payload goes away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub by: String,
}

/// Something that arrived and could not simply be kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InboxItem {
    /// Where the event stands that was first.
    pub seq: Seq,
    /// When this one came.
    pub time_received: Timestamp,
    /// Why it is here.
    pub why: String,
    /// It.
    pub event: NewEvent,
}

/// An append-only event log.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Keeps events in order, idempotent on `(source, id)`. When it returns `Ok`, they are durable.
    async fn append(&self, batch: Vec<NewEvent>) -> Result<Vec<Appended>, LedgerError>;
    /// Events from `from` on that pass, in order of `seq`, at most `limit` (and at most [`MAX_READ`]).
    async fn read(&self, from: Seq, filter: &Filter, limit: u32) -> Result<Vec<Event>, LedgerError>;
    /// How many events there are.
    async fn size(&self) -> Result<Seq, LedgerError>;
    /// Follows events from where this consumer last acknowledged; at least once.
    async fn subscribe(&self, who: &Consumer, filter: Filter) -> Result<Subscription, LedgerError>;
    /// Signs the tree as it is.
    async fn checkpoint(&self) -> Result<SignedCheckpoint, LedgerError>;
    /// Proves inclusion or consistency.
    async fn prove(&self, of: ProofOf) -> Result<Proof, LedgerError>;
    /// Takes payload and salt of an event away; every proof stays valid. Gives the `payload.erased` event.
    async fn erase(&self, seq: Seq, why: &Erasure) -> Result<Seq, LedgerError>;
    /// What arrived and could not simply be kept, oldest first.
    async fn inbox(&self) -> Result<Vec<InboxItem>, LedgerError>;
}
