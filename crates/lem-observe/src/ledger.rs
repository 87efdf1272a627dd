//! Writing to a ledger that may be away for a while.
//!
//! Facts about alerts and notifications are handed to a [`Scribe`] and never hold up evaluation or delivery; one task
//! appends them in order and tries again while the ledger is away. What waiting cannot mend ends the service with that
//! error.

use crate::ObserveError;
use crate::own::Own;
use lem_ledger::{LedgerError, Recorder};
use lem_model::{Fact, NewEvent};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Facts that may wait for the ledger; more are dropped and counted.
pub const MAX_WAITING: usize = 10_000;
/// First wait before asking the ledger again, doubled each time up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What an error of the ledger asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// Waiting may mend it.
    Wait,
    /// This one fact cannot be kept; others can.
    Skip,
    /// Nothing mends it while the program runs.
    End,
}

fn remedy(error: &LedgerError) -> Remedy {
    match error {
        LedgerError::Gone { .. }
        | LedgerError::Full { .. }
        | LedgerError::Database { .. }
        | LedgerError::File { .. } => Remedy::Wait,
        LedgerError::Invalid { .. }
        | LedgerError::TooMuch { .. }
        | LedgerError::Fact(_)
        | LedgerError::NoSuchEvent { .. } => Remedy::Skip,
        LedgerError::ReadOnly { .. }
        | LedgerError::Malformed { .. }
        | LedgerError::Closed
        | LedgerError::NotALedger { .. }
        | LedgerError::Newer { .. }
        | LedgerError::Address(_) => Remedy::End,
    }
}

/// Growing waits between attempts.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) fn new() -> Self {
        Self(FIRST_WAIT)
    }

    /// Waits, unless told to stop; the next wait is longer.
    pub(crate) async fn wait(&mut self, cancel: &CancellationToken) {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = tokio::time::sleep(self.0) => {}
        }
        self.0 = (self.0 * 2).min(LONGEST_WAIT);
    }
}

/// Does something with the ledger until it is done, showing that it waits. `None` when told to stop meanwhile; an error
/// only when waiting cannot mend it.
pub(crate) async fn insist<T, F>(
    own: &Own,
    cancel: &CancellationToken,
    who: &'static str,
    mut work: impl FnMut() -> F,
) -> Result<Option<T>, ObserveError>
where
    F: Future<Output = Result<T, ObserveError>>,
{
    let mut backoff = Backoff::new();
    loop {
        match work().await {
            Ok(done) => {
                own.ledger_answers(who);
                return Ok(Some(done));
            }
            Err(ObserveError::Ledger(error)) if remedy(&error) == Remedy::Wait => {
                tracing::error!(%error, part = who, "the ledger does not answer, trying again");
                own.ledger_failed(who, lem_model::text::with_causes(&error));
            }
            Err(_) if cancel.is_cancelled() => return Ok(None),
            Err(error) => return Err(error),
        }
        if cancel.is_cancelled() {
            return Ok(None);
        }
        backoff.wait(cancel).await;
    }
}

/// Whether an error is about one fact alone: others can be kept.
pub(crate) fn is_about_one(error: &ObserveError) -> bool {
    matches!(error, ObserveError::Ledger(error) if remedy(error) == Remedy::Skip)
}

/// Patience with a log that is followed.
pub(crate) struct Patience<'a> {
    own: &'a Own,
    who: &'static str,
    backoff: Backoff,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(own: &'a Own, who: &'static str) -> Self {
        Self { own, who, backoff: Backoff::new() }
    }

    /// The log is followed again; whether for long is not known yet.
    pub(crate) fn follows(&self) {
        self.own.ledger_answers(self.who);
    }

    /// The log gave something: the next failure is a first one.
    pub(crate) fn renew(&mut self) {
        self.follows();
        self.backoff = Backoff::new();
    }

    /// The log failed: waits before it is followed again. `None` when told to stop; an error when waiting is no use.
    pub(crate) async fn lose(
        &mut self,
        error: LedgerError,
        cancel: &CancellationToken,
    ) -> Result<Option<()>, ObserveError> {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        if remedy(&error) != Remedy::Wait {
            return Err(error.into());
        }
        tracing::error!(%error, part = self.who, "the ledger cannot be followed, trying again");
        self.own.ledger_failed(self.who, lem_model::text::with_causes(&error));
        self.backoff.wait(cancel).await;
        Ok((!cancel.is_cancelled()).then_some(()))
    }
}

/// Takes facts without waiting.
#[derive(Clone, Debug)]
pub struct Scribe {
    recorder: Recorder,
    queue: mpsc::Sender<NewEvent>,
    own: Arc<Own>,
}

/// The task behind a [`Scribe`].
#[derive(Debug)]
pub(crate) struct Scribing {
    recorder: Recorder,
    queue: mpsc::Receiver<NewEvent>,
    own: Arc<Own>,
}

impl Scribe {
    /// A scribe and the task that does its work.
    pub(crate) fn new(recorder: Recorder, own: Arc<Own>) -> (Self, Scribing) {
        let (queue, inbox) = mpsc::channel(MAX_WAITING);
        (Self { recorder: recorder.clone(), queue, own: own.clone() }, Scribing { recorder, queue: inbox, own })
    }

    /// Takes a fact as of now.
    pub fn say<F: Fact>(&self, fact: &F) {
        self.take(self.recorder.event(fact));
    }

    /// Takes a fact that happens once, as of now: under the same id it stays one.
    pub fn say_once<F: Fact>(&self, id: String, fact: &F) {
        self.take(self.recorder.event_as(id, fact));
    }

    fn take(&self, event: Result<NewEvent, LedgerError>) {
        let lost = match event {
            Ok(event) => self.queue.try_send(event).err().map(|e| e.to_string()),
            Err(error) => Some(error.to_string()),
        };
        self.own.waiting(MAX_WAITING - self.queue.capacity());
        if let Some(why) = lost {
            self.own.fact_lost();
            tracing::error!(why, limit = MAX_WAITING, "a fact is lost");
        }
    }
}

impl Scribing {
    /// Appends what is handed over, in order, until told to stop; then what still waits, once.
    pub(crate) async fn run(mut self, cancel: CancellationToken) -> Result<(), ObserveError> {
        loop {
            let event = tokio::select! {
                biased;
                event = self.queue.recv() => event,
                () = cancel.cancelled() => return self.finish().await,
            };
            let Some(event) = event else { return Ok(()) };
            self.own.waiting(self.queue.len() + 1);
            let append = || async { Ok(self.recorder.once(event.clone()).await?) };
            match insist(&self.own, &cancel, "facts", append).await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(error) if is_about_one(&error) => {
                    tracing::error!(%error, "the ledger refuses a fact");
                    self.own.fact_lost();
                }
                Err(error) => return Err(error),
            }
            self.own.waiting(self.queue.len());
        }
    }

    async fn finish(&mut self) -> Result<(), ObserveError> {
        while let Ok(event) = self.queue.try_recv() {
            if let Err(error) = self.recorder.once(event).await {
                self.own.fact_lost();
                tracing::error!(%error, "a fact is lost while stopping");
                return Err(error.into());
            }
        }
        Ok(())
    }
}
