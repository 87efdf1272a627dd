//! The stage as a service.

mod logs;
mod people;

use crate::ObserveError;
use crate::config::{Config, Section, load};
use crate::dash::Dashboard;
use crate::engine::embedded::{EmbeddedLogs, EmbeddedMetrics};
use crate::engine::{LogStore, MetricStore};
use crate::execute::{Before, Following, Instances, Ruling, Scraping};
use crate::incident::Incidents;
use crate::ledger::{Scribe, Scribing, insist};
use crate::logs::Sink;
use crate::notify::Notifier;
use crate::notify::log::{NotificationLog, retention};
use crate::own::Own;
use crate::patterns::FirstSights;
use crate::rules::{Evaluator, FiringBefore, GroupReport, GroupState};
use crate::scrape::{Scraper, TargetHealth};
use crate::silence::Silences;
use crate::symptom::Answers;
use futures::FutureExt as _;
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
    own: Arc<Own>,
    recorder: Recorder,
    scribe: Scribe,
    /// Taken by [`Self::serve`].
    scribing: Arc<Mutex<Option<Scribing>>>,
    silences: View<Silences>,
    /// Wishes for silences are dealt with one after the other.
    silencing: Arc<tokio::sync::Mutex<()>>,
    notifier: Option<Arc<Notifier>>,
}

impl std::fmt::Debug for ObserveService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObserveService").field("options", &self.options).finish_non_exhaustive()
    }
}

impl ObserveService {
    /// Reads the files and opens the stores. Must be called inside a tokio runtime.
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
        let own: Arc<Own> = Arc::default();
        let recorder =
            Recorder::with(options.log.clone(), SOURCE, options.clock.clone(), Arc::new(lem_ledger::RandomIds));
        let (scribe, scribing) = Scribe::new(recorder.clone(), own.clone());
        let silences: View<Silences> = View::start(options.log.clone());
        let notifier = config.alertmanager.clone().map(|config| {
            Notifier::new(config, options.external_url.clone(), scribe.clone(), silences.clone(), own.clone())
        });
        let inside: Arc<dyn Exposition> = own.clone();
        Ok(Self {
            scraper: Scraper::new(Arc::new(metrics.clone()))?,
            config,
            metrics,
            logs: EmbeddedLogs(logs),
            engine: Arc::new(engine),
            sink,
            expositions: Arc::new(Mutex::new(vec![inside])),
            health: Arc::default(),
            reports: Arc::default(),
            own,
            recorder,
            scribe,
            scribing: Arc::new(Mutex::new(Some(scribing))),
            silences,
            silencing: Arc::default(),
            notifier: notifier.transpose()?.map(Arc::new),
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

    /// What this stage says about itself.
    pub fn own(&self) -> &Own {
        &self.own
    }

    /// Works until told to stop. A ledger that is away is waited for, and that is shown in [`Self::own`]; an error comes
    /// back when waiting cannot mend it. Serves once.
    pub async fn serve(&self, cancel: CancellationToken) -> Result<(), ObserveError> {
        let scribing = self.scribing.lock().take();
        let scribing = scribing.ok_or_else(|| ObserveError::Refused("observe serves once".into()))?;
        let with = Evaluator {
            store: self.metric_store(),
            engine: self.engine.clone(),
            external_labels: self.config.prometheus.external_labels.clone(),
            external_url: self.options.external_url.clone(),
        };
        let Some(before) = insist(&self.own, &cancel, "start", || self.before(&with)).await? else { return Ok(()) };
        let instances: Arc<Mutex<Instances>> = Arc::default();
        let incidents = Incidents { book: View::start(self.options.log.clone()), recorder: self.recorder.clone() };
        let following =
            Following { log: self.options.log.clone(), instances: instances.clone(), incidents, own: self.own.clone() };
        let sights = FirstSights {
            store: self.embedded_logs(),
            log: self.options.log.clone(),
            scribe: self.scribe.clone(),
            own: self.own.clone(),
        };
        tokio::try_join!(
            self.scraping(instances).run(cancel.clone()).map(Ok),
            self.ruling(with, &before).run(cancel.clone()).map(Ok),
            following.run(cancel.clone()),
            sights.run(cancel.clone()),
            scribing.run(cancel.clone()),
        )
        .map(|_| ())
    }

    fn now_ms(&self) -> i64 {
        self.options.clock.now().as_millisecond()
    }

    fn clock_ms(&self) -> Arc<dyn Fn() -> i64 + Send + Sync> {
        let clock = self.options.clock.clone();
        Arc::new(move || clock.now().as_millisecond())
    }

    /// Reads what was before the start, and lets the notifier go on there.
    async fn before(&self, with: &Evaluator) -> Result<Vec<FiringBefore>, ObserveError> {
        let log = self.options.log.as_ref();
        let mut before = Before::read(log).await?;
        let Some(notifier) = &self.notifier else { return Ok(before.firing.into_values().collect()) };
        let (now, now_ms) = (self.options.clock.now(), self.now_ms());
        let kept = retention(&notifier.config().route);
        let since = now.checked_sub(kept).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        before.forget_ended_before(since.as_millisecond());
        let said = NotificationLog::restore(log, since).await?;
        let size = log.size().await?;
        if size > 0 {
            // A silence that is not known yet would not silence.
            self.silences.wait_for(size - 1).await;
        }
        let interval = self.config.prometheus.evaluation_interval_ms;
        let firing: Vec<FiringBefore> = before.firing.into_values().collect();
        let still = firing.iter().cloned().map(|f| with.sent_before(f, None, now_ms, interval));
        let over = before.ended.into_values().map(|(f, at)| with.sent_before(f, Some(at), now_ms, interval));
        notifier.restore(said, still.collect(), over.collect(), now_ms);
        Ok(firing)
    }

    fn scraping(&self, instances: Arc<Mutex<Instances>>) -> Scraping {
        Scraping {
            config: self.config.clone(),
            scraper: self.scraper.clone(),
            instances,
            expositions: self.expositions.clone(),
            paths: self.options.paths.clone(),
            health: self.health.clone(),
            now_ms: self.clock_ms(),
        }
    }

    fn ruling(&self, with: Evaluator, before: &[FiringBefore]) -> Ruling {
        let (interval, now_ms) = (self.config.prometheus.evaluation_interval_ms, self.now_ms());
        let groups = self.config.groups.iter().cloned().map(|g| GroupState::new(g, interval, before, now_ms));
        let sink = self.sink.clone();
        Ruling {
            groups: groups.collect(),
            with,
            notifier: self.notifier.clone(),
            scribe: self.scribe.clone(),
            own: self.own.clone(),
            lines_lost: Arc::new(move || sink.dropped()),
            reports: self.reports.clone(),
            now_ms: self.clock_ms(),
        }
    }
}
