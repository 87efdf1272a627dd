//! Selectors and subqueries: what was read, laid out for the kernels.

use std::sync::Arc;

use super::{Column, Eval, Evaluator, Grid, Point, Val};
use crate::ast::{At, Expr, Extended, MatrixSelector, Subquery, TimeModifiers, VectorSelector};
use crate::error::QueryError;
use crate::histogram::{CounterReset, FloatHistogram};
use crate::labels::Labels;
use crate::number::is_stale;
use crate::value::{SeriesData, Value};

/// A series with floats, histograms and staleness markers apart, each sorted by time.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawSeries {
    pub(crate) labels: Labels,
    pub(crate) drop_name: bool,
    pub(crate) ts: Vec<i64>,
    pub(crate) vs: Vec<f64>,
    pub(crate) hts: Vec<i64>,
    pub(crate) hs: Vec<Arc<FloatHistogram>>,
    stale: Vec<i64>,
}

impl From<SeriesData> for RawSeries {
    fn from(series: SeriesData) -> Self {
        let mut raw = Self {
            labels: series.labels,
            ts: Vec::with_capacity(series.samples.len()),
            vs: Vec::with_capacity(series.samples.len()),
            ..Self::default()
        };
        for sample in series.samples {
            match sample.value {
                value if value.is_stale() => raw.stale.push(sample.t_ms),
                Value::Float(v) => {
                    raw.ts.push(sample.t_ms);
                    raw.vs.push(v);
                }
                Value::Histogram(h) => {
                    raw.hts.push(sample.t_ms);
                    raw.hs.push(h);
                }
            }
        }
        raw
    }
}

impl RawSeries {
    pub(crate) fn len(&self) -> usize {
        self.ts.len() + self.hts.len()
    }

    /// The latest point in `(t - lookback, t]` and its time; nothing when a marker came after it.
    fn latest(&self, cursor: &mut [usize; 3], t: i64, lookback: i64) -> Option<(i64, Point)> {
        let upto = |times: &[i64], from: usize| {
            let mut at = from.min(times.len());
            while times.get(at).is_some_and(|x| *x <= t) {
                at += 1;
            }
            at
        };
        cursor[0] = upto(&self.ts, cursor[0]);
        cursor[1] = upto(&self.hts, cursor[1]);
        cursor[2] = upto(&self.stale, cursor[2]);
        let time = |times: &[i64], at: usize| at.checked_sub(1).map(|i| times[i]);
        let float = time(&self.ts, cursor[0]);
        let hist = time(&self.hts, cursor[1]);
        let stale = time(&self.stale, cursor[2]);
        let newest = float.max(hist)?;
        if newest <= t - lookback || stale.is_some_and(|s| s >= newest) {
            return None;
        }
        if hist > float {
            return Some((newest, Point::Hist(self.hs[cursor[1] - 1].clone())));
        }
        Some((newest, Point::Float(self.vs[cursor[0] - 1])))
    }
}

/// Series with a window of points per step.
pub(crate) struct Windows {
    pub(crate) series: Arc<Vec<RawSeries>>,
    pub(crate) range_ms: i64,
    pub(crate) extended: Option<Extended>,
    /// End of the window of each step.
    pub(crate) ends: Vec<i64>,
    pub(crate) lookback: i64,
}

/// The points of one series in one window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<'a> {
    pub(crate) ts: &'a [i64],
    pub(crate) vs: &'a [f64],
    pub(crate) hts: &'a [i64],
    pub(crate) hs: &'a [Arc<FloatHistogram>],
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) eval_t: i64,
}

impl Windows {
    /// The window of a series that ends at `end`.
    pub(crate) fn window<'a>(&self, series: &'a RawSeries, end: i64, eval_t: i64) -> Window<'a> {
        let start = end - self.range_ms;
        let (low, high) = match self.extended {
            None => (start, end),
            Some(Extended::Anchored) => (start - self.lookback, end),
            Some(Extended::Smoothed) => (start - self.lookback, end + self.lookback),
        };
        let cut = |times: &[i64]| {
            let from = times.partition_point(|t| *t <= low);
            from..from + times[from..].partition_point(|t| *t <= high)
        };
        let floats = cut(&series.ts);
        let hists = cut(&series.hts);
        Window {
            ts: &series.ts[floats.clone()],
            vs: &series.vs[floats],
            hts: &series.hts[hists.clone()],
            hs: &series.hs[hists],
            start,
            end,
            eval_t,
        }
    }
}

/// The time a selector looks at, for an evaluation time.
pub(crate) fn selected_time(time: &TimeModifiers, t: i64) -> i64 {
    let base = match time.at {
        Some(At::Time(pinned)) => pinned,
        // Both were replaced by times when the query was prepared.
        Some(At::Start | At::End) | None => t,
    };
    base - time.offset.ms
}

/// The grid of a subquery that serves all windows of the outer grid.
pub(crate) fn subquery_grid(subquery: &Subquery, outer: Grid, default_step: i64) -> Grid {
    let first = selected_time(&subquery.time, outer.at(0)) - subquery.range.ms;
    let last = selected_time(&subquery.time, outer.last());
    let step = match &subquery.step {
        Some(step) if step.ms > 0 => step.ms,
        _ => default_step.max(1),
    };
    let start = (first.div_euclid(step) + 1) * step;
    let n = if last < start { 0 } else { ((last - start) / step + 1) as usize };
    Grid { start, step, n }
}

impl Evaluator<'_> {
    /// An instant selector; with `times`, values are the times of the samples in seconds.
    pub(crate) fn instant(&mut self, selector: &VectorSelector, grid: Grid, times: bool) -> Eval<Vec<Column>> {
        let lookback = self.options.lookback_ms;
        let mut out = Vec::new();
        let all = self.series;
        for series in all.get(&selector.id).map_or(&[][..], |s| s.as_slice()) {
            let mut column = Column::empty(series.labels.clone(), grid.n);
            let mut cursor = [0; 3];
            let mut last = i64::MIN;
            let mut points = 0;
            for i in 0..grid.n {
                let t = selected_time(&selector.time, grid.at(i));
                if t < last {
                    cursor = [0; 3];
                }
                last = t;
                let found = if selector.extended == Some(Extended::Smoothed) {
                    smoothed_at(series, t, lookback)?
                } else {
                    series.latest(&mut cursor, t, lookback)
                };
                if let Some((at, point)) = found {
                    points += 1;
                    column.set(i, if times { Point::Float(at as f64 / 1000.0) } else { point });
                }
            }
            if points > 0 {
                self.account(points)?;
                out.push(column);
            }
        }
        Ok(out)
    }

    /// The windows of a range selector or subquery.
    pub(crate) fn windows(&mut self, expr: &Expr, grid: Grid) -> Eval<Windows> {
        match expr.unwrap_paren() {
            Expr::Matrix(matrix) => Ok(self.matrix_windows(matrix, grid)),
            Expr::Subquery(subquery) => self.subquery_windows(subquery, grid),
            _ => Err(QueryError::execution("expected a range vector")),
        }
    }

    fn matrix_windows(&mut self, matrix: &MatrixSelector, grid: Grid) -> Windows {
        Windows {
            series: self.series.get(&matrix.vector.id).cloned().unwrap_or_default(),
            range_ms: matrix.range.ms,
            extended: matrix.vector.extended,
            ends: (0..grid.n).map(|i| selected_time(&matrix.vector.time, grid.at(i))).collect(),
            lookback: self.options.lookback_ms,
        }
    }

    fn subquery_windows(&mut self, subquery: &Subquery, grid: Grid) -> Eval<Windows> {
        let inner = subquery_grid(subquery, grid, self.options.eval_interval_ms);
        let mut series = Vec::new();
        if inner.n > 0 {
            self.check_room(inner.n)?;
            let columns = match self.eval(&subquery.expr, inner)? {
                Val::Vector(columns) => columns,
                Val::Scalar(_) | Val::Text(_) => Vec::new(),
            };
            for column in columns {
                let raw = column_series(&column, inner);
                self.account(raw.len())?;
                series.push(raw);
            }
        }
        Ok(Windows {
            series: Arc::new(series),
            range_ms: subquery.range.ms,
            extended: None,
            ends: (0..grid.n).map(|i| selected_time(&subquery.time, grid.at(i))).collect(),
            lookback: self.options.lookback_ms,
        })
    }
}

/// A column as a series; neighbours are no longer consecutive samples, so what was known about
/// counter resets is forgotten.
fn column_series(column: &Column, grid: Grid) -> RawSeries {
    let mut raw = RawSeries { labels: column.labels.clone(), drop_name: column.drop_name, ..RawSeries::default() };
    for i in 0..grid.n {
        if !is_stale(column.floats[i]) {
            raw.ts.push(grid.at(i));
            raw.vs.push(column.floats[i]);
        } else if let Some(h) = column.hist(i) {
            let mut h = h.clone();
            if matches!(h.counter_reset, CounterReset::Reset | CounterReset::NotReset) {
                Arc::make_mut(&mut h).counter_reset = CounterReset::Unknown;
            }
            raw.hts.push(grid.at(i));
            raw.hs.push(h);
        }
    }
    raw
}

fn smoothed_at(series: &RawSeries, t: i64, lookback: i64) -> Eval<Option<(i64, Point)>> {
    if series.hts.iter().any(|x| *x > t - lookback && *x <= t + lookback) {
        return Err(QueryError::execution("smoothed modifier is not supported with histograms"));
    }
    let next = series.ts.partition_point(|x| *x < t);
    if series.ts.get(next) == Some(&t) {
        return Ok(Some((t, Point::Float(series.vs[next]))));
    }
    let Some(before) = next.checked_sub(1) else {
        return Ok(None);
    };
    if series.ts[before] <= t - lookback {
        return Ok(None);
    }
    let value = match series.ts.get(next) {
        Some(after) if *after <= t + lookback => {
            super::rate::interpolate((series.ts[before], series.vs[before]), (*after, series.vs[next]), t, false)
        }
        _ => series.vs[before],
    };
    Ok(Some((t, Point::Float(value))))
}
