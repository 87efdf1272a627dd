//! Scraping: one look at a target becomes samples, staleness markers and the target's health.
//!
//! [`digest`] is the decision: from a text to samples. [`Scraper`] does the effects: asks, appends, remembers.

pub mod process;
pub mod relabel;

use crate::engine::{MetricStore, Sample};
use lem_engine_metrics::text::{self, Format, Metadata, Parsed};
use lem_engine_promql::{Labels, number::STALE};
use lem_model::port::Exposition;
use lem_model::text::with_causes;
use parking_lot::Mutex;
use relabel::Relabel;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of one exposition.
pub const MAX_BODY_BYTES: u64 = 64 << 20;
/// What we read, best first.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                      text/plain;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

/// Where an exposition comes from.
#[derive(Clone)]
pub enum Source {
    /// A page.
    Http {
        /// Address.
        url: String,
        /// Read unknown content types as text.
        fallback: bool,
    },
    /// A part of this program.
    Inside(Arc<dyn Exposition>),
    /// A process and its descendants.
    Process(u32),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http { url, .. } => write!(f, "Http({url})"),
            Self::Inside(what) => write!(f, "Inside({})", what.job()),
            Self::Process(pid) => write!(f, "Process({pid})"),
        }
    }
}

/// A target, ready to be scraped.
#[derive(Clone, Debug)]
pub struct Target {
    /// Job.
    pub job: String,
    /// Labels of everything it says.
    pub labels: Labels,
    /// Where.
    pub source: Source,
    /// Time between scrapes.
    pub interval_ms: i64,
    /// Time a scrape may take.
    pub timeout_ms: i64,
    /// Keep the target's labels where they clash with ours.
    pub honor_labels: bool,
    /// Take the target's timestamps.
    pub honor_timestamps: bool,
    /// Samples; 0 is no limit.
    pub sample_limit: usize,
    /// Bytes.
    pub body_limit: u64,
    /// After the scrape.
    pub metric_relabel: Vec<Relabel>,
}

/// How the last scrape of a target went.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetHealth {
    /// Job, called pool by the reference.
    pub scrape_pool: String,
    /// Address.
    pub scrape_url: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// up, down or unknown.
    pub health: String,
    /// Why it is down.
    pub last_error: String,
    /// When, in milliseconds.
    pub last_scrape_ms: i64,
    /// How long it took.
    pub last_scrape_duration_s: f64,
    /// Time between scrapes.
    pub interval_ms: i64,
    /// Time a scrape may take.
    pub timeout_ms: i64,
}

/// What a scrape adds up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Digest {
    /// Samples to store.
    pub samples: Vec<Sample>,
    /// Series without a timestamp of their own: they get a marker when they are gone.
    pub series: HashSet<Labels>,
    /// Samples in the text.
    pub scraped: usize,
}

/// From a parsed text to samples, or why the whole scrape fails.
pub fn digest(parsed: &Parsed, target: &Target, at_ms: i64) -> Result<Digest, String> {
    let mut out = Digest { scraped: parsed.samples.len(), ..Digest::default() };
    for sample in &parsed.samples {
        let labels = join(sample.labels.iter(), target);
        let Some(labels) = relabel::process(&labels, &target.metric_relabel) else { continue };
        let own_time = sample.t_ms.filter(|_| target.honor_timestamps);
        if own_time.is_none() {
            out.series.insert(labels.clone());
        }
        out.samples.push(Sample { labels, t_ms: own_time.unwrap_or(at_ms), value: sample.value });
        if target.sample_limit > 0 && out.samples.len() > target.sample_limit {
            return Err("sample limit exceeded".to_owned());
        }
    }
    Ok(out)
}

/// The sample's labels with the target's. On a clash the target's win and the sample's become `exported_*`, or the other
/// way round with `honor_labels`.
fn join<'a>(sample: impl Iterator<Item = (&'a str, &'a str)>, target: &Target) -> Labels {
    let mut map: BTreeMap<String, String> = target.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    for (name, value) in sample {
        let value = match name {
            // Bounds are numbers: 1 and 1.0 are one series.
            "le" | "quantile" => text::parse_value(value).map_or_else(|| value.to_owned(), text::format_label_float),
            _ => value.to_owned(),
        };
        if target.labels.has(name) && !target.honor_labels {
            let mut exported = format!("exported_{name}");
            while map.contains_key(&exported) {
                exported = format!("exported_{exported}");
            }
            map.insert(exported, value);
        } else {
            map.insert(name.to_owned(), value);
        }
    }
    if matches!(target.source, Source::Inside(_)) {
        name_the_service(&mut map);
    }
    Labels::new(map.into_iter().filter(|(_, v)| !v.is_empty()).collect())
}

/// The router knows apps as `environment/service`; everybody else asks by service and environment.
fn name_the_service(map: &mut BTreeMap<String, String>) {
    if let Some((environment, service)) = map.get("app").and_then(|app| app.split_once('/')) {
        let (environment, service) = (environment.to_owned(), service.to_owned());
        map.insert("environment".into(), environment);
        map.insert("service".into(), service);
        map.remove("app");
    }
}

/// Asks targets and keeps what they said.
#[derive(Clone)]
pub struct Scraper {
    store: Arc<dyn MetricStore>,
    client: reqwest::Client,
    metadata: Arc<Mutex<BTreeMap<String, Metadata>>>,
}

impl std::fmt::Debug for Scraper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scraper")
    }
}

/// Families whose metadata is remembered.
const MAX_METADATA: usize = 10_000;

impl Scraper {
    /// Into a store.
    pub fn new(store: Arc<dyn MetricStore>) -> Result<Self, reqwest::Error> {
        // Credentials never follow a redirect to another host: there are none.
        let client = reqwest::Client::builder().user_agent(concat!("lem/", env!("CARGO_PKG_VERSION"))).build()?;
        Ok(Self { store, client, metadata: Arc::default() })
    }

    /// Metadata of everything scraped so far.
    pub fn metadata(&self) -> BTreeMap<String, Metadata> {
        self.metadata.lock().clone()
    }

    /// One scrape. `seen` is what the target said last time, and is replaced by what it says now.
    pub async fn scrape(&self, target: &Target, seen: &mut HashSet<Labels>, at_ms: i64) -> TargetHealth {
        let began = Instant::now();
        let looked = self.look(target).await.and_then(|parsed| {
            self.remember(&parsed.metadata);
            digest(&parsed, target, at_ms)
        });
        let took = began.elapsed().as_secs_f64();
        let (digest, error) = match looked {
            Ok(digest) => (digest, String::new()),
            Err(error) => (Digest::default(), error),
        };
        let mut batch = digest.samples;
        let kept = batch.len();
        let added = digest.series.iter().filter(|s| !seen.contains(*s)).count();
        batch.extend(seen.difference(&digest.series).map(|gone| marker(gone, at_ms)));
        if !matches!(target.source, Source::Process(_)) {
            let up = if error.is_empty() { 1.0 } else { 0.0 };
            let values = [up, took, digest.scraped as f64, kept as f64, added as f64];
            batch.extend(REPORTS.iter().zip(values).map(|(name, value)| Sample {
                labels: target.labels.with("__name__", name),
                t_ms: at_ms,
                value,
            }));
        }
        *seen = digest.series;
        self.keep(target, batch).await;
        TargetHealth {
            health: if error.is_empty() { "up" } else { "down" }.into(),
            last_error: error,
            last_scrape_ms: at_ms,
            last_scrape_duration_s: took,
            ..health(target)
        }
    }

    /// The target is gone: every series it had ends here.
    pub async fn end(&self, target: &Target, seen: &mut HashSet<Labels>, at_ms: i64) {
        let mut batch: Vec<Sample> = seen.drain().map(|gone| marker(&gone, at_ms)).collect();
        if !matches!(target.source, Source::Process(_)) {
            batch.extend(REPORTS.iter().map(|name| marker(&target.labels.with("__name__", name), at_ms)));
        }
        self.keep(target, batch).await;
    }

    async fn keep(&self, target: &Target, batch: Vec<Sample>) {
        match self.store.append(batch).await {
            Ok(appended) => {
                if let Some((_, why)) = appended.rejected.first() {
                    let count = appended.rejected.len();
                    tracing::warn!(job = target.job, count, why, "samples were rejected");
                }
            }
            Err(error) => tracing::error!(job = target.job, %error, "samples were lost"),
        }
    }

    fn remember(&self, metadata: &[Metadata]) {
        let mut known = self.metadata.lock();
        for family in metadata {
            if known.len() < MAX_METADATA || known.contains_key(&family.name) {
                known.insert(family.name.clone(), family.clone());
            }
        }
    }

    async fn look(&self, target: &Target) -> Result<Parsed, String> {
        match &target.source {
            Source::Inside(what) => text::parse(&what.text(), Format::Prometheus).map_err(|e| e.to_string()),
            Source::Process(pid) => {
                let said = process::exposition(*pid).map_err(|e| format!("process {pid}: {e}"))?;
                text::parse(&said, Format::Prometheus).map_err(|e| e.to_string())
            }
            Source::Http { url, fallback } => {
                let limit = Duration::from_millis(target.timeout_ms.max(1) as u64);
                let asked = tokio::time::timeout(limit, self.ask(url, *fallback, target));
                asked.await.map_err(|_| "context deadline exceeded".to_owned())?
            }
        }
    }

    async fn ask(&self, url: &str, fallback: bool, target: &Target) -> Result<Parsed, String> {
        let said = |error: reqwest::Error| with_causes(&error.without_url());
        let seconds = (target.timeout_ms as f64 / 1000.0).to_string();
        let request =
            self.client.get(url).header("Accept", ACCEPT).header("X-Prometheus-Scrape-Timeout-Seconds", seconds);
        let mut response = request.send().await.map_err(said)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("server returned HTTP status {}", response.status()));
        }
        let kind = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let format = format_of(&kind, fallback)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(said)? {
            if body.len() as u64 + chunk.len() as u64 > target.body_limit {
                return Err("body size limit exceeded".to_owned());
            }
            body.extend_from_slice(&chunk);
        }
        let body = String::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())?;
        text::parse(&body, format).map_err(|e| e.to_string())
    }
}

const REPORTS: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

/// A target before its first scrape.
pub fn health(target: &Target) -> TargetHealth {
    TargetHealth {
        scrape_pool: target.job.clone(),
        scrape_url: match &target.source {
            Source::Http { url, .. } => url.clone(),
            Source::Inside(what) => format!("inside:{}", what.job()),
            Source::Process(pid) => format!("process:{pid}"),
        },
        labels: target.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
        health: "unknown".into(),
        interval_ms: target.interval_ms,
        timeout_ms: target.timeout_ms,
        ..TargetHealth::default()
    }
}

/// The mark that a series has ended.
pub fn marker(labels: &Labels, at_ms: i64) -> Sample {
    Sample { labels: labels.clone(), t_ms: at_ms, value: STALE }
}

/// The format a content type names; anything unknown fails the scrape, as upstream decided for version 3.
fn format_of(content_type: &str, fallback: bool) -> Result<Format, String> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    match kind {
        "text/plain" => Ok(Format::Prometheus),
        "application/openmetrics-text" => Ok(Format::OpenMetrics),
        _ if fallback => Ok(Format::Prometheus),
        "" => Err("non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target".to_owned()),
        _ => Err(format!("received unsupported Content-Type \"{content_type}\" and no fallback_scrape_protocol specified for target")),
    }
}
