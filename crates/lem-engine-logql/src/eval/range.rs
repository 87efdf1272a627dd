//! Functions over windows of lines. A window is left-open and right-closed: a line at its start does not count.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use lem_engine_logs::Direction;

use super::{Evaluator, Grid, Series, equal_labels};
use crate::ast::{Convert, Grouping, RangeExpr, RangeOp, Unwrap};
use crate::error::EvalError;
use crate::limits;
use crate::pipeline::{ERROR, ERROR_DETAILS, Filters, Row};
use crate::source::LogSource;
use crate::units;
use crate::value::LabelSet;

/// Samples of one series, by time.
type Samples = Vec<(i64, f64)>;

impl<S: LogSource + ?Sized> Evaluator<'_, S> {
    pub(super) fn range_function(&mut self, expr: &RangeExpr, grid: Grid) -> Result<Vec<Series>, EvalError> {
        let samples = self.samples(expr, grid)?;
        if expr.op == RangeOp::Absent {
            return Ok(absent(expr, &samples, grid));
        }
        let series = samples.into_iter().map(|(labels, samples)| Series {
            labels,
            values: windows(&samples, expr, grid, |window, start, end| reduce(expr, window, start, end)),
        });
        Ok(series.filter(|s| s.values.iter().any(Option::is_some)).collect())
    }

    fn samples(&mut self, expr: &RangeExpr, grid: Grid) -> Result<BTreeMap<LabelSet, Samples>, EvalError> {
        let start = grid.start_ns.saturating_sub(expr.offset_ns).saturating_sub(expr.range_ns).saturating_add(1);
        let end = grid.last().saturating_sub(expr.offset_ns).saturating_add(1);
        let filters = Filters::new(expr.unwrap.as_ref().map_or(&[], |u| &u.filters)).map_err(EvalError::BadRange)?;
        let mut series: BTreeMap<LabelSet, Samples> = BTreeMap::new();
        let mut count = 0;
        self.scan(&expr.log, start, end, Direction::Forward, &mut |row| {
            let Some(value) = sample(expr, row, &filters)? else { return Ok(ControlFlow::Continue(())) };
            let labels = grouped(row.labels(), expr.grouping.as_ref());
            series.entry(labels).or_default().push((row.ts_ns, value));
            count += 1;
            if count > limits::SAMPLES_MAX {
                return Err(EvalError::Limit {
                    what: "samples in one window function",
                    limit: limits::SAMPLES_MAX as u64,
                });
            }
            if series.len() > limits::SERIES_MAX {
                return Err(EvalError::Limit { what: "series", limit: limits::SERIES_MAX as u64 });
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(series)
    }
}

/// The number a line stands for; `None` if it does not count.
fn sample(expr: &RangeExpr, row: &mut Row<'_>, filters: &Filters) -> Result<Option<f64>, EvalError> {
    let value = match &expr.unwrap {
        None => match expr.op {
            RangeOp::BytesRate | RangeOp::Bytes => row.line.len() as f64,
            _ => 1.0,
        },
        Some(unwrap) => {
            let Some(value) = unwrapped(unwrap, row) else { return Ok(None) };
            if !filters.keep(row) {
                return Ok(None);
            }
            row.remove(&unwrap.label);
            value
        }
    };
    let kind = row.get(ERROR);
    if kind.is_empty() {
        return Ok(Some(value));
    }
    let kind = kind.to_owned();
    let mut labels = row.labels();
    labels.remove(ERROR_DETAILS);
    Err(EvalError::Pipeline { kind, labels: format!("{labels:?}") })
}

/// A line without the label does not count; one whose label is no number has an error.
fn unwrapped(unwrap: &Unwrap, row: &mut Row<'_>) -> Option<f64> {
    let text = row.get(&unwrap.label).to_owned();
    if text.is_empty() {
        return None;
    }
    let value = match unwrap.convert {
        Convert::Number => text.trim().parse().ok(),
        Convert::Duration => units::duration_ns(&text).map(|ns| ns / 1e9),
        Convert::Bytes => units::bytes(&text),
    };
    if value.is_none() {
        row.fail("SampleExtractionErr", format!("label {} is no number: {text:?}", unwrap.label));
    }
    Some(value.unwrap_or(0.0))
}

pub(super) fn grouped(mut labels: LabelSet, grouping: Option<&Grouping>) -> LabelSet {
    match grouping {
        None => {}
        Some(Grouping::By(names)) => labels.retain(|name, _| names.contains(name)),
        Some(Grouping::Without(names)) => labels.retain(|name, _| !names.contains(name)),
    }
    labels
}

/// Slides over the samples, one value per step.
fn windows(
    samples: &[(i64, f64)],
    expr: &RangeExpr,
    grid: Grid,
    reduce: impl Fn(&[(i64, f64)], i64, i64) -> Option<f64>,
) -> Vec<Option<f64>> {
    let (mut low, mut high) = (0, 0);
    (0..grid.len)
        .map(|at| {
            let end = grid.at(at).saturating_sub(expr.offset_ns);
            let start = end.saturating_sub(expr.range_ns);
            while high < samples.len() && samples[high].0 <= end {
                high += 1;
            }
            while low < high && samples[low].0 <= start {
                low += 1;
            }
            reduce(&samples[low..high], start, end)
        })
        .collect()
}

fn reduce(expr: &RangeExpr, window: &[(i64, f64)], start: i64, end: i64) -> Option<f64> {
    let (first, last) = (window.first()?, window.last()?);
    let values = || window.iter().map(|(_, v)| *v);
    let seconds = expr.range_ns as f64 / 1e9;
    let count = window.len() as f64;
    Some(match expr.op {
        RangeOp::Count => count,
        RangeOp::Rate | RangeOp::BytesRate => values().sum::<f64>() / seconds,
        RangeOp::Bytes | RangeOp::Sum => values().sum(),
        RangeOp::Avg => values().sum::<f64>() / count,
        RangeOp::Max => values().fold(f64::NAN, f64::max),
        RangeOp::Min => values().fold(f64::NAN, f64::min),
        RangeOp::First => first.1,
        RangeOp::Last => last.1,
        RangeOp::Stdvar => variance(values(), count),
        RangeOp::Stddev => variance(values(), count).sqrt(),
        RangeOp::Quantile => quantile(expr.param.unwrap_or(f64::NAN), values().collect()),
        RangeOp::RateCounter => return counter_increase(window, start, end).map(|increase| increase / seconds),
        RangeOp::Absent => return None,
    })
}

pub(super) fn variance(values: impl Iterator<Item = f64>, count: f64) -> f64 {
    // Welford's recurrence: no loss when the mean is large.
    let (mut mean, mut sum, mut n) = (0.0, 0.0, 0.0);
    for value in values {
        n += 1.0;
        let delta = value - mean;
        mean += delta / n;
        sum += delta * (value - mean);
    }
    sum / count
}

pub(super) fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(f64::total_cmp);
    let rank = q * (values.len() - 1) as f64;
    let (low, high) = (rank.floor() as usize, rank.ceil() as usize);
    let weight = rank - rank.floor();
    values[low] * (1.0 - weight) + values[high] * weight
}

/// A counter's increase with resets, extrapolated to the window as Prometheus does.
fn counter_increase(window: &[(i64, f64)], start: i64, end: i64) -> Option<f64> {
    let (first, last) = (window.first()?, window.last()?);
    if window.len() < 2 || last.0 == first.0 {
        return None;
    }
    let mut increase = last.1 - first.1;
    for pair in window.windows(2) {
        if pair[1].1 < pair[0].1 {
            increase += pair[0].1;
        }
    }
    let seconds = |ns: i64| ns as f64 / 1e9;
    let sampled = seconds(last.0 - first.0);
    let gap = sampled / (window.len() - 1) as f64;
    let mut to_start = seconds(first.0 - start);
    let to_end = seconds(end - last.0);
    if to_start >= gap * 1.1 {
        to_start = gap / 2.0;
    }
    if increase > 0.0 && first.1 >= 0.0 {
        to_start = to_start.min(sampled * (first.1 / increase));
    }
    let to_end = if to_end >= gap * 1.1 { gap / 2.0 } else { to_end };
    Some(increase * (sampled + to_start + to_end) / sampled)
}

/// 1 wherever no series has a line, labelled with what the selector says.
fn absent(expr: &RangeExpr, samples: &BTreeMap<LabelSet, Samples>, grid: Grid) -> Vec<Series> {
    let mut values = vec![Some(1.0); grid.len];
    for samples in samples.values() {
        let present = windows(samples, expr, grid, |window, _, _| (!window.is_empty()).then_some(1.0));
        for (value, present) in values.iter_mut().zip(present) {
            if present.is_some() {
                *value = None;
            }
        }
    }
    let series = Series { labels: equal_labels(&expr.log.selector), values };
    if series.values.iter().any(Option::is_some) { vec![series] } else { Vec::new() }
}
