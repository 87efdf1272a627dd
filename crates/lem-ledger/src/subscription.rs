//! Following the log from a durable cursor, at least once.

use crate::{Consumer, Filter, LedgerError};
use async_trait::async_trait;
use lem_model::{Event, Seq};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// Events read ahead.
const AHEAD: u32 = 256;

/// What a subscription stands on; both the ledger and the in-memory log of the test kit offer it.
#[async_trait]
pub trait Feed: Send + Sync {
    /// Events that pass, from `from` on.
    async fn read(&self, from: Seq, filter: &Filter, limit: u32) -> Result<Vec<Event>, LedgerError>;
    /// How many events there are.
    async fn size(&self) -> Result<Seq, LedgerError>;
    /// Keeps the cursor of a consumer; never moves it back.
    async fn keep_cursor(&self, who: &Consumer, next: Seq) -> Result<(), LedgerError>;
    /// Changes whenever there may be more events.
    fn changes(&self) -> watch::Receiver<Seq>;
}

/// A consumer's place in the log.
pub struct Subscription {
    feed: Arc<dyn Feed>,
    who: Option<Consumer>,
    filter: Filter,
    next: Seq,
    ahead: VecDeque<Event>,
    changes: watch::Receiver<Seq>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("who", &self.who).field("next", &self.next).finish_non_exhaustive()
    }
}

impl Subscription {
    /// Follows from `next` on; without a consumer nothing is kept and the caller resumes by sequence itself.
    pub fn new(feed: Arc<dyn Feed>, who: Option<Consumer>, filter: Filter, next: Seq) -> Self {
        let changes = feed.changes();
        Self { feed, who, filter, next, ahead: VecDeque::new(), changes }
    }

    /// The next event, waiting for it when there is none yet. Safe to drop while it waits.
    pub async fn next(&mut self) -> Result<Event, LedgerError> {
        loop {
            if let Some(event) = self.try_next().await? {
                return Ok(event);
            }
            self.changes.changed().await.map_err(|_| LedgerError::Closed)?;
        }
    }

    /// The next event if there is one now.
    pub async fn try_next(&mut self) -> Result<Option<Event>, LedgerError> {
        if let Some(event) = self.ahead.pop_front() {
            return Ok(Some(event));
        }
        // Seen before looking, so that an append in between wakes us again.
        self.changes.borrow_and_update();
        let size = self.feed.size().await?;
        let events = self.feed.read(self.next, &self.filter, AHEAD).await?;
        self.next = match events.last() {
            Some(last) if events.len() == AHEAD as usize => last.seq + 1,
            // Fewer than asked for: all up to the size of before has been looked at.
            last => size.max(last.map_or(0, |e| e.seq + 1)).max(self.next),
        };
        self.ahead = events.into();
        Ok(self.ahead.pop_front())
    }

    /// Says that the event and all before it are dealt with; the next subscription begins after it.
    pub async fn ack(&mut self, seq: Seq) -> Result<(), LedgerError> {
        match &self.who {
            Some(who) => self.feed.keep_cursor(who, seq + 1).await,
            None => Ok(()),
        }
    }
}
