//! What was acknowledged is there after any death of the process; what is torn or damaged is reported.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lem_engine_metrics::{Maintenance, Options, Store, Sync};

use crate::support::*;

fn newest_segment(dir: &Path) -> PathBuf {
    let mut all: Vec<PathBuf> = fs::read_dir(dir.join("wal")).unwrap().map(|e| e.unwrap().path()).collect();
    all.retain(|p| p.extension().is_some_and(|e| e == "wal"));
    all.sort();
    all.pop().unwrap()
}

/// Ten acknowledged samples; returns the segment and its length after each of them.
fn ten_samples(dir: &Path) -> (PathBuf, Vec<usize>) {
    let store = open(dir, options());
    let path = newest_segment(dir);
    let lens = (0..10).map(|n| {
        assert_eq!(add(&store, n % 3, n * 10, n as f64).accepted, 1);
        fs::metadata(&path).unwrap().len() as usize
    });
    let lens = lens.collect();
    (path, lens)
}

fn count(store: &Store) -> usize {
    let found = everything(store);
    assert_eq!(found.warnings, Vec::<String>::new());
    found.series.iter().map(|(_, points)| points.len()).sum()
}

#[test]
fn the_log_may_end_at_any_byte() {
    let dir = tempfile::tempdir().unwrap();
    let (path, lens) = ten_samples(dir.path());
    let whole = fs::read(&path).unwrap();
    assert_eq!(whole.len(), lens[9]);
    for cut in 0..=whole.len() {
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir(copy.path().join("wal")).unwrap();
        let segment = copy.path().join("wal").join(path.file_name().unwrap());
        fs::write(&segment, &whole[..cut]).unwrap();
        let acknowledged = lens.iter().filter(|len| **len <= cut).count();
        let (store, report) = open_report(copy.path(), options());
        assert_eq!(count(&store), acknowledged, "cut at byte {cut}");
        // A series record may stand whole before its torn sample.
        let kept = fs::metadata(&segment).unwrap().len() as usize;
        assert_eq!(report.torn_bytes as usize, cut - kept, "cut at byte {cut}");
        assert!(report.damaged.is_empty());
        assert_eq!(add(&store, "new", 95, 1.0).accepted, 1);
        drop(store);
        let (store, report) = open_report(copy.path(), options());
        assert_eq!((count(&store), report.torn_bytes), (acknowledged + 1, 0), "cut at byte {cut}");
    }
}

#[test]
fn a_tail_of_zeros_or_noise_is_torn() {
    for tail in [vec![0; 64], vec![0xff; 64], vec![7; 3]] {
        let dir = tempfile::tempdir().unwrap();
        let (path, _) = ten_samples(dir.path());
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(&tail);
        fs::write(&path, bytes).unwrap();
        let (store, report) = open_report(dir.path(), options());
        assert_eq!((count(&store), report.torn_bytes), (10, tail.len() as u64));
        assert_eq!(fs::read(path.with_extension("torn")).unwrap(), tail);
    }
}

#[test]
fn a_flipped_bit_in_the_log_costs_at_most_what_follows_and_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let (path, lens) = ten_samples(dir.path());
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir(copy.path().join("wal")).unwrap();
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        fs::write(copy.path().join("wal").join(path.file_name().unwrap()), bytes).unwrap();
        let (store, report) = open_report(copy.path(), options());
        let before = lens.iter().filter(|len| **len <= at).count();
        assert!(count(&store) >= before, "byte {at}");
        let told = report.torn_bytes > 0 || !report.damaged.is_empty();
        assert!(told, "byte {at}: {report:?}");
    }
}

#[test]
fn a_damaged_record_in_the_middle_loses_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (path, lens) = ten_samples(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[lens[5] - 1] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (store, report) = open_report(dir.path(), options());
    assert_eq!((count(&store), report.damaged.len(), report.torn_bytes), (9, 1, 0));
}

#[test]
fn a_checkpoint_replaces_the_log_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    for t in 0..300 {
        add(&store, t % 2, t, t as f64);
    }
    let before = dump(&store);
    let size = store.status().wal_bytes;
    store.checkpoint().unwrap();
    assert!(store.status().wal_bytes < size);
    add(&store, 0, 300, 1.0);
    drop(store);
    let (store, report) = open_report(dir.path(), options());
    assert_eq!(report.replayed_samples, 1);
    assert_eq!(dump(&store)[1], before[1]);
    assert_eq!(dump(&store)[0], format!("{} 300=1", before[0]));
}

#[test]
fn segments_roll_over() {
    let dir = tempfile::tempdir().unwrap();
    let small = || Options { segment_bytes: 200, ..options() };
    let store = open(dir.path(), small());
    (0..100).for_each(|t| drop(add(&store, 1, t, t as f64)));
    let before = dump(&store);
    drop(store);
    assert!(fs::read_dir(dir.path().join("wal")).unwrap().count() > 10);
    assert_eq!(dump(&open(dir.path(), small())), before);
}

#[test]
fn a_store_is_open_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    let error = Store::open(dir.path(), options()).unwrap_err();
    assert!(error.to_string().ends_with("is in use by another process"), "{error}");
    drop(store);
    open(dir.path(), options());
}

#[test]
fn concurrent_appends_share_log_writes_and_all_arrive() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let store = store.clone();
            scope.spawn(move || (0..50).for_each(|t| assert_eq!(add(&store, writer, t, 1.0).accepted, 1)));
        }
    });
    let status = store.status();
    assert_eq!((status.appended, status.head_samples), (400, 400));
    assert!(status.log_writes <= 400);
    drop(store);
    assert_eq!(count(&open(dir.path(), options())), 400);
}

const CHILD_DIR: &str = "LEM_METRICS_CRASH_DIR";
const CHILD_SYNC: &str = "LEM_METRICS_CRASH_SYNC";
const WRITERS: usize = 4;

/// Not a test of its own: the process that `killed_processes_lose_nothing` kills. Prints what was acknowledged.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let sync = if std::env::var(CHILD_SYNC).unwrap() == "always" { Sync::Always } else { Sync::GroupMs(5) };
    let every = Maintenance::Every(std::time::Duration::from_millis(3));
    let store = open(Path::new(&dir), Options { sync, maintenance: every, ..options() });
    let start = store.status().head_max_ms.unwrap_or(0) + 1;
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = store.clone();
            scope.spawn(move || {
                for t in start.. {
                    let appended = store
                        .append(&[
                            lem_engine_metrics::Sample::new(labels(writer), t, t as f64),
                            lem_engine_metrics::Sample::new(labels(format!("{writer}-{}", t / 500)), t, 1.0),
                        ])
                        .unwrap();
                    if appended.accepted == 2 {
                        println!("ack {writer} {t}");
                    }
                }
            });
        }
    });
}

#[test]
fn killed_processes_lose_nothing() {
    for sync in ["always", "group"] {
        let dir = tempfile::tempdir().unwrap();
        let mut acknowledged: Vec<(String, i64)> = Vec::new();
        for round in 1..=4 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "crash::child_that_writes_until_it_is_killed", "--nocapture"])
                .env(CHILD_DIR, dir.path())
                .env(CHILD_SYNC, sync)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let acks = |line: String| {
                let mut words = line.split(' ').skip_while(|w| !w.ends_with("ack")).skip(1);
                Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
            };
            acknowledged.extend(lines.by_ref().map(Result::unwrap).filter_map(acks).take(700 * round));
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(acknowledged.len() >= 700 * round, "the child wrote too little");
            acknowledged.extend(lines.map_while(Result::ok).filter_map(acks));
            let (store, report) = open_report(dir.path(), options());
            assert_eq!((report.damaged.len(), report.quarantined.len()), (0, 0), "{report:?}");
            let found = everything(&store);
            assert_eq!(found.warnings, Vec::<String>::new());
            let stored: std::collections::HashSet<(String, i64)> = found
                .series
                .iter()
                .flat_map(|(labels, points)| points.iter().map(|p| (labels.value("i").to_owned(), p.0)))
                .collect();
            for (writer, t) in &acknowledged {
                assert!(stored.contains(&(writer.clone(), *t)), "{sync} round {round}: {writer} at {t} is lost");
                assert!(stored.contains(&(format!("{writer}-{}", t / 500), *t)));
            }
        }
    }
}
