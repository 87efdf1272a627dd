//! Projections, recorder, audit packages, webhooks.

use crate::conform::sqlite;
use jiff::SignedDuration;
use lem_ledger::{EventLog, Filter, Kept, Projection, Recorder, View, audit, webhook};
use lem_model::fact::FreezeEnded;
use lem_model::{Event, Seq};
use lem_testkit::{MemoryLog, SeededClock, SeededIds, sample_event, sample_events};
use std::sync::Arc;

#[derive(Clone, Default, Debug)]
struct Order(Vec<Seq>);

impl Projection for Order {
    const NAME: &'static str = "order";
    const VERSION: u32 = 1;
    fn apply(&mut self, event: &Event) {
        self.0.push(event.seq);
    }
}

#[tokio::test]
async fn a_late_event_is_folded_in_at_its_place() {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::default());
    log.append(sample_events(10, 3)).await.unwrap();
    let view = View::<Order>::start(Arc::clone(&log));
    view.wait_for(2).await;
    assert_eq!(view.read(|o| o.0.clone()), [0, 1, 2]);
    log.append(vec![sample_event(5), sample_event(20), sample_event(11).clone()]).await.unwrap();
    view.wait_for(4).await;
    assert_eq!(view.read(|o| o.0.clone()), [3, 0, 1, 2, 4]);
    // Later than what is kept: everything is folded anew.
    log.append(sample_events(100, 5000)).await.unwrap();
    view.wait_for(5004).await;
    log.append(vec![sample_event(0)]).await.unwrap();
    view.wait_for(5005).await;
    let order = view.read(|o| o.0.clone());
    assert_eq!((order[0], order[1], order.len()), (5005, 3, 5006));
}

#[tokio::test]
async fn a_recorder_keeps_a_fact_once_under_one_id() {
    let clock = Arc::new(SeededClock::new());
    let log = MemoryLog::new(clock.clone());
    let recorder = Recorder::with(Arc::new(log.clone()), "/lem/test", clock.clone(), Arc::new(SeededIds::new()));
    let fact = FreezeEnded { scope: "shop".into(), reason: "done".into(), by: "person:ann".into() };
    assert_eq!(recorder.record(&fact).await.unwrap().kept, Kept::New);
    assert_eq!(recorder.record_as("once", &fact).await.unwrap().kept, Kept::New);
    clock.advance(SignedDuration::from_secs(5));
    assert_eq!(recorder.record_as("once", &fact).await.unwrap().kept, Kept::Duplicate);
    assert_eq!(recorder.record_all([&fact, &fact]).await.unwrap().len(), 2);
    assert_eq!(log.short_types().len(), 4);
    assert_eq!(log.events()[0].read::<FreezeEnded>(), Some(fact));
}

#[tokio::test]
async fn an_audit_package_needs_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = sqlite(dir.path()).await;
    ledger.append(sample_events(0, 600)).await.unwrap();
    ledger.erase(3, &lem_ledger::Erasure { reason: "asked".into(), by: "person:ann".into() }).await.unwrap();
    let (mut tar, mut again) = (Vec::new(), Vec::new());
    let filter = Filter::all().chain("c1").subject("s3");
    let package = audit::export(&ledger, &filter, &mut tar).await.unwrap();
    audit::export(&ledger, &filter, &mut again).await.unwrap();
    assert_eq!(tar, again, "deterministic");
    assert_eq!(audit::verify_export(&tar[..]).unwrap(), package);
    assert_eq!((package.events.len(), &package.erased[..]), (40, &[3][..]));
    // Anything changed inside a file is found.
    let text = tar.windows(6).position(|w| w == b"quoted").unwrap();
    let mut refused = 0;
    for at in (0..tar.len()).step_by(997).chain([text]) {
        let mut bad = tar.clone();
        bad[at] ^= 1;
        match audit::verify_export(&bad[..]) {
            Err(_) => refused += 1,
            Ok(same) => assert_eq!(same, package, "byte {at}: padding"),
        }
    }
    assert!(refused > 20, "{refused}");
    let mut bad = tar.clone();
    bad[text] ^= 1;
    let error = audit::verify_export(&bad[..]).unwrap_err().to_string();
    assert!(error.contains("does not match the commitment"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_tries_again_and_goes_on_where_it_was() {
    use axum::{Router, http::StatusCode, routing::post};
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let router = Router::new().route(
        "/",
        post({
            let seen = Arc::clone(&seen);
            move |body: String| async move {
                let event = lem_ledger::wire::parse_structured(body.as_bytes()).unwrap();
                let mut seen = seen.lock().unwrap();
                seen.push(event.id);
                match seen.len() {
                    1 => StatusCode::SERVICE_UNAVAILABLE,
                    5.. => StatusCode::GONE,
                    _ => StatusCode::ACCEPTED,
                }
            }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::default());
    log.append(sample_events(0, 8)).await.unwrap();
    let mut hook = webhook::Webhook::new("test", format!("http://{address}/"), Filter::types(["alert.fired"]));
    hook.backoff = std::time::Duration::from_millis(1);
    let (state, watched) = tokio::sync::watch::channel(webhook::DeliveryState::default());
    webhook::deliver(Arc::clone(&log), hook, state).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["e1", "e1", "e3", "e5", "e7"]);
    let state = watched.borrow().clone();
    assert!(state.gone && state.delivered == 3 && state.last_seq == Some(5), "{state:?}");
    let mut rest = log.subscribe(&"webhook/test".into(), Filter::all()).await.unwrap();
    assert_eq!(rest.next().await.unwrap().seq, 6);
}
