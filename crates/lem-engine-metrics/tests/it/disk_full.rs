//! A disk that refuses: read-only, reads go on, nothing acknowledged is lost, recovery by itself.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lem_engine_metrics::{DiskGate, Mode, Options, Refusal, Sample, StoreError, Sync};

use crate::support::*;

/// Lets through what is allowed, then is full.
#[derive(Debug)]
struct Gate {
    room: AtomicUsize,
    syncs: AtomicUsize,
}

const PLENTY: usize = usize::MAX / 2;

impl Gate {
    fn new() -> Arc<Gate> {
        Arc::new(Gate { room: AtomicUsize::new(PLENTY), syncs: AtomicUsize::new(PLENTY) })
    }

    fn set(&self, room: usize) {
        self.room.store(room, Ordering::SeqCst);
    }
}

impl DiskGate for Gate {
    fn write(&self, _path: &Path, bytes: usize) -> Result<(), Refusal> {
        let room = self.room.load(Ordering::SeqCst);
        self.room.store(room.saturating_sub(bytes), Ordering::SeqCst);
        if bytes <= room {
            return Ok(());
        }
        Err(Refusal { written: room, error: io::Error::from(io::ErrorKind::StorageFull) })
    }

    fn sync(&self, _path: &Path) -> io::Result<()> {
        let left = self.syncs.load(Ordering::SeqCst);
        self.syncs.store(left.saturating_sub(1), Ordering::SeqCst);
        if left > 0 { Ok(()) } else { Err(io::Error::from(io::ErrorKind::StorageFull)) }
    }
}

fn gated(gate: &Arc<Gate>) -> Options {
    Options { disk_gate: Some(gate.clone()), ..options() }
}

#[test]
fn full_at_any_byte_then_free_again() {
    for room in 0..80 {
        let dir = tempfile::tempdir().unwrap();
        let gate = Gate::new();
        let store = open(dir.path(), gated(&gate));
        add(&store, 1, 10, 1.0);
        gate.set(room);
        let batch = [Sample::new(labels(1), 20, 2.0), Sample::new(labels(2), 20, 2.0)];
        if let Err(error) = store.append(&batch) {
            assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
            let Mode::ReadOnly { reason } = store.status().mode else { panic!("room {room}: still writable") };
            assert!(reason.contains("no storage space") && reason.contains(".wal"), "{reason}");
            assert_eq!(dump(&store), ["1: 10=1"]);
            gate.set(PLENTY);
            assert_eq!(store.append(&batch).unwrap().accepted, 2, "room {room}");
        }
        assert_eq!(store.status().mode, Mode::Writable);
        assert_eq!(dump(&store), ["1: 10=1 20=2", "2: 20=2"]);
        drop(store);
        let (store, report) = open_report(dir.path(), options());
        assert_eq!(report.torn_bytes, 0);
        assert_eq!(dump(&store), ["1: 10=1 20=2", "2: 20=2"]);
    }
}

#[test]
fn maintenance_notices_that_there_is_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::new();
    let store = open(dir.path(), gated(&gate));
    add(&store, 1, 10, 1.0);
    gate.set(0);
    assert!(store.append(&[Sample::new(labels(1), 20, 2.0)]).is_err());
    assert!(store.maintain().is_err());
    assert!(store.status().maintenance_error.is_some());
    gate.set(PLENTY);
    store.maintain().unwrap();
    let status = store.status();
    assert_eq!((status.mode, status.maintenance_error), (Mode::Writable, None));
}

#[test]
fn a_failed_sync_loses_nothing_acknowledged() {
    for sync in [Sync::Always, Sync::GroupMs(3_600_000)] {
        for allowed in 0..6 {
            let dir = tempfile::tempdir().unwrap();
            let gate = Gate::new();
            let store = open(dir.path(), Options { sync, ..gated(&gate) });
            gate.syncs.store(allowed, Ordering::SeqCst);
            let mut kept = Vec::new();
            for t in 1..=8 {
                if store.append(&[Sample::new(labels(1), t, t as f64)]).is_ok() {
                    kept.push(format!("{t}={t}"));
                }
                let _ = store.sync();
            }
            assert!(matches!(store.status().mode, Mode::ReadOnly { .. }), "{sync:?} {allowed}");
            gate.syncs.store(PLENTY, Ordering::SeqCst);
            add(&store, 1, 9, 9.0);
            kept.push("9=9".to_owned());
            let expect = [format!("1: {}", kept.join(" "))];
            assert_eq!(dump(&store), expect);
            drop(store);
            let (store, report) = open_report(dir.path(), options());
            assert_eq!((dump(&store), report.torn_bytes), (expect.to_vec(), 0), "{sync:?} {allowed}");
        }
    }
}

#[test]
fn a_store_opens_on_a_full_disk_and_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::new();
    add(&open(dir.path(), gated(&gate)), 1, 10, 1.0);
    let segment = std::fs::read_dir(dir.path().join("wal")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes.extend_from_slice(b"torn");
    std::fs::write(&segment, bytes).unwrap();
    gate.set(0);
    let (store, report) = open_report(dir.path(), gated(&gate));
    assert_eq!(report.torn_bytes, 4);
    assert!(matches!(store.status().mode, Mode::ReadOnly { .. }));
    assert_eq!(dump(&store), ["1: 10=1"]);
    assert!(store.append(&[Sample::new(labels(1), 20, 2.0)]).is_err());
    gate.set(PLENTY);
    assert_eq!(add(&store, 1, 20, 2.0).accepted, 1);
    assert_eq!(store.status().mode, Mode::Writable);
    drop(store);
    assert_eq!(dump(&open(dir.path(), options())), ["1: 10=1 20=2"]);
}

#[test]
fn every_sync_of_maintenance_may_fail() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::new();
    let store = open(dir.path(), gated(&gate));
    (0..40).for_each(|t| drop(add(&store, 1, t * 100, t as f64)));
    let before = dump(&store);
    let mut allowed = 0;
    while {
        gate.syncs.store(allowed, Ordering::SeqCst);
        store.maintain().is_err()
    } {
        assert_eq!(dump(&store), before, "{allowed} syncs");
        allowed += 1;
    }
    drop(store);
    let (store, report) = open_report(dir.path(), options());
    assert_eq!((dump(&store), report.leftovers), (before, Vec::<String>::new()));
    assert_eq!(store.status().blocks.len(), 1);
}

#[test]
fn blocks_that_do_not_fit_are_cut_later() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::new();
    let store = open(dir.path(), gated(&gate));
    (0..40).for_each(|t| drop(add(&store, 1, t * 100, t as f64)));
    let before = dump(&store);
    let mut room = 0;
    // Every part of cutting, merging and checkpointing fails once.
    while {
        gate.set(room);
        store.maintain().is_err()
    } {
        assert_eq!(dump(&store), before, "room {room}");
        room += 61;
    }
    gate.set(PLENTY);
    let names = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name());
    assert_eq!(names.filter(|n| n.to_string_lossy().starts_with("tmp-")).count(), 0, "failed attempts give space back");
    assert_eq!(dump(&store), before);
    assert_eq!(store.status().blocks.len(), 1);
    drop(store);
    assert_eq!(dump(&open(dir.path(), options())), before);
}
