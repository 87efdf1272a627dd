//! CloudEvents in, events out.

use crate::client::{Running, expect, merged, problem, sha};
use async_trait::async_trait;
use lem_ledger::{
    Appended, Consumer, Erasure, EventLog, Filter, InboxItem, LedgerError, Proof, ProofOf, SignedCheckpoint,
    Subscription,
};
use lem_model::{Event, NewEvent, Seq};
use lem_server::limits::{RECEIVING_MAX, ROWS_MAX};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Semaphore;

fn document(id: &str, kind: &str) -> Value {
    json!({
        "context": {"specversion": "0.5.1", "id": id, "source": "/ci", "type": kind, "timestamp": "2026-11-20T09:30:00Z"},
        "subject": {"id": "run-1", "content": {"pipelineName": "ci", "uri": "https://ci.example.com/1"}},
    })
}

const STARTED: &str = "dev.cdevents.pipelinerun.started.0.3.0";

fn envelope(document: &Value) -> Value {
    let context = &document["context"];
    json!({
        "specversion": "1.0", "id": context["id"], "source": context["source"], "type": context["type"],
        "time": context["timestamp"], "subject": document["subject"]["id"], "datacontenttype": "application/json",
        "data": document,
    })
}

fn post(server: &Running, kind: &str, body: &Value) -> reqwest::RequestBuilder {
    server.post("/api/v1/events").header("content-type", kind).body(body.to_string())
}

const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";
const BATCH: &str = "application/cloudevents-batch+json";

#[tokio::test]
async fn the_three_modes_of_cloudevents() {
    let server = Running::start().await;
    let taken = expect(post(&server, STRUCTURED, &envelope(&document("1", STARTED))), 202).await;
    assert_eq!(taken, json!([{"seq": 0, "fate": "new"}]));
    let binary = server.post("/api/v1/events").header("content-type", "application/json");
    let binary = binary.header("ce-specversion", "1.0").header("ce-id", "2").header("ce-source", "/ci");
    let binary = binary.header("ce-type", STARTED).body(document("2", STARTED).to_string());
    assert_eq!(expect(binary, 202).await, json!([{"seq": 1, "fate": "new"}]));
    let batch = json!([envelope(&document("2", STARTED)), envelope(&document("3", STARTED))]);
    let taken = expect(post(&server, BATCH, &batch), 202).await;
    assert_eq!(taken, json!([{"seq": 1, "fate": "duplicate"}, {"seq": 2, "fate": "new"}]));
    let unknown = document("4", "dev.cdevents.pipelinerun.started.9.9.9");
    expect(post(&server, "application/json", &unknown), 202).await;
    let row = server.json("/api/v1/events/3").await;
    assert_eq!(row["type"], "dev.cdevents.pipelinerun.started.9.9.9");
    assert_eq!(row["payload"], unknown);
    server.stop().await;
}

#[tokio::test]
async fn the_same_again_is_fine_and_something_else_is_a_conflict() {
    let server = Running::start().await;
    let first = envelope(&document("1", STARTED));
    expect(post(&server, STRUCTURED, &first), 202).await;
    assert_eq!(expect(post(&server, STRUCTURED, &first), 200).await, json!([{"seq": 0, "fate": "duplicate"}]));
    let mut other = document("1", STARTED);
    other["subject"]["content"]["pipelineName"] = "another".into();
    let batch = json!([envelope(&other), envelope(&document("2", STARTED))]);
    let says = problem(post(&server, BATCH, &batch), 409, "conflict").await;
    assert_eq!(says["received"], json!([{"seq": 0, "fate": "conflict"}, {"seq": 1, "fate": "new"}]));
    assert_eq!(server.log.inbox().await.unwrap().len(), 1, "what came is in the inbox");
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_pointed_at() {
    let server = Running::start().await;
    let mut document = document("1", STARTED);
    document["subject"]["type"] = "pipelineRun".into();
    let batch = json!([envelope(&self::document("0", STARTED)), envelope(&document)]);
    let says = problem(post(&server, BATCH, &batch), 400, "bad-event").await;
    assert_eq!(says["pointer"], "/1/data/subject/type");
    assert_eq!(server.log.size().await.unwrap(), 0, "nothing of a batch with an error is kept");
    let says = problem(post(&server, "application/json", &json!({"context": {}})), 400, "bad-event").await;
    assert_eq!(says["pointer"], "/context/specversion");
    problem(post(&server, "text/plain", &json!({})), 400, "bad-event").await;
    let torn = server.post("/api/v1/events").header("content-type", STRUCTURED).body("{");
    problem(torn, 400, "bad-event").await;
    server.stop().await;
}

#[tokio::test]
async fn too_much_is_too_much() {
    let server = Running::start().await;
    let many: Vec<_> = (0..=1000).map(|n| envelope(&document(&n.to_string(), STARTED))).collect();
    problem(post(&server, BATCH, &json!(many)), 413, "too-large").await;
    let mut long = document("1", STARTED);
    long["customData"] = "x".repeat(4 << 20).into();
    problem(post(&server, STRUCTURED, &envelope(&long)), 413, "too-large").await;
    expect(post(&server, BATCH, &json!(many[..1000])), 202).await;
    assert_eq!(server.log.size().await.unwrap(), 1000);
    server.stop().await;
}

/// A log that lets appends wait, or fail.
struct Gate {
    inner: Arc<dyn EventLog>,
    waiting: Semaphore,
    open: Semaphore,
    broken: bool,
}

#[async_trait]
impl EventLog for Gate {
    async fn append(&self, batch: Vec<NewEvent>) -> Result<Vec<Appended>, LedgerError> {
        if self.broken {
            return Err(LedgerError::Closed);
        }
        self.waiting.add_permits(1);
        self.open.acquire().await.unwrap().forget();
        self.inner.append(batch).await
    }
    async fn read(&self, from: Seq, filter: &Filter, limit: u32) -> Result<Vec<Event>, LedgerError> {
        self.inner.read(from, filter, limit).await
    }
    async fn size(&self) -> Result<Seq, LedgerError> {
        self.inner.size().await
    }
    async fn subscribe(&self, who: &Consumer, filter: Filter) -> Result<Subscription, LedgerError> {
        self.inner.subscribe(who, filter).await
    }
    async fn checkpoint(&self) -> Result<SignedCheckpoint, LedgerError> {
        self.inner.checkpoint().await
    }
    async fn prove(&self, of: ProofOf) -> Result<Proof, LedgerError> {
        self.inner.prove(of).await
    }
    async fn erase(&self, seq: Seq, why: &Erasure) -> Result<Seq, LedgerError> {
        self.inner.erase(seq, why).await
    }
    async fn inbox(&self) -> Result<Vec<InboxItem>, LedgerError> {
        self.inner.inbox().await
    }
}

fn gate(inner: Arc<dyn EventLog>, broken: bool) -> Arc<Gate> {
    Arc::new(Gate { inner, waiting: Semaphore::new(0), open: Semaphore::new(0), broken })
}

#[tokio::test]
async fn more_at_once_than_the_limit_is_told_to_come_again() {
    let mut kept = None;
    let server = Running::with(|parts, _| {
        let gate = gate(parts.log.clone(), false);
        kept = Some(gate.clone());
        parts.log = gate;
    })
    .await;
    let gate = kept.unwrap();
    let senders: Vec<_> = (0..RECEIVING_MAX)
        .map(|n| tokio::spawn(post(&server, STRUCTURED, &envelope(&document(&n.to_string(), STARTED))).send()))
        .collect();
    gate.waiting.acquire_many(RECEIVING_MAX as u32).await.unwrap().forget();
    let refused = post(&server, STRUCTURED, &envelope(&document("late", STARTED)));
    let answer = refused.try_clone().unwrap().send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "1"));
    gate.open.add_permits(RECEIVING_MAX + 1);
    for sender in senders {
        assert_eq!(sender.await.unwrap().unwrap().status(), 202);
    }
    expect(refused, 202).await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_durable_is_not_acknowledged() {
    let server = Running::with(|parts, _| parts.log = gate(parts.log.clone(), true)).await;
    let answer = post(&server, STRUCTURED, &envelope(&document("1", STARTED))).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (503, "5"));
    let says: Value = answer.json().await.unwrap();
    assert_eq!(says["code"], "ledger-unavailable");
    server.stop().await;
}

#[tokio::test]
async fn pages_of_events() {
    let server = Running::start().await;
    for letter in ['a', 'b', 'c'] {
        server.record(&merged(letter, "feat: something")).await;
    }
    expect(post(&server, STRUCTURED, &envelope(&document("1", STARTED))), 202).await;
    let page = server.json("/api/v1/events?limit=2").await;
    assert_eq!((page["events"].as_array().unwrap().len(), page["next"].as_u64()), (2, Some(2)));
    let page = server.json("/api/v1/events?from=2&limit=50").await;
    assert_eq!((page["events"].as_array().unwrap().len(), page["next"].as_u64()), (2, Some(4)));
    let page = server.json(&format!("/api/v1/events?chain={}", sha('b'))).await;
    assert_eq!((page["events"][0]["seq"].as_u64(), page["next"].as_u64()), (Some(1), Some(4)));
    let page = server.json("/api/v1/events?type=pipelinerun.started,incident.detected").await;
    assert_eq!(page["events"][0]["shortType"], "pipelinerun.started");
    assert_eq!(page["events"].as_array().unwrap().len(), 1);
    let page = server.json(&format!("/api/v1/events?limit={}&subject=run-1", ROWS_MAX + 1)).await;
    assert_eq!(page["events"][0]["subject"], "run-1");
    problem(server.get("/api/v1/events/99"), 404, "not-found").await;
    problem(server.get("/api/v1/events?from=x"), 400, "bad-query").await;
    server.stop().await;
}

#[tokio::test]
async fn events_as_lines() {
    let server = Running::start().await;
    let many: Vec<_> = (0..600).map(|n| envelope(&document(&n.to_string(), STARTED))).collect();
    expect(post(&server, BATCH, &json!(many)), 202).await;
    let lines = |path: &str| server.get(path).header("accept", "application/x-ndjson").send();
    let answer = lines("/api/v1/events").await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    let text = answer.text().await.unwrap();
    let seqs: Vec<u64> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (0..600).collect::<Vec<_>>());
    let text = lines("/api/v1/events?from=590&limit=3").await.unwrap().text().await.unwrap();
    assert_eq!(text.lines().count(), 3);
    server.stop().await;
}
