//! The ledger as evidence.

use crate::client::{Running, expect, merged, problem, sha};
use lem_ledger::audit::verify_export;
use lem_ledger::{ProofFile, PublicKey};

async fn told() -> Running {
    let server = Running::start().await;
    for letter in ['a', 'b', 'c', 'd'] {
        server.record(&merged(letter, "feat: x")).await;
    }
    server
}

#[tokio::test]
async fn a_proof_stands_on_its_own() {
    let server = told().await;
    let proof = server.json("/api/v1/events/2/proof").await;
    let info = server.json("/api/v1/ledger").await;
    let file = ProofFile::parse(proof["proof"].as_str().unwrap()).unwrap();
    let key = PublicKey::parse(info["publicKey"].as_str().unwrap()).unwrap();
    let leaf = server.ledger.leaf(2).await.unwrap();
    file.check(leaf.as_bytes(), &key).unwrap();
    assert!(file.check(b"another", &key).is_err());
    assert!(proof["proof"].as_str().unwrap().ends_with(proof["checkpoint"].as_str().unwrap()));
    problem(server.get("/api/v1/events/4/proof"), 404, "not-found").await;
    server.stop().await;
}

#[tokio::test]
async fn a_checkpoint_is_signed_on_request_and_shown() {
    let server = told().await;
    let signed = expect(server.post("/api/v1/ledger/checkpoint").json(&serde_json::json!({})), 200).await;
    assert_eq!(signed["size"], 4);
    let info = server.json("/api/v1/ledger").await;
    assert_eq!(
        (&info["size"], &info["root"], &info["checkpoint"]),
        (&signed["size"], &signed["root"], &signed["checkpoint"])
    );
    server.stop().await;
}

#[tokio::test]
async fn verification_names_the_row_that_was_changed() {
    let server = told().await;
    let verify = || server.post("/api/v1/ledger/verify").json(&serde_json::json!({}));
    expect(server.post("/api/v1/ledger/checkpoint"), 200).await;
    let found = expect(verify(), 200).await;
    assert_eq!(
        (&found["verified"], &found["events"], &found["firstBad"]),
        (&true.into(), &4.into(), &serde_json::Value::Null)
    );
    let database = server.directory.path().join("ledger.db");
    let tool = std::process::Command::new("python3")
        .args(["-c", "import sqlite3,sys; d=sqlite3.connect(sys.argv[1]); d.execute(\"update events set subject='x' where seq=2\"); d.commit()"])
        .arg(&database)
        .output()
        .unwrap();
    assert!(tool.status.success(), "{}", String::from_utf8_lossy(&tool.stderr));
    let found = expect(verify(), 200).await;
    assert_eq!((&found["verified"], &found["firstBad"]), (&false.into(), &2.into()), "{found}");
    server.stop().await;
}

#[tokio::test]
async fn an_export_verifies_elsewhere() {
    let server = told().await;
    let answer = server.get("/api/v1/ledger/export").send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
        (200, "application/x-tar")
    );
    let package = verify_export(answer.bytes().await.unwrap().as_ref()).unwrap();
    assert_eq!(package.events, [0, 1, 2, 3]);
    let one = server.get(&format!("/api/v1/ledger/export?chain={}", sha('c'))).send().await.unwrap();
    assert_eq!(verify_export(one.bytes().await.unwrap().as_ref()).unwrap().events, [2]);
    server.stop().await;
}

#[tokio::test]
async fn without_a_ledger_on_disk_it_is_said() {
    let server = Running::with(|parts, _| parts.audit = None).await;
    for request in [
        server.get("/api/v1/events/0/proof"),
        server.post("/api/v1/ledger/verify"),
        server.get("/api/v1/ledger/export"),
    ] {
        problem(request, 501, "not-set-up").await;
    }
    assert_eq!(server.json("/api/v1/ledger").await["publicKey"], serde_json::Value::Null);
    server.stop().await;
}
