//! One rollout of real processes behind the real router: a good canary is promoted, a bad one is taken off, and a
//! rollback brings the version before back.

use crate::process::{Artifacts, CHECKS, Lines};
use lem_deploy::events::*;
use lem_deploy::{DeployService, Options, RolloutsView};
use lem_ledger::{EventLog, Filter};
use lem_model::{Clock, Event, Fact, NewEvent};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
}

const STRATEGY: &str = "
strategy:
  canary:
    steps:
    - setWeight: 50
    - pause: {duration: 1s}
";

const SECTION: &str = "
shop:
  strategy: rollout.yaml
  environments:
  - name: production
    listen: '127.0.0.1:0'
    target: {process: {command: [python3, server.py], env: {COLOR: green}, drain: 2s}}
";

async fn hear<F: Fact>(log: &dyn EventLog, fact: &F) {
    let id = uuid::Uuid::now_v7().to_string();
    log.append(vec![NewEvent::of(fact, id, jiff::Timestamp::now(), "/test").unwrap()]).await.unwrap();
}

/// A deployment of the server; words in the digest make it misbehave.
async fn deploy(log: &dyn EventLog, version: &str, digest: &str) {
    let request = DeployRequested {
        deployment: format!("d-{version}").as_str().into(),
        service: "shop".into(),
        environment: "production".into(),
        version: version.into(),
        sha: version.into(),
        digest: format!("sha256:{digest}").into(),
        by: "person:ann".into(),
        reason: None,
    };
    hear(log, &request).await;
}

async fn events(log: &dyn EventLog) -> Vec<Event> {
    log.read(0, &Filter::all(), 10_000).await.unwrap()
}

/// Waits for a fact that fits.
async fn wait_for<F: Fact>(log: &dyn EventLog, fits: impl Fn(&F) -> bool) -> F {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    loop {
        let all = events(log).await;
        if let Some(found) = all.iter().filter_map(Event::read::<F>).find(|f| fits(f)) {
            return found;
        }
        if tokio::time::Instant::now() > deadline {
            let types: Vec<&str> = all.iter().map(|e| e.kind.short()).collect();
            panic!("no {}: {types:?}", F::TYPE);
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn finished(log: &dyn EventLog, version: &str) -> RolloutFinished {
    wait_for(log, |f: &RolloutFinished| f.version.as_str() == version).await
}

/// One request; status and body.
async fn get(address: SocketAddr) -> std::io::Result<(u16, String)> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Ok((status, text.rsplit("\r\n").next().unwrap_or_default().to_owned()))
}

struct Users {
    stop: Arc<AtomicBool>,
    broken: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// Four users who ask again and again.
fn users(address: SocketAddr) -> Users {
    let (stop, broken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let user = |stop: Arc<AtomicBool>, broken: Arc<AtomicU64>| async move {
        while !stop.load(SeqCst) {
            // A 500 is the service's own; anything else that is not 200 is ours.
            if !matches!(get(address).await, Ok((200 | 500, _))) {
                broken.fetch_add(1, SeqCst);
            }
        }
    };
    let tasks = (0..4).map(|_| tokio::spawn(user(stop.clone(), broken.clone()))).collect();
    Users { stop, broken, tasks }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_canary_to_promotion_and_from_bad_canary_back() {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ledger: Arc<dyn EventLog> = Arc::new(lem_testkit::MemoryLog::new(clock.clone()));
    let log = ledger.as_ref();
    let lines = Arc::new(Lines::default());
    let config = crate::fake::config(STRATEGY, SECTION);
    let artifacts = Arc::new(Artifacts::default());
    let mut options = Options::new(config, ledger.clone(), clock, dir.path().to_owned(), artifacts);
    (options.interval, options.checks) = (Duration::from_millis(300), CHECKS);
    options.logs = Some(lines.clone());
    let service = DeployService::new(options).await.unwrap();
    let scope = crate::fake::scope();
    let address = service.address(&scope).unwrap();
    let exposition = service.exposition();
    let cancel = CancellationToken::new();
    let serving = tokio::spawn(service.serve(cancel.clone()));

    deploy(log, "v1", "good-1").await;
    assert_eq!(finished(log, "v1").await.outcome, RolloutOutcome::Promoted);
    assert_eq!(get(address).await.unwrap(), (200, "v1".to_owned()));

    let users = users(address);
    deploy(log, "v2", "good-2").await;
    let promoted = finished(log, "v2").await;
    assert_eq!(promoted.outcome, RolloutOutcome::Promoted, "{promoted:?}");
    assert!(promoted.exposed_requests > 0 && promoted.exposed_bad == 0, "{promoted:?}");

    deploy(log, "v3", "bad-3").await;
    let back = finished(log, "v3").await;
    assert_eq!(back.outcome, RolloutOutcome::RolledBack, "{back:?}");
    assert!(back.exposed_bad > 0);
    assert_eq!(get(address).await.unwrap(), (200, "v2".to_owned()));
    let all = events(log).await;
    let at = |short: &str| all.iter().rev().find(|e| e.kind.short() == short).unwrap().time_occurred;
    let off_ms = at("routes.applied").as_millisecond() - at("verdict.reached").as_millisecond();
    assert!((0..1000).contains(&off_ms), "{off_ms} ms from verdict to no traffic");

    let request = RollbackRequested {
        service: "shop".into(),
        environment: "production".into(),
        from: Some("v2".into()),
        to: None,
        reason: "alert".into(),
        incident: None,
        by: "policy:feedback".into(),
    };
    hear(log, &request).await;
    wait_for(log, |f: &ServiceRolledBack| f.version.as_str() == "v1").await;
    assert_eq!(get(address).await.unwrap(), (200, "v1".to_owned()));
    users.stop.store(true, SeqCst);
    for task in users.tasks {
        task.await.unwrap();
    }
    assert_eq!(users.broken.load(SeqCst), 0, "no request was lost on the way");

    let text = exposition.text();
    drop(exposition);
    assert!(
        text.contains("lem_router_requests_total{service=\"shop\",environment=\"production\",app=\"shop\""),
        "{text}"
    );
    let mut view = RolloutsView::default();
    for event in events(log).await {
        view.fold(&event);
    }
    let place = view.place(&scope).unwrap();
    assert_eq!(place.stable.unwrap().version.as_str(), "v1");
    assert!(view.record(&"d-v3".into()).unwrap().contains("# shop v3 in production: rolled back"));
    assert!(lines.0.lock().iter().any(|l| l.line == b"listening v3 green"));

    cancel.cancel();
    serving.await.unwrap();
    assert!(get(address).await.is_err(), "nothing listens any more");
    let started = events(log).await.iter().filter_map(Event::read::<InstanceStarted>).collect::<Vec<_>>();
    let lives = |pid: u32| std::path::Path::new(&format!("/proc/{pid}")).exists();
    assert!(started.iter().filter_map(|i| i.pid).all(|pid| !lives(pid)), "no child is left");
}
