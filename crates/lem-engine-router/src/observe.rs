//! Exact counts per version and the access log. The hot path touches atomics only.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use serde::Serialize;

/// Upper bounds of the duration buckets in microseconds; the last bucket has none.
pub const BUCKETS_MICROS: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];

/// Statuses that exist in HTTP: 100 to 599.
const STATUSES: usize = 500;

/// Counters of one version.
#[derive(Debug)]
pub(crate) struct Stats {
    codes: Box<[AtomicU64]>,
    buckets: [AtomicU64; BUCKETS_MICROS.len() + 1],
    duration_micros: AtomicU64,
    bad: AtomicU64,
    failed: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) diverted: AtomicU64,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            codes: (0..STATUSES).map(|_| AtomicU64::new(0)).collect(),
            buckets: Default::default(),
            duration_micros: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            diverted: AtomicU64::new(0),
        }
    }
}

/// How a request ended on the upstream side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upstream {
    Fine,
    Failed,
}

impl Stats {
    pub(crate) fn record(&self, status: u16, upstream: Upstream, duration: Duration) {
        let micros = duration.as_micros() as u64;
        // Readers load `bad` before the codes, so they never see more bad requests than requests.
        self.codes[usize::from(status.clamp(100, 599)) - 100].fetch_add(1, Relaxed);
        let bucket = BUCKETS_MICROS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.duration_micros.fetch_add(micros, Relaxed);
        if upstream == Upstream::Failed {
            self.failed.fetch_add(1, Relaxed);
        }
        if upstream == Upstream::Failed || status >= 500 {
            self.bad.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn snapshot(&self, version: &str, in_flight: u64) -> VersionCounts {
        let bad = self.bad.load(Relaxed);
        let failed = self.failed.load(Relaxed);
        let codes: Vec<(u16, u64)> =
            (100..).zip(self.codes.iter().map(|c| c.load(Relaxed))).filter(|(_, n)| *n > 0).collect();
        let mut by_class = [0; 5];
        for (code, n) in &codes {
            by_class[usize::from(code / 100) - 1] += n;
        }
        VersionCounts {
            version: version.to_owned(),
            requests: by_class.iter().sum(),
            bad,
            failed,
            by_class,
            codes,
            duration_buckets: self.buckets.iter().map(|b| b.load(Relaxed)).collect(),
            duration_sum_micros: self.duration_micros.load(Relaxed),
            in_flight,
            retried: self.retried.load(Relaxed),
            diverted: self.diverted.load(Relaxed),
        }
    }
}

/// Cumulative counts of one version since the router started. A request counts when its response has
/// been sent or has failed, so `requests` and `bad` speak of the same requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionCounts {
    /// The version.
    pub version: String,
    /// Finished requests.
    pub requests: u64,
    /// Finished requests with a 5xx status or an upstream failure, cut bodies included.
    pub bad: u64,
    /// The part of `bad` that the router saw fail: connect, protocol, timeout, cut body.
    pub failed: u64,
    /// Finished requests by status class, 1xx to 5xx. Clients that left before the answer are 499.
    pub by_class: [u64; 5],
    /// Finished requests by status, without zeros.
    pub codes: Vec<(u16, u64)>,
    /// Requests per duration bucket, not cumulated; bounds in [`BUCKETS_MICROS`], the last is open.
    pub duration_buckets: Vec<u64>,
    /// Sum of all durations.
    pub duration_sum_micros: u64,
    /// Requests and tunnels under way.
    pub in_flight: u64,
    /// Additional tries.
    pub retried: u64,
    /// Requests that this version should have had but that went to another, having no healthy endpoint.
    pub diverted: u64,
}

/// What the exposition needs of one app.
pub(crate) struct AppCounts {
    pub(crate) app: Arc<str>,
    pub(crate) versions: Vec<VersionCounts>,
    pub(crate) unhealthy: u64,
    pub(crate) mirrored: u64,
    pub(crate) mirror_failed: u64,
    pub(crate) mirror_dropped: u64,
}

/// Prometheus text format 0.0.4.
pub(crate) fn exposition(apps: &[AppCounts], router: &[(&str, &str, u64)]) -> String {
    let mut text = String::new();
    family(&mut text, "lem_router_requests_total", "counter", "Finished requests.");
    for (app, counts) in versions(apps) {
        for (code, n) in &counts.codes {
            line(&mut text, "lem_router_requests_total", &labels(app, counts), &format!(",code=\"{code}\""), n);
        }
    }
    family(&mut text, "lem_router_bad_total", "counter", "Finished requests with a 5xx status or an upstream failure.");
    for (app, counts) in versions(apps) {
        line(&mut text, "lem_router_bad_total", &labels(app, counts), "", &counts.bad);
    }
    family(&mut text, "lem_router_request_duration_seconds", "histogram", "Time from request head to end of response.");
    for (app, counts) in versions(apps) {
        histogram(&mut text, &labels(app, counts), counts);
    }
    family(&mut text, "lem_router_in_flight", "gauge", "Requests and tunnels under way.");
    for (app, counts) in versions(apps) {
        line(&mut text, "lem_router_in_flight", &labels(app, counts), "", &counts.in_flight);
    }
    family(&mut text, "lem_router_retries_total", "counter", "Additional tries.");
    for (app, counts) in versions(apps) {
        line(&mut text, "lem_router_retries_total", &labels(app, counts), "", &counts.retried);
    }
    family(
        &mut text,
        "lem_router_diverted_total",
        "counter",
        "Requests sent elsewhere because the version had no healthy endpoint.",
    );
    for (app, counts) in versions(apps) {
        line(&mut text, "lem_router_diverted_total", &labels(app, counts), "", &counts.diverted);
    }
    family(
        &mut text,
        "lem_router_no_healthy_version_total",
        "counter",
        "Requests answered 503 for want of a healthy version.",
    );
    for app in apps {
        line(&mut text, "lem_router_no_healthy_version_total", &app_label(app), "", &app.unhealthy);
    }
    family(&mut text, "lem_router_mirrored_total", "counter", "Mirrored requests by result.");
    for app in apps {
        for (result, n) in [("answered", app.mirrored), ("failed", app.mirror_failed), ("dropped", app.mirror_dropped)]
        {
            line(&mut text, "lem_router_mirrored_total", &app_label(app), &format!(",result=\"{result}\""), &n);
        }
    }
    for (name, kind, value) in router {
        _ = writeln!(text, "# TYPE {name} {kind}\n{name} {value}");
    }
    text
}

fn versions(apps: &[AppCounts]) -> impl Iterator<Item = (&AppCounts, &VersionCounts)> {
    apps.iter().flat_map(|app| app.versions.iter().map(move |v| (app, v)))
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &str, more: &str, value: &u64) {
    _ = writeln!(text, "{name}{{{labels}{more}}} {value}");
}

fn histogram(text: &mut String, labels: &str, counts: &VersionCounts) {
    let name = "lem_router_request_duration_seconds";
    let mut sum = 0;
    for (at, n) in counts.duration_buckets.iter().enumerate() {
        sum += n;
        let bound = BUCKETS_MICROS.get(at).map_or("+Inf".to_owned(), |micros| (*micros as f64 / 1e6).to_string());
        _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {sum}");
    }
    _ = writeln!(text, "{name}_sum{{{labels}}} {}", counts.duration_sum_micros as f64 / 1e6);
    _ = writeln!(text, "{name}_count{{{labels}}} {sum}");
}

fn labels(app: &AppCounts, counts: &VersionCounts) -> String {
    format!("{},version=\"{}\"", app_label(app), escape(&counts.version))
}

fn app_label(app: &AppCounts) -> String {
    format!("app=\"{}\"", escape(&app.app))
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// One finished request.
#[derive(Debug, Clone)]
pub struct AccessRecord {
    /// When the request head had arrived.
    pub time: SystemTime,
    /// The app, empty when no app matched.
    pub app: Arc<str>,
    /// The version, empty when none was chosen.
    pub version: Arc<str>,
    /// Request method.
    pub method: http::Method,
    /// Path and query as received.
    pub target: http::Uri,
    /// Status sent; 499 when the client left first.
    pub status: u16,
    /// Until the end of the response.
    pub duration: Duration,
}

/// Where access records go: a bounded channel, and the count of those that found it full.
#[derive(Debug)]
pub(crate) struct AccessLog {
    pub(crate) sink: tokio::sync::mpsc::Sender<AccessRecord>,
    pub(crate) dropped: AtomicU64,
}

impl AccessLog {
    pub(crate) fn push(&self, record: AccessRecord) {
        if self.sink.try_send(record).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}
