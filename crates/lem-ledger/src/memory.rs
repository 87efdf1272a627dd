//! A log in memory: what tests and simulations run on. It holds the contract of [`EventLog`] except durability.

use crate::log::{MAX_BATCH, MAX_PAYLOAD_BYTES, MAX_READ};
use crate::{Appended, EventLog, Fate, Filter, LedgerError};
use async_trait::async_trait;
use lem_model::{Clock, Event, NewEvent, Seq};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A log in memory.
pub struct MemoryLog {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    size: watch::Sender<Seq>,
}

#[derive(Default)]
struct Inner {
    events: Vec<Event>,
    known: BTreeMap<(String, String), Seq>,
    cursors: BTreeMap<String, Seq>,
}

impl std::fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryLog").field("size", &*self.size.borrow()).finish_non_exhaustive()
    }
}

impl MemoryLog {
    /// An empty log.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, inner: Mutex::default(), size: watch::channel(0).0 })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether two documents say the same: all but the time at which they were said.
pub(crate) fn same_statement(a: &Value, b: &Value) -> bool {
    let timeless = |v: &Value| {
        let mut v = v.clone();
        if let Some(context) = v.get_mut("context").and_then(Value::as_object_mut) {
            context.remove("timestamp");
        }
        v
    };
    a == b || timeless(a) == timeless(b)
}

/// The limits every log enforces before it touches anything.
pub(crate) fn check_batch(batch: &[NewEvent]) -> Result<(), LedgerError> {
    if batch.is_empty() {
        return Err(LedgerError::Empty);
    }
    if batch.len() > MAX_BATCH {
        return Err(LedgerError::TooLarge { what: "a batch", size: batch.len(), limit: MAX_BATCH });
    }
    for event in batch {
        let size = event.payload.to_string().len();
        if size > MAX_PAYLOAD_BYTES {
            return Err(LedgerError::TooLarge { what: "a payload", size, limit: MAX_PAYLOAD_BYTES });
        }
    }
    Ok(())
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn append(&self, batch: Vec<NewEvent>) -> Result<Vec<Appended>, LedgerError> {
        check_batch(&batch)?;
        let mut inner = self.inner();
        let mut appended = Vec::with_capacity(batch.len());
        for new in batch {
            let key = (new.source.clone(), new.id.clone());
            if let Some(seq) = inner.known.get(&key).copied() {
                let same = same_statement(&inner.events[seq as usize].payload, &new.payload);
                appended.push(Appended { seq, fate: if same { Fate::Duplicate } else { Fate::Conflict } });
                continue;
            }
            let seq = inner.events.len() as Seq;
            inner.known.insert(key, seq);
            inner.events.push(Event {
                seq,
                id: new.id,
                kind: new.kind,
                time_occurred: new.time_occurred,
                time_received: self.clock.now(),
                source: new.source,
                subject: new.subject,
                chain: new.chain,
                payload: new.payload,
            });
            appended.push(Appended { seq, fate: Fate::New });
        }
        self.size.send_replace(inner.events.len() as Seq);
        Ok(appended)
    }

    async fn read(&self, from: Seq, filter: &Filter, limit: u32) -> Result<Vec<Event>, LedgerError> {
        let inner = self.inner();
        let rest = inner.events.get(from as usize..).unwrap_or_default();
        Ok(rest.iter().filter(|e| filter.accepts(e)).take(limit.min(MAX_READ) as usize).cloned().collect())
    }

    async fn size(&self) -> Result<Seq, LedgerError> {
        Ok(self.inner().events.len() as Seq)
    }

    fn watch(&self) -> watch::Receiver<Seq> {
        self.size.subscribe()
    }

    async fn cursor(&self, consumer: &str) -> Result<Seq, LedgerError> {
        Ok(self.inner().cursors.get(consumer).copied().unwrap_or(0))
    }

    async fn acknowledge(&self, consumer: &str, next: Seq) -> Result<(), LedgerError> {
        let mut inner = self.inner();
        let cursor = inner.cursors.entry(consumer.to_owned()).or_default();
        *cursor = next.max(*cursor);
        Ok(())
    }
}
