//! From a scrape to a message, and what relabelling and limits do on the way.

use crate::world::{Receiver, Target, events, files, service};
use lem_ledger::EventLog;
use lem_observe::engine::Ask;
use lem_observe::events::AlertFired;
use lem_testkit::MemoryLog;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const RULES: &str = "groups:\n- name: shop\n  rules:\n  - alert: Broken\n    expr: broken == 1\n    for: 600ms\n    \
                     labels: {severity: page, service: shop, environment: production}\n    \
                     annotations: {summary: \"{{ $labels.zone }} is broken\"}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_goes_bad_and_people_are_told_and_told_when_it_is_over() {
    let target = Target::saying("broken 0\nnoise_total 1\n").await;
    let mut receiver = Receiver::new().await;
    let dir = tempfile::tempdir().unwrap();
    let prometheus = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 300ms}}\nrule_files: [rules.yml]\n\
         scrape_configs:\n- job_name: shop\n  static_configs:\n  - targets: [\"{0}\"]\n    labels: {{place: eu-1}}\n  \
         - targets: [\"{0}\"]\n    labels: {{place: off, instance: other}}\n  relabel_configs:\n  \
         - {{source_labels: [place], regex: \"off\", action: drop}}\n  \
         - {{source_labels: [place], regex: \"(..)-.*\", target_label: zone, replacement: \"zone $1\"}}\n  \
         - {{regex: place, action: labeldrop}}\n  metric_relabel_configs:\n  \
         - {{source_labels: [__name__], regex: \"noise_.*\", action: drop}}\n",
        target.address
    );
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new(Arc::new(lem_ledger::SystemClock)));
    let section = files(dir.path(), &prometheus, RULES, &receiver.url);
    let service = service(dir.path(), section, log.clone());
    let cancel = CancellationToken::new();
    let serving = tokio::spawn({
        let (service, cancel) = (service.clone(), cancel.clone());
        async move { service.serve(cancel).await }
    });

    target.say("broken 1\nnoise_total 2\n");
    let told = receiver.next().await;
    assert_eq!((&told["status"], &told["notification_reason"]), (&"firing".into(), &"first notification".into()));
    assert_eq!(told["groupKey"], "{}:{alertname=\"Broken\"}");
    assert_eq!(told["externalURL"], "http://lem.example.org");
    let alert = &told["alerts"][0];
    assert_eq!(alert["labels"]["zone"], "zone eu");
    assert!(alert["labels"].get("place").is_none(), "{alert}");
    assert_eq!(alert["annotations"]["summary"], "zone eu is broken");
    let fired = &events(&log, &["alert.fired"], 1).await[0];
    let fact = fired.read::<AlertFired>().unwrap();
    let held = fired.time_occurred.duration_since(fact.active_at);
    assert!(held.as_millis() >= 600, "it fired after {held}");

    let groups = service.alert_groups();
    assert_eq!((groups.len(), groups[0].receiver.as_str()), (1, "team"));
    assert_eq!(groups[0].alerts[0].status.state, "active");
    assert_eq!(service.targets().iter().filter(|t| t.scrape_pool == "shop").count(), 1, "the other one is dropped");
    let names = service.metric_store().catalog(Ask::Names, vec![], 0, i64::MAX).await.unwrap();
    assert!(names.texts.contains(&"zone".to_owned()), "{names:?}");
    let metrics =
        service.metric_store().catalog(Ask::Values("__name__".into()), vec![], 0, i64::MAX).await.unwrap().texts;
    assert!(metrics.contains(&"broken".to_owned()) && !metrics.contains(&"noise_total".to_owned()), "{metrics:?}");
    assert!(metrics.contains(&"lem_observe_facts_lost_total".to_owned()), "it watches itself: {metrics:?}");

    target.say("broken 0\n");
    let told = receiver.next().await;
    assert_eq!((&told["status"], &told["alerts"][0]["status"]), (&"resolved".into(), &"resolved".into()));
    let story = ["incident.detected", "incident.resolved", "notification.sent"];
    let found = events(&log, &story, 4).await;
    let mut kinds: Vec<&str> = found.iter().map(|e| e.kind.short()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["incident.detected", "incident.resolved", "notification.sent", "notification.sent"]);
    cancel.cancel();
    serving.await.unwrap().unwrap();
    assert_eq!(service.own().facts_lost(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_gone_or_says_too_much_is_down() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let (many, long) = (Target::saying("a 1\nb 2\nc 3\n").await, Target::saying(&"# x\n".repeat(500)).await);
    let receiver = Receiver::new().await;
    let dir = tempfile::tempdir().unwrap();
    let prometheus = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 300ms}}\nrule_files: [rules.yml]\n\
         scrape_configs:\n- {{job_name: gone, static_configs: [{{targets: [\"{gone}\"]}}]}}\n\
         - {{job_name: many, sample_limit: 2, static_configs: [{{targets: [\"{}\"]}}]}}\n\
         - {{job_name: long, body_size_limit: 1KB, static_configs: [{{targets: [\"{}\"]}}]}}\n",
        many.address, long.address
    );
    let rules = "groups:\n- name: up\n  rules:\n  - {alert: Down, expr: up == 0}\n";
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new(Arc::new(lem_ledger::SystemClock)));
    let service = service(dir.path(), files(dir.path(), &prometheus, rules, &receiver.url), log.clone());
    let cancel = CancellationToken::new();
    let serving = tokio::spawn({
        let (service, cancel) = (service.clone(), cancel.clone());
        async move { service.serve(cancel).await }
    });
    let mut down: Vec<String> = events(&log, &["alert.fired"], 3)
        .await
        .iter()
        .map(|e| e.read::<AlertFired>().unwrap().labels["job"].clone())
        .collect();
    down.sort();
    assert_eq!(down, ["gone", "long", "many"]);
    for target in service.targets() {
        let expect = match target.scrape_pool.as_str() {
            "gone" => "refused",
            "many" => "sample limit exceeded",
            "long" => "body size limit exceeded",
            _ => continue,
        };
        assert!(target.last_error.contains(expect), "{target:?}");
        assert_eq!(target.health, "down");
    }
    cancel.cancel();
    serving.await.unwrap().unwrap();
}
