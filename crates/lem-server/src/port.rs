//! What the server asks of the stages and cannot read from the ledger. `lem` wires the stages to these.

use crate::dto;
use async_trait::async_trait;
use futures::stream::BoxStream;
use lem_engine_promql::{Labels, Matcher, Querier};
use lem_model::Digest;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use thiserror::Error;

/// Why a part could not answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PartError {
    /// There is no such thing.
    #[error("there is no {0}")]
    Missing(String),
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

/// What to list of the metric store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Label names.
    Names,
    /// Values of one label.
    Values(String),
}

/// The metric store.
#[async_trait]
pub trait Metrics: Send + Sync {
    /// Where queries read from.
    fn querier(&self) -> &dyn Querier;
    /// Series that pass all matchers, with samples in the range.
    async fn series(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Labels>, PartError>;
    /// Names or values among the series that pass all matchers; no matcher is all of them.
    async fn list(&self, ask: &Ask, matchers: &[Matcher], start_ms: i64, end_ms: i64)
    -> Result<Vec<String>, PartError>;
}

/// What is scraped and what is judged, in the shapes of the Prometheus HTTP API.
pub trait Watching: Send + Sync {
    /// Rule groups.
    fn rules(&self) -> Vec<RuleGroup>;
    /// Active targets.
    fn targets(&self) -> Vec<Target>;
    /// Type, help and unit by metric name.
    fn metadata(&self) -> BTreeMap<String, Vec<Metadata>>;
}

/// Whether labels pass.
pub type Matching = Box<dyn Fn(&BTreeMap<String, String>) -> bool + Send + Sync>;

/// Alerts on their way to people, and what keeps them quiet.
#[async_trait]
pub trait Alerting: Send + Sync {
    /// The routes and receivers as an `alertmanager.yml` without addresses; empty when there are none.
    fn configuration(&self) -> String;
    /// Names of the receivers.
    fn receivers(&self) -> Vec<String>;
    /// Alerts as they are grouped for their receivers.
    fn groups(&self) -> Vec<AlertGroup>;
    /// Silences: active, pending and lately ended ones.
    fn silences(&self) -> Vec<Silence>;
    /// Makes or changes a silence; gives its id.
    async fn add_silence(&self, new: NewSilence) -> Result<String, AlertingError>;
    /// Ends one.
    async fn expire_silence(&self, id: &str, by: lem_model::Actor) -> Result<(), AlertingError>;
    /// Reads matchers such as `severity="page"`.
    fn matching(&self, text: &str) -> Result<Matching, String>;
}

/// Why a silence could not be made or ended.
#[derive(Debug, thiserror::Error)]
pub enum AlertingError {
    /// It is not one.
    #[error("{0}")]
    Invalid(String),
    /// There is no such silence.
    #[error("{0}")]
    Missing(String),
    /// It could not be kept.
    #[error("{0}")]
    Unavailable(String),
}

/// Alerts that are told together.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertGroup {
    /// Labels all of them share.
    pub labels: BTreeMap<String, String>,
    /// Receiver.
    pub receiver: String,
    /// Alerts.
    pub alerts: Vec<GroupedAlert>,
}

/// An alert in a group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupedAlert {
    /// Its id.
    pub fingerprint: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Since when it fires.
    pub starts_at: dto::Time,
    /// When it ended, or until when this word holds.
    pub ends_at: dto::Time,
    /// Where its expression can be looked at.
    pub generator_url: String,
    /// active, suppressed or resolved.
    pub state: String,
    /// Silences that match.
    pub silenced_by: Vec<String>,
    /// Alerts that make it quiet.
    pub inhibited_by: Vec<String>,
}

/// A silence.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// Its id.
    pub id: String,
    /// active, pending or expired.
    pub state: &'static str,
    /// All must match.
    pub matchers: Vec<lem_model::fact::SilenceMatcher>,
    /// From.
    pub starts_at: dto::Time,
    /// Until.
    pub ends_at: dto::Time,
    /// When it was last changed.
    pub updated_at: dto::Time,
    /// Who wants it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// A silence somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSilence {
    /// The one to change.
    pub id: Option<String>,
    /// All must match.
    pub matchers: Vec<lem_model::fact::SilenceMatcher>,
    /// From; now when absent.
    pub starts_at: Option<jiff::Timestamp>,
    /// Until.
    pub ends_at: jiff::Timestamp,
    /// Who wants it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// A group of rules, as `/api/v1/rules` writes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleGroup {
    /// Name.
    pub name: String,
    /// File it is from.
    pub file: String,
    /// Seconds between evaluations.
    pub interval: f64,
    /// Most alerts or series; 0 is no limit.
    pub limit: u64,
    /// Rules in order.
    pub rules: Vec<Rule>,
    /// Seconds the last evaluation took.
    pub evaluation_time: f64,
    /// When that was.
    pub last_evaluation: dto::Time,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum Rule {
    /// Raises alerts.
    Alerting {
        /// inactive, pending, firing or unknown.
        state: String,
        /// Name.
        name: String,
        /// Query.
        query: String,
        /// Seconds it has to hold.
        duration: f64,
        /// Seconds it goes on firing.
        keep_firing_for: f64,
        /// Labels.
        labels: BTreeMap<String, String>,
        /// Annotations, as templates.
        annotations: BTreeMap<String, String>,
        /// Active alerts.
        alerts: Vec<ActiveAlert>,
        /// ok, err or unknown.
        health: String,
        /// Why it is err.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_error: Option<String>,
        /// Seconds the last evaluation took.
        evaluation_time: f64,
        /// When that was.
        last_evaluation: dto::Time,
    },
    /// Records a series.
    Recording {
        /// Name of the series.
        name: String,
        /// Query.
        query: String,
        /// Labels.
        labels: BTreeMap<String, String>,
        /// ok, err or unknown.
        health: String,
        /// Why it is err.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_error: Option<String>,
        /// Seconds the last evaluation took.
        evaluation_time: f64,
        /// When that was.
        last_evaluation: dto::Time,
    },
}

/// An active alert, as `/api/v1/alerts` writes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveAlert {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations, rendered.
    pub annotations: BTreeMap<String, String>,
    /// pending or firing.
    pub state: String,
    /// Since when.
    pub active_at: dto::Time,
    /// Value, in scientific notation.
    pub value: String,
}

/// A target, as `/api/v1/targets` writes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Labels before relabelling.
    pub discovered_labels: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Job.
    pub scrape_pool: String,
    /// Address.
    pub scrape_url: String,
    /// Address as others reach it.
    pub global_url: String,
    /// Why the last scrape failed; empty when it did not.
    pub last_error: String,
    /// When it was scraped last; never is the year 1, as Go writes a time that is not set.
    #[serde(serialize_with = "or_year_one")]
    pub last_scrape: Option<dto::Time>,
    /// Seconds that took.
    pub last_scrape_duration: f64,
    /// up, down or unknown.
    pub health: String,
    /// `15s`.
    pub scrape_interval: String,
    /// `10s`.
    pub scrape_timeout: String,
}

fn or_year_one<S: serde::Serializer>(at: &Option<dto::Time>, to: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => at.serialize(to),
        None => to.serialize_str("0001-01-01T00:00:00Z"),
    }
}

/// What a metric is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// counter, gauge, histogram ...
    #[serde(rename = "type")]
    pub kind: String,
    /// What it means.
    pub help: String,
    /// Unit; empty when it has none.
    pub unit: String,
}

/// Logs of jobs.
#[async_trait]
pub trait RunLogs: Send + Sync {
    /// Lines from one on.
    async fn page(&self, run: &str, job: &str, from: u64, limit: u64) -> Result<dto::JobLog, PartError>;
    /// Lines from one on, and those to come, until the job ends.
    async fn follow(
        &self,
        run: &str,
        job: &str,
        from: u64,
    ) -> Result<BoxStream<'static, Result<dto::JobLogLine, PartError>>, PartError>;
    /// File with the raw log.
    fn file(&self, run: &str, job: &str) -> PathBuf;
    /// What the job wrote as its summary, in Markdown.
    async fn summary(&self, run: &str, job: &str) -> Option<String>;
}

/// Archives by digest.
pub trait Artifacts: Send + Sync {
    /// File with the archive.
    fn file(&self, digest: &Digest) -> Result<PathBuf, PartError>;
}

/// Imported dashboards.
pub trait Dashboards: Send + Sync {
    /// All of them.
    fn list(&self) -> Vec<dto::DashboardRow>;
    /// One.
    fn get(&self, uid: &str) -> Option<dto::Dashboard>;
}

/// What `lem doctor` looks at.
#[async_trait]
pub trait Doctor: Send + Sync {
    /// Looks.
    async fn checks(&self) -> Vec<dto::Check>;
}

/// The incident reports as they were published.
#[async_trait]
pub trait Reports: Send + Sync {
    /// Markdown of an incident's report, if it was published.
    async fn published(&self, incident: &str) -> Option<String>;
}

/// One root in one environment, as its files say.
#[derive(Clone, Debug)]
pub struct Infrastructure {
    /// Folder or file, relative to the repository.
    pub root: String,
    /// Environment whose variables were used; empty when the root has none.
    pub environment: String,
    /// native or terraform.
    pub engine: String,
    /// Its resources.
    pub graph: lem_model::resource::ResourceGraph,
    /// What it costs, when that could be asked.
    pub cost: Option<lem_model::port::PlanCost>,
    /// Its documentation in Markdown; empty when there is none.
    pub documentation: String,
}

/// A budget of the configuration.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Name.
    pub name: String,
    /// Environment, or a word for all of them.
    pub environment: String,
    /// Limit a month.
    pub limit: lem_model::money::Money,
    /// What the files cost where it looks; `None` when they say nothing that has a sum.
    pub known: Option<lem_model::money::Money>,
}

/// What is known of money beyond the ledger.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    /// Edition of the price book.
    pub prices: String,
    /// Its age in days.
    pub prices_age_days: i64,
    /// Budgets.
    pub budgets: Vec<Budget>,
    /// Known cost of everything, when it could be asked.
    pub monthly: Option<lem_model::money::Money>,
    /// Known cost by environment, with what is not priced there; `(none)` holds the folders without one.
    pub by_environment: Vec<dto::CostRow>,
    /// Resources of which something is not priced.
    pub unpriced: Vec<dto::Unpriced>,
    /// Known cost by service.
    pub by_service: Vec<dto::CostRow>,
    /// Known cost by team.
    pub by_team: Vec<dto::CostRow>,
}

/// What provision and optimize know beyond the ledger, and the reports of all teams.
#[async_trait]
pub trait Surroundings: Send + Sync {
    /// Every root in every environment, read from the files as they are now.
    async fn infrastructure(&self) -> Result<Vec<Infrastructure>, PartError>;
    /// Prices, budgets and owners.
    async fn costs(&self) -> Result<Costs, PartError>;
    /// The report of a team.
    async fn report(&self, team: lem_model::report::Team) -> Result<lem_model::report::TeamReport, PartError>;
}
