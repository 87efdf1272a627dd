//! Lines from outside: streams of a Loki push on their way into the log store.
//!
//! In: streams as the push protocol has them, whatever its encoding was. Out: the count of lines that are durable, and the
//! ones that are not with their reason. A line is never changed; a label is only added, `service_name`, when no label says
//! which service it is.

use crate::engine::LogStore;
use lem_engine_logs::{Labels, LogRecord, Refused, Severity, TraceId, detect_severity};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Streams of one push.
pub const MAX_STREAMS: usize = 10_000;
/// Lines of one push.
pub const MAX_LINES: usize = 200_000;
/// Rejected lines that are named; the others are counted.
pub const MAX_NAMED: usize = 10;

/// The labels that say which service a stream is of, best first, as the reference discovers it.
const SERVICE_LABELS: [&str; 10] = [
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
/// Structured metadata that says how bad a line is, and which trace it belongs to.
const LEVEL_FIELDS: [&str; 4] = ["detected_level", "severity_text", "level", "severity"];
const TRACE_FIELDS: [&str; 2] = ["trace_id", "traceid"];

/// One stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushStream {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Lines.
    pub entries: Vec<PushEntry>,
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushEntry {
    /// Nanoseconds since 1970.
    pub ts_ns: i64,
    /// The line, byte for byte.
    pub line: Vec<u8>,
    /// Structured metadata, in the order sent.
    pub metadata: Vec<(String, String)>,
}

/// What became of a push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Lines that are durable.
    pub accepted: usize,
    /// Lines that are not.
    pub rejected: usize,
    /// Why, for the first of them.
    pub reasons: Vec<String>,
}

/// Why nothing of a push was kept.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PushError {
    /// The push is malformed: HTTP 400.
    #[error("{0}")]
    Invalid(String),
    /// It is too large: HTTP 413.
    #[error("{what}: {have} is over the limit of {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        have: u64,
        /// The limit.
        limit: u64,
    },
    /// Not now: HTTP 429 with `Retry-After`.
    #[error("the log store is busy, try again in {} ms", retry_after.as_millis())]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The disk is full or failing: HTTP 503.
    #[error("the log store is read-only: {0}")]
    ReadOnly(String),
}

/// Stores the lines of a push; returns when they are durable.
pub async fn push(store: Arc<dyn LogStore>, streams: Vec<PushStream>) -> Result<Pushed, PushError> {
    let records = records(streams)?;
    if records.is_empty() {
        return Ok(Pushed::default());
    }
    let count = records.len();
    // The store waits for the disk.
    let appended = tokio::task::spawn_blocking(move || store.append(records)).await;
    let ack = match appended {
        Ok(Ok(ack)) => ack,
        Ok(Err(refused)) => return refused_to(refused, count),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    Ok(Pushed { accepted: ack.accepted, rejected: ack.refused.len(), reasons: named(&ack.refused) })
}

fn refused_to(refused: Refused, count: usize) -> Result<Pushed, PushError> {
    match refused {
        Refused::Busy { retry_after } => Err(PushError::Busy { retry_after }),
        Refused::TooLarge { limit, actual } => {
            Err(PushError::TooLarge { what: "bytes of a push", have: actual, limit })
        }
        Refused::ReadOnly { why } => Err(PushError::ReadOnly(why)),
        Refused::Items(items) => Ok(Pushed { accepted: 0, rejected: count, reasons: named(&items) }),
    }
}

fn named(items: &[lem_engine_logs::ItemError]) -> Vec<String> {
    items.iter().take(MAX_NAMED).map(|item| format!("line {}: {}", item.index, item.why)).collect()
}

/// The records of a push, or why it is none.
fn records(streams: Vec<PushStream>) -> Result<Vec<LogRecord>, PushError> {
    let lines: usize = streams.iter().map(|s| s.entries.len()).sum();
    for (what, have, limit) in
        [("streams of a push", streams.len(), MAX_STREAMS), ("lines of a push", lines, MAX_LINES)]
    {
        if have > limit {
            return Err(PushError::TooLarge { what, have: have as u64, limit: limit as u64 });
        }
    }
    let mut all = Vec::with_capacity(lines);
    for stream in streams {
        let labels = stream_labels(stream.labels)?;
        all.extend(stream.entries.into_iter().map(|entry| record(&labels, entry)));
    }
    Ok(all)
}

fn stream_labels(mut labels: BTreeMap<String, String>) -> Result<Labels, PushError> {
    labels.retain(|_, value| !value.is_empty());
    if labels.is_empty() {
        return Err(PushError::Invalid("at least one label pair is required per stream".into()));
    }
    if let Some(name) = labels.keys().find(|name| !is_label_name(name)) {
        return Err(PushError::Invalid(format!("{name:?} is no label name: letters, digits, _ and : only")));
    }
    if !labels.contains_key("service_name") {
        let service = SERVICE_LABELS.iter().find_map(|name| labels.get(*name).cloned());
        labels.insert("service_name".into(), service.unwrap_or_else(|| "unknown_service".into()));
    }
    Ok(Labels::new(labels))
}

fn is_label_name(name: &str) -> bool {
    let good =
        |(at, c): (usize, char)| c.is_ascii_alphabetic() || c == '_' || c == ':' || (at > 0 && c.is_ascii_digit());
    !name.is_empty() && name.char_indices().all(good)
}

fn record(labels: &Labels, entry: PushEntry) -> LogRecord {
    let mut record = LogRecord::new(entry.ts_ns, labels.clone(), entry.line);
    let said = |names: &[&str]| {
        let named = |(name, _): &&(String, String)| names.iter().any(|n| name.eq_ignore_ascii_case(n));
        entry.metadata.iter().find(named).map(|(_, value)| value.as_str())
    };
    record.severity = said(&LEVEL_FIELDS).and_then(level);
    record.trace_id = said(&TRACE_FIELDS).and_then(|text| text.parse::<TraceId>().ok());
    record.fields = entry.metadata;
    if record.severity.is_none() {
        record.severity = detect_severity(&record.line, &record.fields);
    }
    record
}

fn level(text: &str) -> Option<Severity> {
    match text.to_ascii_lowercase().as_str() {
        "trace" => Some(Severity::Trace),
        "debug" => Some(Severity::Debug),
        "info" | "information" | "informational" => Some(Severity::Info),
        "warn" | "warning" => Some(Severity::Warn),
        "error" | "err" => Some(Severity::Error),
        "fatal" | "critical" | "panic" => Some(Severity::Fatal),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(labels: &[(&str, &str)], lines: usize) -> PushStream {
        let entry = PushEntry { ts_ns: 1, line: b"hello".to_vec(), metadata: vec![] };
        PushStream {
            labels: labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            entries: vec![entry; lines],
        }
    }

    #[test]
    fn which_service_a_stream_is_of() {
        for (labels, expect) in [
            (&[("service_name", "a"), ("app", "b")][..], "a"),
            (&[("app", "b"), ("job", "c")], "b"),
            (&[("job", "c")], "c"),
            (&[("host", "d")], "unknown_service"),
        ] {
            let found = records(vec![stream(labels, 1)]).unwrap_or_default();
            assert_eq!(found[0].labels.get("service_name"), Some(expect), "{labels:?}");
        }
    }

    #[test]
    fn metadata_says_level_and_trace_and_stays() {
        let mut one = stream(&[("app", "b")], 1);
        let trace = "0af7651916cd43dd8448eb211c80319c";
        one.entries[0].metadata = vec![("Level".into(), "WARNING".into()), ("trace_id".into(), trace.into())];
        let found = records(vec![one]).unwrap_or_default();
        assert_eq!(found[0].severity, Some(Severity::Warn));
        assert_eq!(found[0].trace_id.map(|t| t.to_string()).as_deref(), Some(trace));
        assert_eq!(found[0].fields.len(), 2);
    }

    #[test]
    fn what_is_refused_before_the_store() {
        let check = |streams: Vec<PushStream>, expect: &str| {
            assert_eq!(records(streams).map_err(|e| e.to_string()), Err(expect.to_owned()));
        };
        check(vec![stream(&[], 1)], "at least one label pair is required per stream");
        check(vec![stream(&[("a-b", "x")], 1)], "\"a-b\" is no label name: letters, digits, _ and : only");
        let many = vec![stream(&[("a", "b")], 0); MAX_STREAMS + 1];
        check(many, "streams of a push: 10001 is over the limit of 10000");
        check(vec![stream(&[("a", "b")], MAX_LINES + 1)], "lines of a push: 200001 is over the limit of 200000");
    }
}
