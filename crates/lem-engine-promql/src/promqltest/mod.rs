//! Runs test files in the language the reference tests itself with: `load`, `clear`, `eval`.
//!
//! Each `eval` is one case. As the reference does, instant evaluations are repeated as the middle
//! step of a range query, and pinned with `@` at other times; they must yield the same.

mod compare;
mod pinned;
mod read;
mod series;

use std::collections::BTreeMap;
use std::path::Path;

use futures::executor::block_on;

use crate::engine::{Engine, InstantParams, Options, RangeParams};
use crate::histogram::{Buckets, CUSTOM_SCHEMA, CounterReset, FloatHistogram};
use crate::labels::{BUCKET_LABEL, Labels, METRIC_NAME};
use crate::parse::Features;
use crate::querier::MemoryQuerier;
use crate::value::{QueryResult, QueryValue, Sample, SeriesData, Value, VectorSample};

use read::{Command, Eval, Load, When};

/// A case that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The line of the `eval`, from 1.
    pub line: usize,
    /// What was expected and what came.
    pub message: String,
}

/// What came of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Cases that held.
    pub passed: usize,
    /// Cases that did not.
    pub failed: usize,
    /// Those, in order.
    pub failures: Vec<Failure>,
}

/// Runs a file.
pub fn run_file(path: &Path) -> std::io::Result<Report> {
    Ok(run_text(&std::fs::read_to_string(path)?))
}

/// Runs the text of a file.
pub fn run_text(text: &str) -> Report {
    let engine = Engine::new(Options { features: Features::ALL, delayed_name_removal: true, ..Options::default() });
    let mut store = MemoryQuerier::new();
    let mut report = Report::default();
    for command in read::commands(text) {
        let outcome = match command {
            Err(failure) => Err(failure),
            Ok(Command::Clear) => {
                store.clear();
                continue;
            }
            Ok(Command::Load(load)) => {
                apply(&mut store, &load);
                continue;
            }
            Ok(Command::Eval(eval)) => run_case(&engine, &store, &eval)
                .map_err(|message| Failure { line: eval.line, message: format!("{}: {message}", eval.query) }),
        };
        match outcome {
            Ok(()) => report.passed += 1,
            Err(failure) => {
                report.failed += 1;
                report.failures.push(failure);
            }
        }
    }
    report
}

fn apply(store: &mut MemoryQuerier, load: &Load) {
    for series in &load.series {
        push(store, series);
    }
    if load.with_custom_buckets {
        for series in custom_bucket_series(&load.series) {
            push(store, &series);
        }
    }
}

/// Stores know from one histogram to the next whether the counter was reset, and say so.
fn push(store: &mut MemoryQuerier, series: &SeriesData) {
    let mut previous: Option<FloatHistogram> = None;
    for sample in &series.samples {
        let Value::Histogram(h) = &sample.value else {
            previous = None;
            store.push(&series.labels, sample.clone());
            continue;
        };
        let mut stored = (**h).clone();
        stored.counter_reset = match (h.counter_reset, &previous) {
            (CounterReset::Gauge, _) => CounterReset::Gauge,
            (CounterReset::Reset, _) => CounterReset::Reset,
            (_, None) => CounterReset::Unknown,
            (_, Some(before)) => {
                let mut unknown = stored.clone();
                unknown.counter_reset = CounterReset::Unknown;
                if unknown.detect_reset(before) { CounterReset::Reset } else { CounterReset::NotReset }
            }
        };
        previous = Some(stored.clone());
        let value = Value::Histogram(std::sync::Arc::new(stored));
        store.push(&series.labels, Sample { t_ms: sample.t_ms, value });
    }
}

#[derive(Default)]
struct Classic {
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: Option<f64>,
}

impl Classic {
    fn to_histogram(&self) -> Option<FloatHistogram> {
        let mut buckets = self.buckets.clone();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets.dedup_by(|a, b| a.0 == b.0);
        if buckets.last().is_none_or(|b| b.0 != f64::INFINITY) {
            let count = self.count.or(buckets.last().map(|b| b.1))?;
            buckets.push((f64::INFINITY, count));
        }
        let mut counts = Vec::new();
        let mut before = 0.0;
        for (_, cumulative) in &buckets {
            if *cumulative < before {
                return None;
            }
            counts.push(cumulative - before);
            before = *cumulative;
        }
        let mut h = FloatHistogram {
            schema: CUSTOM_SCHEMA,
            count: self.count.unwrap_or(before),
            sum: self.sum.unwrap_or(0.0),
            positive: Buckets { offset: 0, counts },
            custom_bounds: buckets.iter().map(|b| b.0).filter(|b| b.is_finite()).collect(),
            ..FloatHistogram::default()
        };
        h.compact();
        Some(h)
    }
}

/// Classic histograms once more, as native ones with custom bounds.
fn custom_bucket_series(all: &[SeriesData]) -> Vec<SeriesData> {
    let mut found: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for series in all {
        let name = series.labels.metric_name();
        let Some((base, suffix)) =
            ["_bucket", "_count", "_sum"].into_iter().find_map(|s| name.strip_suffix(s).map(|base| (base, s)))
        else {
            continue;
        };
        let le = crate::number::parse_float(series.labels.get(BUCKET_LABEL));
        let labels = series.labels.filter(|n| n != BUCKET_LABEL).with(METRIC_NAME, base);
        for sample in &series.samples {
            let Value::Float(v) = sample.value else {
                continue;
            };
            let at = found.entry(labels.clone()).or_default().entry(sample.t_ms).or_default();
            match (suffix, le) {
                ("_bucket", Some(le)) => at.buckets.push((le, v)),
                ("_count", _) => at.count = Some(v),
                ("_sum", _) => at.sum = Some(v),
                _ => {}
            }
        }
    }
    found
        .into_iter()
        .map(|(labels, times)| SeriesData {
            labels,
            samples: times
                .into_iter()
                .filter_map(|(t_ms, classic)| {
                    let value = Value::Histogram(std::sync::Arc::new(classic.to_histogram()?));
                    Some(Sample { t_ms, value })
                })
                .collect(),
        })
        .collect()
}

fn run_case(engine: &Engine, store: &MemoryQuerier, eval: &Eval) -> Result<(), String> {
    match eval.when {
        When::Range { start_ms, end_ms, step_ms } => {
            let params = RangeParams { start_ms, end_ms, step_ms, ..RangeParams::default() };
            let result = block_on(engine.range(store, &eval.query, params));
            check(eval, result.map_err(|e| e.to_string()))
        }
        When::Instant { time_ms } => {
            let params = InstantParams { time_ms, ..InstantParams::default() };
            let result = block_on(engine.instant(store, &eval.query, params));
            check(eval, result.map_err(|e| e.to_string()))?;
            pinned_cases(engine, store, eval, time_ms)?;
            if repeats_in_range(eval) {
                in_range_mode(engine, store, eval, time_ms).map_err(|m| format!("range mode: {m}"))?;
            }
            Ok(())
        }
    }
}

/// The query pinned with `@`, evaluated at other times.
fn pinned_cases(engine: &Engine, store: &MemoryQuerier, eval: &Eval, time_ms: i64) -> Result<(), String> {
    let Some((query, times)) = pinned::variants(&eval.query, time_ms) else {
        return Ok(());
    };
    for time_ms in times {
        let params = InstantParams { time_ms, ..InstantParams::default() };
        let result = block_on(engine.instant(store, &query, params));
        check(eval, result.map_err(|e| e.to_string())).map_err(|m| format!("as {query} at {time_ms} ms: {m}"))?;
    }
    Ok(())
}

fn repeats_in_range(eval: &Eval) -> bool {
    let depends_on_query = ["range()", "start()", "end()", "step()"].iter().any(|f| eval.query.contains(f));
    !depends_on_query
        && !eval.is_ordered
        && !eval.must_fail()
        && eval.expected_text.is_none()
        && eval.range_vector.is_none()
}

fn in_range_mode(engine: &Engine, store: &MemoryQuerier, eval: &Eval, time_ms: i64) -> Result<(), String> {
    const MINUTE_MS: i64 = 60_000;
    let params = RangeParams {
        start_ms: time_ms - MINUTE_MS,
        end_ms: time_ms + MINUTE_MS,
        step_ms: MINUTE_MS,
        ..RangeParams::default()
    };
    let result = block_on(engine.range(store, &eval.query, params)).map_err(|error| error.to_string())?;
    let QueryValue::Matrix(matrix) = result.value else {
        return Err("no matrix".to_owned());
    };
    let mut vector = Vec::new();
    for series in matrix {
        if let Some(sample) = series.samples.into_iter().find(|s| s.t_ms == time_ms) {
            vector.push(VectorSample { labels: series.labels, sample });
        }
    }
    let value = if eval.expected_scalar.is_some() {
        match vector.first().map(|v| &v.sample.value) {
            Some(Value::Float(v)) => QueryValue::Scalar(time_ms, *v),
            _ => return Err("no scalar".to_owned()),
        }
    } else {
        QueryValue::Vector(vector)
    };
    compare::value(eval, &value)
}

fn check(eval: &Eval, result: Result<QueryResult, String>) -> Result<(), String> {
    let result = match result {
        Err(error) if eval.must_fail() => return eval.check_failure(&error),
        Err(error) => return Err(error),
        Ok(_) if eval.must_fail() => return Err("expected an error, got none".to_owned()),
        Ok(result) => result,
    };
    eval.check_notes(&result.warnings, &result.infos)?;
    compare::value(eval, &result.value)
}
