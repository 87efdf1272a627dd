//! Webhooks: added, delivered, kept over a restart, removed.

use crate::client::{Running, expect, merged, problem};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use lem_server::SUBSCRIPTIONS_MAX;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A receiver of events.
async fn receiver() -> (String, mpsc::UnboundedReceiver<Value>) {
    async fn take(State(came): State<mpsc::UnboundedSender<Value>>, body: String) {
        came.send(serde_json::from_str(&body).unwrap()).unwrap();
    }
    let (came, events) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    let router = Router::new().route("/in", post(take)).with_state(came);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, events)
}

async fn next(events: &mut mpsc::UnboundedReceiver<Value>) -> Value {
    tokio::time::timeout(Duration::from_secs(30), events.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn events_go_out_as_cloudevents_and_go_on_after_a_restart() {
    let (url, mut events) = receiver().await;
    let server = Running::start().await;
    server.record(&merged('a', "feat: before")).await;
    let asked = json!({"url": url, "filter": {"types": ["change.merged"]}});
    let hook = expect(server.post("/api/v1/subscriptions").json(&asked), 200).await;
    server.record(&merged('b', "feat: after")).await;
    let event = next(&mut events).await;
    assert_eq!(
        (&event["specversion"], &event["subject"]),
        (&"1.0".into(), &"b".repeat(40).into()),
        "what was before is not sent"
    );
    assert_eq!(event["data"]["context"]["specversion"], "0.5.1");
    assert_eq!(server.json("/api/v1/subscriptions").await, json!([hook]));

    let directory = server.stop().await;
    let server = Running::in_directory(directory, |_, _| {}).await;
    server.record(&merged('c', "feat: later")).await;
    // At least once: what was taken just before the end may come again.
    let mut event = next(&mut events).await;
    if event["subject"] == "b".repeat(40) {
        event = next(&mut events).await;
    }
    assert_eq!(event["subject"], "c".repeat(40));
    let path = format!("/api/v1/subscriptions/{}", hook["id"].as_str().unwrap());
    assert_eq!(server.delete(&path).send().await.unwrap().status(), 204);
    problem(server.delete(&path), 404, "not-found").await;
    assert_eq!(server.json("/api/v1/subscriptions").await, json!([]));
    server.stop().await;
}

#[tokio::test]
async fn bad_webhooks_are_refused_and_there_are_only_so_many() {
    let server = Running::start().await;
    for url in ["", "no address", "ftp://example.com/", "file:///etc/passwd", &format!("http://x/{}", "y".repeat(2000))]
    {
        problem(server.post("/api/v1/subscriptions").json(&json!({"url": url})), 400, "bad-request").await;
    }
    let asked = json!({"url": "http://127.0.0.1:9/"});
    for _ in 0..SUBSCRIPTIONS_MAX {
        expect(server.post("/api/v1/subscriptions").json(&asked), 200).await;
    }
    problem(server.post("/api/v1/subscriptions").json(&asked), 409, "conflict").await;
    server.stop().await;
}
