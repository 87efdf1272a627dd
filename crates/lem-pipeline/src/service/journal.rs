//! Facts on their way to the ledger: in order, in batches, none lost while the program lives.

use crate::error::PipelineError;
use crate::events::PipelineFact;
use lem_ledger::{LedgerError, Recorder};
use lem_model::{Fact, NewEvent};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Facts in one append.
pub const MAX_BATCH: usize = 1_000;
/// How long to wait before a ledger that did not answer is asked again.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often a ledger that does not answer is asked, before the run learns of it.
const TRIES: u32 = 20;

enum Entry {
    Fact(Box<PipelineFact>),
    Flush(oneshot::Sender<Result<(), LedgerError>>),
}

/// Writes the facts of a run.
pub(super) struct Journal {
    entries: mpsc::UnboundedSender<Entry>,
    writer: JoinHandle<()>,
}

impl Journal {
    pub(super) fn start(recorder: Recorder) -> Self {
        let (entries, incoming) = mpsc::unbounded_channel();
        Self { entries, writer: tokio::spawn(write(recorder, incoming)) }
    }

    /// Takes facts; they are durable after a flush.
    pub(super) fn sink(&self) -> Arc<dyn Fn(PipelineFact) + Send + Sync> {
        let entries = self.entries.clone();
        Arc::new(move |fact| {
            let _ = entries.send(Entry::Fact(Box::new(fact)));
        })
    }

    /// Waits until everything so far is durable.
    pub(super) async fn flush(&self) -> Result<(), PipelineError> {
        let (tell, told) = oneshot::channel();
        let _ = self.entries.send(Entry::Flush(tell));
        match told.await {
            Ok(result) => Ok(result?),
            Err(_) => Err(LedgerError::Closed.into()),
        }
    }

    /// Flushes and ends.
    pub(super) async fn close(self) -> Result<(), PipelineError> {
        let flushed = self.flush().await;
        self.writer.abort();
        flushed
    }
}

async fn write(recorder: Recorder, mut incoming: mpsc::UnboundedReceiver<Entry>) {
    let mut entries = vec![];
    // The first failure is told to every flush from then on: what comes after a lost fact is not to be trusted.
    let mut failed: Option<String> = None;
    while incoming.recv_many(&mut entries, MAX_BATCH).await > 0 {
        let mut batch = vec![];
        let mut waiting = vec![];
        for entry in entries.drain(..) {
            match entry {
                Entry::Fact(fact) => match event(&recorder, &fact) {
                    Ok(event) => batch.push(event),
                    Err(error) => failed = Some(error.to_string()),
                },
                Entry::Flush(tell) => waiting.push(tell),
            }
        }
        let result = append(&recorder, batch).await;
        if let Err(error) = &result {
            failed = Some(error.to_string());
        }
        for tell in waiting {
            let _ = tell.send(match (&result, &failed) {
                (Ok(()), None) => Ok(()),
                (Err(error), _) => Err(error.clone()),
                (_, Some(_)) => Err(LedgerError::Closed),
            });
        }
    }
}

async fn append(recorder: &Recorder, batch: Vec<NewEvent>) -> Result<(), LedgerError> {
    if batch.is_empty() {
        return Ok(());
    }
    let mut tries = 0;
    loop {
        match recorder.append(batch.clone()).await {
            Ok(_) => return Ok(()),
            Err(error) => {
                tries += 1;
                tracing::warn!(%error, tries, "facts of a run wait for the ledger");
                if tries >= TRIES {
                    return Err(error);
                }
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}

/// The event of a fact. What may be said only once per run has an id that follows from the run.
pub(super) fn event(recorder: &Recorder, fact: &PipelineFact) -> Result<NewEvent, LedgerError> {
    fn once<F: Fact>(recorder: &Recorder, fact: &F, id: String) -> Result<NewEvent, LedgerError> {
        let event = recorder.event(fact)?;
        // The document names the id as well.
        Ok(NewEvent::of(fact, id, event.time_occurred, &event.source)?)
    }
    match fact {
        PipelineFact::RunQueued(f) => once(recorder, f, format!("{}:queued", f.run)),
        PipelineFact::RunStarted(f) => once(recorder, f, format!("{}:started", f.run)),
        PipelineFact::RunFinished(f) => once(recorder, f, format!("{}:finished", f.run)),
        PipelineFact::RunRejected(f) => recorder.event(f),
        PipelineFact::JobStarted(f) => recorder.event(f),
        PipelineFact::JobFinished(f) => recorder.event(f),
        PipelineFact::JobSkipped(f) => recorder.event(f),
        PipelineFact::StepFinished(f) => recorder.event(f),
        PipelineFact::TestSuiteFinished(f) => recorder.event(f),
        PipelineFact::ArtifactPackaged(f) => recorder.event(f),
    }
}
