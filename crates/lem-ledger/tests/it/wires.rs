//! CDEvents in and out.

use lem_ledger::wire::{self, MAX_BATCH_EVENTS, MAX_BODY_BYTES, WireError};
use lem_ledger::{EventLog, Filter};
use lem_testkit::{MemoryLog, sample_event};
use serde_json::{Value, json};

fn v05() -> Value {
    json!({
        "context": {"specversion": "0.5.1", "id": "a", "source": "/ci", "type": "dev.cdevents.build.finished.0.3.0",
            "timestamp": "2026-01-02T03:04:05+01:00", "chainId": "c0ffee", "links": []},
        "subject": {"id": "b1", "content": {"artifactId": "pkg:generic/x@1"}},
        "customData": {"k": 1},
    })
}

fn v04() -> Value {
    let mut document = v05();
    document["context"].as_object_mut().unwrap().shift_remove("specversion");
    document["context"]["version"] = json!("0.4.1");
    document["subject"]["type"] = json!("build");
    document
}

fn ce(data: &Value) -> Value {
    json!({"specversion": "1.0", "id": "a", "source": "/ci", "type": "dev.cdevents.build.finished.0.3.0",
        "time": "2026-01-02T02:04:05Z", "subject": "b1", "datacontenttype": "application/json", "data": data})
}

#[test]
fn both_generations_read_and_0_5_1_is_written() {
    for document in [v05(), v04()] {
        let event = wire::parse_structured(ce(&document).to_string().as_bytes()).unwrap();
        assert_eq!((event.id.as_str(), event.source.as_str(), event.subject.as_str()), ("a", "/ci", "b1"));
        assert_eq!(event.chain.as_deref(), Some("c0ffee"));
        assert_eq!(event.time_occurred.to_string(), "2026-01-02T02:04:05Z");
        assert_eq!(event.payload, document, "nothing the sender said is lost");
        let log = MemoryLog::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let stored = runtime.block_on(async {
            log.append(vec![event]).await.unwrap();
            log.read(0, &Filter::all(), 1).await.unwrap().remove(0)
        });
        assert_eq!(wire::emit_document(&stored), v05());
        let again = wire::parse_structured(wire::emit_structured(&stored).to_string().as_bytes()).unwrap();
        assert_eq!(again.payload, v05());
    }
}

/// What is wrong is named by its JSON pointer.
#[test]
fn wrong_documents_are_refused_with_the_place() {
    type Change = (&'static str, Value);
    let cases: Vec<(Value, Change, &str)> = vec![
        (v05(), ("/context/specversion", json!("0.6.0")), "/context/specversion"),
        (v04(), ("/context/version", json!("0.5.1")), "/context/version"),
        (v04(), ("/context/specversion", json!("0.5.1")), "/context/version"),
        (v05(), ("/subject/type", json!("build")), "/subject/type"),
        (v04(), ("/subject/type", Value::Null), "/subject/type"),
        (v05(), ("/context/id", json!("")), "/context/id"),
        (v05(), ("/context/source", json!(7)), "/context/source"),
        (v05(), ("/context/type", json!("dev.cdevents.build")), "/context/type"),
        (v05(), ("/context/type", json!("dev.cdeventsx.lem-part-sealed.done.0.1.0")), "/context/type"),
        (v05(), ("/context/timestamp", json!("yesterday")), "/context/timestamp"),
        (v05(), ("/context/tenant", json!("x")), "/context/tenant"),
        (v05(), ("/context/links", json!({})), "/context/links"),
        (v05(), ("/context", json!([])), "/context"),
        (v05(), ("/subject", Value::Null), "/subject"),
        (v05(), ("/subject/content", Value::Null), "/subject/content"),
        (v05(), ("/subject/id", Value::Null), "/subject/id"),
        (v05(), ("/extra~key", json!(1)), "/extra~0key"),
    ];
    for (mut document, (at, value), expect) in cases {
        let (parent, key) = at.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.into(), value.clone());
        let error = wire::parse_document(&document).unwrap_err();
        assert_eq!(error.pointer(), Some(expect), "{at} = {value}: {error}");
    }
    let mut other = ce(&v05());
    other["id"] = json!("b");
    let error = wire::parse_structured(other.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), r#"/id: "b" is not the document's "a""#);
    let batch = json!([ce(&v05()), {"specversion": "1.0"}]).to_string();
    assert_eq!(wire::parse_batch(batch.as_bytes()).unwrap_err().pointer(), Some("/1/data"));
}

#[test]
fn a_request_is_read_by_its_content_type() {
    let body = v05().to_string();
    let binary = |name: &str| match name {
        "content-type" => Some("application/json; charset=utf-8"),
        "ce-specversion" => Some("1.0"),
        "ce-id" => Some("%61"),
        "ce-source" => Some("/ci"),
        "ce-type" => Some("dev.cdevents.build.finished.0.3.0"),
        _ => None,
    };
    assert_eq!(wire::parse_request(binary, body.as_bytes()).unwrap().len(), 1);
    let missing = |name: &str| if name == "ce-type" { None } else { binary(name) };
    let error = wire::parse_request(missing, body.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "header ce-type: is missing");
    let typed = |kind: &'static str| move |name: &str| (name == "content-type").then_some(kind);
    let one = ce(&v05()).to_string();
    assert_eq!(wire::parse_request(typed("application/cloudevents+json"), one.as_bytes()).unwrap().len(), 1);
    let two = json!([ce(&v05()), ce(&v04())]).to_string();
    assert_eq!(wire::parse_request(typed("application/cloudevents-batch+json"), two.as_bytes()).unwrap().len(), 2);
    assert!(matches!(wire::parse_request(typed("text/plain"), b"x"), Err(WireError::Header { .. })));
}

#[test]
fn a_request_has_limits() {
    let many = Value::Array(vec![ce(&v05()); MAX_BATCH_EVENTS + 1]).to_string();
    assert!(matches!(wire::parse_batch(many.as_bytes()), Err(WireError::TooLarge { what: "events", .. })));
    let most = Value::Array(vec![ce(&v05()); MAX_BATCH_EVENTS]).to_string();
    assert_eq!(wire::parse_batch(most.as_bytes()).unwrap().len(), MAX_BATCH_EVENTS);
    let long = vec![b' '; MAX_BODY_BYTES + 1];
    assert!(matches!(wire::parse_structured(&long), Err(WireError::TooLarge { what: "bytes", .. })));
    assert!(matches!(wire::parse_structured(b"{"), Err(WireError::Json { .. })));
}

#[test]
fn our_own_documents_read() {
    let event = sample_event(3);
    assert_eq!(wire::parse_document(&event.payload).unwrap().payload, event.payload);
}
