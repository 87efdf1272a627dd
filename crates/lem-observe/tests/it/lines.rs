//! Lines from outside: they are durable, found again, and their patterns belong to releases.

use crate::world::{events, service};
use jiff::{SignedDuration, Timestamp};
use lem_engine_logs::OtherSignal;
use lem_ledger::EventLog;
use lem_model::port::{Scope, Window};
use lem_observe::config::Section;
use lem_observe::engine::LogTime;
use lem_observe::events::PatternFirstSeen;
use lem_observe::{PushEntry, PushStream};
use lem_testkit::MemoryLog;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

fn stream(version: &str, line: &str, now: Timestamp) -> PushStream {
    let labels = [("app", "shop"), ("deployment_environment", "production"), ("service_version", version)];
    let entry = PushEntry {
        ts_ns: i64::try_from(now.as_nanosecond()).unwrap(),
        line: line.as_bytes().to_vec(),
        metadata: vec![("level".into(), "error".into())],
    };
    PushStream { labels: labels.map(|(n, v)| (n.to_owned(), v.to_owned())).into(), entries: vec![entry] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushed_lines_are_found_and_patterns_know_their_release() {
    let dir = tempfile::tempdir().unwrap();
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new(Arc::new(lem_ledger::SystemClock)));
    let service = service(dir.path(), Section::default(), log.clone());
    let cancel = CancellationToken::new();
    let serving = tokio::spawn({
        let (service, cancel) = (service.clone(), cancel.clone());
        async move { service.serve(cancel).await }
    });
    let now = Timestamp::now();
    let old = now - SignedDuration::from_hours(24 * 365);
    let streams = vec![
        stream("v1", "cannot reach the warehouse", now),
        stream("v2", "cannot reach the warehouse", now),
        stream("v2", "discount of nobody is negative", now),
        stream("v1", "from long ago", old),
    ];
    let pushed = service.push(streams).await.unwrap();
    assert_eq!((pushed.accepted, pushed.rejected), (3, 1));
    assert!(pushed.reasons[0].starts_with("line 3: timestamp"), "{pushed:?}");

    let end = i64::try_from((now + SignedDuration::from_secs(1)).as_nanosecond()).unwrap();
    let counted = "sum(count_over_time({service_name=\"shop\"} | detected_level=\"error\" [1m]))";
    let answer = service.log_store().query(counted, LogTime::At(end)).await.unwrap();
    let lem_engine_logql::Value::Vector(vector) = answer.value else { panic!("no vector") };
    assert_eq!(vector[0].value, 3.0);

    let window = Window { from: now - SignedDuration::from_mins(5), to: now + SignedDuration::from_mins(1) };
    let (reports, missing) = service.patterns(vec![], window).await.unwrap();
    assert!(missing.is_empty());
    let shared = reports.iter().find(|r| r.template.contains("warehouse")).unwrap();
    assert_eq!((shared.count, shared.first_version.as_deref(), shared.versions.len()), (2, Some("v1"), 2));

    let sights = events(&log, &["log.patternfirstseen"], 2).await;
    let facts: Vec<PatternFirstSeen> = sights.iter().map(|e| e.read().unwrap()).collect();
    let texts: Vec<String> = facts.iter().map(|f| format!("{} {} {}", f.service, f.version, f.template)).collect();
    assert_eq!(texts, ["shop v1 cannot reach the warehouse", "shop v2 discount of nobody is negative"]);

    let scope = Scope { service: "shop".into(), environment: "production".into() };
    let diff = service.release_diff(&scope, &"v2".into(), &"v1".into(), window, OtherSignal::Unknown).await.unwrap();
    assert_eq!(diff.verdict, "unknown", "without requests nobody is judged: {diff:?}");
    cancel.cancel();
    serving.await.unwrap().unwrap();
}
