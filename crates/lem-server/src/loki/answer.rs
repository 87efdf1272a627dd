//! Answers as Loki writes them: times of lines in nanoseconds as text, times of numbers in seconds.

use lem_engine_logql::{Entry, LabelSet, QueryResult, StreamResult, Value};
use lem_engine_promql::number::format_sample;
use serde_json::{Number, Value as Json, json};
use std::time::Duration;

fn entry(entry: &Entry) -> Json {
    json!([entry.ts_ns.to_string(), String::from_utf8_lossy(&entry.line)])
}

/// Streams with their lines.
pub(crate) fn streams(streams: &[StreamResult]) -> Json {
    let one = |s: &StreamResult| {
        let values: Vec<_> = s.entries.iter().map(entry).collect();
        json!({ "stream": s.labels, "values": values })
    };
    streams.iter().map(one).collect()
}

fn seconds(ns: i64) -> Number {
    let ms = ns.div_euclid(1_000_000);
    if ms % 1000 == 0 {
        return Number::from(ms / 1000);
    }
    Number::from_f64(ms as f64 / 1e3).unwrap_or_else(|| Number::from(ms / 1000))
}

fn point(ns: i64, value: f64) -> Json {
    json!([seconds(ns), format_sample(value)])
}

fn data(value: &Value) -> (&'static str, Json) {
    match value {
        Value::Streams(found) => ("streams", streams(found)),
        Value::Matrix(series) => {
            let one = |labels: &LabelSet, points: &[(i64, f64)]| {
                let values: Vec<_> = points.iter().map(|(ns, value)| point(*ns, *value)).collect();
                json!({ "metric": labels, "values": values })
            };
            ("matrix", series.iter().map(|s| one(&s.labels, &s.points)).collect())
        }
        Value::Vector(samples) => {
            let one = |s: &lem_engine_logql::Sample| json!({ "metric": s.labels, "value": point(s.ts_ns, s.value) });
            ("vector", samples.iter().map(one).collect())
        }
        Value::Scalar { ts_ns, value } => ("scalar", point(*ts_ns, *value)),
    }
}

/// A whole answer. Statistics say what was read and how long it took; what nobody measured is not there.
pub(crate) fn query(result: &QueryResult, took: Duration) -> Json {
    let (kind, found) = data(&result.value);
    let returned = match &result.value {
        Value::Streams(streams) => streams.iter().map(|s| s.entries.len()).sum(),
        Value::Matrix(series) => series.iter().map(|s| s.points.len()).sum(),
        Value::Vector(samples) => samples.len(),
        Value::Scalar { .. } => 1,
    };
    let seconds = took.as_secs_f64();
    let each_second = |count: u64| if seconds > 0.0 { (count as f64 / seconds) as u64 } else { 0 };
    let mut answer = json!({
        "status": "success",
        "data": {
            "resultType": kind,
            "result": found,
            "stats": { "summary": {
                "bytesProcessedPerSecond": each_second(result.bytes_read),
                "linesProcessedPerSecond": each_second(result.lines_read),
                "totalBytesProcessed": result.bytes_read,
                "totalLinesProcessed": result.lines_read,
                "totalEntriesReturned": returned,
                "execTime": seconds,
            } },
        },
    });
    if !result.warnings.is_empty() {
        answer["warnings"] = json!(result.warnings);
    }
    answer
}
