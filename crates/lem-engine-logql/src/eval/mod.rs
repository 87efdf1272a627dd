//! The evaluator: log queries line by line, metric queries column by column over the steps.

mod aggregate;
mod binary;
mod range;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use lem_engine_logs::Direction;
use regex::Regex;

use crate::ast::{Expr, LogExpr, Metric, Selector};
use crate::error::EvalError;
use crate::limits;
use crate::literal::required_literals;
use crate::pipeline::{Pipeline, Row};
use crate::source::{LineFound, LogSource, SourceRequest};
use crate::value::{Entry, LabelSet, MatrixSeries, QueryResult, Sample, StreamResult, Value};

/// A range query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeParams {
    /// First instant.
    pub start_ns: i64,
    /// Last instant: inclusive for metric queries, exclusive for log queries.
    pub end_ns: i64,
    /// Distance of the points of a metric query.
    pub step_ns: i64,
    /// Lines wanted from a log query.
    pub limit: usize,
    /// Order of the lines.
    pub direction: Direction,
    /// Least distance of the lines of one stream in a log query; 0 takes all.
    pub interval_ns: i64,
}

impl RangeParams {
    /// A range with a step, 100 lines, newest first.
    pub fn new(start_ns: i64, end_ns: i64, step_ns: i64) -> Self {
        Self { start_ns, end_ns, step_ns, limit: 100, direction: Direction::Backward, interval_ns: 0 }
    }
}

/// Evaluates queries against a source.
#[derive(Debug)]
pub struct Evaluator<'a, S: LogSource + ?Sized> {
    source: &'a S,
    cancel: Option<Arc<AtomicBool>>,
    lines_read: u64,
    bytes_read: u64,
    warnings: Vec<String>,
}

/// The instants a metric query is asked about.
#[derive(Debug, Clone, Copy)]
struct Grid {
    start_ns: i64,
    step_ns: i64,
    len: usize,
}

impl Grid {
    fn at(self, index: usize) -> i64 {
        self.start_ns.saturating_add(self.step_ns.saturating_mul(index as i64))
    }

    fn last(self) -> i64 {
        self.at(self.len.saturating_sub(1))
    }
}

/// One series over the grid.
#[derive(Debug, Clone, PartialEq)]
struct Series {
    labels: LabelSet,
    values: Vec<Option<f64>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Columns {
    Number(f64),
    Vector(Vec<Series>),
}

impl<'a, S: LogSource + ?Sized> Evaluator<'a, S> {
    /// An evaluator over a source.
    pub fn new(source: &'a S) -> Self {
        Self { source, cancel: None, lines_read: 0, bytes_read: 0, warnings: Vec::new() }
    }

    /// Lets the caller give up through a flag.
    pub fn with_cancel(mut self, cancel: Arc<AtomicBool>) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// The value at an instant. Log queries have none.
    pub fn instant(mut self, expr: &Expr, ts_ns: i64) -> Result<QueryResult, EvalError> {
        let Expr::Metric(metric) = expr else { return Err(EvalError::LogQueryAtInstant) };
        let columns = self.metric(metric, Grid { start_ns: ts_ns, step_ns: 1, len: 1 })?;
        let value = match columns {
            Columns::Number(value) => Value::Scalar { ts_ns, value },
            Columns::Vector(series) => {
                let sample = |s: Series| Some(Sample { value: s.values[0]?, labels: s.labels, ts_ns });
                let mut samples: Vec<_> = series.into_iter().filter_map(sample).collect();
                aggregate::sort_answer(metric, &mut samples);
                Value::Vector(samples)
            }
        };
        Ok(self.finish(value))
    }

    /// Lines, or values at every step.
    pub fn range(mut self, expr: &Expr, params: &RangeParams) -> Result<QueryResult, EvalError> {
        if params.end_ns < params.start_ns {
            return Err(EvalError::BadRange("the range ends before it starts".to_owned()));
        }
        let value = match expr {
            Expr::Log(log) => Value::Streams(self.lines(log, params)?),
            Expr::Metric(metric) => {
                let grid = grid(params)?;
                Value::Matrix(matrix(self.metric(metric, grid)?, grid))
            }
        };
        Ok(self.finish(value))
    }

    fn finish(mut self, value: Value) -> QueryResult {
        self.warnings.sort();
        self.warnings.dedup();
        QueryResult { value, warnings: self.warnings, lines_read: self.lines_read, bytes_read: self.bytes_read }
    }

    fn lines(&mut self, log: &LogExpr, params: &RangeParams) -> Result<Vec<StreamResult>, EvalError> {
        if params.limit > limits::ENTRIES_MAX {
            return Err(EvalError::Limit { what: "lines", limit: limits::ENTRIES_MAX as u64 });
        }
        let mut streams: BTreeMap<LabelSet, Vec<Entry>> = BTreeMap::new();
        let mut count = 0;
        if params.limit == 0 {
            return Ok(Vec::new());
        }
        self.scan(log, params.start_ns, params.end_ns, params.direction, &mut |row| {
            let labels = row.labels();
            let entries = streams.entry(labels).or_default();
            let near =
                entries.last().is_some_and(|last| last.ts_ns.abs_diff(row.ts_ns) < params.interval_ns.max(0) as u64);
            if near {
                return Ok(ControlFlow::Continue(()));
            }
            entries.push(Entry { ts_ns: row.ts_ns, line: Bytes::copy_from_slice(&row.line) });
            count += 1;
            Ok(if count >= params.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(streams.into_iter().map(|(labels, entries)| StreamResult { labels, entries }).collect())
    }

    /// Runs lines of `start..end` through the pipeline.
    fn scan(
        &mut self,
        log: &LogExpr,
        start_ns: i64,
        end_ns: i64,
        direction: Direction,
        found: &mut dyn FnMut(&mut Row<'_>) -> Result<ControlFlow<()>, EvalError>,
    ) -> Result<(), EvalError> {
        let pipeline = Pipeline::new(&log.stages).map_err(EvalError::BadRange)?;
        let request = SourceRequest {
            selector: log.selector.clone(),
            start_ns,
            end_ns,
            direction,
            literals: required_literals(log),
            cancel: self.cancel.clone(),
        };
        let mut failed = None;
        let (mut lines, mut bytes) = (0, 0);
        let warnings = self.source.scan(&request, &mut |line: LineFound<'_>| {
            lines += 1;
            bytes += line.line.len() as u64;
            let mut row = Row::new(line.ts_ns, line.line, line.labels, line.metadata);
            if !pipeline.run(&mut row) {
                return ControlFlow::Continue(());
            }
            found(&mut row).unwrap_or_else(|error| {
                failed = Some(error);
                ControlFlow::Break(())
            })
        })?;
        self.lines_read += lines;
        self.bytes_read += bytes;
        self.warnings.extend(warnings);
        failed.map_or(Ok(()), Err)
    }

    fn metric(&mut self, metric: &Metric, grid: Grid) -> Result<Columns, EvalError> {
        match metric {
            Metric::Number(value) => Ok(Columns::Number(*value)),
            Metric::Vector(value) => {
                Ok(Columns::Vector(vec![Series { labels: LabelSet::new(), values: vec![Some(*value); grid.len] }]))
            }
            Metric::Range(expr) => self.range_function(expr, grid).map(Columns::Vector),
            Metric::Aggregate { op, param, inner, grouping } => {
                let series = vector(self.metric(inner, grid)?, grid);
                Ok(Columns::Vector(aggregate::run(*op, *param, grouping.as_ref(), series, grid.len)))
            }
            Metric::Binary { op, as_bool, matching, lhs, rhs } => {
                let (lhs, rhs) = (self.metric(lhs, grid)?, self.metric(rhs, grid)?);
                binary::run(*op, *as_bool, matching, lhs, rhs, grid.len)
            }
            Metric::LabelReplace { inner, dst, replacement, src, regex } => {
                let series = vector(self.metric(inner, grid)?, grid);
                label_replace(series, dst, replacement, src, regex).map(Columns::Vector)
            }
        }
    }
}

/// A number where a vector is wanted is a vector without labels.
fn vector(columns: Columns, grid: Grid) -> Vec<Series> {
    match columns {
        Columns::Vector(series) => series,
        Columns::Number(value) => vec![Series { labels: LabelSet::new(), values: vec![Some(value); grid.len] }],
    }
}

fn grid(params: &RangeParams) -> Result<Grid, EvalError> {
    if params.step_ns <= 0 {
        return Err(EvalError::BadRange("the step has to be longer than 0".to_owned()));
    }
    let steps = (params.end_ns.saturating_sub(params.start_ns)) / params.step_ns + 1;
    if steps > limits::STEPS_MAX {
        return Err(EvalError::Limit { what: "steps; use a longer step", limit: limits::STEPS_MAX as u64 });
    }
    Ok(Grid { start_ns: params.start_ns, step_ns: params.step_ns, len: steps as usize })
}

fn matrix(columns: Columns, grid: Grid) -> Vec<MatrixSeries> {
    let points = |values: Vec<Option<f64>>| -> Vec<(i64, f64)> {
        values.into_iter().enumerate().filter_map(|(at, value)| Some((grid.at(at), value?))).collect()
    };
    let mut out: Vec<_> = vector(columns, grid)
        .into_iter()
        .map(|s| MatrixSeries { labels: s.labels, points: points(s.values) })
        .filter(|s| !s.points.is_empty())
        .collect();
    out.sort_by(|a, b| a.labels.cmp(&b.labels));
    out
}

fn label_replace(
    series: Vec<Series>,
    dst: &str,
    replacement: &str,
    src: &str,
    regex: &str,
) -> Result<Vec<Series>, EvalError> {
    let regex = Regex::new(&format!("^(?:{regex})$")).map_err(|e| EvalError::Matching(e.to_string()))?;
    let mut seen = std::collections::BTreeSet::new();
    series
        .into_iter()
        .map(|mut s| {
            let value = s.labels.get(src).cloned().unwrap_or_default();
            if let Some(captures) = regex.captures(&value) {
                let mut text = String::new();
                captures.expand(replacement, &mut text);
                set_label(&mut s.labels, dst, text);
            }
            if seen.insert(s.labels.clone()) {
                Ok(s)
            } else {
                Err(EvalError::Matching("label_replace makes two series with the same labels".to_owned()))
            }
        })
        .collect()
}

fn set_label(labels: &mut LabelSet, name: &str, value: String) {
    if value.is_empty() {
        labels.remove(name);
    } else {
        labels.insert(name.to_owned(), value);
    }
}

fn equal_labels(selector: &[Selector]) -> LabelSet {
    let equal = selector.iter().filter(|s| s.op == crate::ast::MatchOp::Equal && !s.value.is_empty());
    equal.map(|s| (s.name.clone(), s.value.clone())).collect()
}
