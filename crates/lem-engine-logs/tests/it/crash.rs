//! The write-ahead log, cut and damaged at every byte.

use std::fs;
use std::path::{Path, PathBuf};

use lem_engine_logs::*;

use crate::basic::{NOW, all, options, record, texts};

fn newest_segment(dir: &Path) -> PathBuf {
    let mut files: Vec<_> = fs::read_dir(dir.join("wal")).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    files.pop().unwrap()
}

/// A store of three batches; the segment's bytes after each.
fn three_batches(dir: &Path) -> Vec<u64> {
    let (store, _) = LogStore::open(dir, options()).unwrap();
    let mut ends = vec![fs::metadata(newest_segment(dir)).unwrap().len()];
    for batch in 0..3 {
        let lines = (0..2).map(|i| record(NOW + batch * 10 + i, "a", &format!("batch {batch} line {i}")));
        store.append(lines.collect()).unwrap();
        ends.push(fs::metadata(newest_segment(dir)).unwrap().len());
    }
    ends
}

/// Opens a copy whose segment is changed, and says how many lines and torn bytes there are.
fn reopen(change: impl FnOnce(&mut Vec<u8>), original: &Path) -> (usize, u64) {
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir_all(copy.path().join("wal")).unwrap();
    let segment = newest_segment(original);
    let mut bytes = fs::read(&segment).unwrap();
    change(&mut bytes);
    fs::write(copy.path().join("wal").join(segment.file_name().unwrap()), bytes).unwrap();
    let (store, report) = LogStore::open(copy.path(), options()).unwrap();
    let lines = texts(&store, &all()).len();
    assert_eq!(lines as u64, report.replayed);
    // What was torn is gone: the next start finds nothing to complain about.
    drop(store);
    let (store, again) = LogStore::open(copy.path(), options()).unwrap();
    assert_eq!((again.torn.len(), texts(&store, &all()).len()), (0, lines));
    (lines, report.torn.iter().map(|(_, bytes)| bytes).sum())
}

#[test]
fn a_tail_cut_at_any_byte_loses_only_the_batch_it_cuts() {
    let dir = tempfile::tempdir().unwrap();
    let ends = three_batches(dir.path());
    for len in 0..=ends[3] {
        let whole = ends.iter().filter(|end| **end <= len).count();
        let expect = (whole.saturating_sub(1) * 2, len - if whole == 0 { 0 } else { ends[whole - 1] });
        assert_eq!(reopen(|bytes| bytes.truncate(len as usize), dir.path()), expect, "cut at {len}");
    }
}

#[test]
fn a_flipped_byte_anywhere_in_the_tail_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let ends = three_batches(dir.path());
    for at in ends[2]..ends[3] {
        let (lines, torn) = reopen(|bytes| bytes[at as usize] ^= 0x40, dir.path());
        assert_eq!((lines, torn), (4, ends[3] - ends[2]), "flipped at {at}");
    }
}

#[test]
fn leftovers_of_an_unfinished_flush_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    three_batches(dir.path());
    let day = dir.path().join("parts/2027-01-15");
    fs::create_dir_all(&day).unwrap();
    fs::write(day.join("000000000001.part"), b"half").unwrap();
    fs::write(day.join("000000000002.tmp"), b"half").unwrap();
    fs::write(dir.path().join("patterns-000000000001.json"), b"half").unwrap();
    let (store, report) = LogStore::open(dir.path(), options()).unwrap();
    assert_eq!((report.leftovers_removed, texts(&store, &all()).len()), (3, 6));
}

#[test]
fn a_directory_is_open_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = LogStore::open(dir.path(), options()).unwrap();
    assert!(matches!(LogStore::open(dir.path(), options()), Err(StoreError::Locked { .. })));
    drop(store);
    assert!(LogStore::open(dir.path(), options()).is_ok());
}
