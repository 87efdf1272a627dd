//! What is acknowledged stays, whatever ends.

use crate::conform::sqlite;
use crate::postgres;
use lem_ledger::{EventLog, Filter, Kept, Ledger, LedgerError, Options, Verdict, verify};
use lem_testkit::{sample_event, sample_events};
use std::io::BufRead as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const CHILD: &str = "LEM_TEST_APPEND_FOREVER";

/// Not a test by itself: appends to the ledger of the environment variable until it is killed, saying what was
/// acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn append_forever() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let ledger = sqlite(Path::new(&dir)).await;
    let from = ledger.size().await.unwrap();
    for n in from.. {
        let answer = ledger.append(vec![sample_event(n)]).await.unwrap();
        println!("acknowledged {}", answer[0].seq);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_to_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut least = 0;
    for round in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::append_forever", "--exact", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let said = |line: &str| line.split("acknowledged ").nth(1).and_then(|n| n.parse::<u64>().ok());
        for line in lines {
            let Ok(line) = line else { break };
            if let Some(seq) = said(&line) {
                least = seq + 1;
                if least >= round * 150 {
                    // SIGKILL; lines already in the pipe are still read.
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        let ledger = sqlite(dir.path()).await;
        let size = ledger.size().await.unwrap();
        assert!(size >= least, "{least} were acknowledged, {size} are there");
        let events = ledger.read(0, &Filter::all(), 10_000).await.unwrap();
        assert!(events.iter().enumerate().all(|(n, e)| e.payload == sample_event(n as u64).payload));
        ledger.close().await.unwrap();
        let options = Options::new(format!("sqlite:{}", dir.path().join("ledger.db").display()), dir.path());
        let verdict = verify(&options, &[]).await.unwrap();
        assert!(matches!(verdict, Verdict::Intact { .. }), "{verdict:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_dies_and_comes_back_loses_nothing() {
    let Some(server) = postgres::server() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new(server.schema().await, dir.path());
    options.patience = Duration::from_secs(30);
    let ledger = Ledger::open(options.clone()).await.unwrap();
    if !server.control("crash") {
        println!("skipped: the server of LEM_TEST_POSTGRES_URL is not ours to stop");
        return;
    }
    let waiting = tokio::spawn({
        let ledger = Arc::clone(&ledger);
        async move { ledger.append(sample_events(0, 10)).await }
    });
    assert!(server.control("restart"));
    let answers = waiting.await.unwrap().unwrap();
    assert!(answers.iter().all(|a| a.kept == Kept::New));
    let mut acknowledged = 10;
    for round in 0..3 {
        let writer = tokio::spawn({
            let ledger = Arc::clone(&ledger);
            async move {
                for n in 0..100 {
                    ledger.append(vec![sample_event(acknowledged + n)]).await.unwrap();
                }
            }
        });
        assert!(server.control("crash") && server.control("restart"), "round {round}");
        writer.await.unwrap();
        acknowledged += 100;
    }
    assert_eq!(ledger.size().await.unwrap(), acknowledged);
    ledger.close().await.unwrap();
    let verdict = verify(&options, &[]).await.unwrap();
    assert!(matches!(verdict, Verdict::Intact { size, .. } if size == acknowledged), "{verdict:?}");

    options.patience = Duration::from_millis(200);
    let ledger = Ledger::open(options).await.unwrap();
    server.control("crash");
    let error = ledger.append(sample_events(5000, 1)).await.unwrap_err();
    assert!(matches!(error, LedgerError::Gone { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_postgres_make_one_tree() {
    let Some(server) = postgres::server() else { return };
    let dir = tempfile::tempdir().unwrap();
    let url = server.schema().await;
    let a = Ledger::open(Options::new(url.clone(), dir.path().join("a"))).await.unwrap();
    let b = Ledger::open(Options::new(url, dir.path().join("b"))).await.unwrap();
    let mut follower = b.subscribe(&"follower".into(), Filter::all()).await.unwrap();
    for n in 0..20 {
        let log = if n % 2 == 0 { &a } else { &b };
        let answers = log.append(sample_events(n * 20, 20)).await.unwrap();
        assert_eq!(answers[0].seq, n * 20);
    }
    a.append(sample_events(400, 1)).await.unwrap();
    let last = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let event = follower.next().await.unwrap();
            if event.seq == 400 {
                return event.seq;
            }
        }
    });
    assert_eq!(last.await.unwrap(), 400, "the other process is woken");
    assert_eq!(a.checkpoint().await.unwrap().root, b.checkpoint().await.unwrap().root);
}

#[tokio::test]
async fn a_full_disk_refuses_and_goes_on_reading() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new(format!("sqlite:{}", dir.path().join("ledger.db").display()), dir.path());
    options.max_pages = Some(100);
    let ledger = Ledger::open(options.clone()).await.unwrap();
    let mut kept = 0;
    let error = loop {
        match ledger.append(sample_events(kept, 50)).await {
            Ok(answers) => kept += answers.len() as u64,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LedgerError::Full { .. }), "{error}");
    assert_eq!(error.to_string(), "no space left for the ledger; nothing of this batch was kept");
    assert_eq!(ledger.size().await.unwrap(), kept);
    assert_eq!(ledger.read(0, &Filter::all(), 10_000).await.unwrap().len() as u64, kept);
    drop(ledger);
    options.max_pages = None;
    let ledger = Ledger::open(options).await.unwrap();
    let answers = ledger.append(sample_events(kept, 50)).await.unwrap();
    assert_eq!((answers[0].seq, answers[0].kept), (kept, Kept::New), "with room again it goes on");
}

#[tokio::test]
async fn what_is_no_ledger_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let options = Options::new(format!("sqlite:{}", dir.path().join(name).display()), dir.path().join("data"));
        async { Ledger::open(options).await.map(|_| ()).unwrap_err().to_string() }
    };
    std::fs::write(dir.path().join("text"), "x".repeat(5000)).unwrap();
    assert!(open("text").await.ends_with("text is not a ledger: it is no SQLite file"));
    for (name, sql, expect) in [
        ("other", "CREATE TABLE t (a)", "it has a table \"t\" but no table \"lem_meta\""),
        (
            "newer",
            "CREATE TABLE lem_meta (name, value); INSERT INTO lem_meta VALUES ('schema', '9')",
            "ledger schema 9",
        ),
    ] {
        rusqlite::Connection::open(dir.path().join(name)).unwrap().execute_batch(sql).unwrap();
        let error = open(name).await;
        assert!(error.contains(expect), "{error}");
    }
    let error = Ledger::open(Options::new("mysql://u:secret@h/x", dir.path())).await.unwrap_err().to_string();
    assert!(error.contains("mysql://h/x") && !error.contains("secret"), "{error}");
}

/// A command that ends right after its last event does not close the ledger: what was acknowledged stands, and nothing is
/// complained about.
#[test]
fn a_program_that_just_ends_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let ledger = sqlite(dir.path()).await;
            let answers = ledger.append(sample_events(round * 3, 3)).await.unwrap();
            assert_eq!(answers[2].seq, round * 3 + 2);
        });
        drop(runtime);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = Options::new(format!("sqlite:{}", dir.path().join("ledger.db").display()), dir.path());
    let verdict = runtime.block_on(verify(&options, &[])).unwrap();
    assert!(matches!(verdict, Verdict::Intact { size: 60, .. }), "{verdict:?}");
}
