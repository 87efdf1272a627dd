//! The log as everybody sees it: append, read, follow. SQLite, PostgreSQL and memory stand behind it.

use async_trait::async_trait;
use jiff::Timestamp;
use lem_model::event::short_type;
use lem_model::{Event, NewEvent, Seq};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;

use crate::LedgerError;

/// Events in one append.
pub const MAX_BATCH: usize = 1_000;
/// Bytes of one payload.
pub const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;
/// Events in one read.
pub const MAX_READ: u32 = 10_000;

/// What became of one event of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It stands at the position.
    New,
    /// The same bytes stand there already.
    Duplicate,
    /// Other bytes stand there under the same source and id; this version is kept in the inbox.
    Conflict,
}

/// Answer to one event of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended {
    /// Position of the event that stands.
    pub seq: Seq,
    /// What became of the one that was sent.
    pub fate: Fate,
}

/// Which events a reader wants. Empty means all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Short types such as `pipelinerun.finished`; any of them.
    pub types: BTreeSet<String>,
    /// Subject id.
    pub subject: Option<String>,
    /// Chain: commit sha.
    pub chain: Option<String>,
    /// Source.
    pub source: Option<String>,
    /// Not before, by time of occurrence.
    pub since: Option<Timestamp>,
    /// Not after, by time of occurrence.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Everything.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only these short types.
    pub fn types<'a>(types: impl IntoIterator<Item = &'a str>) -> Self {
        Self { types: types.into_iter().map(|t| short_type(t).to_owned()).collect(), ..Self::default() }
    }

    /// Whether an event passes.
    pub fn accepts(&self, event: &Event) -> bool {
        (self.types.is_empty() || self.types.contains(event.kind.short()))
            && self.subject.as_ref().is_none_or(|s| *s == event.subject)
            && self.chain.as_ref().is_none_or(|c| Some(c) == event.chain.as_ref())
            && self.source.as_ref().is_none_or(|s| *s == event.source)
            && self.since.is_none_or(|t| event.time_occurred >= t)
            && self.until.is_none_or(|t| event.time_occurred <= t)
    }
}

/// The append-only log. One conformance suite holds for every implementation.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Appends durably, in order, idempotent on (source, id). Returns once all of it is safe.
    async fn append(&self, batch: Vec<NewEvent>) -> Result<Vec<Appended>, LedgerError>;
    /// Events from a position on that pass the filter, at most `limit`, in order.
    async fn read(&self, from: Seq, filter: &Filter, limit: u32) -> Result<Vec<Event>, LedgerError>;
    /// Number of events: the position the next one will have.
    async fn size(&self) -> Result<Seq, LedgerError>;
    /// The size as it grows; wakes followers.
    fn watch(&self) -> watch::Receiver<Seq>;
    /// Where a named consumer stands: the position after the last one it acknowledged.
    async fn cursor(&self, consumer: &str) -> Result<Seq, LedgerError>;
    /// Moves a named consumer's cursor, durably.
    async fn acknowledge(&self, consumer: &str, next: Seq) -> Result<(), LedgerError>;
}

/// Follows the log from a position: at least once, in order, durable where it has a name.
pub struct Subscription {
    log: Arc<dyn EventLog>,
    consumer: Option<String>,
    filter: Filter,
    next: Seq,
    buffer: std::collections::VecDeque<Event>,
    size: watch::Receiver<Seq>,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("consumer", &self.consumer)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Subscription {
    /// Follows from a position, without a memory of its own.
    pub fn from(log: Arc<dyn EventLog>, from: Seq, filter: Filter) -> Self {
        let size = log.watch();
        Self { log, consumer: None, filter, next: from, buffer: std::collections::VecDeque::new(), size }
    }

    /// Follows from where the named consumer last acknowledged.
    pub async fn durable(log: Arc<dyn EventLog>, consumer: &str, filter: Filter) -> Result<Self, LedgerError> {
        let next = log.cursor(consumer).await?;
        Ok(Self { consumer: Some(consumer.to_owned()), ..Self::from(log, next, filter) })
    }

    /// The next event; waits for it.
    pub async fn next(&mut self) -> Result<Event, LedgerError> {
        loop {
            if let Some(event) = self.buffer.pop_front() {
                return Ok(event);
            }
            // Marked as seen before reading, so that an append in between wakes us.
            let size = *self.size.borrow_and_update();
            if self.next < size {
                let events = self.log.read(self.next, &self.filter, 1_000).await?;
                self.next = match events.last() {
                    Some(last) if events.len() == 1_000 => last.seq + 1,
                    // Everything up to the size was looked at, whether it passed or not.
                    last => size.max(last.map_or(0, |e| e.seq + 1)),
                };
                self.buffer.extend(events);
                continue;
            }
            if self.size.changed().await.is_err() {
                return Err(LedgerError::Closed);
            }
        }
    }

    /// Says that everything up to this event has been dealt with.
    pub async fn acknowledge(&self, event: &Event) -> Result<(), LedgerError> {
        match &self.consumer {
            Some(consumer) => self.log.acknowledge(consumer, event.seq + 1).await,
            None => Ok(()),
        }
    }
}
