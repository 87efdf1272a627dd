//! The conformance suite on every store.

use crate::postgres;
use lem_ledger::{EventLog, Ledger, Options};
use lem_testkit::{MemoryLog, ledger_conformance};
use std::path::Path;
use std::sync::Arc;

/// A SQLite ledger in this folder.
pub(crate) async fn sqlite(dir: &Path) -> Arc<Ledger> {
    Ledger::open(Options::new(format!("sqlite:{}", dir.join("ledger.db").display()), dir)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let n = std::sync::atomic::AtomicU32::new(0);
    ledger_conformance(|| {
        let dir = dir.path().join(n.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string());
        async move {
            std::fs::create_dir(&dir).unwrap();
            sqlite(&dir).await as Arc<dyn EventLog>
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_conforms() {
    ledger_conformance(|| async { Arc::new(MemoryLog::default()) as Arc<dyn EventLog> }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_conforms() {
    let Some(server) = postgres::server() else { return };
    let dir = tempfile::tempdir().unwrap();
    let n = std::sync::atomic::AtomicU32::new(0);
    ledger_conformance(|| {
        let (dir, server) = (dir.path(), &server);
        let n = n.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move {
            let url = server.schema().await;
            Ledger::open(Options::new(url, dir.join(n.to_string()))).await.unwrap() as Arc<dyn EventLog>
        }
    })
    .await;
}
