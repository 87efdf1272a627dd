//! Queries against the real store.

use lem_engine_logql::*;
use lem_engine_logs::{Direction, LabelRange, Labels, LogRecord, LogStore, Maintenance, Options, TraceId};

use crate::world::{S, World};

const NOW: i64 = 1_800_000_000 * S;

fn open() -> (tempfile::TempDir, LogStore) {
    let dir = tempfile::tempdir().unwrap();
    let settings =
        Options { maintenance: Maintenance::Manual, clock: std::sync::Arc::new(|| NOW), ..Options::default() };
    let (store, _) = LogStore::open(dir.path(), settings).unwrap();
    (dir, store)
}

const LINES: [&str; 9] = [
    "level=info msg=\"order 17 placed\" took=12ms",
    "level=info msg=\"order 18 placed\" took=7ms",
    "level=error msg=\"payment failed\" order=18 from=11.2.3.45",
    "GET /api/orders?id=4 HTTP/1.1 200 from 1.2.3.4",
    "POST /api/orders HTTP/2.0 500 from 10.0.0.1:8080",
    "{\"level\":\"warn\",\"n\":3}",
    "{\"level\":\"warn\",\"n\":42}",
    "2026-01-01T10:00:00.123Z worker-1 connection reset by peer",
    "\u{1b}[31mred\u{1b}[0m text",
];

fn fill(store: &LogStore) -> World {
    let mut world = Vec::new();
    for (round, app) in ["a", "b", "a"].into_iter().enumerate() {
        for (at, line) in LINES.into_iter().enumerate() {
            let ts_ns = NOW + (round as i64 * 100 + at as i64) * S;
            store.append(vec![LogRecord::new(ts_ns, Labels::new([("app", app)]), line)]).unwrap();
            let labels = std::sync::Arc::new(crate::world::labels(&format!("app={app}")));
            let severity = lem_engine_logs::detect_severity(line.as_bytes(), &vec![]);
            let metadata = severity.map(|s| ("detected_level".to_owned(), s.as_str().to_owned()));
            world.push((ts_ns, labels, line.as_bytes().to_vec(), metadata.into_iter().collect()));
        }
        if round < 2 {
            store.flush().unwrap();
        }
    }
    World(world)
}

#[test]
fn the_store_answers_as_a_plain_list_does() {
    let (_dir, store) = open();
    let world = fill(&store);
    let source = StoreSource(store);
    for query in [
        r#"{app="a"}"#,
        r#"{app=~"a|b"} |= "1.2.3.4""#,
        r#"{app=~".+"} |= " 1.2.3.4" or "payment""#,
        r#"{app=~".+"} |~ "from \\d+\\.2\\.3""#,
        r#"{app=~".+"} |~ "(?i)RESET by""#,
        r#"{app="b"} != "order" | json | n > 10"#,
        r#"{app="b"} |> "<_> worker-<_> connection <_>""#,
        r#"{app="a"} | decolorize |= "red text""#,
        r#"{app="a"} | line_format "{{.app}} zebra" |= "a zebra""#,
        "order placed",
        "1.2.3.4",
        r#"count_over_time({app=~".+"} |= "order" [2m])"#,
        r#"sum by (detected_level) (rate({app=~".+"} [1m]))"#,
        r#"max_over_time({app="a"} |= "took" | logfmt | unwrap duration(took) [5m]) by (app)"#,
    ] {
        for direction in [Direction::Forward, Direction::Backward] {
            let expr = parse(query).unwrap();
            let params = RangeParams { direction, limit: 1000, ..RangeParams::new(NOW, NOW + 400 * S, 30 * S) };
            let store_says = Evaluator::new(&source).range(&expr, &params).unwrap();
            let list_says = Evaluator::new(&world).range(&expr, &params).unwrap();
            assert_eq!(store_says.value, list_says.value, "{query}");
            let answered = match &store_says.value {
                Value::Streams(streams) => !streams.is_empty(),
                Value::Matrix(series) => !series.is_empty(),
                Value::Vector(_) | Value::Scalar { .. } => true,
            };
            assert!(answered, "{query} finds nothing");
        }
    }
}

#[test]
fn every_mined_template_finds_its_lines_as_a_pattern_filter() {
    let (_dir, store) = open();
    fill(&store);
    let (patterns, _) = store.patterns(&LabelRange::new(vec![], i64::MIN, i64::MAX));
    assert_eq!(patterns.iter().map(|p| p.count).sum::<u64>(), 3 * LINES.len() as u64);
    let source = StoreSource(store);
    for pattern in patterns {
        let query = format!("{{app=~\".+\"}} |> `{}`", pattern.template);
        let params = RangeParams { limit: 1000, ..RangeParams::new(NOW, NOW + 400 * S, S) };
        let result = Evaluator::new(&source).range(&parse(&query).unwrap(), &params).unwrap();
        let Value::Streams(streams) = result.value else { panic!("no streams") };
        let found: usize = streams.iter().map(|s| s.entries.len()).sum();
        assert_eq!(found as u64, pattern.count, "{}", pattern.template);
    }
}

#[test]
fn metadata_and_traces_are_labels() {
    let (_dir, store) = open();
    let mut record = LogRecord::new(NOW, Labels::new([("app", "a")]), "level=error x");
    record.fields = vec![("user.id".to_owned(), "7".to_owned()), ("app".to_owned(), "inner".to_owned())];
    record.trace_id = Some(TraceId([0xab; 16]));
    store.append(vec![record]).unwrap();
    let expr = parse(r#"{app="a"} | user_id = 7 | trace_id =~ "abab.*" | app_extracted = "inner""#).unwrap();
    let params = RangeParams::new(NOW, NOW + S, S);
    let Value::Streams(streams) = Evaluator::new(&StoreSource(store)).range(&expr, &params).unwrap().value else {
        panic!("no streams")
    };
    assert_eq!(streams[0].labels.get("detected_level").map(String::as_str), Some("error"));
}
