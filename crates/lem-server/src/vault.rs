//! The Vault API under `/v1/`: takes requests off the wire for the secret store, which decides everything about them.
//!
//! Its tokens are its own: the token of this server means nothing here, except that the store may have been told to take
//! it as its root token.

use crate::app::App;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderMap, Method as Verb, StatusCode, header};
use lem_engine_vault::{Method, Request as Ask, Response as Answer, limits};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

/// Bytes of a body: a secret and what stands around it.
const BODY_MAX: usize = limits::SECRET_BYTES + 64 * 1024;

/// Everything below `/v1/`.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/v1/{*path}", any(handle))
}

async fn handle(State(app): State<App>, request: Request) -> Response {
    let Some(vault) = app.parts.vault.clone() else {
        return errors(StatusCode::NOT_IMPLEMENTED, "no secret store is configured; see `secure:` in lem.yaml");
    };
    let head = request.method() == Verb::HEAD;
    let ask = match read(request).await {
        Ok(ask) => ask,
        Err(answer) => return answer,
    };
    // The store writes to the disk before it answers: not on a thread that others wait for.
    match tokio::task::spawn_blocking(move || vault.handle(&ask)).await {
        Ok(answer) => written(answer, head),
        Err(_) => errors(StatusCode::INTERNAL_SERVER_ERROR, "this is a bug of the secret store; its log says more"),
    }
}

async fn read(request: Request) -> Result<Ask, Response> {
    let (parts, body) = request.into_parts();
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let listed = query.iter().any(|(key, value)| key == "list" && value == "true");
    let method = match parts.method.as_str() {
        "GET" | "HEAD" if listed => Method::List,
        "GET" | "HEAD" => Method::Read,
        "LIST" => Method::List,
        "POST" | "PUT" => Method::Write,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        _ => return Err(errors(StatusCode::METHOD_NOT_ALLOWED, "unsupported operation")),
    };
    let path = parts.uri.path().strip_prefix("/v1/").unwrap_or_default();
    let path =
        percent_decode_str(path).decode_utf8().map_err(|_| errors(StatusCode::BAD_REQUEST, "the path is no UTF-8"))?;
    let mut ask = Ask::new(method, path);
    ask.token = token(&parts.headers);
    ask.namespace = text(&parts.headers, "x-vault-namespace");
    ask.wrap_ttl = match text(&parts.headers, "x-vault-wrap-ttl") {
        None => None,
        Some(ttl) => Some(
            lem_engine_vault::seconds(&ttl)
                .ok_or_else(|| errors(StatusCode::BAD_REQUEST, "X-Vault-Wrap-TTL is no duration"))?,
        ),
    };
    ask.query = query;
    ask.body = object(body).await?;
    Ok(ask)
}

async fn object(body: Body) -> Result<Map<String, Value>, Response> {
    let bytes = to_bytes(body, BODY_MAX).await.map_err(|_| {
        errors(StatusCode::PAYLOAD_TOO_LARGE, &format!("http: request body too large; the limit is {BODY_MAX} bytes"))
    })?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) | Err(_) => {
            Err(errors(StatusCode::BAD_REQUEST, "failed to parse JSON input: the body is no JSON object"))
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned).filter(|t| !t.is_empty())
}

fn token(headers: &HeaderMap) -> Option<String> {
    let bearer = || {
        let value = text(headers, header::AUTHORIZATION.as_str())?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    };
    text(headers, "x-vault-token").or_else(bearer)
}

fn written(answer: Answer, head: bool) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match answer.body {
        Some(body) if !head => (status, axum::Json(body)).into_response(),
        _ => status.into_response(),
    }
}

fn errors(status: StatusCode, why: &str) -> Response {
    (status, axum::Json(json!({ "errors": [why] }))).into_response()
}
