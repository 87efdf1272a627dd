//! The stage as a service.

use crate::ObserveError;
use crate::config::{Config, Section, load};
use crate::dash::Dashboard;
use crate::engine::embedded::{EmbeddedLogs, EmbeddedMetrics};
use crate::engine::{LogStore, MetricStore};
use crate::execute::{Instances, Ruling, Scraping, firing_before, follow};
use crate::incident::Incidents;
use crate::logs::Sink;
use crate::notify::Notifier;
use crate::rules::{Evaluator, GroupReport, GroupState};
use crate::scrape::{Scraper, TargetHealth};
use crate::symptom::Answers;
use lem_engine_metrics::text::Metadata;
use lem_ledger::{EventLog, Recorder, View};
use lem_model::port::{Exposition, LogSink};
use lem_model::{Clock, Diagnostic, ServiceName};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Source of everything this stage appends.
pub(crate) const SOURCE: &str = "/lem/observe";

/// What the stage is built from.
#[derive(Clone)]
pub struct ObserveOptions {
    /// Repository.
    pub root: PathBuf,
    /// The `observe:` section.
    pub section: Section,
    /// Directory for the stores.
    pub data: PathBuf,
    /// Ledger.
    pub log: Arc<dyn EventLog>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Path of each service's metrics.
    pub paths: BTreeMap<ServiceName, String>,
    /// Address of the UI, for links in alerts.
    pub external_url: String,
}

impl std::fmt::Debug for ObserveOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObserveOptions")
            .field("root", &self.root)
            .field("section", &self.section)
            .finish_non_exhaustive()
    }
}

/// The stage.
#[derive(Clone)]
pub struct ObserveService {
    options: ObserveOptions,
    config: Config,
    metrics: EmbeddedMetrics,
    logs: EmbeddedLogs,
    engine: Arc<lem_engine_promql::Engine>,
    sink: Sink,
    scraper: Scraper,
    expositions: Arc<Mutex<Vec<Arc<dyn Exposition>>>>,
    health: Arc<Mutex<BTreeMap<String, TargetHealth>>>,
    reports: Arc<Mutex<Vec<GroupReport>>>,
}

impl std::fmt::Debug for ObserveService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObserveService").field("options", &self.options).finish_non_exhaustive()
    }
}

impl ObserveService {
    /// Reads the files and opens the stores.
    pub fn new(options: ObserveOptions) -> Result<Self, ObserveError> {
        let (config, found) = load(&options.root, &options.section);
        if found.iter().any(Diagnostic::is_error) {
            return Err(ObserveError::Config(found));
        }
        for warning in &found {
            tracing::warn!("{warning}");
        }
        let (metrics, opened) =
            lem_engine_metrics::Store::open(options.data.join("metrics"), lem_engine_metrics::Options::default())?;
        tracing::debug!(?opened, "metric store open");
        let (logs, opened) =
            lem_engine_logs::LogStore::open(options.data.join("logs"), lem_engine_logs::Options::default())?;
        tracing::debug!(?opened, "log store open");
        let thread =
            |source| ObserveError::File { action: "start a thread for", path: options.data.join("logs"), source };
        let sink = Sink::start(logs.clone()).map_err(thread)?;
        let metrics = EmbeddedMetrics(metrics);
        let engine = lem_engine_promql::Engine::new(lem_engine_promql::Options::default());
        Ok(Self {
            scraper: Scraper::new(Arc::new(metrics.clone()))?,
            config,
            metrics,
            logs: EmbeddedLogs(logs),
            engine: Arc::new(engine),
            sink,
            expositions: Arc::default(),
            health: Arc::default(),
            reports: Arc::default(),
            options,
        })
    }

    /// Something inside the program that can say its metrics.
    pub fn watch(&self, exposition: Arc<dyn Exposition>) {
        self.expositions.lock().push(exposition);
    }

    /// Where lines of processes go.
    pub fn sink(&self) -> Arc<dyn LogSink> {
        Arc::new(self.sink.clone())
    }

    /// Answers for the other stages.
    pub fn answers(&self) -> Arc<Answers> {
        Arc::new(Answers {
            metrics: self.metric_store(),
            logs: self.log_store(),
            engine: self.engine.clone(),
            scrape_ms: self.config.prometheus.scrape_interval_ms,
        })
    }

    /// The metric store.
    pub fn metric_store(&self) -> Arc<dyn MetricStore> {
        Arc::new(self.metrics.clone())
    }

    /// The log store.
    pub fn log_store(&self) -> Arc<dyn LogStore> {
        Arc::new(self.logs.clone())
    }

    /// The log store itself, for protocols that speak to it directly.
    pub fn embedded_logs(&self) -> lem_engine_logs::LogStore {
        self.logs.0.clone()
    }

    /// Rules and alerts.
    pub fn rules(&self) -> Vec<GroupReport> {
        self.reports.lock().clone()
    }

    /// Targets and their health.
    pub fn targets(&self) -> Vec<TargetHealth> {
        self.health.lock().values().cloned().collect()
    }

    /// What metrics are.
    pub fn metadata(&self) -> BTreeMap<String, Metadata> {
        self.scraper.metadata()
    }

    /// Imported dashboards.
    pub fn dashboards(&self) -> &[Dashboard] {
        &self.config.dashboards
    }

    /// Works until told to stop.
    pub async fn serve(&self, cancel: CancellationToken) -> Result<(), ObserveError> {
        let clock = self.options.clock.clone();
        let now_ms: Arc<dyn Fn() -> i64 + Send + Sync> = Arc::new(move || clock.now().as_millisecond());
        let log = self.options.log.clone();
        let recorder = Recorder::with(log.clone(), SOURCE, self.options.clock.clone(), Arc::new(lem_ledger::RandomIds));
        let instances: Arc<Mutex<Instances>> = Arc::default();
        let scraping = Scraping {
            config: self.config.clone(),
            scraper: self.scraper.clone(),
            instances: instances.clone(),
            expositions: self.expositions.clone(),
            paths: self.options.paths.clone(),
            health: self.health.clone(),
            now_ms: now_ms.clone(),
        };
        let before = firing_before(&log).await?;
        let interval = self.config.prometheus.evaluation_interval_ms;
        let groups = self.config.groups.iter().cloned().map(|g| GroupState::new(g, interval, &before, now_ms()));
        let notifier = self.config.alertmanager.clone().map(|c| Notifier::new(c, recorder.clone())).transpose()?;
        let ruling = Ruling {
            groups: groups.collect(),
            with: Evaluator {
                store: self.metric_store(),
                engine: self.engine.clone(),
                external_labels: self.config.prometheus.external_labels.clone(),
                external_url: self.options.external_url.clone(),
            },
            notifier: notifier.map(Arc::new),
            recorder: recorder.clone(),
            reports: self.reports.clone(),
            now_ms,
        };
        let incidents = Incidents { book: View::start(log.clone()), recorder };
        let (scraped, ruled, followed) = tokio::join!(
            scraping.run(cancel.clone()),
            ruling.run(cancel.clone()),
            follow(log, instances, incidents, cancel.clone()),
        );
        let ((), ()) = (scraped, ruled);
        followed
    }
}
