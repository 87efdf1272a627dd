//! The handle a stage records its facts with.

use crate::{Appended, EventLog, LedgerError};
use jiff::Timestamp;
use lem_model::{Clock, EventId, Fact, NewEvent};
use std::fmt;
use std::sync::Arc;

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Where event ids come from.
pub trait Ids: Send + Sync {
    /// A fresh id.
    fn next(&self) -> EventId;
}

/// UUID version 7.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    fn next(&self) -> EventId {
        uuid::Uuid::now_v7().to_string()
    }
}

/// Records facts of one source.
#[derive(Clone)]
pub struct Recorder {
    log: Arc<dyn EventLog>,
    source: String,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Recorder {
    /// For `source` such as `/lem/deploy`, with the system's clock and random ids.
    pub fn new(log: Arc<dyn EventLog>, source: impl Into<String>) -> Self {
        Self::with(log, source, Arc::new(SystemClock), Arc::new(RandomIds))
    }

    /// With a clock and ids of the caller's.
    pub fn with(log: Arc<dyn EventLog>, source: impl Into<String>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { log, source: source.into(), clock, ids }
    }

    /// The log behind it.
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// Its clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// A fact as an event that [`Self::append`] takes.
    pub fn event<F: Fact>(&self, fact: &F) -> Result<NewEvent, LedgerError> {
        Ok(NewEvent::of(fact, self.ids.next(), self.clock.now(), &self.source)?)
    }

    /// Records one fact.
    pub async fn record<F: Fact>(&self, fact: &F) -> Result<Appended, LedgerError> {
        self.one(self.event(fact)?).await
    }

    /// Records a fact that happens once: recorded again under the same id it stays one. Because the time is part of the
    /// document, the same id at another time is answered as a conflict; [`Self::record_at`] fixes the time too.
    pub async fn record_as<F: Fact>(&self, id: impl Into<EventId>, fact: &F) -> Result<Appended, LedgerError> {
        self.once(self.event_as(id, fact)?).await
    }

    /// A fact under this id as an event that [`Self::once`] takes.
    pub fn event_as<F: Fact>(&self, id: impl Into<EventId>, fact: &F) -> Result<NewEvent, LedgerError> {
        Ok(NewEvent::of(fact, id.into(), self.clock.now(), &self.source)?)
    }

    /// Appends an event unless one of this source with the same id and the same content stands already, at whatever time.
    pub async fn once(&self, event: NewEvent) -> Result<Appended, LedgerError> {
        match self.stands(&event).await? {
            Some(seq) => Ok(Appended { seq, kept: crate::Kept::Duplicate }),
            None => self.one(event).await,
        }
    }

    /// Records a fact under this id as of this time.
    pub async fn record_at<F: Fact>(
        &self,
        id: impl Into<EventId>,
        time: Timestamp,
        fact: &F,
    ) -> Result<Appended, LedgerError> {
        self.one(NewEvent::of(fact, id.into(), time, &self.source)?).await
    }

    /// Records facts of one type together, all or none.
    pub async fn record_all<'a, F: Fact + 'a>(
        &self,
        facts: impl IntoIterator<Item = &'a F>,
    ) -> Result<Vec<Appended>, LedgerError> {
        let events = facts.into_iter().map(|fact| self.event(fact)).collect::<Result<Vec<_>, _>>()?;
        self.append(events).await
    }

    /// Records events of several types together, all or none.
    pub async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>, LedgerError> {
        self.log.append(events).await
    }

    async fn one(&self, event: NewEvent) -> Result<Appended, LedgerError> {
        self.log.append(vec![event]).await?.into_iter().next().ok_or(LedgerError::Closed)
    }

    /// Where an event with this id and the same content stands already.
    async fn stands(&self, new: &NewEvent) -> Result<Option<u64>, LedgerError> {
        let filter = crate::Filter::types([new.kind.as_str()]).source(new.source.clone()).subject(new.subject.clone());
        let said = |payload: &serde_json::Value| {
            (payload.pointer("/subject/content").cloned(), payload.get("customData").cloned())
        };
        let mut from = 0;
        loop {
            let page = self.log.read(from, &filter, 1000).await?;
            let Some(last) = page.last() else { return Ok(None) };
            from = last.seq + 1;
            if let Some(event) = page.iter().find(|event| event.id == new.id) {
                return Ok((said(&event.payload) == said(&new.payload)).then_some(event.seq));
            }
        }
    }
}
