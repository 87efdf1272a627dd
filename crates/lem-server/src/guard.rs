//! What stands before every handler: names, tokens, time, panics, headers.

use crate::app::{App, Hosts, Reading};
use crate::error::ApiError;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use std::any::Any;
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How long a request may take until its answer begins.
pub const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);

/// Reads that are sent as POST because their queries are long (Prometheus and Loki clients do that). They change nothing.
const READING_POSTS: [&str; 6] = ["query", "query_range", "series", "labels", "format_query", "query_exemplars"];

const CSP: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                   object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Whether a request changes nothing.
fn is_reading(method: &Method, path: &str) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    let prefixes = ["/api/v1/", "/prometheus/api/v1/", "/loki/api/v1/"];
    let rest = prefixes.into_iter().find_map(|prefix| path.strip_prefix(prefix));
    *method == Method::POST && rest.is_some_and(|rest| READING_POSTS.contains(&rest))
}

/// Whether a path is data, rather than the page that shows it or a probe.
fn is_data(path: &str) -> bool {
    ["/api/", "/prometheus/", "/loki/", "/metrics"].iter().any(|prefix| path.starts_with(prefix))
}

/// The token of everything that writes, and of reads where it is asked for.
pub(crate) async fn authenticate(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let reading = is_reading(request.method(), path);
    let open = reading && (app.settings.reading == Reading::Open || !is_data(path));
    let given = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let token = given.and_then(|v| v.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if open || token.is_some_and(|(_, token)| app.is_token(token.trim())) {
        return next.run(request).await;
    }
    app.counters.refused.fetch_add(1, Relaxed);
    let detail = if token.is_some() { "the token is not the one of this server" } else { "a token is needed" };
    ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
        .hint("send `Authorization: Bearer TOKEN`; the token is in .lem/token, or LEM_TOKEN")
        .into_response()
}

fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// Whether we answer to this name.
pub(crate) fn is_ours(hosts: &Hosts, host: &str) -> bool {
    let name = host_name(host).to_ascii_lowercase();
    let plain = name == "localhost" || name.parse::<IpAddr>().is_ok();
    match hosts {
        Hosts::Any => true,
        Hosts::Addresses => plain,
        Hosts::Listed(names) => plain || names.iter().any(|n| n.eq_ignore_ascii_case(&name)),
    }
}

/// Refuses names that are not ours.
pub(crate) async fn check_host(State(app): State<App>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::HOST).and_then(|v| v.to_str().ok());
    let host = request.uri().authority().map(http::uri::Authority::as_str).or(header).unwrap_or_default();
    if is_ours(&app.settings.hosts, host) {
        return next.run(request).await;
    }
    app.counters.refused.fetch_add(1, Relaxed);
    ApiError::new(StatusCode::FORBIDDEN, "host-not-allowed", format!("this server does not answer to {host:?}"))
        .hint("use 127.0.0.1 or localhost, or list the name under `server.hosts`")
        .into_response()
}

/// Ends what takes too long.
pub(crate) async fn time_out(request: Request, next: Next) -> Response {
    let Ok(response) = tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await else {
        let detail = format!("no answer within {} s", REQUEST_TIMEOUT.as_secs());
        return ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", detail).retry_after_s(1).into_response();
    };
    response
}

/// Counts, and puts the headers on that keep a browser careful.
pub(crate) async fn harden(State(app): State<App>, request: Request, next: Next) -> Response {
    app.counters.requests.fetch_add(1, Relaxed);
    let mut response = next.run(request).await;
    if response.status().is_server_error() {
        app.counters.failed.fetch_add(1, Relaxed);
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// A panic is our bug: it goes to the log, the client hears of it without detail.
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let what = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = what.unwrap_or("without a message"), "a handler panicked");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "bug", "this is a bug of the server; its log says more")
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_ours() {
        let listed = Hosts::Listed(vec!["lem.example.com".into()]);
        for (hosts, host, ours) in [
            (&Hosts::Addresses, "127.0.0.1:7733", true),
            (&Hosts::Addresses, "localhost:7733", true),
            (&Hosts::Addresses, "LOCALHOST", true),
            (&Hosts::Addresses, "[::1]:7733", true),
            (&Hosts::Addresses, "192.0.2.7:7733", true),
            (&Hosts::Addresses, "evil.example.com:7733", false),
            (&Hosts::Addresses, "127.0.0.1.evil.example.com", false),
            (&Hosts::Addresses, "", false),
            (&listed, "lem.example.com", true),
            (&listed, "evil.example.com", false),
            (&Hosts::Any, "evil.example.com", true),
        ] {
            assert_eq!(is_ours(hosts, host), ours, "{host}");
        }
    }

    #[test]
    fn what_reads() {
        for (method, path, reads) in [
            (Method::GET, "/api/v1/loop", true),
            (Method::POST, "/api/v1/query", true),
            (Method::POST, "/prometheus/api/v1/query_range", true),
            (Method::POST, "/loki/api/v1/push", false),
            (Method::POST, "/api/v1/runs", false),
            (Method::DELETE, "/api/v1/query", false),
            (Method::POST, "/query", false),
        ] {
            assert_eq!(is_reading(&method, path), reads, "{method} {path}");
        }
    }
}
