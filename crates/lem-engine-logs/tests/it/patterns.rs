//! Patterns, tail and catalogue over the whole life of a line.

use std::time::Duration;

use lem_engine_logs::*;

use crate::basic::{NOW, options};

const MINUTE: i64 = 60_000_000_000;

fn line(at: i64, version: &str, text: &str) -> LogRecord {
    LogRecord::new(NOW + at, Labels::new([("app", "shop"), ("version", version)]), text.to_owned())
}

fn range() -> LabelRange {
    LabelRange::new(vec![], i64::MIN, i64::MAX)
}

fn summary(store: &LogStore) -> Vec<String> {
    let (counts, warnings) = store.patterns(&range());
    assert_eq!(warnings, []);
    let text = |c: &PatternCount| {
        let severity = c.severity.map_or("-", Severity::as_str);
        let first = c.first_seen.as_ref().and_then(|f| f.version.clone()).unwrap_or_default();
        format!("{} {} {severity} {} first {first}", c.count, c.version.as_deref().unwrap_or("-"), c.template)
    };
    counts.iter().map(text).collect()
}

#[test]
fn counts_per_release_survive_flush_merge_and_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = LogStore::open(dir.path(), options()).unwrap();
    for i in 0..5 {
        store
            .append(vec![line(i, "v1", &format!("order {i} placed")), line(i, "v2", &format!("order {i} placed"))])
            .unwrap();
        if i > 0 {
            store.append(vec![line(i, "v2", &format!("level=error payment {i} failed"))]).unwrap();
        }
        store.flush().unwrap();
    }
    let expect = [
        "5 v1 - order <_> placed first v1",
        "5 v2 - order <_> placed first v1",
        "4 v2 error level=error payment <_> failed first v2",
    ];
    assert_eq!(summary(&store), expect);
    let report = store.maintain().unwrap();
    assert_eq!((report.merged.len(), report.merged[0].1.len()), (1, 5));
    assert_eq!(summary(&store), expect);
    drop(store);
    let (store, _) = LogStore::open(dir.path(), options()).unwrap();
    assert_eq!(summary(&store), expect);
    store.append(vec![line(9, "v2", "level=error payment 9 failed")]).unwrap();
    drop(store);
    let (store, _) = LogStore::open(dir.path(), options()).unwrap();
    assert_eq!(summary(&store)[0], "5 v1 - order <_> placed first v1");
    assert_eq!(summary(&store)[2], "5 v2 error level=error payment <_> failed first v2");
    let failed = store.patterns(&range()).0[2].id;
    let plan = ScanPlan { patterns: Some(vec![failed]), ..ScanPlan::new(vec![], i64::MIN, i64::MAX) };
    assert_eq!(store.scan(&plan).unwrap().lines.len(), 5);
}

#[test]
fn start_up_noise_of_earlier_releases_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = LogStore::open(dir.path(), options()).unwrap();
    store
        .append(vec![
            line(0, "v1", "cache is cold error"),
            line(10 * MINUTE, "v1", "disk error later"),
            line(20 * MINUTE, "v2", "cache is cold error"),
            line(20 * MINUTE, "v2", "brand new error"),
        ])
        .unwrap();
    let noise = store.seen_before("v2", Duration::from_mins(3)).start_up;
    let templates: Vec<_> = noise.iter().map(|id| store.pattern(*id).unwrap().template).collect();
    assert_eq!(templates, ["cache is cold error"]);
    assert!(store.seen_before("v1", Duration::from_mins(3)).start_up.is_empty());
}

#[test]
fn catalogue() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = LogStore::open(dir.path(), options()).unwrap();
    store.append(vec![line(0, "v1", "one"), line(5 * MINUTE, "v1", "two!")]).unwrap();
    store.flush().unwrap();
    store.append(vec![line(6 * MINUTE, "v2", "three")]).unwrap();
    assert_eq!(store.labels(&range()).into_iter().collect::<Vec<_>>(), ["app", "version"]);
    assert_eq!(store.label_values("version", &range()).into_iter().collect::<Vec<_>>(), ["v1", "v2"]);
    let early = LabelRange::new(vec![Matcher::equal("app", "shop")], NOW, NOW + MINUTE);
    assert_eq!(store.series(&early).len(), 1);
    assert_eq!(store.stats(&early).0, Stats { streams: 1, chunks: 1, entries: 1, bytes: 3 });
    assert_eq!(store.stats(&range()).0, Stats { streams: 2, chunks: 2, entries: 3, bytes: 12 });
    let later = LabelRange::new(vec![], NOW, NOW + 10 * MINUTE);
    let volume: Vec<_> = store
        .volume(&later, Some(5 * MINUTE))
        .0
        .iter()
        .map(|v| ((v.start_ns - NOW) / MINUTE, v.lines, v.bytes))
        .collect();
    assert_eq!(volume, [(0, 1, 3), (5, 1, 4), (5, 1, 5)]);
}

#[tokio::test]
async fn a_tail_hears_what_it_asked_for_and_how_much_it_missed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = LogStore::open(dir.path(), options()).unwrap();
    let plan = ScanPlan {
        literals: vec![vec![Literal::substring("yes")]],
        ..ScanPlan::new(vec![Matcher::equal("app", "shop")], i64::MIN, i64::MAX)
    };
    let mut tail = store.tail(plan).unwrap();
    store.append(vec![line(0, "v1", "no"), line(1, "v1", "yes 1")]).unwrap();
    let Some(TailEvent::Line(heard)) = tail.recv().await else { panic!("nothing heard") };
    assert_eq!((&heard.line[..], heard.stream.version.as_deref()), (&b"yes 1"[..], Some("v1")));
    assert_eq!(tail.try_recv(), None);
    let extra = 7;
    let many: Vec<_> = (0..limits::TAIL_LINES_MAX as i64 + extra).map(|i| line(i, "v1", "yes")).collect();
    store.append(many).unwrap();
    for _ in 0..limits::TAIL_LINES_MAX {
        assert!(matches!(tail.recv().await, Some(TailEvent::Line(_))));
    }
    assert_eq!(tail.recv().await, Some(TailEvent::Dropped(extra as u64)));
    drop(tail);
    store.append(vec![line(0, "v1", "yes")]).unwrap();
    let tails: Vec<_> = (0..limits::TAILS_MAX).map(|_| store.tail(ScanPlan::new(vec![], 0, 0)).unwrap()).collect();
    let refused = store.tail(ScanPlan::new(vec![], 0, 0));
    assert_eq!(refused.err(), Some(QueryError::TooManyTails { limit: limits::TAILS_MAX }));
    drop(tails);
    assert!(store.tail(ScanPlan::new(vec![], 0, 0)).is_ok());
}
