//! What this stage stands on: a metric store and a log store, embedded or remote.

pub mod embedded;

use async_trait::async_trait;
use lem_engine_logs::{Ack, LabelRange, LogRecord, PatternCount, Refused, ScanPlan, ScanResult, Tail, Warning};
use lem_engine_promql::{Labels, Matcher, SeriesData};
use std::collections::BTreeSet;
use thiserror::Error;

/// One sample on its way into a store.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Labels, metric name included.
    pub labels: Labels,
    /// Milliseconds since 1970.
    pub t_ms: i64,
    /// Value.
    pub value: f64,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Stored.
    pub accepted: usize,
    /// Not stored: place in the batch and why.
    pub rejected: Vec<(usize, String)>,
}

/// Series, label names and label values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// Label sets, for [`Ask::Series`].
    pub series: Vec<Labels>,
    /// Names or values, sorted.
    pub texts: Vec<String>,
    /// What could not be read.
    pub warnings: Vec<String>,
}

/// What to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Label sets.
    Series,
    /// Label names.
    Names,
    /// Values of one label.
    Values(String),
}

/// How a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreStatus {
    /// Why nothing can be written, if so.
    pub read_only: Option<String>,
    /// Active series.
    pub series: usize,
}

/// A metric store failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct StoreFailure(pub String);

/// A store of samples.
#[async_trait]
pub trait MetricStore: Send + Sync {
    /// Stores samples, each judged on its own.
    async fn append(&self, batch: Vec<Sample>) -> Result<Appended, StoreFailure>;
    /// Samples from `start_ms` to `end_ms`, both included, of the series that pass.
    async fn select(&self, matchers: Vec<Matcher>, start_ms: i64, end_ms: i64)
    -> Result<Vec<SeriesData>, StoreFailure>;
    /// Series, names and values of the series that pass; no matcher is all of them.
    async fn catalog(
        &self,
        ask: Ask,
        matchers: Vec<Matcher>,
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Catalog, StoreFailure>;
    /// How it is.
    fn status(&self) -> StoreStatus;
}

/// When a log query is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogTime {
    /// One instant, in nanoseconds.
    At(i64),
    /// A range.
    Range(lem_engine_logql::RangeParams),
}

/// A log question without an answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LogFailure {
    /// It does not parse.
    #[error(transparent)]
    Parse(#[from] lem_engine_logql::ParseError),
    /// It cannot be evaluated.
    #[error(transparent)]
    Eval(#[from] lem_engine_logql::EvalError),
    /// The store failed.
    #[error("{0}")]
    Store(String),
}

/// A store of lines.
#[async_trait]
pub trait LogStore: Send + Sync {
    /// Stores the acceptable records; returns when they are durable. Blocks.
    fn append(&self, records: Vec<LogRecord>) -> Result<Ack, Refused>;
    /// A LogQL query.
    async fn query(&self, text: &str, time: LogTime) -> Result<lem_engine_logql::QueryResult, LogFailure>;
    /// Lines of a plan, in order.
    async fn scan(&self, plan: ScanPlan) -> Result<ScanResult, LogFailure>;
    /// Patterns with their counts per release.
    async fn patterns(&self, range: LabelRange) -> Result<(Vec<PatternCount>, Vec<Warning>), LogFailure>;
    /// Label names, or the values of one label.
    async fn labels(&self, name: Option<String>, range: LabelRange) -> Result<BTreeSet<String>, LogFailure>;
    /// Lines from now on.
    fn tail(&self, plan: ScanPlan) -> Result<Tail, LogFailure>;
}
