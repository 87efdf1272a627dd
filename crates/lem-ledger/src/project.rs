//! Views: folds over the log, rebuilt from zero at start and followed from then on.

use crate::{EventLog, Filter, LedgerError, Subscription};
use lem_model::{Event, Seq};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A pure fold. A changed `VERSION` says that kept state of it is void; views here start from zero, so it only names.
pub trait Projection: Send + Sync + 'static {
    /// Stable name.
    const NAME: &'static str;
    /// Version of the fold.
    const VERSION: u32;
    /// Folds one event; must not fail: what it does not understand it leaves alone.
    fn apply(&mut self, event: &Event);
}

/// A projection that follows the log.
pub struct View<P> {
    state: Arc<RwLock<P>>,
    folded: watch::Receiver<Seq>,
    task: Arc<Task>,
}

struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<P> Clone for View<P> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone(), folded: self.folded.clone(), task: self.task.clone() }
    }
}

impl<P> std::fmt::Debug for View<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("folded", &*self.folded.borrow()).finish_non_exhaustive()
    }
}

impl<P: Projection> View<P> {
    /// Folds everything there is, then follows in the background until the last clone is dropped.
    pub async fn start(log: Arc<dyn EventLog>, mut initial: P) -> Result<Self, LedgerError> {
        let mut next = 0;
        loop {
            let events = log.read(next, &Filter::all(), crate::log::MAX_READ).await?;
            let Some(last) = events.last() else { break };
            next = last.seq + 1;
            for event in &events {
                initial.apply(event);
            }
        }
        let state = Arc::new(RwLock::new(initial));
        let (said, folded) = watch::channel(next);
        let followed = state.clone();
        let task = tokio::spawn(async move {
            let mut subscription = Subscription::from(log, next, Filter::all());
            loop {
                match subscription.next().await {
                    Ok(event) => {
                        followed.write().unwrap_or_else(PoisonError::into_inner).apply(&event);
                        said.send_replace(event.seq + 1);
                    }
                    Err(LedgerError::Closed) => return,
                    Err(error) => {
                        tracing::warn!(view = P::NAME, %error, "the view waits for the ledger");
                        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                    }
                }
            }
        });
        Ok(Self { state, folded, task: Arc::new(Task(task)) })
    }

    /// Looks at the state as it is now.
    pub fn read<T>(&self, look: impl FnOnce(&P) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until an event has been folded, so that a reader sees its own writes.
    pub async fn wait_for(&self, seq: Seq) {
        let mut folded = self.folded.clone();
        // An error means that the view has ended: what it holds is all there will be.
        let _ended = folded.wait_for(|next| *next > seq).await;
    }

    /// Position after the last folded event; changes wake the receiver.
    pub fn folded(&self) -> watch::Receiver<Seq> {
        self.folded.clone()
    }
}
