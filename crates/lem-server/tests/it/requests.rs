//! What a person asks of the stages goes into the ledger, and only there.

use crate::client::{Running, expect, merged, problem, sha};
use lem_ledger::Filter;
use serde_json::{Value, json};

async fn last(server: &Running) -> Value {
    let events = server.log.read(0, &Filter::all(), 100).await.unwrap();
    let last = events.last().unwrap();
    json!({"type": last.kind.short(), "content": last.payload["subject"]["content"]})
}

#[tokio::test]
async fn a_run_is_asked_for_on_the_newest_commit() {
    let server = Running::start().await;
    problem(server.post("/api/v1/runs").json(&json!({})), 409, "conflict").await;
    server.record(&merged('a', "feat: a")).await;
    let seq = server.record(&merged('b', "feat: b")).await;
    server.shows(seq).await;
    let answer = expect(server.post("/api/v1/runs").json(&json!({"inputs": {"x": "1"}})), 202).await;
    assert_eq!((&answer["accepted"], &answer["seq"]), (&true.into(), &2.into()));
    let asked = last(&server).await;
    assert_eq!(asked["type"], "pipeline.requested");
    let said = asked["content"].to_string();
    assert!(said.contains(&sha('b')) && said.contains("person:operator"), "{said}");
    for body in [
        json!({"sha": "abc"}),
        json!({"inputs": (0..26).map(|n| (n.to_string(), "x")).collect::<std::collections::BTreeMap<_, _>>()}),
    ] {
        problem(server.post("/api/v1/runs").json(&body), 400, "bad-request").await;
    }
    problem(server.post("/api/v1/runs").json(&json!({"shaa": "x"})), 422, "bad-body").await;
    server.stop().await;
}

#[tokio::test]
async fn freezes_are_asked_for_and_read_back() {
    let server = Running::start().await;
    expect(server.post("/api/v1/freezes").json(&json!({"scope": "*", "reason": "the fair"})), 202).await;
    assert_eq!(last(&server).await["type"], "freeze.requested");
    problem(server.post("/api/v1/freezes").json(&json!({"scope": "*", "reason": " "})), 400, "bad-request").await;
    let past = json!({"scope": "*", "reason": "x", "until": "2001-01-01T00:00:00Z"});
    problem(server.post("/api/v1/freezes").json(&past), 400, "bad-request").await;
    // The request alone freezes nothing: its owner decides.
    assert_eq!(server.json("/api/v1/freezes").await, json!([]));
    problem(server.delete("/api/v1/freezes").json(&json!({"scope": "*", "reason": "over"})), 404, "not-found").await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_there_cannot_be_acted_on() {
    let server = Running::start().await;
    let why = json!({"reason": "because"});
    for path in ["/api/v1/runs/r/cancel", "/api/v1/rollouts/d/promote", "/api/v1/services/s/environments/e/rollback"] {
        problem(server.post(path).json(&why), 404, "not-found").await;
    }
    problem(server.post("/api/v1/rollouts/d/explode").json(&why), 404, "not-found").await;
    let nothing = json!({"service": "shop", "environment": "production"});
    problem(server.post("/api/v1/deployments").json(&nothing), 400, "bad-request").await;
    let note = json!({"kind": "note", "text": "hm"});
    problem(server.post("/api/v1/incidents/i/notes").json(&note), 404, "not-found").await;
    assert_eq!(server.log.size().await.unwrap(), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_change_is_found_and_followed() {
    let server = Running::start().await;
    let seq = server.record(&merged('a', "fix: the price of hats")).await;
    server.shows(seq).await;
    let hits = server.json("/api/v1/search?q=hats%20price").await;
    assert_eq!((&hits[0]["kind"], &hits[0]["title"]), (&"change".into(), &"fix: the price of hats".into()));
    let thread = server.json(&format!("/api/v1/changes/{}", sha('a'))).await;
    assert_eq!(thread["change"]["subject"], "fix: the price of hats");
    assert_eq!(server.json("/api/v1/search?q=shoes").await, json!([]));
    let checks = server.json("/api/v1/doctor").await;
    assert!(checks.as_array().unwrap().iter().any(|c| c["check"] == "ledger" && c["state"] == "ok"), "{checks}");
    problem(server.get("/api/v1/dora?days=0"), 400, "bad-request").await;
    problem(server.get("/api/v1/incidents?state=odd"), 400, "bad-request").await;
    server.stop().await;
}
