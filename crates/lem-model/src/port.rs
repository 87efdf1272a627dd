//! Questions one stage asks another and needs answered now. Small traits, wired in `lem`.

use crate::id::{EnvironmentName, ServiceName, Version};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// Why a source could not answer. Unknown is a state: it is never zero and never success.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SourceError {
    /// The source is not there.
    #[error("{what} is unreachable: {why}")]
    Unreachable {
        /// Source.
        what: String,
        /// Cause.
        why: String,
    },
    /// The question does not parse or does not apply.
    #[error("{what}: {why}")]
    Invalid {
        /// Question.
        what: String,
        /// Cause.
        why: String,
    },
}

/// A service in an environment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// Service.
    pub service: ServiceName,
    /// Environment.
    pub environment: EnvironmentName,
}

/// A half-open span of time, `from` excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// After this.
    pub from: Timestamp,
    /// Up to and including this.
    pub to: Timestamp,
}

/// A time series: labels and points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What it measures, as a query somebody can paste.
    pub query: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Points in time order.
    pub points: Vec<(Timestamp, f64)>,
}

/// Answer of a metric query, in Prometheus' shapes.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricValue {
    /// One number.
    Scalar(f64),
    /// One number per series.
    Vector(Vec<(BTreeMap<String, String>, f64)>),
    /// Points per series.
    Matrix(Vec<Series>),
}

/// PromQL over whatever store is configured. Answered by observe.
#[async_trait]
pub trait MetricQuery: Send + Sync {
    /// Instant query.
    async fn query(&self, expr: &str, at: Timestamp) -> Result<MetricValue, SourceError>;
    /// Range query.
    async fn query_range(&self, expr: &str, window: Window, step_ms: u64) -> Result<Vec<Series>, SourceError>;
}

/// Error lines and the like per version, for the judge. Router counts come from the router itself.
#[async_trait]
pub trait HealthSource: Send + Sync {
    /// Error-level log lines of one version in a window.
    async fn error_lines(&self, scope: &Scope, version: &Version, window: Window) -> Result<u64, SourceError>;
}

/// How requests of one cohort fared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CohortCount {
    /// `version=abc`.
    pub cohort: BTreeMap<String, String>,
    /// Requests.
    pub total: u64,
    /// Bad ones among them.
    pub bad: u64,
}

/// A log pattern and who said it first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewPattern {
    /// Template with `<_>` for what varies.
    pub template: String,
    /// error, warn, info ...
    pub severity: String,
    /// Version that said it.
    pub version: Version,
    /// How often in the window.
    pub count: u64,
    /// A line as it was said.
    pub sample: String,
    /// When it was first said at all.
    pub first_seen: Timestamp,
}

/// What a symptom looks like. Answered by observe, asked by feedback.
#[async_trait]
pub trait SymptomSource: Send + Sync {
    /// Rate, errors, duration, utilisation, saturation of a service, per version where it is known.
    async fn series(&self, scope: &Scope, window: Window) -> Result<Vec<Series>, SourceError>;
    /// Requests and failures per version.
    async fn cohorts(&self, scope: &Scope, window: Window) -> Result<Vec<CohortCount>, SourceError>;
    /// Patterns of error lines in the window.
    async fn patterns(&self, scope: &Scope, window: Window) -> Result<Vec<NewPattern>, SourceError>;
}

/// One line a process said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When we read it.
    pub time: Timestamp,
    /// Stream labels: `service_name`, `service_version`, `deployment_environment`, `instance`, `stream`.
    pub labels: BTreeMap<String, String>,
    /// The line without its newline, as it came.
    pub line: Vec<u8>,
}

/// Takes lines from processes. Must not block; what it drops it counts.
pub trait LogSink: Send + Sync {
    /// Takes one line.
    fn write(&self, line: LogLine);
}

/// Something that can say its metrics in the Prometheus text format, such as the router.
pub trait Exposition: Send + Sync {
    /// Job name under which its samples are stored.
    fn job(&self) -> &str;
    /// Text format 0.0.4.
    fn text(&self) -> String;
}

/// Answer of a policy gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GateAnswer {
    /// Go on.
    Allow,
    /// Not so, and why.
    Deny(String),
}

/// What a gate's answer waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateWait {
    /// What is not recorded yet, as a sentence.
    pub why: String,
    /// From then on the answer is given without it.
    pub until: Timestamp,
}

/// Asks whether something may go on. Answered by secure; without it everything is allowed and said so.
#[async_trait]
pub trait PolicyGate: Send + Sync {
    /// May this artifact go to this environment? The answer by what is known now.
    async fn may_deploy(&self, scope: &Scope, digest: &crate::Digest) -> Result<GateAnswer, SourceError>;
    /// What the answer should wait for; `None` when it can be given now. Ask again when the ledger has grown.
    async fn waits_for(&self, scope: &Scope, digest: &crate::Digest) -> Result<Option<GateWait>, SourceError> {
        let _nothing_is_on_its_way = (scope, digest);
        Ok(None)
    }
}

/// Gives secrets to jobs and services.
#[async_trait]
pub trait SecretSource: Send + Sync {
    /// The value of a secret; `None` when there is none of that name.
    async fn secret(&self, name: &str) -> Result<Option<String>, SourceError>;
    /// Names of all secrets, for checks before a run starts.
    async fn names(&self) -> Result<Vec<String>, SourceError>;
    /// The value of a secret, as a lease bound to a holder: `run:<id>`, `instance:<id>`. A source without leases gives
    /// the value.
    async fn lease(&self, name: &str, to: &str) -> Result<Option<String>, SourceError> {
        let _no_lease_to_bind = to;
        self.secret(name).await
    }
    /// Ends every lease bound to a holder.
    async fn release(&self, to: &str) -> Result<(), SourceError> {
        let _no_lease_to_end = to;
        Ok(())
    }
}

/// Gives an artifact's bytes by digest. Answered by pipeline, asked by deploy.
#[async_trait]
pub trait ArtifactSource: Send + Sync {
    /// Unpacks the artifact into an empty directory.
    async fn unpack(&self, digest: &crate::Digest, into: &std::path::Path) -> Result<(), SourceError>;
}

/// Evaluates a repository's infrastructure files. Answered by provision, asked by secure and optimize.
#[async_trait]
pub trait ResourceGraphs: Send + Sync {
    /// One graph per root folder or file found below a directory; what does not read is in its diagnostics.
    async fn graphs(&self, directory: &std::path::Path) -> Result<Vec<crate::resource::ResourceGraph>, SourceError>;
}

/// What a plan costs a month. Answered by optimize, asked by provision.
#[async_trait]
pub trait PriceSource: Send + Sync {
    /// Known cost before and after, and what is not known.
    async fn estimate(&self, graph: &crate::resource::ResourceGraph) -> Result<PlanCost, SourceError>;
}

/// Monthly cost of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanCost {
    /// Known cost before.
    pub before: crate::money::Money,
    /// Known cost after.
    pub after: crate::money::Money,
    /// Per resource.
    pub resources: Vec<crate::fact::ResourceCost>,
    /// What is not priced, and why.
    pub unknown: Vec<crate::fact::UnknownCost>,
    /// Edition of the price book, with its date.
    pub prices: String,
}
