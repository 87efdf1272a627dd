//! Who may do what, by which name, and what a browser is told.

use crate::client::{Running, TOKEN, expect, problem};
use lem_server::routes::{ROUTES, Verb};
use lem_server::{Hosts, Reading};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn whatever_writes_needs_the_token() {
    let server = Running::start().await;
    let writing = ROUTES.iter().filter(|route| route.verb != Verb::Get).map(|route| (route.verb, route.path));
    for (verb, path) in writing.chain([(Verb::Post, "/loki/api/v1/push")]) {
        let url = format!("{}{path}", server.url);
        let client = reqwest::Client::new();
        let request = if verb == Verb::Delete { client.delete(url) } else { client.post(url) };
        for token in [None, Some("another")] {
            let request = request.try_clone().unwrap();
            let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 401, "{path}");
            assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"lem\"", "{path}");
        }
    }
    assert_eq!(server.log.size().await.unwrap(), 0);
    let says = problem(server.bare_post("/api/v1/runs"), 401, "unauthorized").await;
    assert!(says["hint"].as_str().unwrap().contains("Authorization: Bearer"), "{says}");
    server.stop().await;
}

#[tokio::test]
async fn reading_can_need_the_token_too() {
    let server = Running::with(|_, settings| settings.reading = Reading::Token).await;
    for path in ["/api/v1/loop", "/api/v1/query?query=1", "/loki/api/v1/labels", "/metrics", "/api/v1/openapi.json"] {
        assert_eq!(server.get(path).send().await.unwrap().status(), 401, "{path}");
        assert_eq!(server.get(path).bearer_auth(TOKEN).send().await.unwrap().status(), 200, "{path}");
    }
    for path in ["/", "/incidents", "/healthz", "/readyz"] {
        assert_eq!(server.get(path).send().await.unwrap().status(), 200, "{path}: a page without data, or a probe");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_empty_token_opens_nothing() {
    let server = Running::with(|_, settings| settings.token = String::new()).await;
    let request = server.bare_post("/api/v1/runs").header("authorization", "Bearer ").json(&json!({}));
    problem(request, 401, "unauthorized").await;
    server.stop().await;
}

#[tokio::test]
async fn other_names_are_refused() {
    let server = Running::start().await;
    for (host, status) in [("evil.example.com", 403), ("127.0.0.1.evil.example.com:80", 403), ("localhost:1", 200)] {
        let answer = server.get("/api/v1/loop").header("host", host).send().await.unwrap();
        assert_eq!(answer.status(), status, "{host}");
    }
    problem(server.post("/api/v1/events").header("host", "evil.example.com"), 403, "host-not-allowed").await;
    server.stop().await;
    let server = Running::with(|_, settings| settings.hosts = Hosts::Listed(vec!["lem.example.com".into()])).await;
    expect(server.get("/api/v1/loop").header("host", "lem.example.com"), 200).await;
    problem(server.get("/api/v1/loop").header("host", "other.example.com"), 403, "host-not-allowed").await;
    server.stop().await;
}

#[tokio::test]
async fn a_browser_is_told_to_be_careful() {
    let server = Running::start().await;
    for path in ["/", "/api/v1/loop", "/api/v1/nothing"] {
        let answer = server.get(path).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let csp = header("content-security-policy");
        assert!(csp.contains("default-src 'self'") && csp.contains("frame-ancestors 'none'"), "{csp}");
        assert!(!csp.contains("unsafe"), "{csp}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert!(!answer.headers().contains_key("access-control-allow-origin"), "{path}");
    }
    assert_eq!(server.get("/api/v1/loop").send().await.unwrap().headers()["cache-control"], "no-store");
    server.stop().await;
}

#[tokio::test]
async fn bodies_have_limits() {
    let server = Running::start().await;
    let large = format!("{{\"reason\":\"{}\"}}", "x".repeat(2 << 20));
    let request = server.post("/api/v1/freezes").header("content-type", "application/json").body(large);
    problem(request, 413, "too-large").await;
    let reason = "y".repeat(lem_server::limits::TEXT_MAX + 1);
    problem(server.post("/api/v1/freezes").json(&json!({"scope": "*", "reason": reason})), 400, "bad-request").await;
    problem(server.post("/api/v1/freezes").json(&json!({"scope": "*"})), 422, "bad-body").await;
    problem(server.post("/api/v1/freezes").body("{}"), 415, "bad-body").await;
    server.stop().await;
}

#[tokio::test]
async fn a_connection_may_ask_again_and_nonsense_is_refused() {
    let server = Running::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let ask = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(ask).await.unwrap();
        let mut answer = [0; 2048];
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
    }
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"nonsense\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
    server.stop().await;
}
