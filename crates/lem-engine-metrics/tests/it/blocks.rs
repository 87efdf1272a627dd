//! Cutting, merging, removing and damaging blocks.

use std::fs;
use std::path::{Path, PathBuf};

use lem_engine_metrics::{MatchOp, Options, Store};

use crate::support::*;

/// One sample of three series every 100 ms.
fn fill(store: &Store, from: i64, to: i64) {
    for t in (from..to).step_by(100) {
        (0..3).for_each(|n| drop(add(store, n, t, (t + n) as f64)));
    }
}

#[test]
fn blocks_are_cut_and_merged_without_changing_what_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    fill(&store, 0, 7_000);
    let before = dump(&store);
    let done = store.maintain().unwrap();
    assert_eq!((done.cut, done.merged), (6, 2));
    let status = store.status();
    let ranges: Vec<_> = status.blocks.iter().map(|b| (b.start_ms, b.end_ms)).collect();
    assert_eq!(ranges, [(0, 3_000), (3_000, 6_000)]);
    assert_eq!((status.head_min_ms, status.head_samples), (Some(6_000), 30));
    assert_eq!(dump(&store), before);
    assert_eq!(store.label_values("i", &up(), 0, 100).unwrap().found, ["0", "1", "2"]);
    drop(store);
    let (store, report) = open_report(dir.path(), options());
    assert_eq!((report.blocks, report.torn_bytes), (2, 0));
    assert_eq!(dump(&store), before);
    fill(&store, 7_000, 14_000);
    store.maintain().unwrap();
    let ranges: Vec<_> = store.status().blocks.iter().map(|b| (b.start_ms, b.end_ms)).collect();
    assert_eq!(ranges, [(0, 12_000), (12_000, 13_000)]);
    assert_eq!(everything(&store).series[0].1.len(), 140);
}

#[test]
fn readers_see_everything_while_blocks_are_cut_and_merged() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut seen = 0;
                while !done.load(std::sync::atomic::Ordering::SeqCst) {
                    let found = everything(&store);
                    assert_eq!(found.warnings, Vec::<String>::new());
                    let points = found.series.first().map_or(&[][..], |(_, points)| points);
                    assert!(points.len() >= seen, "{} samples after {seen}", points.len());
                    let gap = points.windows(2).find(|w| w[1].0 - w[0].0 != 100);
                    assert_eq!(gap, None);
                    seen = points.len();
                }
            });
        }
        for from in (0..20_000).step_by(500) {
            fill(&store, from, from + 500);
            store.maintain().unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    assert_eq!(everything(&store).series[0].1.len(), 200);
}

#[test]
fn series_without_recent_samples_leave_the_head_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    let series = store.resolve(&labels("x")).unwrap();
    add(&store, "x", 10, 1.0);
    fill(&store, 100, 5_000);
    store.maintain().unwrap();
    assert_eq!(store.status().head_series, 3);
    assert_eq!(store.labels_of(series), None);
    assert_eq!(add(&store, "x", 5_000, 2.0).accepted, 1);
    assert_eq!(lines(&everything(&store)).last().unwrap(), "x: 10=1 5000=2");
    drop(store);
    assert_eq!(dump(&open(dir.path(), options())).last().unwrap(), "x: 10=1 5000=2");
}

#[test]
fn deleted_samples_stay_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options());
    fill(&store, 0, 3_000);
    store.maintain().unwrap();
    let deleted = store.delete(&[matcher(MatchOp::Equal, "i", "1")], 900, 2_899).unwrap();
    assert_eq!((deleted.head_series, deleted.block_series), (1, 2));
    let left = ["1: 0=1 100=101 200=201 300=301 400=401 500=501 600=601 700=701 800=801 2900=2901"];
    let one = |store: &Store| lines(&store.select(&[matcher(MatchOp::Equal, "i", "1")], ALL.0, ALL.1).unwrap());
    assert_eq!(one(&store), left);
    drop(store);
    let store = open(dir.path(), options());
    assert_eq!(one(&store), left);
    fill(&store, 3_000, 7_000);
    store.maintain().unwrap();
    let found = store.select(&[matcher(MatchOp::Equal, "i", "1")], 0, 2_999).unwrap();
    assert_eq!(lines(&found), left);
}

#[test]
fn old_blocks_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let keep = Options { retention_ms: Some(5_000), compact_ranges_ms: vec![], ..options() };
    let store = open(dir.path(), keep);
    fill(&store, 0, 10_000);
    let done = store.maintain().unwrap();
    assert_eq!((done.cut, done.removed), (9, 4));
    assert_eq!(store.status().blocks[0].start_ms, 4_000);
    drop(store);
    let small = Options { retention_bytes: Some(1), compact_ranges_ms: vec![], ..options() };
    let store = open(dir.path(), small);
    store.maintain().unwrap();
    assert!(store.status().blocks.is_empty());
    assert_eq!(everything(&store).series[0].1.first().unwrap().0, 9_000);
}

/// A store with one block and a head; returns the block's folder.
fn with_block(dir: &Path) -> PathBuf {
    let store = open(dir, options());
    fill(&store, 0, 1_600);
    store.maintain().unwrap();
    dir.join(&store.status().blocks[0].name)
}

#[test]
fn a_damaged_index_or_meta_moves_the_block_aside() {
    for file in ["index", "meta.json"] {
        let len = {
            let dir = tempfile::tempdir().unwrap();
            fs::read(with_block(dir.path()).join(file)).unwrap().len()
        };
        for at in (0..len).step_by(37) {
            let dir = tempfile::tempdir().unwrap();
            let path = with_block(dir.path()).join(file);
            let mut bytes = fs::read(&path).unwrap();
            bytes[at] ^= 1;
            if file == "meta.json" && bytes[at].is_ascii_whitespace() {
                continue; // white space means nothing in JSON
            }
            fs::write(&path, bytes).unwrap();
            let (store, report) = open_report(dir.path(), options());
            assert_eq!(report.quarantined.len(), 1, "{file} byte {at}");
            let aside = &store.status().quarantined[0];
            assert_eq!((aside.start_ms, aside.end_ms), (0, 1_000));
            assert!(aside.path.join("chunks").exists());
            let found = everything(&store);
            let warning = format!("block {} is damaged and was moved aside: its samples are missing", aside.name);
            assert_eq!(found.warnings, [warning]);
            assert_eq!(found.series[0].1.len(), 6);
            assert!(store.select(&up(), 1_000, 2_000).unwrap().warnings.is_empty());
            drop(store);
            assert_eq!(open_report(dir.path(), options()).1.quarantined.len(), 1);
        }
    }
}

#[test]
fn a_damaged_chunk_is_left_out_with_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let path = with_block(dir.path()).join("chunks");
    let clean = fs::read(&path).unwrap();
    let whole = lines(&everything(&open(dir.path(), options())));
    for at in 0..clean.len() {
        let mut bytes = clean.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let store = open(dir.path(), options());
        let found = everything(&store);
        assert_eq!(found.warnings.len(), 1, "byte {at}");
        let same = lines(&found).iter().filter(|line| whole.contains(line)).count();
        assert_eq!(same, 2, "byte {at}: the other series are whole");
    }
}

#[test]
fn a_damaged_block_is_named_and_does_not_hold_up_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = with_block(dir.path()).join("chunks");
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let store = open(dir.path(), options());
    fill(&store, 1_600, 7_600);
    let done = store.maintain().unwrap();
    assert_eq!((done.cut, done.merged), (6, 2));
    let blocks = store.status().blocks;
    let damaged: Vec<_> = blocks.iter().filter(|b| b.damaged).map(|b| (b.start_ms, b.end_ms)).collect();
    assert_eq!(damaged, [(0, 1_000)]);
    let found = everything(&store);
    assert_eq!(found.warnings.len(), 1);
    assert_eq!(found.series[1].1.len(), 76);
}

#[test]
fn a_shortened_chunk_file_moves_the_block_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = with_block(dir.path()).join("chunks");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(open_report(dir.path(), options()).1.quarantined.len(), 1);
}

#[test]
fn leftovers_of_a_crash_are_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let before = {
        let store = open(dir.path(), options());
        fill(&store, 0, 2_600);
        store.maintain().unwrap();
        fs::create_dir(dir.path().join("tmp-block_0_1000_000099")).unwrap();
        dump(&store)
    };
    let sources: Vec<PathBuf> = fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("block_"))
        .collect();
    assert_eq!(sources.len(), 2);
    let saved = tempfile::tempdir().unwrap();
    for source in &sources {
        copy(source, &saved.path().join(source.file_name().unwrap()));
    }
    let (store, report) = open_report(dir.path(), options());
    assert_eq!(report.leftovers, ["tmp-block_0_1000_000099"]);
    fill(&store, 2_600, 3_600);
    assert_eq!(store.maintain().unwrap().merged, 1);
    drop(store);
    // As if the process had died between the rename of the merged block and the removal of its sources.
    for source in &sources {
        copy(&saved.path().join(source.file_name().unwrap()), source);
    }
    let (store, report) = open_report(dir.path(), options());
    assert_eq!((report.blocks, report.leftovers.len()), (1, 2));
    assert!(lines(&everything(&store))[0].starts_with(&before[0]));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
