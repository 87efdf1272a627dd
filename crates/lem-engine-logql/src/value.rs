//! Answers.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Labels of a stream or series.
pub type LabelSet = BTreeMap<String, String>;

/// One line of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Nanoseconds since the epoch.
    pub ts_ns: i64,
    /// The line as the pipeline left it.
    pub line: Bytes,
}

/// Lines with the same labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamResult {
    /// Stream labels, structured metadata and what the pipeline made of them.
    pub labels: LabelSet,
    /// In the order asked for.
    pub entries: Vec<Entry>,
}

/// One series over time.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSeries {
    /// Its labels.
    pub labels: LabelSet,
    /// Time in nanoseconds, and value.
    pub points: Vec<(i64, f64)>,
}

/// One series at an instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its labels.
    pub labels: LabelSet,
    /// The instant in nanoseconds.
    pub ts_ns: i64,
    /// Its value.
    pub value: f64,
}

/// What a query answers with.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Lines by labels.
    Streams(Vec<StreamResult>),
    /// Series over time.
    Matrix(Vec<MatrixSeries>),
    /// Series at an instant.
    Vector(Vec<Sample>),
    /// A number at an instant.
    Scalar {
        /// The instant in nanoseconds.
        ts_ns: i64,
        /// The number.
        value: f64,
    },
}

/// An answer with what has to be said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryResult {
    /// The answer.
    pub value: Value,
    /// What may be missing, for the reader.
    pub warnings: Vec<String>,
    /// Lines the source handed out.
    pub lines_read: u64,
    /// Bytes of those lines.
    pub bytes_read: u64,
}
