//! CDEvents on the wire: 0.4.1 and 0.5.x documents in CloudEvents 1.0 binary, structured or batch mode come in; 0.5.1
//! goes out. `schemaUri` is never dereferenced.

use jiff::Timestamp;
use lem_model::event::CDEVENTS_VERSION;
use lem_model::{Event, EventType, NewEvent};
use serde_json::{Map, Value, json};
use thiserror::Error;

/// Events in one batch.
pub const MAX_BATCH_EVENTS: usize = 1000;
/// Bytes of one request.
pub const MAX_BODY_BYTES: usize = 4 << 20;

/// Why what came is no event.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// No JSON at all.
    #[error("body is no JSON: {why}")]
    Json {
        /// Where and why.
        why: String,
    },
    /// A value is missing or wrong.
    #[error("{pointer}: {why}")]
    Field {
        /// RFC 6901 pointer into the body.
        pointer: String,
        /// What is wrong.
        why: String,
    },
    /// A header is missing or wrong (binary mode).
    #[error("header {name}: {why}")]
    Header {
        /// Name.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// More than a request may carry.
    #[error("{have} {what} are over the limit of {limit}")]
    TooLarge {
        /// bytes or events.
        what: &'static str,
        /// How much.
        have: usize,
        /// The limit.
        limit: usize,
    },
}

impl WireError {
    /// JSON pointer to what is wrong, where there is one.
    pub fn pointer(&self) -> Option<&str> {
        if let Self::Field { pointer, .. } = self { Some(pointer) } else { None }
    }
}

fn wrong<T>(pointer: impl Into<String>, why: impl Into<String>) -> Result<T, WireError> {
    Err(WireError::Field { pointer: pointer.into(), why: why.into() })
}

fn json(body: &[u8]) -> Result<Value, WireError> {
    if body.len() > MAX_BODY_BYTES {
        return Err(WireError::TooLarge { what: "bytes", have: body.len(), limit: MAX_BODY_BYTES });
    }
    serde_json::from_slice(body).map_err(|e| WireError::Json { why: e.to_string() })
}

/// Reads a request by its content type: structured, batch, or binary with `ce-` headers. `header` looks one up by its
/// lower-case name.
pub fn parse_request<'h>(header: impl Fn(&str) -> Option<&'h str>, body: &[u8]) -> Result<Vec<NewEvent>, WireError> {
    let kind = header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/cloudevents-batch+json" => parse_batch(body),
        "application/cloudevents+json" => Ok(vec![parse_structured(body)?]),
        "application/json" if header("ce-specversion").is_some() => Ok(vec![parse_binary(header, body)?]),
        "application/json" => Ok(vec![parse_document(&json(body)?)?]),
        other => Err(WireError::Header {
            name: "content-type".into(),
            why: format!(
                "{other:?} is neither application/cloudevents+json, application/cloudevents-batch+json nor application/json"
            ),
        }),
    }
}

/// A batch.
pub fn parse_batch(body: &[u8]) -> Result<Vec<NewEvent>, WireError> {
    let Value::Array(items) = json(body)? else { return wrong("", "a batch is an array") };
    if items.len() > MAX_BATCH_EVENTS {
        return Err(WireError::TooLarge { what: "events", have: items.len(), limit: MAX_BATCH_EVENTS });
    }
    items.iter().enumerate().map(|(i, item)| envelope(item, &format!("/{i}"))).collect()
}

/// One event in an envelope.
pub fn parse_structured(body: &[u8]) -> Result<NewEvent, WireError> {
    envelope(&json(body)?, "")
}

fn envelope(item: &Value, at: &str) -> Result<NewEvent, WireError> {
    let Value::Object(fields) = item else { return wrong(at, "an event is an object") };
    let get = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => wrong(format!("{at}/{name}"), "must be a string"),
    };
    if get("specversion")? != Some("1.0") {
        return wrong(format!("{at}/specversion"), "must be \"1.0\"");
    }
    let Some(data) = fields.get("data") else { return wrong(format!("{at}/data"), "is missing") };
    let event = document(data, &format!("{at}/data"))?;
    for name in ["id", "source", "type", "time", "subject"] {
        let value = get(name)?;
        if value.is_none() && matches!(name, "id" | "source" | "type") {
            return wrong(format!("{at}/{name}"), "is missing");
        }
        agrees(&event, name, value).or_else(|why| wrong(format!("{at}/{name}"), why))?;
    }
    Ok(event)
}

/// One event in binary mode: attributes in headers, the CDEvent in the body.
pub fn parse_binary<'h>(header: impl Fn(&str) -> Option<&'h str>, body: &[u8]) -> Result<NewEvent, WireError> {
    let bad = |name: &str, why: String| WireError::Header { name: format!("ce-{name}"), why };
    if header("ce-specversion") != Some("1.0") {
        return Err(bad("specversion", "must be \"1.0\"".into()));
    }
    let event = document(&json(body)?, "")?;
    for name in ["id", "source", "type", "time", "subject"] {
        let value = header(&format!("ce-{name}")).map(unescape);
        if value.is_none() && matches!(name, "id" | "source" | "type") {
            return Err(bad(name, "is missing".into()));
        }
        agrees(&event, name, value.as_deref()).map_err(|why| bad(name, why))?;
    }
    Ok(event)
}

/// CloudEvents HTTP binding 3.1.3.2: header values are percent-encoded.
fn unescape(value: &str) -> String {
    let bytes = value.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let code = (bytes[i] == b'%').then(|| value.get(i + 1..i + 3)).flatten();
        if let Some(byte) = code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            i += 3;
        } else {
            out.push(bytes[i]);
            i += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// CDEvents CloudEvents binding: the envelope repeats the document.
fn agrees(event: &NewEvent, name: &str, value: Option<&str>) -> Result<(), String> {
    let Some(value) = value else { return Ok(()) };
    let (same, have) = match name {
        "id" => (event.id == value, event.id.clone()),
        "source" => (event.source == value, event.source.clone()),
        "type" => (event.kind.as_str() == value, event.kind.to_string()),
        "time" => {
            (value.parse::<Timestamp>().is_ok_and(|time| time == event.time_occurred), event.time_occurred.to_string())
        }
        _ => (event.subject == value, event.subject.clone()),
    };
    if same { Ok(()) } else { Err(format!("{value:?} is not the document's {have:?}")) }
}

/// A bare CDEvents document.
pub fn parse_document(document: &Value) -> Result<NewEvent, WireError> {
    self::document(document, "")
}

/// Which of the two generations a document belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Generation {
    /// `context.version`, and `subject.type` is required.
    V04,
    /// `context.specversion`, and `subject.type` is forbidden.
    V05,
}

fn document(value: &Value, at: &str) -> Result<NewEvent, WireError> {
    let whole = object(value, at, "a CDEvent")?;
    closed(whole, at, &["context", "subject", "customData", "customDataContentType"])?;
    let context_at = format!("{at}/context");
    let context = object(whole.get("context").unwrap_or(&Value::Null), &context_at, "the context")?;
    let generation = generation(context, &context_at)?;
    let version = if generation == Generation::V05 { "specversion" } else { "version" };
    closed(context, &context_at, &[version, "id", "source", "type", "timestamp", "schemaUri", "chainId", "links"])?;
    let id = required(context, &context_at, "id")?;
    let source = required(context, &context_at, "source")?;
    let kind = required(context, &context_at, "type")?;
    if !is_type(kind) {
        return wrong(format!("{context_at}/type"), format!("{kind:?} is no CDEvents type"));
    }
    let time = required(context, &context_at, "timestamp")?;
    let time_occurred: Timestamp = time
        .parse()
        .or_else(|e: jiff::Error| wrong(format!("{context_at}/timestamp"), format!("is no RFC 3339 time: {e}")))?;
    for name in ["schemaUri", "chainId"] {
        if context.get(name).is_some_and(|v| !v.is_string()) {
            return wrong(format!("{context_at}/{name}"), "must be a string");
        }
    }
    if context.get("links").is_some_and(|v| !v.is_array()) {
        return wrong(format!("{context_at}/links"), "must be an array");
    }
    let subject = subject(whole.get("subject").unwrap_or(&Value::Null), &format!("{at}/subject"), generation)?;
    Ok(NewEvent {
        id: id.to_owned(),
        kind: EventType::new(kind),
        time_occurred,
        source: source.to_owned(),
        subject,
        chain: context.get("chainId").and_then(Value::as_str).filter(|c| !c.is_empty()).map(str::to_owned),
        payload: value.clone(),
    })
}

fn generation(context: &Map<String, Value>, at: &str) -> Result<Generation, WireError> {
    let text = |name: &str| context.get(name).and_then(Value::as_str);
    match (text("specversion"), text("version")) {
        (Some(v), None) if v.starts_with("0.5.") => Ok(Generation::V05),
        (None, Some(v)) if v.starts_with("0.4.") => Ok(Generation::V04),
        (Some(v), None) => wrong(format!("{at}/specversion"), format!("{v:?} is not 0.5.x")),
        (None, Some(v)) => {
            wrong(format!("{at}/version"), format!("{v:?} is not 0.4.x; from 0.5 on the key is specversion"))
        }
        (Some(_), Some(_)) => wrong(format!("{at}/version"), "must not stand beside specversion"),
        (None, None) => wrong(format!("{at}/specversion"), "is missing"),
    }
}

fn subject(value: &Value, at: &str, generation: Generation) -> Result<String, WireError> {
    let subject = object(value, at, "the subject")?;
    match generation {
        Generation::V05 => {
            if subject.contains_key("type") {
                return wrong(format!("{at}/type"), "is not allowed since 0.5");
            }
            closed(subject, at, &["id", "source", "content"])?;
        }
        Generation::V04 => {
            required(subject, at, "type")?;
            closed(subject, at, &["id", "source", "type", "content"])?;
        }
    }
    object(subject.get("content").unwrap_or(&Value::Null), &format!("{at}/content"), "the content")?;
    if subject.get("source").is_some_and(|v| !v.is_string()) {
        return wrong(format!("{at}/source"), "must be a string");
    }
    Ok(required(subject, at, "id")?.to_owned())
}

fn object<'v>(value: &'v Value, at: &str, what: &str) -> Result<&'v Map<String, Value>, WireError> {
    match value {
        Value::Object(map) => Ok(map),
        Value::Null => wrong(at, format!("{what} is missing")),
        _ => wrong(at, format!("{what} must be an object")),
    }
}

fn closed(map: &Map<String, Value>, at: &str, keys: &[&str]) -> Result<(), WireError> {
    match map.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => wrong(format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), "is not a field of CDEvents"),
        None => Ok(()),
    }
}

fn required<'v>(map: &'v Map<String, Value>, at: &str, name: &str) -> Result<&'v str, WireError> {
    match map.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(Value::String(_)) => wrong(format!("{at}/{name}"), "is empty"),
        Some(_) => wrong(format!("{at}/{name}"), "must be a string"),
        None => wrong(format!("{at}/{name}"), "is missing"),
    }
}

/// `dev.cdevents.<subject>.<predicate>.<version>`, or `dev.cdeventsx.<tool>-<subject>.<predicate>.<version>` as
/// section "Custom events" of the specification has it.
fn is_type(kind: &str) -> bool {
    let letters = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic());
    let (rest, custom) = match (kind.strip_prefix("dev.cdevents."), kind.strip_prefix("dev.cdeventsx.")) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        _ => return false,
    };
    let mut parts = rest.splitn(3, '.');
    let (Some(subject), Some(predicate), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let subject_fits = if custom {
        subject.split_once('-').is_some_and(|(tool, subject)| {
            !tool.is_empty() && tool.bytes().all(|b| b.is_ascii_alphanumeric()) && letters(subject)
        })
    } else {
        letters(subject)
    };
    let numbers = version.split('-').next().unwrap_or_default();
    let version_fits = numbers.split('.').count() == 3
        && numbers.split('.').all(|n| !n.is_empty() && n.len() < 4 && n.bytes().all(|b| b.is_ascii_digit()));
    subject_fits && letters(predicate) && version_fits
}

/// The document of an event as CDEvents 0.5.1, whatever came in; `null` when it was erased.
pub fn emit_document(event: &Event) -> Value {
    let mut document = event.payload.clone();
    if let Some(Value::Object(context)) = document.get_mut("context") {
        let rest = std::mem::take(context);
        context.insert("specversion".into(), json!(CDEVENTS_VERSION));
        context.extend(rest.into_iter().filter(|(key, _)| key != "version" && key != "specversion"));
    }
    if let Some(Value::Object(subject)) = document.get_mut("subject") {
        subject.shift_remove("type");
    }
    document
}

/// An event in a CloudEvents envelope; `lemseq` is its place in the ledger.
pub fn emit_structured(event: &Event) -> Value {
    json!({
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.kind.as_str(),
        "time": event.time_occurred.to_string(),
        "subject": event.subject,
        "lemseq": event.seq.to_string(),
        "datacontenttype": "application/json",
        "data": emit_document(event),
    })
}
