//! Every listed route answers, and what is not listed does not.

use crate::client::{Running, problem};
use lem_server::routes::{ROUTES, Verb};
use reqwest::Method;

/// A path of a route with something in the place of each parameter.
fn filled(path: &str) -> String {
    let part = |part: &str| match part {
        "{seq}" => "0".to_owned(),
        "{digest}" => format!("sha256:{}", "0".repeat(64)),
        "{action}" => "pause".to_owned(),
        part if part.starts_with('{') => "nothing".to_owned(),
        part => part.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_listed_route_is_served() {
    let server = Running::start().await;
    for route in ROUTES {
        let path = filled(route.path);
        let request = match route.verb {
            Verb::Get => server.get(&path),
            Verb::Post => server.post(&path).json(&serde_json::json!({})),
            Verb::Delete => server.delete(&path).json(&serde_json::json!({})),
        };
        // Where there is nothing to show, the answer says what is missing; it never is a page that is not there.
        let answer = request.send().await.unwrap();
        let (status, kind) = (answer.status(), answer.headers().get("content-type").cloned());
        if path == "/api/v1/logs/tail" {
            assert_eq!(status, 400, "{path}");
            continue;
        }
        let text = answer.text().await.unwrap();
        assert!(status != 405 && !status.is_server_error() || status == 501, "{path}: {status} {text}");
        assert!(!text.contains("there is no page"), "{path}: {text}");
        if status.is_client_error() || status == 501 {
            assert_eq!(kind.unwrap(), "application/problem+json", "{path}: {text}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let server = Running::start().await;
    problem(server.get("/api/v1/nothing"), 404, "not-found").await;
    problem(server.get("/loki/api/v1/nothing"), 404, "not-found").await;
    problem(server.get("/api/v1/changes/abc"), 404, "not-found").await;
    problem(server.post("/api/v1/loop"), 405, "method-not-allowed").await;
    problem(server.get("/api/v1/changes?limit=many"), 400, "bad-query").await;
    let put = reqwest::Client::new().request(Method::PUT, format!("{}/", server.url)).bearer_auth(crate::client::TOKEN);
    problem(put, 405, "method-not-allowed").await;
    server.stop().await;
}

#[tokio::test]
async fn probes_and_metrics() {
    let server = Running::start().await;
    for path in ["/healthz", "/readyz", "/-/healthy", "/-/ready"] {
        assert_eq!(server.get(path).send().await.unwrap().status(), 200, "{path}");
    }
    let metrics = server.get("/metrics").send().await.unwrap();
    assert!(metrics.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let text = metrics.text().await.unwrap();
    assert!(text.lines().any(|line| line == "lem_http_requests_total 5"), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn every_route_of_the_ui_gives_its_page() {
    let server = Running::start().await;
    for path in ["/", "/incidents/i-1", "/observe/logs?query=%7B%7D"] {
        let page = server.get(path).header("accept", "text/html").send().await.unwrap();
        assert_eq!(page.status(), 200, "{path}");
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8", "{path}");
        assert!(page.text().await.unwrap().contains("Lemniscate"), "{path}");
    }
    problem(server.get("/assets/missing.js"), 404, "not-found").await;
    server.stop().await;
}
