//! Running a query: prepare, populate, evaluate, and put the result together.

mod populate;
mod prepare;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use crate::annotations::Annotations;
use crate::ast::{Expr, ValueType};
use crate::error::QueryError;
use crate::eval::{Column, Evaluator, Grid, Point, RawSeries, Val, merge_same_labels, same_labelset};
use crate::parse::{Features, parse};
use crate::querier::Querier;
use crate::value::{QueryResult, QueryValue, Sample, SeriesData, Value, VectorSample};

/// Most points per series a range query may return.
pub const MAX_POINTS_PER_SERIES: i64 = 11_000;

/// Times further from the epoch than this are refused; it leaves room for ranges and offsets.
pub const MAX_TIME_MS: i64 = i64::MAX / 8;

fn check_time(t_ms: i64) -> Result<(), QueryError> {
    if t_ms.unsigned_abs() > MAX_TIME_MS.unsigned_abs() {
        return Err(QueryError::BadParameters(format!("time {t_ms} ms is out of bounds")));
    }
    Ok(())
}

/// How an engine works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How far back an instant selector looks.
    pub lookback_ms: i64,
    /// Step of subqueries that name none.
    pub eval_interval_ms: i64,
    /// Most samples in memory per query.
    pub max_samples: usize,
    /// Language features.
    pub features: Features,
    /// `promql-delayed-name-removal`: names go away at the end, not in each function.
    pub delayed_name_removal: bool,
    /// `type-and-unit-labels`: the counter check looks at `__type__` rather than the name.
    pub type_and_unit_labels: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lookback_ms: 5 * 60_000,
            eval_interval_ms: 60_000,
            max_samples: 50_000_000,
            features: Features::default(),
            delayed_name_removal: false,
            type_and_unit_labels: false,
        }
    }
}

const RUNNING: u8 = 0;
const CANCELED: u8 = 1;
const TIMED_OUT: u8 = 2;

/// A handle by which the caller stops a running query; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    state: Arc<AtomicU8>,
    deadline: Option<Instant>,
}

impl Interrupt {
    /// Stops at a time, too.
    pub fn with_deadline(deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..Self::default() }
    }

    /// The caller no longer wants the result.
    pub fn cancel(&self) {
        self.state.store(CANCELED, Ordering::Relaxed);
    }

    /// The time is up.
    pub fn time_out(&self) {
        self.state.store(TIMED_OUT, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<(), QueryError> {
        const WHERE: &str = "expression evaluation";
        match self.state.load(Ordering::Relaxed) {
            RUNNING if self.deadline.is_some_and(|d| Instant::now() >= d) => Err(QueryError::TimedOut(WHERE)),
            RUNNING => Ok(()),
            CANCELED => Err(QueryError::Canceled(WHERE)),
            _ => Err(QueryError::TimedOut(WHERE)),
        }
    }
}

/// When to evaluate an instant query.
#[derive(Debug, Clone, Default)]
pub struct InstantParams {
    /// The time.
    pub time_ms: i64,
    /// Overrides the engine's lookback.
    pub lookback_ms: Option<i64>,
    /// How to stop it.
    pub interrupt: Interrupt,
}

/// When to evaluate a range query.
#[derive(Debug, Clone, Default)]
pub struct RangeParams {
    /// First step.
    pub start_ms: i64,
    /// No step after this.
    pub end_ms: i64,
    /// Distance of steps.
    pub step_ms: i64,
    /// Overrides the engine's lookback.
    pub lookback_ms: Option<i64>,
    /// How to stop it.
    pub interrupt: Interrupt,
}

/// The PromQL engine.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    options: Options,
}

struct Times {
    start: i64,
    end: i64,
    step: i64,
    is_range: bool,
}

impl Engine {
    /// An engine with options.
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// Its options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Evaluates a query at one time.
    pub async fn instant(
        &self,
        querier: &dyn Querier,
        query: &str,
        params: InstantParams,
    ) -> Result<QueryResult, QueryError> {
        check_time(params.time_ms)?;
        let expr = parse(query, &self.options.features)?;
        let times = Times { start: params.time_ms, end: params.time_ms, step: 0, is_range: false };
        self.run(querier, query, expr, times, params.lookback_ms, &params.interrupt).await
    }

    /// Evaluates a query at each step of a range.
    pub async fn range(
        &self,
        querier: &dyn Querier,
        query: &str,
        params: RangeParams,
    ) -> Result<QueryResult, QueryError> {
        check_time(params.start_ms)?;
        check_time(params.end_ms)?;
        let bad = |text: &str| Err(QueryError::BadParameters(text.to_owned()));
        if params.end_ms < params.start_ms {
            return bad("end timestamp must not be before start time");
        }
        if params.step_ms <= 0 {
            return bad("zero or negative query resolution step widths are not accepted. Try a positive integer");
        }
        if (params.end_ms - params.start_ms) / params.step_ms > MAX_POINTS_PER_SERIES {
            return bad(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
            );
        }
        let expr = parse(query, &self.options.features)?;
        let kind = expr.value_type();
        if !matches!(kind, ValueType::Vector | ValueType::Scalar) {
            return Err(QueryError::BadParameters(format!(
                "invalid expression type {} for range query, must be Scalar or instant Vector",
                crate::number::quote(kind.documented())
            )));
        }
        let times = Times { start: params.start_ms, end: params.end_ms, step: params.step_ms, is_range: true };
        self.run(querier, query, expr, times, params.lookback_ms, &params.interrupt).await
    }

    async fn run(
        &self,
        querier: &dyn Querier,
        query: &str,
        mut expr: Expr,
        times: Times,
        lookback_ms: Option<i64>,
        interrupt: &Interrupt,
    ) -> Result<QueryResult, QueryError> {
        let mut options = self.options.clone();
        if let Some(lookback) = lookback_ms.filter(|l| *l > 0) {
            options.lookback_ms = lookback;
        }
        prepare::prepare(&mut expr, times.start, times.end, times.step)?;
        let step = times.step.max(1);
        let grid = Grid { start: times.start, step, n: ((times.end - times.start) / step + 1) as usize };
        let series = populate::populate(querier, &expr, grid, &options, interrupt).await?;
        let loaded = series.values().flat_map(|s| s.iter()).map(RawSeries::len).sum();
        let mut evaluator = Evaluator {
            series: &series,
            options: &options,
            interrupt,
            query_grid: Grid { step: times.step, ..grid },
            query_end: times.end,
            is_range: times.is_range,
            notes: Annotations::default(),
            samples: 0,
        };
        evaluator.account(loaded)?;
        let value = evaluate(&mut evaluator, &expr, grid, times.is_range)?;
        let (warnings, infos) = evaluator.notes.texts(query);
        Ok(QueryResult { value, warnings, infos })
    }
}

fn evaluate(evaluator: &mut Evaluator<'_>, expr: &Expr, grid: Grid, is_range: bool) -> Result<QueryValue, QueryError> {
    let t = grid.start;
    if expr.value_type() == ValueType::Matrix {
        return Ok(QueryValue::Matrix(evaluator.raw_matrix(expr, t)?));
    }
    match evaluator.eval(expr, grid)? {
        Val::Text(text) => Ok(QueryValue::String(t, text)),
        Val::Scalar(values) if !is_range => Ok(QueryValue::Scalar(t, values[0])),
        Val::Scalar(values) => {
            let mut column =
                Column { labels: crate::labels::Labels::default(), drop_name: false, floats: values, hists: None };
            Ok(QueryValue::Matrix(vec![column_data(&mut column, grid)]))
        }
        Val::Vector(columns) => {
            let mut columns = cleaned(columns)?;
            if is_range {
                let mut matrix: Vec<SeriesData> =
                    columns.iter_mut().map(|c| column_data(c, grid)).filter(|s| !s.samples.is_empty()).collect();
                matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
                return Ok(QueryValue::Matrix(matrix));
            }
            Ok(QueryValue::Vector(
                columns
                    .into_iter()
                    .filter_map(|c| {
                        let value = value_of(c.point(0)?);
                        Some(VectorSample { labels: c.labels, sample: Sample { t_ms: t, value } })
                    })
                    .collect(),
            ))
        }
    }
}

/// Delayed names go away now; series that then share a label set join or clash.
fn cleaned(mut columns: Vec<Column>) -> Result<Vec<Column>, QueryError> {
    for column in columns.iter_mut().filter(|c| c.drop_name) {
        column.labels = column.labels.without_metadata();
    }
    merge_same_labels(columns)
}

fn value_of(point: Point) -> Value {
    match point {
        Point::Float(v) => Value::Float(v),
        Point::Hist(h) => Value::Histogram(h),
    }
}

fn column_data(column: &mut Column, grid: Grid) -> SeriesData {
    SeriesData {
        labels: column.labels.clone(),
        samples: (0..grid.n)
            .filter_map(|i| Some(Sample { t_ms: grid.at(i), value: value_of(column.point(i)?) }))
            .collect(),
    }
}

impl Evaluator<'_> {
    /// The points of a range vector that is the query itself.
    fn raw_matrix(&mut self, expr: &Expr, t: i64) -> Result<Vec<SeriesData>, QueryError> {
        let grid = Grid { start: t, step: 1, n: 1 };
        let windows = self.windows(expr, grid)?;
        let mut out = Vec::new();
        for series in windows.series.iter() {
            let window = windows.window(series, windows.ends[0], t);
            let mut samples: Vec<Sample> = match windows.extended {
                None => window.ts.iter().zip(window.vs).map(|(t, v)| Sample::float(*t, *v)).collect(),
                Some(extended) => crate::eval::edge_points(&window, extended)?,
            };
            let hists = window
                .hts
                .iter()
                .zip(window.hs)
                .map(|(t, h)| Sample { t_ms: *t, value: Value::Histogram(Arc::clone(h)) });
            samples.extend(hists);
            samples.sort_by_key(|s| s.t_ms);
            let labels = if series.drop_name { series.labels.without_metadata() } else { series.labels.clone() };
            if !samples.is_empty() {
                out.push(SeriesData { labels, samples });
            }
        }
        out.sort_by(|a, b| a.labels.cmp(&b.labels));
        if out.windows(2).any(|pair| pair[0].labels == pair[1].labels) {
            return Err(same_labelset());
        }
        Ok(out)
    }
}
