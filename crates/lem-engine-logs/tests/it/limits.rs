//! Every limit, reached.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lem_engine_logs::limits::{self, BATCH_MAX_BYTES, BLOCK_RAW_BYTES, FIELD_COLUMNS_MAX, LABELS_MAX, LINE_MAX_BYTES};
use lem_engine_logs::*;

use crate::basic::{NOW, all, options, record, texts};

fn open(settings: Options) -> (tempfile::TempDir, LogStore) {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = LogStore::open(dir.path(), settings).unwrap();
    (dir, store)
}

#[test]
fn memory_is_refused_beyond_the_budget_and_freed_by_a_flush() {
    let budget = 64 << 10;
    let (_dir, store) = open(Options { memory_budget_bytes: budget, ..options() });
    let line = "x".repeat(1000);
    let mut stored = 0;
    let busy = loop {
        match store.append(vec![record(NOW, "a", &line)]) {
            Ok(_) => stored += 1,
            Err(refused) => break refused,
        }
        assert!(store.health().memory_bytes <= budget);
    };
    assert_eq!(busy, Refused::Busy { retry_after: limits::RETRY_AFTER });
    assert!(stored > 40, "{stored}");
    store.flush().unwrap();
    assert_eq!(store.health().memory_bytes, 0);
    assert!(store.append(vec![record(NOW, "a", &line)]).is_ok());
    let huge = store.append(vec![record(NOW, "a", &"x".repeat(budget))]);
    assert!(matches!(huge, Err(Refused::TooLarge { .. })), "waiting would not help");
}

#[test]
fn a_line_longer_than_a_block_comes_back_byte_for_byte() {
    let (dir, store) = open(options());
    let long: Vec<u8> = (0..BLOCK_RAW_BYTES * 2 + 12_345).map(|i| (i % 251) as u8).collect();
    let needle = long[BLOCK_RAW_BYTES - 5..BLOCK_RAW_BYTES + 5].to_vec();
    let labels = Labels::new([("app", "a")]);
    let lines = vec![record(NOW, "a", "before"), LogRecord::new(NOW, labels, long.clone()), record(NOW, "a", "after")];
    store.append(lines).unwrap();
    let check = |store: &LogStore| {
        let found = store.scan(&all()).unwrap().lines;
        assert_eq!(found.iter().map(|l| l.line.len()).collect::<Vec<_>>(), [6, long.len(), 5]);
        assert!(found[1].line == long);
        let plan = ScanPlan { literals: vec![vec![Literal::substring(needle.clone())]], ..all() };
        assert_eq!(store.scan(&plan).unwrap().lines.len(), 1, "a literal across the pieces");
    };
    check(&store);
    store.flush().unwrap();
    check(&store);
    drop(store);
    check(&LogStore::open(dir.path(), options()).unwrap().0);
}

#[test]
fn unacceptable_records_are_refused_by_index() {
    let (_dir, store) = open(options());
    let mut wide = record(NOW, "a", "wide");
    wide.labels = Labels::new((0..=LABELS_MAX).map(|i| (format!("l{i}"), "x")));
    let mut heavy = record(NOW, "a", "heavy");
    heavy.fields = vec![("f".to_owned(), "x".repeat(limits::FIELDS_MAX_BYTES))];
    let mut big_label = record(NOW, "a", "label");
    big_label.labels = Labels::new([("l", "x".repeat(limits::LABEL_MAX_BYTES + 1))]);
    let mut huge = record(NOW, "a", "");
    huge.line = vec![b'x'; LINE_MAX_BYTES + 1].into();
    let batch = vec![record(NOW, "a", "good"), wide, heavy, big_label, huge];
    let Err(Refused::Items(items)) = store.append(batch.clone()) else { panic!("not refused") };
    assert_eq!(items.iter().map(|i| i.index).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(texts(&store, &all()).is_empty());
    let ack = store.append_good(batch).unwrap();
    assert_eq!((ack.accepted, ack.refused.len(), texts(&store, &all())), (1, 4, vec!["good".to_owned()]));
    let ahead = NOW + limits::FUTURE_FLAG.as_nanos() as i64 + 1;
    assert_eq!(store.append(vec![record(ahead, "a", "soon")]).unwrap().ahead, 1, "kept and flagged");
    let part = vec![b'x'; LINE_MAX_BYTES];
    let batch: Vec<_> = (0..=BATCH_MAX_BYTES / LINE_MAX_BYTES)
        .map(|_| LogRecord::new(NOW, Labels::new([("app", "a")]), part.clone()))
        .collect();
    assert!(matches!(store.append(batch), Err(Refused::TooLarge { .. })));
}

#[test]
fn any_number_of_fields_comes_back() {
    let (_dir, store) = open(options());
    let mut lines = Vec::new();
    for row in 0..2 {
        let mut line = record(NOW + row, "a", "many fields");
        line.fields = (0..FIELD_COLUMNS_MAX + 50).map(|i| (format!("f{i}"), format!("{row}-{i}"))).collect();
        line.fields.push(("f0".to_owned(), "again".to_owned()));
        lines.push(line);
    }
    store.append(lines.clone()).unwrap();
    store.flush().unwrap();
    let found = store.scan(&all()).unwrap().lines;
    for (line, sent) in found.iter().zip(&lines) {
        assert_eq!(line.fields, sent.fields);
    }
    let one = ScanPlan { fields: vec![("f1020".to_owned(), "1-1020".to_owned())], ..all() };
    assert_eq!(store.scan(&one).unwrap().lines.len(), 1);
    let none = ScanPlan { fields: vec![("f1020".to_owned(), "nope".to_owned())], ..all() };
    assert_eq!(store.scan(&none).unwrap().stats.blocks_pruned, 1);
}

#[test]
fn a_scan_stops_at_its_limits() {
    let (_dir, store) = open(options());
    store.append((0..100).map(|i| record(NOW + i, "a", "some line")).collect()).unwrap();
    store.flush().unwrap();
    let small = ScanPlan { max_bytes: 100, ..all() };
    assert_eq!(store.scan(&small), Err(QueryError::TooLarge { limit_bytes: 100 }));
    let cancelled = ScanPlan { cancel: Some(Arc::new(AtomicBool::new(true))), ..all() };
    assert_eq!(store.scan(&cancelled), Err(QueryError::Cancelled));
    let reversed = ScanPlan { start_ns: 2, end_ns: 1, ..all() };
    assert!(matches!(store.scan(&reversed), Err(QueryError::EmptyRange { .. })));
    let few = ScanPlan { limit: Some(3), ..all() };
    assert_eq!(store.scan(&few).unwrap().lines.len(), 3);
}

#[test]
fn appenders_share_commits_and_every_line_is_there() {
    let (dir, store) = open(Options { maintenance: Maintenance::Thread, flush_bytes: 16 << 10, ..options() });
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let store = store.clone();
            scope.spawn(move || {
                for i in 0..50 {
                    store.append(vec![record(NOW + i, &format!("app{thread}"), &format!("line {i}"))]).unwrap();
                }
            });
        }
    });
    assert_eq!(texts(&store, &all()).len(), 400);
    store.close();
    let (reopened, _) = LogStore::open(dir.path(), options()).unwrap();
    assert_eq!(texts(&reopened, &all()).len(), 400);
}
