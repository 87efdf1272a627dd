//! Append, read back, reopen.

use lem_engine_logs::*;

pub(crate) const NOW: i64 = 1_800_000_000_000_000_000;

pub(crate) fn options() -> Options {
    Options { maintenance: Maintenance::Manual, clock: std::sync::Arc::new(|| NOW), ..Options::default() }
}

pub(crate) fn record(ts_ns: i64, app: &str, line: &str) -> LogRecord {
    LogRecord::new(ts_ns, Labels::new([("app", app)]), line.to_owned())
}

pub(crate) fn all() -> ScanPlan {
    ScanPlan { direction: Direction::Forward, ..ScanPlan::new(vec![], i64::MIN, i64::MAX) }
}

pub(crate) fn texts(store: &LogStore, plan: &ScanPlan) -> Vec<String> {
    let found = store.scan(plan).unwrap();
    assert_eq!(found.warnings, []);
    found.lines.iter().map(|l| String::from_utf8_lossy(&l.line).into_owned()).collect()
}

#[test]
fn lines_come_back_in_order_from_memory_parts_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (store, report) = LogStore::open(dir.path(), options()).unwrap();
    assert_eq!(report, OpenReport::default());
    store.append(vec![record(NOW + 3, "a", "three"), record(NOW + 1, "b", "one")]).unwrap();
    store.flush().unwrap();
    store.append(vec![record(NOW + 2, "a", "two"), record(NOW + 4, "b", "four")]).unwrap();
    let expect = ["one", "two", "three", "four"];
    assert_eq!(texts(&store, &all()), expect);
    drop(store);
    let (store, report) = LogStore::open(dir.path(), options()).unwrap();
    assert_eq!((report.parts, report.part_rows, report.replayed), (1, 2, 2));
    assert_eq!(texts(&store, &all()), expect);
    let newest = ScanPlan { direction: Direction::Backward, limit: Some(2), ..all() };
    assert_eq!(texts(&store, &newest), ["four", "three"]);
}
