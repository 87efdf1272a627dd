//! The data source `http`: asks a server while planning, and whenever its arguments are known only then.

use super::{Kind, Made, Registered, Surroundings, put, text};
use crate::schema::{Attribute, Schema, Wrong};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lem_engine_hcl::value::{Entries, ObjectType, Value};
use lem_engine_hcl::{Mode, Number, Type};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Identity, Method, StatusCode};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Largest answer that is read.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
/// Most retries of one request.
const MAX_ATTEMPTS: i64 = 100;
/// Longest a request takes when nothing is said.
const DEFAULT_TIMEOUT_MS: i64 = 60_000;
/// Pauses between attempts when nothing is said: the first, and the longest.
const DELAYS_MS: (i64, i64) = (1_000, 30_000);
const METHODS: [&str; 3] = ["GET", "HEAD", "POST"];

pub(super) fn kinds() -> Vec<Registered> {
    vec![(Mode::Data, "http", Box::new(Http(schema())))]
}

fn retry_type() -> Type {
    let mut object = ObjectType::default();
    for name in ["attempts", "max_delay_ms", "min_delay_ms"] {
        object.attributes.insert(Arc::from(name), Type::Number);
        object.optional.insert(Arc::from(name), Value::Null(Type::Number));
    }
    Type::Object(Arc::new(object))
}

fn schema() -> Schema {
    let given = |name| Attribute::optional(name, Type::String);
    let made = |name| Attribute::computed(name, Type::String);
    Schema::new(vec![
        made("id"),
        Attribute::required("url", Type::String),
        given("method"),
        Attribute::optional("request_headers", Type::map(Type::String)),
        given("request_body"),
        Attribute::optional("request_timeout_ms", Type::Number),
        Attribute::optional("retry", Type::list(retry_type())),
        Attribute::optional("insecure", Type::Bool),
        given("ca_cert_pem"),
        given("client_cert_pem"),
        given("client_key_pem"),
        made("response_body"),
        made("body"),
        made("response_body_base64"),
        Attribute::computed("response_headers", Type::map(Type::String)),
        Attribute::computed("status_code", Type::Number),
    ])
}

struct Http(Schema);

fn number(object: &Entries, name: &str) -> Option<i64> {
    object.get(name).and_then(Value::as_number).and_then(Number::as_i64)
}

/// The one `retry` block.
fn retry(config: &Entries) -> Option<&Entries> {
    config.get("retry").and_then(Value::items).and_then(<[Value]>::first).and_then(Value::entries)
}

fn wrong(argument: &str, message: impl Into<String>) -> Wrong {
    Wrong { argument: Some(argument.to_owned()), code: "bad-arguments", message: message.into(), hint: None }
}

#[async_trait]
impl Kind for Http {
    fn schema(&self) -> &Schema {
        &self.0
    }

    fn provider(&self) -> &'static str {
        "registry.terraform.io/hashicorp/http"
    }

    fn check(&self, config: &Entries) -> Option<Wrong> {
        let given = |name: &str| config.get(name).is_some_and(|v| !v.revealed().is_null());
        if let Some(url) = text(config, "url")
            && !["http://", "https://"].iter().any(|scheme| url.to_ascii_lowercase().starts_with(scheme))
        {
            return Some(wrong("url", format!("{url:?} is no address that begins with http:// or https://")));
        }
        if let Some(method) = text(config, "method").filter(|m| !METHODS.contains(m)) {
            return Some(wrong("method", format!("the method is one of {}, not {method:?}", METHODS.join(", "))));
        }
        if given("ca_cert_pem") && given("insecure") {
            return Some(wrong("insecure", "insecure and ca_cert_pem exclude each other"));
        }
        if given("client_cert_pem") != given("client_key_pem") {
            return Some(wrong("client_cert_pem", "client_cert_pem and client_key_pem need each other"));
        }
        if number(config, "request_timeout_ms").is_some_and(|ms| ms < 1) {
            return Some(wrong("request_timeout_ms", "request_timeout_ms must be 1 or more"));
        }
        if config.get("retry").and_then(Value::items).is_some_and(|all| all.len() > 1) {
            return Some(wrong("retry", "there is one retry block"));
        }
        let retry = retry(config)?;
        if number(retry, "attempts").is_some_and(|n| !(0..=MAX_ATTEMPTS).contains(&n)) {
            return Some(wrong("retry", format!("attempts must be between 0 and {MAX_ATTEMPTS}")));
        }
        let (least, most) = delays(retry);
        (least < 0 || most < least).then(|| wrong("retry", "max_delay_ms must not be less than min_delay_ms"))
    }

    async fn create(&self, _planned: Entries, _around: &Surroundings) -> Made {
        Made::failed(None, "a data source is only read")
    }

    async fn read(&self, config: &Entries, _around: &Surroundings) -> Result<Option<Entries>, String> {
        let url = text(config, "url").unwrap_or_default();
        let client = client(config)?;
        let attempts = retry(config).and_then(|r| number(r, "attempts")).unwrap_or(0);
        let (least, most) = retry(config).map_or(DELAYS_MS, delays);
        let mut pause = least;
        let mut done = 0;
        let answer = loop {
            let answer = ask(&client, config, url).await;
            if done >= attempts || !answer.as_ref().map_or(true, |a| again(a.status)) {
                break answer?;
            }
            done += 1;
            tokio::time::sleep(Duration::from_millis(pause.max(0).unsigned_abs())).await;
            pause = (pause * 2).min(most);
        };
        let mut object = config.clone();
        let body = String::from_utf8_lossy(&answer.body);
        put(&mut object, "id", url);
        put(&mut object, "response_body", body.as_ref());
        put(&mut object, "body", body.as_ref());
        put(&mut object, "response_body_base64", STANDARD.encode(&answer.body).as_str());
        put(&mut object, "status_code", Value::int(i64::from(answer.status.as_u16())));
        let headers = answer.headers.into_iter().map(|(name, value)| (Arc::from(name), Value::string(value)));
        put(&mut object, "response_headers", Value::map(Type::String, headers.collect()));
        // State files hold the block as one object.
        let written = retry(config).map_or_else(|| Value::Null(retry_type()), |r| Value::object(r.clone()));
        put(&mut object, "retry", written);
        Ok(Some(object))
    }
}

fn delays(retry: &Entries) -> (i64, i64) {
    let least = number(retry, "min_delay_ms").unwrap_or(DELAYS_MS.0);
    (least, number(retry, "max_delay_ms").unwrap_or(DELAYS_MS.1.max(least)))
}

/// Whether to ask again: a server's own failure may pass, but 501 says that it never does this.
fn again(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
}

struct Answer {
    status: StatusCode,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

fn client(config: &Entries) -> Result<Client, String> {
    let timeout = number(config, "request_timeout_ms").unwrap_or(DEFAULT_TIMEOUT_MS).max(1).unsigned_abs();
    let mut builder = Client::builder()
        .timeout(Duration::from_millis(timeout))
        .user_agent(concat!("lem/", env!("CARGO_PKG_VERSION")));
    if config.get("insecure").and_then(Value::as_bool) == Some(true) {
        builder = builder.danger_accept_invalid_certs(true);
    }
    if let Some(pem) = text(config, "ca_cert_pem") {
        let authorities =
            Certificate::from_pem_bundle(pem.as_bytes()).map_err(|e| format!("ca_cert_pem: {}", cause(&e)))?;
        if authorities.is_empty() {
            return Err("ca_cert_pem holds no certificate".to_owned());
        }
        builder = builder.tls_certs_only(authorities);
    }
    if let (Some(certificate), Some(key)) = (text(config, "client_cert_pem"), text(config, "client_key_pem")) {
        let identity = Identity::from_pem(format!("{certificate}\n{key}").as_bytes());
        builder = builder.identity(identity.map_err(|e| format!("client_cert_pem: {}", cause(&e)))?);
    }
    builder.build().map_err(|error| format!("no client could be made: {}", cause(&error)))
}

async fn ask(client: &Client, config: &Entries, url: &str) -> Result<Answer, String> {
    let failed = |error: reqwest::Error| format!("{url}: {}", cause(&error));
    let method = text(config, "method").unwrap_or("GET");
    let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    for (name, value) in config.get("request_headers").and_then(Value::entries).into_iter().flatten() {
        let named =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("request_headers: {name:?} is no header"))?;
        let value = HeaderValue::from_str(value.as_str().unwrap_or_default());
        headers
            .insert(named, value.map_err(|_| format!("request_headers: the value of {name} has line breaks in it"))?);
    }
    let mut request = client.request(method, url).headers(headers);
    if let Some(body) = text(config, "request_body") {
        request = request.body(body.to_owned());
    }
    let mut response = request.send().await.map_err(failed)?;
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let known = told.entry(canonical(name.as_str())).or_default();
        *known = if known.is_empty() { value } else { format!("{known}, {value}") };
    }
    let mut body = vec![];
    while let Some(part) = response.chunk().await.map_err(failed)? {
        if body.len() + part.len() > MAX_BODY_BYTES {
            return Err(format!("{url}: the answer is larger than {MAX_BODY_BYTES} bytes"));
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer { status: response.status(), headers: told, body })
}

/// `Content-Type` of `content-type`, as Terraform's provider names headers.
fn canonical(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

/// The innermost reason: the outer ones repeat the address.
fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
