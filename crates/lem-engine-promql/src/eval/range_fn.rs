//! Functions over windows: which kernel, and how it is driven over series and steps.

use std::collections::HashSet;

use super::kernels;
use super::over_time;
use super::rate;
use super::select::{Window, Windows};
use super::{Column, Eval, Evaluator, Grid, Point, Val, merge_same_labels};
use crate::annotations::{Annotations, Note};
use crate::ast::{Call, Expr, Extended, Span, ValueType};
use crate::error::QueryError;
use crate::labels::{Labels, METRIC_NAME, METRIC_TYPE, MatchOp, Matcher};
use crate::number::STALE;

/// What a kernel may look at besides its window.
pub(crate) struct Context<'a> {
    pub(crate) metric: &'a str,
    pub(crate) span: Span,
    pub(crate) first_arg_span: Span,
    /// Scalar arguments at this step, in order.
    pub(crate) scalars: &'a [f64],
    pub(crate) range_ms: i64,
    pub(crate) extended: Option<Extended>,
    pub(crate) notes: &'a mut Annotations,
}

impl Context<'_> {
    pub(crate) fn note(&mut self, note: Note) {
        self.notes.add(note, self.span);
    }
}

pub(crate) type Kernel = fn(&Window<'_>, &mut Context<'_>) -> Eval<Option<Point>>;

fn kernel(name: &str) -> Option<Kernel> {
    Some(match name {
        "rate" => rate::rate,
        "increase" => rate::increase,
        "delta" => rate::delta,
        "irate" => rate::irate,
        "idelta" => rate::idelta,
        "resets" => kernels::resets,
        "changes" => kernels::changes,
        "deriv" => kernels::deriv,
        "predict_linear" => kernels::predict_linear,
        "double_exponential_smoothing" => kernels::double_exponential_smoothing,
        "avg_over_time" => over_time::avg,
        "sum_over_time" => over_time::sum,
        "count_over_time" => over_time::count,
        "min_over_time" => over_time::min,
        "max_over_time" => over_time::max,
        "first_over_time" => over_time::first,
        "last_over_time" => over_time::last,
        "stddev_over_time" => over_time::stddev,
        "stdvar_over_time" => over_time::stdvar,
        "quantile_over_time" => over_time::quantile,
        "mad_over_time" => over_time::mad,
        "present_over_time" => over_time::present,
        "ts_of_first_over_time" => over_time::ts_of_first,
        "ts_of_last_over_time" => over_time::ts_of_last,
        "ts_of_max_over_time" => over_time::ts_of_max,
        "ts_of_min_over_time" => over_time::ts_of_min,
        _ => return None,
    })
}

fn check_extended(extended: Extended, name: &str) -> Eval<()> {
    let (word, allowed) = match extended {
        Extended::Anchored => ("anchored", &["changes", "delta", "increase", "rate", "resets"][..]),
        Extended::Smoothed => ("smoothed", &["delta", "increase", "rate"][..]),
    };
    if allowed.contains(&name) {
        return Ok(());
    }
    Err(QueryError::execution(format!(
        "{word} modifier can only be used with: {} - not with {name}",
        allowed.join(", ")
    )))
}

impl Evaluator<'_> {
    pub(super) fn range_call(&mut self, call: &Call, grid: Grid) -> Eval<Val> {
        let Some(range_arg) = call.args.iter().find(|a| a.value_type() == ValueType::Matrix) else {
            return Err(QueryError::execution("expected a range vector"));
        };
        let windows = self.windows(range_arg, grid)?;
        if let Some(extended) = windows.extended {
            check_extended(extended, call.func)?;
        }
        if call.func == "absent_over_time" {
            return Ok(Val::Vector(absent_over_time(&windows, range_arg, grid)));
        }
        let mut scalars = Vec::new();
        for arg in &call.args {
            if arg.value_type() == ValueType::Scalar {
                scalars.push(self.scalar(arg, grid)?);
            }
        }
        let scalar_rows: Vec<Vec<f64>> =
            (0..grid.n).map(|i| scalars.iter().map(|values| values[i]).collect()).collect();
        let Some(kernel) = kernel(call.func) else {
            return Err(QueryError::execution(format!("function {} is not implemented", call.func)));
        };
        let mut out = Vec::with_capacity(windows.series.len());
        let keeps_name = matches!(call.func, "last_over_time" | "first_over_time");
        let counter = matches!(call.func, "rate" | "increase");
        for series in windows.series.iter() {
            let mut column = Column::empty(series.labels.clone(), grid.n);
            column.drop_name = series.drop_name;
            if !keeps_name {
                self.drop_name(&mut column);
            }
            let mut context = Context {
                metric: series.labels.metric_name(),
                span: range_arg.span(),
                first_arg_span: call.args[0].span(),
                scalars: &[],
                range_ms: windows.range_ms,
                extended: windows.extended,
                notes: &mut self.notes,
            };
            let (mut points, mut floats) = (0, false);
            for (i, row) in scalar_rows.iter().enumerate() {
                let window = windows.window(series, windows.ends[i], grid.at(i));
                if window.ts.is_empty() && window.hts.is_empty() {
                    continue;
                }
                context.scalars = row;
                if let Some(point) = kernel(&window, &mut context)? {
                    floats |= matches!(point, Point::Float(_));
                    points += 1;
                    column.set(i, point);
                }
            }
            if points == 0 {
                continue;
            }
            if counter && floats {
                self.check_counter_name(&series.labels, range_arg.span());
            }
            self.account(points)?;
            out.push(column);
        }
        Ok(Val::Vector(merge_same_labels(out)?))
    }

    fn check_counter_name(&mut self, labels: &Labels, span: Span) {
        let metric = labels.metric_name();
        if metric.is_empty() {
            return;
        }
        if self.options.type_and_unit_labels {
            let kind = labels.get(METRIC_TYPE);
            if kind != "counter" && kind != "histogram" {
                let note = Note::PossibleNonCounterLabel { metric: metric.to_owned(), kind: kind.to_owned() };
                self.note(note, span);
            }
            return;
        }
        let suffixes = ["_total", "_sum", "_count", "_bucket"];
        if !suffixes.iter().any(|s| metric.ends_with(s)) {
            let metric = metric.to_owned();
            self.note(Note::PossibleNonCounter { metric }, span);
        }
    }
}

fn absent_over_time(windows: &Windows, arg: &Expr, grid: Grid) -> Vec<Column> {
    let mut column = Column::empty(absent_labels(arg), grid.n);
    for i in 0..grid.n {
        let present = windows.series.iter().any(|series| {
            let window = windows.window(series, windows.ends[i], grid.at(i));
            !window.ts.is_empty() || !window.hts.is_empty()
        });
        column.floats[i] = if present { STALE } else { 1.0 };
    }
    if column.is_empty() { Vec::new() } else { vec![column] }
}

/// The labels an absent series would have had: those its matchers pin down, once each.
pub(super) fn absent_labels(arg: &Expr) -> Labels {
    let matchers: &[Matcher] = match arg.unwrap_paren() {
        Expr::Vector(v) => &v.matchers,
        Expr::Matrix(m) => &m.vector.matchers,
        _ => return Labels::default(),
    };
    let mut seen = HashSet::new();
    let mut pairs: Vec<(String, String)> = Vec::new();
    for matcher in matchers.iter().filter(|m| m.name != METRIC_NAME) {
        if matcher.op == MatchOp::Equal && seen.insert(&matcher.name) {
            pairs.push((matcher.name.clone(), matcher.value.clone()));
        } else {
            pairs.retain(|(name, _)| *name != matcher.name);
        }
    }
    Labels::new(pairs)
}
