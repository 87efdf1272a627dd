//! A real process, killed in the middle of appending, flushing and merging.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use lem_engine_logs::*;

use crate::basic::{NOW, all, options, record, texts};

const DIR: &str = "LEM_LOGS_KILL_DIR";
const ROUNDS: u64 = 12;
/// Lines acknowledged before the kill, growing by the round.
const ACKS: u64 = 40;

/// Not a test of its own: the child of the one below. Prints a number once it is acknowledged.
#[test]
fn writer() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let settings = Options { flush_bytes: 8 << 10, ..options() };
    let (store, _) = LogStore::open(dir, settings).unwrap();
    let mut next = store.stats(&LabelRange::new(vec![], i64::MIN, i64::MAX)).0.entries;
    loop {
        store.append(vec![record(NOW + next as i64, "a", &format!("line {next}"))]).unwrap();
        // Past the test harness's capture, so that the parent sees it at once.
        writeln!(std::io::stderr(), "acked {next}").unwrap();
        next += 1;
        if next.is_multiple_of(16) {
            store.maintain().unwrap();
        }
        if next.is_multiple_of(32) {
            store.flush().unwrap();
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::writer", "--exact", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut acked = None;
        let output = BufReader::new(child.stderr.take().unwrap());
        for (seen, line) in output.lines().map(Result::unwrap).filter(|l| l.starts_with("acked ")).enumerate() {
            acked = line.strip_prefix("acked ").map(|n| n.parse::<u64>().unwrap());
            if seen as u64 >= ACKS + round * 3 {
                child.kill().unwrap();
                break;
            }
        }
        child.wait().unwrap();
        let acked = acked.expect("the writer acknowledged something");
        let (store, _) = LogStore::open(dir.path(), options()).unwrap();
        let lines = texts(&store, &all());
        assert!(lines.len() as u64 > acked, "round {round}: {} lines, {acked} acknowledged", lines.len());
        for (at, line) in lines.iter().enumerate() {
            assert_eq!(*line, format!("line {at}"), "round {round}");
        }
    }
}
