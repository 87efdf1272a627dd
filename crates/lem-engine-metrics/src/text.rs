//! The text exposition formats: Prometheus 0.0.4 and OpenMetrics 1.0, read and written.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>. As Prometheus 3 does, names may be quoted UTF-8.

mod lines;
mod number;
mod parse;
mod write;

use serde::{Deserialize, Serialize};

use crate::labels::Labels;

pub use lines::{Entry, Lines, RawExemplar, RawSample};
pub use number::{format_label_float, format_value, parse_value};
pub use parse::{Parsed, parse};
pub use write::{Family, write};

/// Longest line that is read.
pub const MAX_LINE_BYTES: usize = 1 << 20;
/// Most UTF-8 characters in an exemplar's label names and values together.
pub const MAX_EXEMPLAR_CHARS: usize = 128;

/// Which format a text is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4` (and 1.0.0, which adds quoted names)
    Prometheus,
    /// `application/openmetrics-text`
    OpenMetrics,
}

/// What a metric family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Goes up, restarts at zero.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound, `le`.
    Histogram,
    /// A histogram of the present state.
    GaugeHistogram,
    /// Quantiles, count and sum.
    Summary,
    /// Labels that describe.
    Info,
    /// One series for each state.
    StateSet,
    /// Not said; `untyped` in the Prometheus format.
    #[default]
    Unknown,
}

impl Kind {
    /// The name in the Prometheus metadata API and in OpenMetrics.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::GaugeHistogram => "gaugehistogram",
            Kind::Summary => "summary",
            Kind::Info => "info",
            Kind::StateSet => "stateset",
            Kind::Unknown => "unknown",
        }
    }

    fn parse(name: &str) -> Option<Kind> {
        Some(match name {
            "counter" => Kind::Counter,
            "gauge" => Kind::Gauge,
            "histogram" => Kind::Histogram,
            "gaugehistogram" => Kind::GaugeHistogram,
            "summary" => Kind::Summary,
            "info" => Kind::Info,
            "stateset" => Kind::StateSet,
            "unknown" | "untyped" => Kind::Unknown,
            _ => return None,
        })
    }
}

/// What the text says about a metric family.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Metadata {
    /// Family name.
    pub name: String,
    /// `# TYPE`
    pub kind: Kind,
    /// `# HELP`, unescaped.
    pub help: String,
    /// `# UNIT`
    pub unit: String,
}

/// One sample of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct TextSample {
    /// With the metric name as `__name__`.
    pub labels: Labels,
    /// Absent when the text leaves it to the time of the scrape.
    pub t_ms: Option<i64>,
    /// Any NaN is the ordinary one.
    pub value: f64,
    /// OpenMetrics only.
    pub exemplar: Option<Exemplar>,
}

/// An example of what was counted, such as a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Such as `trace_id`.
    pub labels: Labels,
    /// The observed value.
    pub value: f64,
    /// When it was observed.
    pub t_ms: Option<i64>,
}

/// A line that is not in the format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}: {text:?}")]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// The line, shortened.
    pub text: String,
}
