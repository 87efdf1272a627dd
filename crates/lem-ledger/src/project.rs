//! Projections: every view is a fold over the events, ordered by `(time_occurred, seq)`.
//!
//! A late event is folded in at its place: from the kept state before it when it is a little late, from zero when it is
//! very late. A projection is rebuilt at every start, so a changed `VERSION` needs no migration.

use crate::{Consumer, EventLog, Filter, LedgerError, Subscription};
use jiff::Timestamp;
use lem_model::{Event, Seq};
use parking_lot::RwLock;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Events after the kept state; half of them are folded into it when there are more.
const TAIL: usize = 2048;
/// Wait before following again after an error.
const AGAIN: Duration = Duration::from_secs(1);

/// A fold. Pure: the same events give the same state.
pub trait Projection: Default + Clone + Send + Sync + 'static {
    /// Name, for messages.
    const NAME: &'static str;
    /// Version of what it means.
    const VERSION: u32;
    /// Takes the next event in.
    fn apply(&mut self, event: &Event);
}

type Place = (Timestamp, Seq);

fn place(event: &Event) -> Place {
    (event.time_occurred, event.seq)
}

/// State before the tail, the tail in order, and the state after it.
struct Fold<P> {
    kept: P,
    kept_to: Option<Place>,
    tail: Vec<Event>,
}

impl<P: Projection> Fold<P> {
    fn new() -> Self {
        Self { kept: P::default(), kept_to: None, tail: Vec::new() }
    }

    /// Takes events in any order; `false` when one belongs before the kept state, so that all must be folded anew.
    fn take(&mut self, now: &RwLock<P>, events: Vec<Event>) -> bool {
        let mut late = false;
        for event in events {
            if self.kept_to.is_some_and(|to| place(&event) < to) {
                return false;
            }
            if self.tail.last().is_none_or(|last| place(last) < place(&event)) {
                if !late {
                    now.write().apply(&event);
                }
                self.tail.push(event);
            } else {
                late = true;
                let at = self.tail.partition_point(|have| place(have) < place(&event));
                self.tail.insert(at, event);
            }
        }
        if late {
            let mut state = self.kept.clone();
            self.tail.iter().for_each(|event| state.apply(event));
            *now.write() = state;
        }
        if self.tail.len() > TAIL {
            for event in self.tail.drain(..self.tail.len() - TAIL / 2) {
                self.kept.apply(&event);
                self.kept_to = Some(place(&event));
            }
        }
        true
    }
}

struct Shared<P> {
    state: RwLock<P>,
    seen: watch::Sender<Seq>,
}

/// A projection that follows the log.
pub struct View<P>(Arc<Shared<P>>);

impl<P> Clone for View<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Projection> fmt::Debug for View<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View({} v{}, {} events)", P::NAME, P::VERSION, self.seen())
    }
}

impl<P: Projection> View<P> {
    /// Starts following; ends when the log is closed or every view is dropped.
    pub fn start(log: Arc<dyn EventLog>) -> Self {
        let view = Self(Arc::new(Shared { state: RwLock::default(), seen: watch::channel(0).0 }));
        let weak = Arc::downgrade(&view.0);
        tokio::spawn(async move {
            loop {
                match follow(&log, &weak).await {
                    Ok(()) | Err(LedgerError::Closed) => return,
                    Err(error) => {
                        tracing::error!(%error, projection = P::NAME, "projection stopped, beginning again");
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
        });
        view
    }

    /// Looks at the state.
    pub fn read<R>(&self, look: impl FnOnce(&P) -> R) -> R {
        look(&self.0.state.read())
    }

    /// How many events it has seen.
    pub fn seen(&self) -> Seq {
        *self.0.seen.borrow()
    }

    /// Returns once the event at `seq` is in the state.
    pub async fn wait_for(&self, seq: Seq) {
        // The sender lives in `self`, so it cannot be gone.
        let _ = self.0.seen.subscribe().wait_for(|seen| *seen > seq).await;
    }

    /// Returns when more events have been seen than now.
    pub async fn changed(&self) {
        let _ = self.0.seen.subscribe().changed().await;
    }
}

async fn follow<P: Projection>(log: &Arc<dyn EventLog>, view: &std::sync::Weak<Shared<P>>) -> Result<(), LedgerError> {
    // Never acknowledged, so it begins at zero.
    let who = Consumer::new(format!("projection/{}/{}", P::NAME, P::VERSION));
    let mut events = log.subscribe(&who, Filter::all()).await?;
    let mut fold = Fold::<P>::new();
    if let Some(shared) = view.upgrade() {
        *shared.state.write() = P::default();
    }
    loop {
        let batch = ready(&mut events).await?;
        let Some(shared) = view.upgrade() else { return Ok(()) };
        let Some(seen) = batch.iter().map(|e| e.seq + 1).max() else { continue };
        if !fold.take(&shared.state, batch) {
            fold = anew(log, &shared.state, seen).await?;
        }
        shared.seen.send_if_modified(|have| std::mem::replace(have, seen.max(*have)) < seen);
    }
}

/// The next event and what else is there already.
async fn ready(events: &mut Subscription) -> Result<Vec<Event>, LedgerError> {
    let mut batch = vec![events.next().await?];
    while batch.len() < TAIL
        && let Some(event) = events.try_next().await?
    {
        batch.push(event);
    }
    Ok(batch)
}

/// Folds the first `to` events from zero.
async fn anew<P: Projection>(log: &Arc<dyn EventLog>, now: &RwLock<P>, to: Seq) -> Result<Fold<P>, LedgerError> {
    let mut all = Vec::new();
    let mut next = 0;
    while next < to {
        let page = log.read(next, &Filter::all(), 4096).await?;
        let Some(last) = page.last() else { break };
        next = last.seq + 1;
        all.extend(page.into_iter().filter(|e| e.seq < to));
    }
    all.sort_by_key(place);
    let mut fold = Fold::new();
    let state = RwLock::new(P::default());
    fold.take(&state, all);
    *now.write() = state.into_inner();
    Ok(fold)
}
