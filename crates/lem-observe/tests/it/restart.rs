//! Killed at any moment: silences hold, nobody is told twice, and an end that was owed is told.

use crate::world::{Receiver, Target, events, files, service};
use jiff::{SignedDuration, Timestamp};
use lem_ledger::{EventLog, Ledger, Options};
use lem_model::fact::SilenceMatcher;
use lem_observe::config::Section;
use lem_observe::{NewSilence, ObserveService};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const CHILD: &str = "LEM_TEST_OBSERVE_UNTIL_KILLED";
const RULES: &str = "groups:\n- name: shop\n  rules:\n  - {alert: Broken, expr: broken == 1}\n  \
                     - {alert: Silent, expr: vector(1)}\n";

fn section() -> Section {
    Section {
        prometheus: Some("prometheus.yml".into()),
        alertmanager: Some("alertmanager.yml".into()),
        ..Section::default()
    }
}

/// Not a test by itself: serves the directory of the environment variable until it is killed, saying how far it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observe_until_killed() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let dir = Path::new(&dir);
    let url = format!("sqlite:{}", dir.join("ledger.db").display());
    let log: Arc<dyn EventLog> = Ledger::open(Options::new(url, dir.join("ledger"))).await.unwrap();
    let service = service(dir, section(), log.clone());
    if log.size().await.unwrap() == 0 {
        let is = SilenceMatcher { name: "alertname".into(), value: "Silent".into(), is_regex: false, is_equal: true };
        let silence = NewSilence {
            matchers: vec![is],
            ends_at: Timestamp::now() + SignedDuration::from_hours(1),
            created_by: "ann".into(),
            comment: "known".into(),
            ..NewSilence::default()
        };
        service.add_silence(silence).await.unwrap();
    }
    let serving = tokio::spawn({
        let service = service.clone();
        async move { service.serve(CancellationToken::new()).await }
    });
    events(&log, &["notification.sent"], 1).await;
    evaluated(&service).await;
    let states: Vec<String> = service.silences().iter().map(|s| format!("{:?} by {}", s.state, s.created_by)).collect();
    println!("\nready silences={}", states.join(","));
    serving.await.unwrap().unwrap();
}

/// Returns once every rule was evaluated and both alerts stand in groups.
async fn evaluated(service: &ObserveService) {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let done = || {
        let alerts = service.rules().iter().flat_map(|g| &g.rules).filter(|r| r.alerts.len() == 1).count();
        alerts == 2 && service.alert_groups().len() == 2
    };
    while !done() {
        look.tick().await;
    }
}

fn start(dir: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["restart::observe_until_killed", "--exact", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    (child, said)
}

fn ready(said: BufReader<ChildStdout>) -> String {
    let lines = said.lines().map(Result::unwrap);
    lines.into_iter().find_map(|line| line.strip_prefix("ready ").map(ToOwned::to_owned)).expect("it is ready")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_it_keeps_its_silences_and_says_nothing_twice() {
    let target = Target::saying("broken 1\n").await;
    let mut receiver = Receiver::new().await;
    let dir = tempfile::tempdir().unwrap();
    let prometheus = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 300ms}}\nrule_files: [rules.yml]\n\
         scrape_configs: [{{job_name: shop, static_configs: [{{targets: [\"{}\"]}}]}}]\n",
        target.address
    );
    files(dir.path(), &prometheus, RULES, &receiver.url);
    let wait = |said| tokio::task::spawn_blocking(move || ready(said));

    let (mut first, said) = start(dir.path());
    let told = receiver.next().await;
    assert_eq!((&told["status"], &told["groupLabels"]["alertname"]), (&"firing".into(), &"Broken".into()));
    assert_eq!(wait(said).await.unwrap(), "silences=Active by ann");
    first.kill().unwrap();
    first.wait().unwrap();

    let (mut second, said) = start(dir.path());
    assert_eq!(wait(said).await.unwrap(), "silences=Active by ann");
    target.say("broken 0\n");
    // Had the second run repeated itself, or told of the silent one, that would come first.
    let told = receiver.next().await;
    assert_eq!((&told["status"], &told["groupLabels"]["alertname"]), (&"resolved".into(), &"Broken".into()));
    second.kill().unwrap();
    second.wait().unwrap();
}
