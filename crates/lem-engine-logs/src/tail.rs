//! Live tail: lines as they become durable, to receivers that may be slow. A slow receiver loses lines, and is told how
//! many; it never holds up an append.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tokio::sync::mpsc;

use crate::error::QueryError;
use crate::limits;
use crate::query::{ScanLine, ScanPlan};

/// What a tail hears.
#[derive(Debug, Clone, PartialEq)]
pub enum TailEvent {
    /// A line.
    Line(Box<ScanLine>),
    /// So many lines were dropped before the next one, because the receiver was slow.
    Dropped(u64),
}

/// A live tail. Dropping it ends it.
#[derive(Debug)]
pub struct Tail {
    lines: mpsc::Receiver<ScanLine>,
    dropped: Arc<AtomicU64>,
}

impl Tail {
    /// The next event; `None` when the store is closed.
    pub async fn recv(&mut self) -> Option<TailEvent> {
        if let Some(event) = self.dropped() {
            return Some(event);
        }
        self.lines.recv().await.map(|line| TailEvent::Line(Box::new(line)))
    }

    /// The next event if there is one now.
    pub fn try_recv(&mut self) -> Option<TailEvent> {
        self.dropped().or_else(|| self.lines.try_recv().ok().map(|line| TailEvent::Line(Box::new(line))))
    }

    /// Drops are reported once the backlog that was kept has been read.
    fn dropped(&self) -> Option<TailEvent> {
        if !self.lines.is_empty() {
            return None;
        }
        match self.dropped.swap(0, Ordering::AcqRel) {
            0 => None,
            count => Some(TailEvent::Dropped(count)),
        }
    }
}

struct Listener {
    plan: ScanPlan,
    lines: mpsc::Sender<ScanLine>,
    dropped: Arc<AtomicU64>,
}

/// All live tails of a store.
#[derive(Default)]
pub(crate) struct Tails(RwLock<Vec<Listener>>);

impl Tails {
    pub(crate) fn open(&self, plan: ScanPlan) -> Result<Tail, QueryError> {
        let mut listeners = self.0.write();
        listeners.retain(|l| !l.lines.is_closed());
        if listeners.len() >= limits::TAILS_MAX {
            return Err(QueryError::TooManyTails { limit: limits::TAILS_MAX });
        }
        let (sender, receiver) = mpsc::channel(limits::TAIL_LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        listeners.push(Listener { plan, lines: sender, dropped: Arc::clone(&dropped) });
        Ok(Tail { lines: receiver, dropped })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.read().is_empty()
    }

    pub(crate) fn offer(&self, line: &ScanLine) {
        let mut gone = false;
        for listener in self.0.read().iter() {
            let plan = &listener.plan;
            if !plan.wants_stream(&line.stream) || !plan.wants_text(&line.line) || !plan.wants_rest(line) {
                continue;
            }
            match listener.lines.try_send(line.clone()) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(_)) => {
                    listener.dropped.fetch_add(1, Ordering::AcqRel);
                }
                Err(mpsc::error::TrySendError::Closed(_)) => gone = true,
            }
        }
        if gone {
            self.0.write().retain(|l| !l.lines.is_closed());
        }
    }
}
