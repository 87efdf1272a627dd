//! Analysis runs: counters, limits and phases as in Argo Rollouts (`analysis/analysis.go`).
//!
//! One deliberate difference is left to the caller: a run that ended before any measurement is Successful here as in
//! the original; [`Run::evidence`] tells that there was none, and the stage's verdict says so.

use crate::condition::Phase as Measurement;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `consecutiveErrorLimit` when none is given.
pub const CONSECUTIVE_ERROR_LIMIT: i64 = 4;
/// After an error the metric is measured again this much later.
pub const ERROR_RETRY_MS: u64 = 10_000;
/// Measurements kept per metric.
pub const MEASUREMENTS_KEPT: usize = 10;
/// Metrics of one run.
pub const METRICS_MAX: usize = 100;

/// Phase of a metric or a run, in order of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Done, and fine.
    Successful,
    /// Under way.
    Running,
    /// Not begun.
    Pending,
    /// Cannot tell.
    Inconclusive,
    /// Could not be measured.
    Error,
    /// Not fine.
    Failed,
}

impl Phase {
    /// Whether nothing more will be measured.
    pub fn is_done(self) -> bool {
        !matches!(self, Phase::Running | Phase::Pending)
    }
}

/// Limits of one metric, as in an AnalysisTemplate; -1 disables a limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Name, unique in the run.
    pub name: String,
    /// Time between measurements.
    pub interval_ms: Option<u64>,
    /// Time before the first.
    pub initial_delay_ms: u64,
    /// Measurements to take.
    pub count: Option<i64>,
    /// More failed ones than this fail the metric; default 0.
    pub failure_limit: i64,
    /// More inconclusive ones than this make it inconclusive; default 0.
    pub inconclusive_limit: i64,
    /// More consecutive errors than this are an error; default 4.
    pub consecutive_error_limit: i64,
    /// This many successes in a row are a success; 0 is off.
    pub consecutive_success_limit: i64,
    /// Whether the metric counts.
    pub mode: Mode,
}

/// Whether a metric counts for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// It counts.
    Counts,
    /// Measured and shown, never counted.
    DryRun,
}

impl Limits {
    /// A metric with the defaults.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            interval_ms: None,
            initial_delay_ms: 0,
            count: None,
            failure_limit: 0,
            inconclusive_limit: 0,
            consecutive_error_limit: CONSECUTIVE_ERROR_LIMIT,
            consecutive_success_limit: 0,
            mode: Mode::Counts,
        }
    }

    /// `count`, or 1 without interval; endless (`None`) with interval and no count.
    pub fn effective_count(&self) -> Option<i64> {
        match (self.count.filter(|c| *c != 0), self.interval_ms) {
            (Some(count), _) => Some(count),
            (None, Some(_)) => None,
            (None, None) => Some(1),
        }
    }

    fn fails_by_limit(&self) -> bool {
        self.failure_limit >= 0
    }

    fn succeeds_by_limit(&self) -> bool {
        self.consecutive_success_limit > 0
    }
}

/// What is wrong with the metrics of a template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("metric {metric:?}: {problem}")]
pub struct Invalid {
    /// Index of the metric.
    pub index: usize,
    /// Its name.
    pub metric: String,
    /// What is wrong.
    pub problem: String,
}

/// Checks the metrics of a template; all problems, in order.
pub fn validate(metrics: &[Limits]) -> Vec<Invalid> {
    let mut found = vec![];
    for (index, m) in metrics.iter().enumerate() {
        let mut say = |problem: String| found.push(Invalid { index, metric: m.name.clone(), problem });
        if index >= METRICS_MAX {
            say(format!("at most {METRICS_MAX} metrics are possible"));
            break;
        }
        if metrics[..index].iter().any(|other| other.name == m.name) {
            say("name is used twice".into());
        }
        let count = m.count.unwrap_or(0);
        if count > 1 && m.interval_ms.is_none() {
            say("interval must be given when count is above 1".into());
        }
        for (name, value) in [
            ("failureLimit", m.failure_limit),
            ("inconclusiveLimit", m.inconclusive_limit),
            ("consecutiveErrorLimit", m.consecutive_error_limit),
            ("consecutiveSuccessLimit", m.consecutive_success_limit),
        ] {
            if value < -1 {
                say(format!("{name} must be -1 or more"));
            }
        }
        if count < 0 {
            say("count must not be negative".into());
        }
        if !m.fails_by_limit() && !m.succeeds_by_limit() {
            say("failureLimit and consecutiveSuccessLimit must not both be disabled".into());
        }
        if count > 0 {
            let both = m.failure_limit >= 0 && m.consecutive_success_limit >= 0;
            if both && count < m.failure_limit + m.consecutive_success_limit {
                say(format!(
                    "count {count} must be at least failureLimit {} plus consecutiveSuccessLimit {}",
                    m.failure_limit, m.consecutive_success_limit
                ));
            }
            if count < m.inconclusive_limit {
                say(format!("count {count} must be at least inconclusiveLimit {}", m.inconclusive_limit));
            }
        }
    }
    found
}

/// Counters of one metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Measurements that count: all but errors.
    pub count: i64,
    /// Successful ones.
    pub successful: i64,
    /// Failed ones.
    pub failed: i64,
    /// Inconclusive ones.
    pub inconclusive: i64,
    /// Errors.
    pub error: i64,
    /// Errors in a row.
    pub consecutive_error: i64,
    /// Successes in a row.
    pub consecutive_success: i64,
    /// Phase.
    pub phase: Phase,
    /// The last measurements with their times, oldest first.
    pub last: Vec<(i64, Measurement)>,
}

impl Counters {
    /// Nothing measured yet.
    pub fn new() -> Self {
        Self {
            count: 0,
            successful: 0,
            failed: 0,
            inconclusive: 0,
            error: 0,
            consecutive_error: 0,
            consecutive_success: 0,
            phase: Phase::Pending,
            last: vec![],
        }
    }

    /// Takes a measurement and assesses the metric after it.
    pub fn fold(&mut self, limits: &Limits, at_ms: i64, measurement: Measurement) {
        match measurement {
            Measurement::Error => {
                self.error += 1;
                self.consecutive_error += 1;
            }
            Measurement::Successful => self.successful += 1,
            Measurement::Failed => self.failed += 1,
            Measurement::Inconclusive => self.inconclusive += 1,
        }
        if measurement != Measurement::Error {
            self.count += 1;
            self.consecutive_error = 0;
        }
        self.consecutive_success =
            if measurement == Measurement::Successful { self.consecutive_success + 1 } else { 0 };
        self.last.push((at_ms, measurement));
        if self.last.len() > MEASUREMENTS_KEPT {
            self.last.remove(0);
        }
        self.phase = self.assess(limits);
    }

    fn assess(&self, limits: &Limits) -> Phase {
        if let Some(phase) = self.violated(limits) {
            return phase;
        }
        if limits.succeeds_by_limit() && self.consecutive_success >= limits.consecutive_success_limit {
            return Phase::Successful;
        }
        if limits.effective_count().is_some_and(|count| self.count >= count) {
            return match (limits.succeeds_by_limit(), limits.fails_by_limit()) {
                (true, true) => Phase::Inconclusive,
                (true, false) => Phase::Failed,
                (false, _) => Phase::Successful,
            };
        }
        Phase::Running
    }

    /// A limit that is exceeded; the later one in this list wins, as in the original's assessment.
    fn violated(&self, limits: &Limits) -> Option<Phase> {
        let exceeded = |n: i64, limit: i64| limit >= 0 && n > limit;
        let mut phase = None;
        if exceeded(self.failed, limits.failure_limit) {
            phase = Some(Phase::Failed);
        }
        if exceeded(self.inconclusive, limits.inconclusive_limit) {
            phase = Some(Phase::Inconclusive);
        }
        if exceeded(self.consecutive_error, limits.consecutive_error_limit) {
            phase = Some(Phase::Error);
        }
        phase
    }

    /// When the metric is due, in milliseconds; `None` when it is done.
    pub fn due_ms(&self, limits: &Limits, started_ms: i64) -> Option<i64> {
        if self.phase.is_done() {
            return None;
        }
        match self.last.last() {
            None => Some(started_ms + limits.initial_delay_ms as i64),
            Some((at, Measurement::Error)) => Some(at + ERROR_RETRY_MS as i64),
            Some((at, _)) => Some(at + limits.interval_ms.unwrap_or(0) as i64),
        }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

/// A run over several metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    limits: Vec<Limits>,
    counters: Vec<Counters>,
    started_ms: i64,
    terminated: bool,
}

/// Whether anything was measured at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// At least one measurement counted.
    Some,
    /// Nothing was measured: its success means nothing.
    None,
}

impl Run {
    /// A run that has measured nothing.
    pub fn new(limits: Vec<Limits>, started_ms: i64) -> Self {
        let counters = limits.iter().map(|_| Counters::new()).collect();
        Self { limits, counters, started_ms, terminated: false }
    }

    /// Takes a measurement of the metric of that name; of an unknown or finished one it is ignored.
    pub fn fold(&mut self, metric: &str, at_ms: i64, measurement: Measurement) {
        let found = self.limits.iter().zip(&mut self.counters).find(|(limits, _)| limits.name == metric);
        if let Some((limits, counters)) = found
            && !counters.phase.is_done()
        {
            counters.fold(limits, at_ms, measurement);
        }
    }

    /// Ends the run: what is not done becomes successful, as in the original.
    pub fn terminate(&mut self) {
        self.terminated = true;
    }

    /// Metrics that are due at a time, unless the run is done.
    pub fn due(&self, now_ms: i64) -> Vec<&str> {
        if self.phase().is_done() {
            return vec![];
        }
        let metrics = self.limits.iter().zip(&self.counters);
        let due = metrics.filter(|(l, c)| c.due_ms(l, self.started_ms).is_some_and(|at| at <= now_ms));
        due.map(|(l, _)| l.name.as_str()).collect()
    }

    /// Phase of the run: the worst of its metrics; a counting one at Failed, Error or Inconclusive ends it.
    pub fn phase(&self) -> Phase {
        let counting = || self.metrics().filter(|(l, _)| l.mode == Mode::Counts).map(|(_, c)| c.phase);
        let worst = counting().max().unwrap_or(Phase::Successful);
        if worst >= Phase::Inconclusive {
            return worst;
        }
        if self.terminated || self.counters.is_empty() {
            return Phase::Successful;
        }
        let done = self.counters.iter().all(|c| c.phase.is_done());
        match (done, self.counters.iter().any(|c| !c.last.is_empty())) {
            (true, _) => worst,
            (false, true) => Phase::Running,
            (false, false) => Phase::Pending,
        }
    }

    /// Whether anything that counts was measured.
    pub fn evidence(&self) -> Evidence {
        let any = self.metrics().any(|(l, c)| l.mode == Mode::Counts && c.count > 0);
        if any { Evidence::Some } else { Evidence::None }
    }

    /// Each metric's limits and counters.
    pub fn metrics(&self) -> impl Iterator<Item = (&Limits, &Counters)> {
        self.limits.iter().zip(&self.counters)
    }
}
