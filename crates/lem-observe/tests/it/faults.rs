//! A ledger that fails: it is waited for and shown, and what waiting cannot mend ends the service.

use crate::world::{PATIENCE, events, service};
use async_trait::async_trait;
use lem_ledger::{
    Appended, Consumer, Erasure, EventLog, Filter, InboxItem, LedgerError, Proof, ProofOf, Recorder, SignedCheckpoint,
    Subscription, SystemClock,
};
use lem_model::{Event, NewEvent, Seq};
use lem_observe::ObserveError;
use lem_observe::config::Section;
use lem_observe::events::IncidentRequested;
use lem_testkit::MemoryLog;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio_util::sync::CancellationToken;

/// A log that refuses what the stage appends, so many times.
struct Flaky {
    log: MemoryLog,
    appends: AtomicU32,
    subscriptions: AtomicU32,
    error: LedgerError,
}

impl Flaky {
    fn new(appends: u32, subscriptions: u32, error: LedgerError) -> Arc<Self> {
        let log = MemoryLog::new(Arc::new(SystemClock));
        Arc::new(Self { log, appends: appends.into(), subscriptions: subscriptions.into(), error })
    }

    fn fails(&self, left: &AtomicU32) -> Result<(), LedgerError> {
        let one_less = |n: u32| n.checked_sub(1);
        match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            Ok(_) => Err(self.error.clone()),
            Err(_) => Ok(()),
        }
    }
}

#[async_trait]
impl EventLog for Flaky {
    async fn append(&self, batch: Vec<NewEvent>) -> Result<Vec<Appended>, LedgerError> {
        if batch.iter().any(|e| e.source == "/lem/observe") {
            self.fails(&self.appends)?;
        }
        self.log.append(batch).await
    }
    async fn read(&self, from: Seq, filter: &Filter, limit: u32) -> Result<Vec<Event>, LedgerError> {
        self.log.read(from, filter, limit).await
    }
    async fn size(&self) -> Result<Seq, LedgerError> {
        self.log.size().await
    }
    async fn subscribe(&self, who: &Consumer, filter: Filter) -> Result<Subscription, LedgerError> {
        if who.as_str().starts_with("observe") {
            self.fails(&self.subscriptions)?;
        }
        self.log.subscribe(who, filter).await
    }
    async fn checkpoint(&self) -> Result<SignedCheckpoint, LedgerError> {
        self.log.checkpoint().await
    }
    async fn prove(&self, of: ProofOf) -> Result<Proof, LedgerError> {
        self.log.prove(of).await
    }
    async fn erase(&self, seq: Seq, why: &Erasure) -> Result<Seq, LedgerError> {
        self.log.erase(seq, why).await
    }
    async fn inbox(&self) -> Result<Vec<InboxItem>, LedgerError> {
        self.log.inbox().await
    }
}

fn away() -> LedgerError {
    let source = Arc::new(std::io::Error::other("the volume is away"));
    LedgerError::File { doing: "write", path: "ledger.db".into(), source }
}

async fn ask_for_an_incident(log: &Arc<dyn EventLog>) {
    let request = IncidentRequested {
        incident: "INC-1".into(),
        title: "bad".into(),
        description: "very".into(),
        severity: "SEV2".into(),
        service: "shop".into(),
        environment: "production".into(),
        deployment: None,
        since: jiff::Timestamp::now(),
        by: "person:ann".into(),
    };
    Recorder::new(log.clone(), "/test").record(&request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_comes_back_has_missed_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log: Arc<dyn EventLog> = Flaky::new(3, 3, away());
    ask_for_an_incident(&log).await;
    let service = service(dir.path(), Section::default(), log.clone());
    let cancel = CancellationToken::new();
    let serving = tokio::spawn({
        let (service, cancel) = (service.clone(), cancel.clone());
        async move { service.serve(cancel).await }
    });
    let found = events(&log, &["incident.detected"], 1).await;
    assert_eq!(found[0].subject, "INC-1");
    let failures = service.own().ledger_errors();
    assert!(failures["incidents"] >= 3, "{failures:?}");
    cancel.cancel();
    serving.await.unwrap().unwrap();
    assert!(service.own().trouble().is_empty(), "{:?}", service.own().trouble());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waiting_cannot_mend_ends_the_service_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let log: Arc<dyn EventLog> =
        Flaky::new(u32::MAX, 0, LedgerError::ReadOnly { why: "it was signed otherwise".into() });
    ask_for_an_incident(&log).await;
    let service = service(dir.path(), Section::default(), log);
    let ended = tokio::time::timeout(PATIENCE, service.serve(CancellationToken::new())).await.unwrap();
    assert!(matches!(ended, Err(ObserveError::Ledger(LedgerError::ReadOnly { .. }))), "{ended:?}");
}
