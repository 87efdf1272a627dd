//! What the other stages ask: PromQL, error lines per release, and what a symptom looks like.

use crate::engine::embedded::StoreQuerier;
use crate::engine::{LogStore, LogTime, MetricStore};
use crate::rules::map;
use async_trait::async_trait;
use jiff::Timestamp;
use lem_engine_logs::{Direction, LabelRange, Matcher as LogMatcher, ScanPlan, Severity};
use lem_engine_promql::{Engine, InstantParams, Interrupt, Labels, Matcher, QueryValue, RangeParams, Value};
use lem_model::Version;
use lem_model::port::{
    CohortCount, HealthSource, MetricQuery, MetricValue, NewPattern, Scope, Series, SourceError, SymptomSource, Window,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Points of one symptom series.
const MAX_POINTS: i64 = 1_000;
/// Patterns that are handed on.
const MAX_PATTERNS: usize = 50;
/// Time one question may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Samples before a window that tell whether a counter is new.
const LOOK_BEHIND_MS: i64 = 5 * 60_000;

/// Answers from the stores.
#[derive(Clone)]
pub struct Answers {
    /// Samples.
    pub metrics: Arc<dyn MetricStore>,
    /// Lines.
    pub logs: Arc<dyn LogStore>,
    /// PromQL.
    pub engine: Arc<Engine>,
    /// Time between scrapes.
    pub scrape_ms: i64,
}

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answers")
    }
}

fn wrong(what: &str, why: &impl ToString) -> SourceError {
    SourceError::Invalid { what: what.to_owned(), why: why.to_string() }
}

fn gone(what: &str, why: &impl ToString) -> SourceError {
    SourceError::Unreachable { what: what.to_owned(), why: why.to_string() }
}

fn ms(time: Timestamp) -> i64 {
    time.as_millisecond()
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn ns(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(value) => Some(*value),
        Value::Histogram(_) => None,
    }
}

#[async_trait]
impl MetricQuery for Answers {
    async fn query(&self, expr: &str, time: Timestamp) -> Result<MetricValue, SourceError> {
        let interrupt = Interrupt::with_deadline(Instant::now() + TIMEOUT);
        let params = InstantParams { time_ms: ms(time), interrupt, ..InstantParams::default() };
        let querier = StoreQuerier(self.metrics.clone());
        let result = self.engine.instant(&querier, expr, params).await.map_err(|e| wrong(expr, &e))?;
        Ok(match result.value {
            QueryValue::Scalar(_, value) => MetricValue::Scalar(value),
            QueryValue::Vector(samples) => {
                let one = |s: lem_engine_promql::VectorSample| Some((map(&s.labels), float(&s.sample.value)?));
                MetricValue::Vector(samples.into_iter().filter_map(one).collect())
            }
            QueryValue::Matrix(series) => MetricValue::Matrix(series.into_iter().map(|s| series_of(expr, s)).collect()),
            QueryValue::String(_, text) => return Err(wrong(expr, &format!("the answer is the text {text:?}"))),
        })
    }

    async fn query_range(&self, expr: &str, window: Window, step_ms: u64) -> Result<Vec<Series>, SourceError> {
        let params = RangeParams {
            start_ms: ms(window.from),
            end_ms: ms(window.to),
            step_ms: step_ms.max(1) as i64,
            interrupt: Interrupt::with_deadline(Instant::now() + TIMEOUT),
            ..RangeParams::default()
        };
        let querier = StoreQuerier(self.metrics.clone());
        let result = self.engine.range(&querier, expr, params).await.map_err(|e| wrong(expr, &e))?;
        match result.value {
            QueryValue::Matrix(series) => Ok(series.into_iter().map(|s| series_of(expr, s)).collect()),
            _ => Err(wrong(expr, &"the answer of a range query is no matrix")),
        }
    }
}

fn series_of(expr: &str, data: lem_engine_promql::SeriesData) -> Series {
    let points = data.samples.iter().filter_map(|s| Some((at(s.t_ms), float(&s.value)?))).collect();
    Series { query: expr.to_owned(), labels: map(&data.labels), points }
}

impl Answers {
    /// The symptom queries of a scope: signal, whether per version, expression.
    fn questions(&self, scope: &Scope) -> Vec<(&'static str, String)> {
        let own = format!("service={:?},environment={:?}", scope.service.as_str(), scope.environment.as_str());
        let range = format!("{}s", (4 * self.scrape_ms).max(5_000) / 1_000);
        let all = format!("rate(lem_router_requests_total{{{own}}}[{range}])");
        let bad = format!("rate(lem_router_requests_total{{{own},code=~\"5..\"}}[{range}])");
        let slow = format!("rate(lem_router_request_duration_seconds_bucket{{{own}}}[{range}])");
        vec![
            ("error_ratio", format!("(sum({bad}) or vector(0)) / sum({all})")),
            ("rate", format!("sum({all})")),
            ("latency", format!("histogram_quantile(0.95, sum by (le) ({slow}))")),
            (
                "error_ratio",
                format!("(sum by (version) ({bad}) or sum by (version) ({all}) * 0) / sum by (version) ({all})"),
            ),
            ("latency", format!("histogram_quantile(0.95, sum by (le, version) ({slow}))")),
            ("cpu", format!("sum by (version) (rate(process_cpu_seconds_total{{{own}}}[{range}]))")),
            ("memory", format!("sum by (version) (process_resident_memory_bytes{{{own}}})")),
        ]
    }

    async fn error_query(&self, scope: &Scope, version: &Version, window: Window) -> Result<u64, SourceError> {
        let seconds = window.to.duration_since(window.from).as_secs().max(1);
        let query = format!(
            "sum(count_over_time({{service_name={:?}, deployment_environment={:?}, service_version={:?}}} | detected_level=~\"error|fatal\" [{seconds}s]))",
            scope.service.as_str(),
            scope.environment.as_str(),
            version.as_str()
        );
        let result = self.logs.query(&query, LogTime::At(ns(window.to))).await.map_err(|e| gone("logs", &e))?;
        match result.value {
            lem_engine_logql::Value::Vector(vector) => Ok(vector.first().map_or(0, |s| s.value as u64)),
            lem_engine_logql::Value::Scalar { value, .. } => Ok(value as u64),
            _ => Err(wrong(&query, &"the answer is no number")),
        }
    }

    /// A line of a pattern as it was said.
    pub(crate) async fn sample(
        &self,
        matchers: Vec<LogMatcher>,
        pattern: lem_engine_logs::PatternId,
        window: Window,
    ) -> Option<String> {
        let mut plan = ScanPlan::new(matchers, ns(window.from), ns(window.to).saturating_add(1));
        plan.patterns = Some(vec![pattern]);
        plan.limit = Some(1);
        plan.direction = Direction::Backward;
        let found = self.logs.scan(plan).await.ok()?;
        found.lines.first().map(|l| String::from_utf8_lossy(&l.line).into_owned())
    }
}

#[async_trait]
impl HealthSource for Answers {
    async fn error_lines(&self, scope: &Scope, version: &Version, window: Window) -> Result<u64, SourceError> {
        self.error_query(scope, version, window).await
    }
}

#[async_trait]
impl SymptomSource for Answers {
    async fn series(&self, scope: &Scope, window: Window) -> Result<Vec<Series>, SourceError> {
        let span = (ms(window.to) - ms(window.from)).max(1);
        let step = (span / MAX_POINTS).max(self.scrape_ms).max(1);
        let mut all = vec![];
        for (signal, query) in self.questions(scope) {
            for mut series in self.query_range(&query, window, step as u64).await? {
                series.labels.insert("signal".into(), signal.into());
                all.push(series);
            }
        }
        Ok(all)
    }

    async fn cohorts(&self, scope: &Scope, window: Window) -> Result<Vec<CohortCount>, SourceError> {
        let matchers = vec![
            Matcher::equal("__name__", "lem_router_requests_total"),
            Matcher::equal("service", scope.service.as_str()),
            Matcher::equal("environment", scope.environment.as_str()),
        ];
        let (from, to) = (ms(window.from), ms(window.to));
        let found = self.metrics.select(matchers, from - LOOK_BEHIND_MS, to).await.map_err(|e| gone("metrics", &e))?;
        let mut cohorts: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for series in found {
            let samples: Vec<(i64, f64)> = series
                .samples
                .iter()
                .filter_map(|s| Some((s.t_ms, float(&s.value)?)))
                .filter(|(_, v)| v.is_finite())
                .collect();
            let grown = increase(&samples, from);
            let cohort = cohorts.entry(label(&series.labels, "version")).or_default();
            cohort.0 += grown;
            if label(&series.labels, "code").starts_with('5') {
                cohort.1 += grown;
            }
        }
        let count = |(version, (total, bad)): (String, (f64, f64))| CohortCount {
            cohort: [("version".to_owned(), version)].into(),
            total: total as u64,
            bad: bad as u64,
        };
        Ok(cohorts.into_iter().map(count).collect())
    }

    async fn patterns(&self, scope: &Scope, window: Window) -> Result<Vec<NewPattern>, SourceError> {
        let matchers = || {
            vec![
                LogMatcher::equal("service_name", scope.service.as_str()),
                LogMatcher::equal("deployment_environment", scope.environment.as_str()),
            ]
        };
        let range = LabelRange::new(matchers(), ns(window.from), ns(window.to).saturating_add(1));
        let (mut counts, _) = self.logs.patterns(range).await.map_err(|e| gone("logs", &e))?;
        counts.retain(|p| p.severity.is_some_and(|s| s >= Severity::Error));
        // What began in the window says more about it than what is always said, and must not be cut off.
        let began = |p: &lem_engine_logs::PatternCount| {
            p.first_seen.as_ref().is_some_and(|f| f.ts_ns > ns(window.from) && f.version == p.version)
        };
        counts.sort_by_key(|p| (!began(p), std::cmp::Reverse(p.count)));
        counts.truncate(MAX_PATTERNS);
        let mut found = vec![];
        for pattern in counts {
            let sample = self.sample(matchers(), pattern.id, window).await;
            let first = pattern.first_seen.as_ref().map_or(window.from, |f| at(f.ts_ns / 1_000_000));
            found.push(NewPattern {
                sample: sample.unwrap_or_else(|| pattern.template.clone()),
                template: pattern.template,
                severity: pattern.severity.map_or("unknown", Severity::as_str).into(),
                version: pattern.version.unwrap_or_default().into(),
                count: pattern.count,
                first_seen: first,
            });
        }
        Ok(found)
    }
}

fn label(labels: &Labels, name: &str) -> String {
    labels.get(name).to_owned()
}

/// How much a counter grew after `from`: exact differences, resets counted from zero, and a counter that did not exist
/// before began at zero.
fn increase(samples: &[(i64, f64)], from: i64) -> f64 {
    let mut before = samples.iter().rev().find(|(t, _)| *t <= from).map_or(0.0, |(_, v)| *v);
    let mut grown = 0.0;
    for (_, value) in samples.iter().filter(|(t, _)| *t > from) {
        grown += if *value >= before { value - before } else { *value };
        before = *value;
    }
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_grow_exactly() {
        for (samples, from, expect) in [
            (&[(0, 5.0), (10, 7.0), (20, 12.0)][..], 0, 7.0),
            (&[(10, 7.0), (20, 12.0)], 0, 12.0),
            (&[(0, 5.0), (10, 2.0), (20, 3.0)], 0, 3.0),
            (&[], 0, 0.0),
        ] {
            assert_eq!(increase(samples, from), expect, "{samples:?}");
        }
    }
}
