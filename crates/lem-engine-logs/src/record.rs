//! What the store keeps: records and the streams they belong to.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Sorted, unique label pairs. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[(String, String)]>);

impl Labels {
    /// Sorts the pairs; of two equal names the later wins, and an empty value means the label is absent.
    pub fn new<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut map = std::collections::BTreeMap::new();
        for (name, value) in pairs {
            map.insert(name.into(), value.into());
        }
        map.retain(|_, value: &mut String| !value.is_empty());
        Self(map.into_iter().collect())
    }

    /// The value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(n, _)| n.as_str().cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// All pairs in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True without labels.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

/// Structured metadata of one line: names and values, in the order sent.
pub type Fields = Vec<(String, String)>;

/// How bad a line says it is. Ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Finest detail.
    Trace,
    /// For developers.
    Debug,
    /// Normal operation.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
    /// The process cannot go on.
    Fatal,
}

impl Severity {
    pub(crate) fn to_code(severity: Option<Self>) -> u8 {
        severity.map_or(0, |s| s as u8 + 1)
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal]
            .get(usize::from(code.checked_sub(1)?))
            .copied()
    }

    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

/// A W3C trace id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub [u8; 16]);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::str::FromStr for TraceId {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut id = [0; 16];
        hex::decode_to_slice(text, &mut id)?;
        Ok(Self(id))
    }
}

/// One line as it is handed in.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRecord {
    /// Nanoseconds since the epoch.
    pub ts_ns: i64,
    /// The labels its stream is found by.
    pub labels: Labels,
    /// The line, byte for byte.
    pub line: Bytes,
    /// Structured metadata.
    pub fields: Fields,
    /// Severity if the protocol says it; else it is detected.
    pub severity: Option<Severity>,
    /// Trace the line belongs to.
    pub trace_id: Option<TraceId>,
}

impl LogRecord {
    /// A record with labels and a line and nothing else.
    pub fn new(ts_ns: i64, labels: Labels, line: impl Into<Bytes>) -> Self {
        Self { ts_ns, labels, line: line.into(), fields: Vec::new(), severity: None, trace_id: None }
    }
}

/// Names under which senders give the release and the environment, best first (OpenTelemetry names, then the forms with
/// underscores, then what people write).
const VERSION_NAMES: [&str; 3] = ["service.version", "service_version", "version"];
const ENVIRONMENT_NAMES: [&str; 6] = [
    "deployment.environment.name",
    "deployment.environment",
    "deployment_environment_name",
    "deployment_environment",
    "environment",
    "env",
];

/// Names under which senders give the service, best first.
const SERVICE_NAMES: [&str; 3] = ["service.name", "service_name", "service"];

/// What a block belongs to: the visible labels, and additionally release and environment, so that every block belongs to
/// one version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    /// Labels that matchers see.
    pub labels: Labels,
    /// The release that wrote the lines.
    pub version: Option<String>,
    /// Where it ran.
    pub environment: Option<String>,
}

impl StreamKey {
    /// The service that wrote the lines, as its labels say.
    pub fn service(&self) -> Option<&str> {
        SERVICE_NAMES.iter().find_map(|name| self.labels.get(name))
    }

    /// The stream of a record.
    pub fn of(record: &LogRecord) -> Self {
        let find = |names: &[&str]| {
            let label = names.iter().find_map(|name| record.labels.get(name));
            let field = || names.iter().find_map(|name| field(&record.fields, name));
            label.or_else(field).filter(|value| !value.is_empty()).map(ToOwned::to_owned)
        };
        Self { version: find(&VERSION_NAMES), environment: find(&ENVIRONMENT_NAMES), labels: record.labels.clone() }
    }
}

pub(crate) fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_unique_and_without_empty_values() {
        let labels = Labels::new([("b", "2"), ("a", "0"), ("c", ""), ("a", "1")]);
        assert_eq!(labels.to_string(), r#"{a="1", b="2"}"#);
        assert_eq!((labels.get("b"), labels.get("c"), labels.len()), (Some("2"), None, 2));
    }

    #[test]
    fn the_stream_key_takes_release_and_environment_from_labels_then_fields() {
        let mut record = LogRecord::new(0, Labels::new([("app", "shop"), ("env", "dev")]), "x");
        record.fields = vec![("service.version".into(), "v2".into()), ("environment".into(), "production".into())];
        let key = StreamKey::of(&record);
        assert_eq!((key.version.as_deref(), key.environment.as_deref()), (Some("v2"), Some("dev")));
    }

    #[test]
    fn severity_codes_come_back() {
        for code in 0..8 {
            let severity = Severity::from_code(code);
            assert_eq!(Severity::to_code(severity), if code <= 6 { code } else { 0 });
        }
    }
}
