//! Full disks, damaged parts, retention.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lem_engine_logs::*;

use crate::basic::{NOW, all, options, record, texts};

#[derive(Default)]
struct Full(AtomicBool);

impl DiskHook for Full {
    fn before_write(&self, _: WriteKind, _: usize) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

#[test]
fn a_full_disk_is_read_only_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Full::default());
    let settings =
        Options { disk: Arc::clone(&disk) as Arc<dyn DiskHook>, read_only_retry: Duration::ZERO, ..options() };
    let (store, _) = LogStore::open(dir.path(), settings).unwrap();
    store.append(vec![record(NOW, "a", "before")]).unwrap();
    disk.0.store(true, Ordering::SeqCst);
    assert!(matches!(store.append(vec![record(NOW + 1, "a", "lost")]), Err(Refused::ReadOnly { .. })));
    assert!(store.health().read_only.is_some());
    assert!(store.flush().is_err_and(|e| e.is_disk_full()));
    assert_eq!(texts(&store, &all()), ["before"], "reads go on");
    disk.0.store(false, Ordering::SeqCst);
    store.append(vec![record(NOW + 2, "a", "after")]).unwrap();
    assert_eq!(
        (store.health().read_only, texts(&store, &all())),
        (None, vec!["before".to_owned(), "after".to_owned()])
    );
    store.flush().unwrap();
    drop(store);
    let (store, report) = LogStore::open(dir.path(), options()).unwrap();
    assert_eq!((report.replayed, texts(&store, &all()).len()), (0, 2));
}

#[test]
fn a_disk_that_fills_during_a_flush_loses_nothing() {
    struct OnlyWal(AtomicBool);
    impl DiskHook for OnlyWal {
        fn before_write(&self, kind: WriteKind, _: usize) -> io::Result<()> {
            let fail = kind != WriteKind::Wal && self.0.load(Ordering::SeqCst);
            if fail { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(OnlyWal(AtomicBool::new(true)));
    let (store, _) =
        LogStore::open(dir.path(), Options { disk: Arc::clone(&disk) as Arc<dyn DiskHook>, ..options() }).unwrap();
    store.append(vec![record(NOW, "a", "one")]).unwrap();
    assert!(store.flush().is_err());
    store.append(vec![record(NOW + 1, "a", "two")]).unwrap();
    assert!(store.flush().is_err());
    assert_eq!(texts(&store, &all()), ["one", "two"]);
    disk.0.store(false, Ordering::SeqCst);
    assert_eq!(store.flush().unwrap().len(), 2, "the head that waited, and the new one");
    assert_eq!((texts(&store, &all()), store.health().memory_bytes), (vec!["one".to_owned(), "two".to_owned()], 0));
}

#[test]
fn a_damaged_part_costs_its_own_lines_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = LogStore::open(dir.path(), options()).unwrap();
    store.append(vec![record(NOW, "a", "in the damaged part")]).unwrap();
    let bad = store.flush().unwrap().remove(0);
    store.append(vec![record(NOW + 1, "a", "in the good part")]).unwrap();
    store.flush().unwrap();
    let path = dir.path().join(bad.file());
    let good_bytes = fs::read(&path).unwrap();
    for at in 0..good_bytes.len() {
        let mut bytes = good_bytes.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        drop(LogStore::open(tempfile::tempdir().unwrap().path(), options()));
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        let (copied, report) = LogStore::open(copy.path(), options()).unwrap();
        let found = copied.scan(&all()).unwrap();
        let lines: Vec<_> = found.lines.iter().map(|l| l.line.clone()).collect();
        let named = found.warnings.first().map(|w| (w.min_ts_ns, w.max_ts_ns));
        if named.is_some() {
            assert_eq!((lines.len(), named), (1, Some((NOW, NOW))), "byte {at}");
            assert_eq!(&lines[0][..], b"in the good part");
        } else {
            // Bytes of columns this scan does not read: the lines themselves are right.
            assert_eq!((lines.len(), report.quarantined.len()), (2, 0), "byte {at}");
            assert_eq!(&lines[0][..], b"in the damaged part");
        }
    }
    fs::write(&path, b"short").unwrap();
    drop(store);
    let (store, report) = LogStore::open(dir.path(), options()).unwrap();
    assert_eq!(report.quarantined.len(), 1);
    assert_eq!(store.maintain().unwrap().quarantined.len(), 1, "noted in the manifest");
    assert_eq!(store.stats(&LabelRange::new(vec![], i64::MIN, i64::MAX)).1.len(), 1, "the catalogue warns too");
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(item.file_name());
        if item.path().is_dir() {
            copy_dir(&item.path(), &target);
        } else {
            fs::copy(item.path(), target).unwrap();
        }
    }
}

#[test]
fn retention_by_age_and_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let day = 86_400_000_000_000;
    let (store, _) = LogStore::open(dir.path(), Options { retention_age: None, ..options() }).unwrap();
    for back in 0..4 {
        store.append(vec![record(NOW - back * day, "a", &format!("{back} days old"))]).unwrap();
    }
    let bytes = store.flush().unwrap()[0].bytes;
    drop(store);
    let two_days = Options { retention_age: Some(Duration::from_hours(60)), ..options() };
    let (store, _) = LogStore::open(dir.path(), two_days).unwrap();
    assert_eq!(store.maintain().unwrap().expired.len(), 1);
    assert_eq!(texts(&store, &all()), ["2 days old", "1 days old", "0 days old"]);
    let old = store.append(vec![record(NOW, "a", "fine"), record(NOW - 3 * day, "a", "too old")]);
    let Err(Refused::Items(items)) = old else { panic!("not refused: {old:?}") };
    assert!(items[0].index == 1 && items[0].why.contains("before the retention edge"), "{items:?}");
    drop(store);
    let small = Options { retention_bytes: Some(bytes + bytes / 2), ..options() };
    let (store, _) = LogStore::open(dir.path(), small).unwrap();
    assert_eq!(store.maintain().unwrap().expired.len(), 2);
    assert_eq!(texts(&store, &all()), ["0 days old"]);
}
