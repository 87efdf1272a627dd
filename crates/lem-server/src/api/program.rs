//! The program itself: its document, whether it works, its own metrics.

use crate::app::App;
use crate::openapi::openapi_json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use std::fmt::Write;
use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How long the ledger may take to say that it is there.
const READY_WITHIN: Duration = Duration::from_secs(2);

pub(crate) async fn openapi() -> Response {
    static DOCUMENT: LazyLock<String> = LazyLock::new(openapi_json);
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

pub(crate) async fn health() -> &'static str {
    "ok\n"
}

/// Ready means: the ledger answers, and the pages show all that was in it.
pub(crate) async fn ready(State(app): State<App>) -> (StatusCode, String) {
    let no = |why: String| (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n"));
    match tokio::time::timeout(READY_WITHIN, app.parts.log.size()).await {
        Err(_) => no(format!("the ledger did not answer within {} s", READY_WITHIN.as_secs())),
        Ok(Err(error)) => no(error.to_string()),
        Ok(Ok(size)) if !app.has_read(size) => no(format!("{} of {size} events are read", app.record.seen())),
        Ok(Ok(_)) => (StatusCode::OK, "ready\n".to_owned()),
    }
}

pub(crate) async fn metrics(State(app): State<App>) -> Response {
    let counters = &app.counters;
    let mut text = String::new();
    let mut say = |name: &str, kind: &str, help: &str, value: u64| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    };
    say("lem_http_requests_total", "counter", "Requests that came in.", counters.requests.load(Relaxed));
    say(
        "lem_http_refused_total",
        "counter",
        "Requests refused for their name or token.",
        counters.refused.load(Relaxed),
    );
    say("lem_http_failed_total", "counter", "Requests answered with a server error.", counters.failed.load(Relaxed));
    say("lem_http_connections_total", "counter", "Connections accepted.", counters.connections.load(Relaxed));
    let streams = crate::app::STREAMS_MAX - app.streams.available_permits();
    say("lem_http_streams", "gauge", "Live streams that are open.", streams as u64);
    say("lem_events_received_total", "counter", "Events taken over HTTP.", counters.events.load(Relaxed));
    say("lem_ledger_events_read", "gauge", "Events the pages have read.", app.record.seen());
    let _ = writeln!(
        text,
        "# HELP lem_build_info Version of the program.\n# TYPE lem_build_info gauge\nlem_build_info{{version=\"{}\"}} 1",
        env!("CARGO_PKG_VERSION")
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
