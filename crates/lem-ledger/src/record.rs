//! How a stage says a fact.

use crate::{Appended, EventLog, LedgerError};
use lem_model::{Clock, Fact, NewEvent};
use std::sync::Arc;
use uuid::Uuid;

/// Appends facts under one source: `/lem/deploy`.
#[derive(Clone)]
pub struct Recorder {
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    source: String,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Recorder {
    /// A recorder for one source.
    pub fn new(log: Arc<dyn EventLog>, clock: Arc<dyn Clock>, source: impl Into<String>) -> Self {
        Self { log, clock, source: source.into() }
    }

    /// The log behind it.
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// The clock behind it.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// A fact as an event that is not yet appended, so that several can go in one batch.
    pub fn event<F: Fact>(&self, fact: &F) -> Result<NewEvent, LedgerError> {
        Ok(NewEvent::of(fact, Uuid::now_v7().to_string(), self.clock.now(), &self.source)?)
    }

    /// The same under an id of the caller's choice: saying it twice is saying it once.
    pub fn event_as<F: Fact>(&self, id: &str, fact: &F) -> Result<NewEvent, LedgerError> {
        Ok(NewEvent::of(fact, id.to_owned(), self.clock.now(), &self.source)?)
    }

    /// Appends one fact, durably.
    pub async fn record<F: Fact>(&self, fact: &F) -> Result<Appended, LedgerError> {
        self.append(vec![self.event(fact)?]).await
    }

    /// Appends one fact under an id of the caller's choice; a repetition, whatever its time, is a duplicate.
    pub async fn record_as<F: Fact>(&self, id: &str, fact: &F) -> Result<Appended, LedgerError> {
        self.append(vec![self.event_as(id, fact)?]).await
    }

    /// Appends several events in one batch: all of them or none.
    pub async fn append(&self, batch: Vec<NewEvent>) -> Result<Appended, LedgerError> {
        let appended = self.log.append(batch).await?;
        appended.last().copied().ok_or(LedgerError::Empty)
    }
}
