//! The HTTP API of Loki: lines in and out.

use crate::client::{Messages, PATIENCE, Running, TOKEN, expect, form};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt;
use lem_server::limits::{PUSH_BODY_MAX, PUSH_LINES_MAX, PUSH_RAW_MAX};
use prost::Message as _;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::io::Write;
use tokio_tungstenite::tungstenite::Message;

const PUSH: &str = "/loki/api/v1/push";

/// Now, in nanoseconds: the store keeps no lines that are too old.
fn now() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap()
}

fn pushed(labels: Value, lines: &[(i64, &str)]) -> Value {
    let values: Vec<_> = lines.iter().map(|(ns, line)| json!([ns.to_string(), line])).collect();
    json!({"streams": [{"stream": labels, "values": values}]})
}

async fn push(server: &Running, body: &Value) {
    expect(server.post(PUSH).json(body), 204).await;
}

fn query(path: &str, query: &str, more: &str) -> String {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    format!("{path}?query={query}{more}")
}

async fn values(server: &Running, logql: &str, more: &str) -> Value {
    let answer = server.json(&query("/loki/api/v1/query_range", logql, more)).await;
    assert_eq!(answer["status"], "success", "{answer}");
    answer["data"]["result"].clone()
}

#[tokio::test]
async fn json_goes_in_and_comes_out() {
    let server = Running::start().await;
    let at = now();
    let body = json!({"streams": [{
        "stream": {"app": "shop", "version": "v1"},
        "values": [[at.to_string(), "level=error msg=\"no stock\"", {"trace_id": "abc"}], [(at + 1).to_string(), "ok"]],
    }]});
    push(&server, &body).await;
    let found = values(&server, r#"{app="shop"} |= "stock""#, "").await;
    assert_eq!(found[0]["values"], json!([[at.to_string(), "level=error msg=\"no stock\""]]));
    let stream = &found[0]["stream"];
    assert_eq!(
        (&stream["app"], &stream["service_name"], &stream["trace_id"]),
        (&"shop".into(), &"shop".into(), &"abc".into())
    );
    let answer = server.json(&query("/loki/api/v1/query_range", r#"{app="shop"}"#, "&limit=1&direction=forward")).await;
    assert_eq!(answer["data"]["resultType"], "streams");
    assert_eq!(answer["data"]["stats"]["summary"]["totalEntriesReturned"], 1);
    let counted = server.json(&query("/loki/api/v1/query", r#"count_over_time({app="shop"}[1h])"#, "")).await;
    assert_eq!(counted["data"]["resultType"], "vector");
    let total: f64 = counted["data"]["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["value"][1].as_str().unwrap().parse::<f64>().unwrap())
        .sum();
    assert_eq!(total, 2.0);
    let health = server.json(&query("/loki/api/v1/query", "vector(1)+vector(1)", "&time=4000000000")).await;
    assert_eq!(health["data"]["result"], json!([{"metric": {}, "value": [4_000_000_000_u64, "2"]}]));
    server.stop().await;
}

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<Stream>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Stream {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<Entry>,
    #[prost(uint64, tag = "3")]
    hash: u64,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<At>,
    #[prost(string, tag = "2")]
    line: String,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<Pair>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct At {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Pair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

fn packed(labels: &str, line: &str, at: i64) -> Vec<u8> {
    let timestamp = Some(At { seconds: at / 1_000_000_000, nanos: (at % 1_000_000_000) as i32 });
    let metadata = vec![Pair { name: "pod".into(), value: "p-1".into() }];
    let entries = vec![Entry { timestamp, line: line.into(), metadata }];
    let request = Request { streams: vec![Stream { labels: labels.into(), entries, hash: 7 }] };
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap()
}

fn protobuf(server: &Running, body: Vec<u8>) -> RequestBuilder {
    server.post(PUSH).header("content-type", "application/x-protobuf").body(body)
}

#[tokio::test]
async fn protobuf_in_snappy_as_promtail_sends_it() {
    let server = Running::start().await;
    let at = now();
    expect(protobuf(&server, packed(r#"{job="a b", path="c:\\d"}"#, "a line", at)), 204).await;
    let found = values(&server, r#"{job="a b"}"#, "").await;
    assert_eq!(found[0]["values"], json!([[at.to_string(), "a line"]]));
    assert_eq!((&found[0]["stream"]["path"], &found[0]["stream"]["pod"]), (&r"c:\d".into(), &"p-1".into()));
    for (body, why) in [
        (packed(r#"{job=~"x"}"#, "a", at), "is no `=`"),
        (packed("{", "a", at), "stream 0: "),
        (b"not snappy".to_vec(), "does not read"),
        (snap::raw::Encoder::new().compress_vec(b"\xff\xff").unwrap(), "does not read"),
    ] {
        let says = expect(protobuf(&server, body), 400).await;
        assert!(says.as_str().unwrap().contains(why), "{says}: {why}");
    }
    server.stop().await;
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(vec![], Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[tokio::test]
async fn what_cannot_be_taken_is_said() {
    let server = Running::start().await;
    let zipped = |body: &[u8]| {
        let request = server.post(PUSH).header("content-type", "application/json");
        request.header("content-encoding", "gzip").body(gzip(body))
    };
    let fine = pushed(json!({"app": "zip"}), &[(now(), "x")]).to_string();
    expect(zipped(fine.as_bytes()), 204).await;
    assert_eq!(values(&server, r#"{app="zip"}"#, "").await.as_array().unwrap().len(), 1);
    for (body, why) in [
        (
            json!({"streams": [{"stream": {"a": "b"}, "values": [[1, "x"]]}]}),
            "streams[0].values[0]: the time must be a string",
        ),
        (json!({"streams": [{"stream": {"a": "b"}, "values": [["x", "x"]]}]}), "is no time in nanoseconds"),
        (json!({"streams": [{"stream": {}, "values": [["1", "x"]]}]}), "at least one label pair is required"),
        (
            json!({"streams": [{"stream": {"a": "b"}, "values": [["1", "x", {"m": 1}]]}]}),
            "metadata \"m\" must be a string",
        ),
        (json!({"lines": []}), "does not read"),
    ] {
        let says = expect(server.post(PUSH).json(&body), 400).await;
        assert!(says.as_str().unwrap().contains(why), "{says}: {why}");
    }
    let fine = server.post(PUSH).header("content-type", "text/csv").body("a,b");
    expect(fine, 415).await;
    let odd = server.post(PUSH).header("content-type", "application/json").header("content-encoding", "br").body("{}");
    expect(odd, 415).await;
    let lines = vec![(now(), "x"); PUSH_LINES_MAX + 1];
    expect(server.post(PUSH).json(&pushed(json!({"a": "b"}), &lines)), 413).await;
    expect(zipped(&vec![b' '; PUSH_RAW_MAX + 1]), 413).await;
    expect(server.post(PUSH).header("content-type", "application/json").body(vec![b' '; PUSH_BODY_MAX + 1]), 413).await;
    server.stop().await;
}

#[tokio::test]
async fn bad_questions_are_refused_in_text() {
    let server = Running::start().await;
    for (path, why) in [
        (query("/loki/api/v1/query_range", "{", ""), "parse error"),
        (query("/loki/api/v1/query_range", r#"{a="b"}"#, "&limit=6000"), "max entries limit"),
        (query("/loki/api/v1/query_range", r#"{a="b"}"#, "&start=soon"), "'start'"),
        (query("/loki/api/v1/query_range", r#"{a="b"}"#, "&start=20&end=10"), "end timestamp"),
        (query("/loki/api/v1/query_range", r#"{a="b"}"#, "&direction=up"), "direction"),
        (query("/loki/api/v1/query", r#"{a="b"}"#, ""), "log queries are not supported as an instant query type"),
        ("/loki/api/v1/query_range".to_owned(), "no query"),
        ("/loki/api/v1/series".to_owned(), "0 matcher groups supplied"),
    ] {
        let answer = server.get(&path).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
            (400, "text/plain; charset=utf-8"),
            "{path}"
        );
        let says = answer.text().await.unwrap();
        assert!(says.contains(why), "{path}: {says}");
    }
    server.stop().await;
}

#[tokio::test]
async fn labels_values_and_series() {
    let server = Running::start().await;
    push(&server, &pushed(json!({"app": "shop", "env": "dev"}), &[(now(), "x")])).await;
    push(&server, &pushed(json!({"app": "cart"}), &[(now(), "y")])).await;
    assert_eq!(
        server.json("/loki/api/v1/labels").await,
        json!({"status": "success", "data": ["app", "env", "service_name"]})
    );
    assert_eq!(server.json("/loki/api/v1/label/app/values").await["data"], json!(["cart", "shop"]));
    let only = query("/loki/api/v1/label/app/values", r#"{env="dev"}"#, "");
    assert_eq!(server.json(&only).await["data"], json!(["shop"]));
    assert_eq!(server.json("/loki/api/v1/labels?start=1&end=2").await["data"], json!([]));
    let series = form(server.bare_post("/loki/api/v1/series"), &[("match[]", r#"{app="cart"}"#)]);
    assert_eq!(expect(series, 200).await["data"], json!([{"app": "cart", "service_name": "cart"}]));
    let stats = server.json(&query("/loki/api/v1/index/stats", r#"{app="shop"}"#, "")).await;
    assert_eq!((&stats["streams"], &stats["entries"]), (&1.into(), &1.into()));
    server.stop().await;
}

async fn frame(
    socket: &mut (impl StreamExt<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin),
) -> Value {
    loop {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        if let Message::Text(text) = message {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

#[tokio::test]
async fn a_tail_shows_what_was_and_what_comes_each_once() {
    let server = Running::start().await;
    push(&server, &pushed(json!({"app": "shop"}), &[(now(), "before"), (now(), "hidden")])).await;
    let url = query(&format!("ws://{}/loki/api/v1/tail", server.address), r#"{app="shop"} != "hidden""#, "");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let first = frame(&mut socket).await;
    assert_eq!(first["streams"][0]["values"][0][1], "before");
    push(&server, &pushed(json!({"app": "other"}), &[(now(), "not ours")])).await;
    push(&server, &pushed(json!({"app": "shop"}), &[(now(), "hidden"), (now(), "after")])).await;
    let second = frame(&mut socket).await;
    assert_eq!(second["streams"][0]["values"].as_array().unwrap().len(), 1);
    assert_eq!(second["streams"][0]["values"][0][1], "after");
    server.tell_to_stop();
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.unwrap() {
            Some(Ok(Message::Close(_)) | Err(_)) | None => break,
            Some(Ok(_)) => {}
        }
    }
    drop(socket);
    server.stop().await;
}

#[tokio::test]
async fn logs_as_the_ui_reads_them() {
    let server = Running::start().await;
    let at = now() - 60_000_000_000;
    let labels = json!({"service_name": "shop", "service_version": "v1"});
    let lines =
        [(at, "level=info took=1"), (at + 1, "level=error lost order 17"), (at + 2, "level=error lost order 18")];
    push(&server, &pushed(labels, &lines)).await;
    let selector = r#"{service_name="shop"}"#;
    let found = server.json(&query("/api/v1/logs", selector, "&limit=2")).await;
    assert_eq!(found["lines"][0]["line"], "level=error lost order 18");
    assert_eq!((&found["lines"][0]["severity"], found["lines"].as_array().unwrap().len()), (&"error".into(), 2));
    assert_eq!(found["lines"][0]["labels"]["service_version"], "v1");
    let oldest = server.json(&query("/api/v1/logs", selector, "&direction=forward")).await;
    assert_eq!(oldest["lines"][0]["line"], "level=info took=1");
    let bars = server.json(&query("/api/v1/logs/histogram", selector, "")).await;
    let sum =
        |level: &str| bars["bars"].as_array().unwrap().iter().filter_map(|b| b["counts"][level].as_u64()).sum::<u64>();
    assert_eq!((sum("error"), sum("info"), bars["stepMs"].as_u64()), (2, 1, Some(60_000)), "{bars}");
    let patterns = server.json("/api/v1/logs/patterns?service=shop").await;
    let lost =
        patterns.as_array().unwrap().iter().find(|p| p["template"].as_str().unwrap().contains("lost order")).unwrap();
    assert_eq!((&lost["severity"], &lost["count"], &lost["firstVersion"]), (&"error".into(), &2.into(), &"v1".into()));
    crate::client::problem(server.get("/api/v1/logs?query="), 400, "bad-request").await;
    crate::client::problem(server.get("/api/v1/logs?query=%7B"), 400, "bad-query").await;
    crate::client::problem(server.get(&query("/api/v1/logs", "vector(1)", "")), 400, "bad-request").await;
    server.stop().await;
}

#[tokio::test]
async fn a_live_tail_of_the_ui() {
    let server = Running::start().await;
    let mut messages = Messages::open(server.get(&query("/api/v1/logs/tail", r#"{app="shop"} |= "x""#, ""))).await;
    let request = server.bare_post(PUSH).bearer_auth(TOKEN);
    expect(request.json(&pushed(json!({"app": "shop"}), &[(now(), "y"), (now(), "x")])), 204).await;
    let said: Value = serde_json::from_str(&messages.next().await.unwrap().data).unwrap();
    assert_eq!((said["lines"].as_array().unwrap().len(), &said["lines"][0]["line"]), (1, &"x".into()));
    server.stop().await;
}

#[tokio::test]
async fn without_a_log_store_it_is_said() {
    let server = Running::with(|parts, _| parts.logs = None).await;
    expect(server.get(&query("/loki/api/v1/query", "vector(1)", "")), 501).await;
    expect(server.post(PUSH).json(&pushed(json!({"a": "b"}), &[])), 501).await;
    server.stop().await;
}
