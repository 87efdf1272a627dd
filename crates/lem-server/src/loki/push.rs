//! Lines in: JSON, or protobuf in snappy, as promtail, Grafana Alloy and the OpenTelemetry collector send them.

use super::params::LokiError;
use crate::app::App;
use crate::logs::{self, beside};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use flate2::read::{GzDecoder, ZlibDecoder};
use http::{HeaderMap, StatusCode, header};
use lem_engine_logql::ast::MatchOp;
use lem_engine_logs::{Labels, LogRecord, Refused};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;

/// Bytes of one request as they travel.
pub const PUSH_BODY_MAX: usize = 16 << 20;
/// Bytes of one request once unpacked.
pub const PUSH_RAW_MAX: usize = 48 << 20;
/// Lines of one request.
pub const PUSH_LINES_MAX: usize = 100_000;
/// Seconds after which a sender may try again when the store is full.
const RETRY_S: u64 = 5;

/// `logproto.PushRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<StreamAdapter>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StreamAdapter {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<EntryAdapter>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct EntryAdapter {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<Instant>,
    #[prost(bytes = "bytes", tag = "2")]
    line: Bytes,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<Pair>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, PartialEq, prost::Message)]
struct Instant {
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

#[derive(Deserialize)]
struct JsonPush {
    streams: Vec<JsonStream>,
}

#[derive(Deserialize)]
struct JsonStream {
    stream: BTreeMap<String, String>,
    values: Vec<Vec<Value>>,
}

/// Takes lines: 204 when all are stored, 400 when some are not acceptable (the others are stored).
pub(crate) async fn push(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, LokiError> {
    let body = body.map_err(|e| LokiError::new(e.status(), e.body_text()))?;
    let store = logs::store(&app)?;
    let records = read(&headers, &body)?;
    if records.len() > PUSH_LINES_MAX {
        let why = format!("{} lines in one request, the limit is {PUSH_LINES_MAX}", records.len());
        return Err(LokiError::new(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    if records.is_empty() {
        return Ok(StatusCode::NO_CONTENT);
    }
    let sent = records.len();
    let ack = beside(&app, move || store.append_good(records)).await?.map_err(refused)?;
    match ack.refused.first() {
        None => Ok(StatusCode::NO_CONTENT),
        Some(first) => {
            let why =
                format!("{} of {sent} lines were not stored; line {}: {}", ack.refused.len(), first.index, first.why);
            Err(LokiError::bad(why))
        }
    }
}

fn refused(refused: Refused) -> LokiError {
    let why = refused.to_string();
    match refused {
        Refused::Busy { retry_after } => {
            LokiError::new(StatusCode::TOO_MANY_REQUESTS, why).retry_after_s(retry_after.as_secs().max(1))
        }
        Refused::TooLarge { .. } => LokiError::new(StatusCode::PAYLOAD_TOO_LARGE, why),
        Refused::ReadOnly { .. } => LokiError::new(StatusCode::SERVICE_UNAVAILABLE, why).retry_after_s(RETRY_S),
        Refused::Items(_) => LokiError::bad(why),
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<Vec<LogRecord>, LokiError> {
    let kind = text(headers, header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let encoding = text(headers, header::CONTENT_ENCODING).to_ascii_lowercase();
    match (kind.as_str(), encoding.as_str()) {
        ("application/json", "" | "identity") => json(body),
        ("application/json", "gzip") => json(&unpack(GzDecoder::new(body))?),
        ("application/json", "deflate") => json(&unpack(ZlibDecoder::new(body))?),
        ("application/json", other) => {
            Err(LokiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Content-Encoding {other:?} not supported")))
        }
        ("" | "application/x-protobuf", "" | "snappy") => protobuf(body),
        ("" | "application/x-protobuf", other) => {
            Err(LokiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Content-Encoding {other:?} not supported")))
        }
        (other, _) => {
            let why = format!("content type {other:?} is neither application/x-protobuf nor application/json");
            Err(LokiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why))
        }
    }
}

fn too_large() -> LokiError {
    let why = format!("the request unpacks to more than the limit of {PUSH_RAW_MAX} bytes");
    LokiError::new(StatusCode::PAYLOAD_TOO_LARGE, why)
}

fn unpack(packed: impl Read) -> Result<Vec<u8>, LokiError> {
    let mut raw = vec![];
    let read = packed.take(PUSH_RAW_MAX as u64 + 1).read_to_end(&mut raw);
    read.map_err(|e| LokiError::bad(format!("the body does not unpack: {e}")))?;
    if raw.len() > PUSH_RAW_MAX { Err(too_large()) } else { Ok(raw) }
}

fn json(body: &[u8]) -> Result<Vec<LogRecord>, LokiError> {
    let push: JsonPush =
        serde_json::from_slice(body).map_err(|e| LokiError::bad(format!("the body does not read: {e}")))?;
    let mut records = vec![];
    for (i, stream) in push.streams.into_iter().enumerate() {
        let labels = labels(stream.stream, i)?;
        for (j, value) in stream.values.into_iter().enumerate() {
            let record = json_entry(&labels, value);
            records.push(record.map_err(|why| LokiError::bad(format!("streams[{i}].values[{j}]: {why}")))?);
        }
    }
    Ok(records)
}

fn json_entry(labels: &Labels, value: Vec<Value>) -> Result<LogRecord, String> {
    let mut parts = value.into_iter();
    let (time, line, metadata) = (parts.next(), parts.next(), parts.next());
    if parts.next().is_some() {
        return Err("an entry has a time, a line and perhaps metadata".to_owned());
    }
    let Some(Value::String(time)) = time else { return Err("the time must be a string of nanoseconds".to_owned()) };
    let ts_ns = time.parse::<i64>().map_err(|_| format!("{time:?} is no time in nanoseconds"))?;
    let Some(Value::String(line)) = line else { return Err("the line must be a string".to_owned()) };
    let mut record = LogRecord::new(ts_ns, labels.clone(), line);
    match metadata {
        None | Some(Value::Null) => {}
        Some(Value::Object(pairs)) => {
            for (name, value) in pairs {
                let Value::String(value) = value else { return Err(format!("metadata {name:?} must be a string")) };
                record.fields.push((name, value));
            }
        }
        Some(_) => return Err("metadata must be an object".to_owned()),
    }
    Ok(complete(record))
}

fn protobuf(body: &[u8]) -> Result<Vec<LogRecord>, LokiError> {
    let bad = |e: &dyn std::fmt::Display| LokiError::bad(format!("the body does not read: {e}"));
    if snap::raw::decompress_len(body).map_err(|e| bad(&e))? > PUSH_RAW_MAX {
        return Err(too_large());
    }
    let raw = snap::raw::Decoder::new().decompress_vec(body).map_err(|e| bad(&e))?;
    let push = <PushRequest as prost::Message>::decode(Bytes::from(raw)).map_err(|e| bad(&e))?;
    let mut records = vec![];
    for (i, stream) in push.streams.into_iter().enumerate() {
        let labels = labels(pairs(&stream.labels).map_err(|why| LokiError::bad(format!("stream {i}: {why}")))?, i)?;
        for entry in stream.entries {
            let at = entry.timestamp.unwrap_or_default();
            let ts_ns = at.seconds.checked_mul(1_000_000_000).and_then(|ns| ns.checked_add(i64::from(at.nanos)));
            let ts_ns = ts_ns.ok_or_else(|| LokiError::bad(format!("stream {i}: a time is out of range")))?;
            let mut record = LogRecord::new(ts_ns, labels.clone(), entry.line);
            record.fields = entry.metadata.into_iter().map(|pair| (pair.name, pair.value)).collect();
            records.push(complete(record));
        }
    }
    Ok(records)
}

/// Labels in the notation of a selector with `=` only.
fn pairs(text: &str) -> Result<BTreeMap<String, String>, String> {
    let selector = logs::selector(text).map_err(|e| e.to_string())?;
    match selector.iter().find(|one| one.op != MatchOp::Equal) {
        Some(other) => Err(format!("label {} of {text} is no `=`", other.name)),
        None => Ok(selector.into_iter().map(|one| (one.name, one.value)).collect()),
    }
}

/// Labels by which senders name what wrote a line, best first.
const SERVICE_NAMES: [&str; 10] = [
    "service",
    "app",
    "application",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "component",
    "workload",
    "job",
];

/// Labels of a stream; `service_name` is found among the others when it is not there.
fn labels(mut pairs: BTreeMap<String, String>, stream: usize) -> Result<Labels, LokiError> {
    pairs.retain(|_, value| !value.is_empty());
    if pairs.is_empty() {
        return Err(LokiError::bad(format!("stream {stream}: at least one label pair is required per stream")));
    }
    if !pairs.contains_key("service_name") {
        let named = SERVICE_NAMES.iter().find_map(|name| pairs.get(*name).cloned());
        pairs.insert("service_name".to_owned(), named.unwrap_or_else(|| "unknown_service".to_owned()));
    }
    Ok(Labels::new(pairs))
}

/// With what can be found out from the line.
fn complete(mut record: LogRecord) -> LogRecord {
    record.severity = lem_engine_logs::detect_severity(&record.line, &record.fields);
    record
}
