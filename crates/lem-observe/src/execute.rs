//! The loops: scraping, evaluating rules, telling people, following the ledger.

mod before;
mod follow;

use crate::config::{Config, ScrapeConfig};
use crate::events::*;
use crate::ledger::Scribe;
use crate::notify::Notifier;
use crate::own::Own;
use crate::plan::alert::Change;
use crate::rules::{Evaluator, GroupReport, GroupState, alert_id, map};
use crate::scrape::{Scraper, Source, Target, TargetHealth, relabel};
use futures::future::join_all;
use lem_engine_promql::Labels;
use lem_model::ServiceName;
use lem_model::port::Exposition;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(crate) use before::Before;
pub(crate) use follow::Following;

/// Rest between two looks at what is due.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Targets at once.
pub const MAX_TARGETS: usize = 5_000;

/// What runs, as the ledger says it.
pub type Instances = BTreeMap<String, InstanceStarted>;

/// A target with its memory.
struct Watched {
    target: Target,
    seen: HashSet<Labels>,
    next_ms: i64,
}

/// What the scraping loop needs.
pub(crate) struct Scraping {
    pub(crate) config: Config,
    pub(crate) scraper: Scraper,
    pub(crate) instances: Arc<Mutex<Instances>>,
    pub(crate) expositions: Arc<Mutex<Vec<Arc<dyn Exposition>>>>,
    /// Path of a service's metrics; a service without one is not asked.
    pub(crate) paths: BTreeMap<ServiceName, String>,
    pub(crate) health: Arc<Mutex<BTreeMap<String, TargetHealth>>>,
    pub(crate) now_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Scraping {
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let mut watched: BTreeMap<String, Watched> = BTreeMap::new();
        while !cancel.is_cancelled() {
            let now = (self.now_ms)();
            let wanted = self.targets();
            let gone: Vec<String> = watched.keys().filter(|k| !wanted.contains_key(*k)).cloned().collect();
            for key in gone {
                if let Some(mut old) = watched.remove(&key) {
                    self.scraper.end(&old.target, &mut old.seen, now).await;
                    self.health.lock().remove(&key);
                }
            }
            for (key, target) in wanted {
                watched.entry(key).or_insert_with(|| Watched { target, seen: HashSet::new(), next_ms: now });
            }
            let due = watched.iter_mut().filter(|(_, w)| w.next_ms <= now);
            let scrapes = due.map(|(key, w)| async {
                w.next_ms = (now - now.rem_euclid(w.target.interval_ms)) + w.target.interval_ms;
                (key.clone(), self.scraper.scrape(&w.target, &mut w.seen, now).await)
            });
            let done = join_all(scrapes).await;
            self.health.lock().extend(done);
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn targets(&self) -> BTreeMap<String, Target> {
        let mut targets = BTreeMap::new();
        for config in &self.config.prometheus.scrape_configs {
            for (address, labels) in &config.targets {
                if let Some(target) = configured(config, address, labels) {
                    targets.insert(format!("{}/{address}", config.job), target);
                }
            }
        }
        for exposition in self.expositions.lock().iter() {
            let labels = Labels::from_pairs([("job", exposition.job()), ("instance", "lem")]);
            targets
                .insert(format!("inside/{}", exposition.job()), self.own(labels, Source::Inside(exposition.clone())));
        }
        for instance in self.instances.lock().values() {
            let labels = Labels::from_pairs([
                ("job", instance.service.as_str()),
                ("instance", instance.address.as_str()),
                ("service", instance.service.as_str()),
                ("environment", instance.environment.as_str()),
                ("version", instance.version.as_str()),
            ]);
            if let Some(path) = self.paths.get(&instance.service) {
                let url = format!("http://{}{path}", instance.address);
                let source = Source::Http { url, fallback: true };
                targets.insert(format!("instance/{}", instance.instance), self.own(labels.clone(), source));
            }
            if let Some(pid) = instance.pid {
                targets.insert(format!("process/{}", instance.instance), self.own(labels, Source::Process(pid)));
            }
        }
        if targets.len() > MAX_TARGETS {
            tracing::error!(targets = targets.len(), limit = MAX_TARGETS, "some targets are not scraped");
        }
        targets.into_iter().take(MAX_TARGETS).collect()
    }

    fn own(&self, labels: Labels, source: Source) -> Target {
        let interval_ms = self.config.prometheus.scrape_interval_ms;
        Target {
            job: labels.get("job").to_owned(),
            labels,
            source,
            interval_ms,
            timeout_ms: self.config.prometheus.scrape_timeout_ms.min(interval_ms),
            honor_labels: false,
            honor_timestamps: true,
            sample_limit: 0,
            body_limit: crate::scrape::MAX_BODY_BYTES,
            metric_relabel: vec![],
        }
    }
}

/// A configured target after relabelling; `None` when relabelling drops it.
fn configured(config: &ScrapeConfig, address: &str, labels: &BTreeMap<String, String>) -> Option<Target> {
    let mut all = labels.clone();
    all.insert("__address__".into(), address.to_owned());
    all.insert("__scheme__".into(), config.scheme.clone());
    all.insert("__metrics_path__".into(), config.metrics_path.clone());
    all.entry("job".into()).or_insert_with(|| config.job.clone());
    for (name, value) in &config.params {
        all.insert(format!("__param_{name}"), value.clone());
    }
    let mut all = map(&relabel::process(&Labels::new(all.into_iter().collect()), &config.relabel)?);
    let address = all.get("__address__").cloned().filter(|a| !a.is_empty())?;
    let part = |name: &str| all.get(name).cloned().unwrap_or_default();
    let params: Vec<String> = all
        .iter()
        .filter_map(|(n, v)| Some((n.strip_prefix("__param_")?, v)))
        .map(|(n, v)| format!("{n}={}", percent_encoding::utf8_percent_encode(v, percent_encoding::NON_ALPHANUMERIC)))
        .collect();
    let query = if params.is_empty() { String::new() } else { format!("?{}", params.join("&")) };
    let url = format!("{}://{address}{}{query}", part("__scheme__"), part("__metrics_path__"));
    all.entry("instance".into()).or_insert(address);
    all.retain(|name, _| !name.starts_with("__"));
    Some(Target {
        job: config.job.clone(),
        labels: Labels::new(all.into_iter().collect()),
        source: Source::Http { url, fallback: config.fallback_protocol },
        interval_ms: config.interval_ms.max(1),
        timeout_ms: config.timeout_ms,
        honor_labels: config.honor_labels,
        honor_timestamps: config.honor_timestamps,
        sample_limit: config.sample_limit,
        body_limit: config.body_size_limit,
        metric_relabel: config.metric_relabel.clone(),
    })
}

/// What the rules loop needs.
pub(crate) struct Ruling {
    pub(crate) groups: Vec<GroupState>,
    pub(crate) with: Evaluator,
    pub(crate) notifier: Option<Arc<Notifier>>,
    pub(crate) scribe: Scribe,
    pub(crate) own: Arc<Own>,
    /// Lines of processes that were dropped so far.
    pub(crate) lines_lost: Arc<dyn Fn() -> u64 + Send + Sync>,
    pub(crate) reports: Arc<Mutex<Vec<GroupReport>>>,
    pub(crate) now_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Ruling {
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let now = (self.now_ms)();
        let mut next: Vec<i64> = self.groups.iter().map(|g| g.next_after(now)).collect();
        while !cancel.is_cancelled() {
            let now = (self.now_ms)();
            for (at, group) in next.iter_mut().zip(&mut self.groups).filter(|(at, _)| **at <= now) {
                let late = (now - *at) / group.interval_ms().max(1);
                group.miss(late.max(0) as u64);
                let outcome = group.evaluate(&self.with, now).await;
                for error in &outcome.errors {
                    self.own.rule_failed();
                    tracing::warn!(error, "a rule failed");
                }
                for (change, query) in outcome.changes {
                    say(&self.scribe, &change, &query);
                }
                if let Some(notifier) = &self.notifier {
                    notifier.take(outcome.send, now);
                }
                *at = group.next_after(now);
            }
            if let Some(notifier) = &self.notifier {
                notifier.flush(now);
            }
            self.own.lines_lost((self.lines_lost)());
            *self.reports.lock() = self.groups.iter().map(GroupState::report).collect();
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }
}

/// A transition as a fact, under an id that a restart repeats.
fn say(scribe: &Scribe, change: &Change, query: &str) {
    let time = |ms: i64| jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    match change {
        Change::Fired(alert) => {
            let labels = map(&alert.labels);
            let fact = AlertFired {
                alert: alert_id(&alert.labels),
                rule: alert.labels.get("alertname").to_owned(),
                query: query.to_owned(),
                value: alert.value,
                active_at: time(alert.active_at_ms),
                service: named(&labels, "service").map(Into::into),
                environment: named(&labels, "environment").map(Into::into),
                severity: labels.get("severity").cloned().unwrap_or_default(),
                annotations: alert.annotations.clone(),
                labels,
            };
            scribe.say_once(format!("fired:{}:{}", fact.alert, alert.active_at_ms), &fact);
        }
        Change::Resolved(alert) => {
            let labels = map(&alert.labels);
            let fact = AlertResolved {
                alert: alert_id(&alert.labels),
                rule: alert.labels.get("alertname").to_owned(),
                service: named(&labels, "service").map(Into::into),
                environment: named(&labels, "environment").map(Into::into),
                labels,
            };
            scribe.say_once(format!("resolved:{}:{}", fact.alert, alert.active_at_ms), &fact);
        }
    }
}

fn named(labels: &BTreeMap<String, String>, name: &str) -> Option<String> {
    labels.get(name).filter(|v| !v.is_empty()).cloned()
}
