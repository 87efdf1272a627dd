//! Samples, series and query results.

use std::sync::Arc;

use serde::Serialize;

use crate::histogram::FloatHistogram;
use crate::labels::Labels;

/// A sample's value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Value {
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
}

impl Value {
    /// Whether this is a staleness marker.
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Float(v) => crate::number::is_stale(*v),
            Self::Histogram(h) => crate::number::is_stale(h.sum),
        }
    }
}

/// A value at a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// Milliseconds since the epoch.
    pub t_ms: i64,
    /// The value.
    pub value: Value,
}

impl Sample {
    /// A float sample.
    pub fn float(t_ms: i64, v: f64) -> Self {
        Self { t_ms, value: Value::Float(v) }
    }
}

/// A series as a store hands it over: samples sorted by time, staleness markers included.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct SeriesData {
    /// The labels, metric name included.
    pub labels: Labels,
    /// The samples.
    pub samples: Vec<Sample>,
}

/// One element of an instant vector.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VectorSample {
    /// The labels.
    pub labels: Labels,
    /// The point.
    pub sample: Sample,
}

/// The value of a query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum QueryValue {
    /// A number at a time.
    Scalar(i64, f64),
    /// A text at a time.
    String(i64, String),
    /// One point per series.
    Vector(Vec<VectorSample>),
    /// Points over time per series.
    Matrix(Vec<SeriesData>),
}

/// What a query returns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueryResult {
    /// The value.
    pub value: QueryValue,
    /// Warnings, each ending with its position; at most ten and a count of the rest.
    pub warnings: Vec<String>,
    /// Notes, likewise.
    pub infos: Vec<String>,
}
