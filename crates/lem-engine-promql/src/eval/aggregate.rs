//! Aggregations that fold a group into one series.

use std::collections::HashMap;

use super::over_time::{HistSum, Mean, Variance, quantile_of};
use super::{Column, Eval, Evaluator, Grid, Point};
use crate::annotations::Note;
use crate::ast::{AggOp, Aggregate, Expr, Grouping};
use crate::error::QueryError;
use crate::labels::{Labels, METRIC_NAME};
use crate::number::{STALE, format_plain, kahan_inc, quote};

/// The state of one group at one step.
#[derive(Debug, Clone, Default)]
struct Cell {
    seen: bool,
    float: bool,
    value: f64,
    c: f64,
    count: f64,
    mean: Mean,
    variance: Variance,
    hists: Option<Box<HistSum>>,
    values: Vec<f64>,
}

pub(super) struct Group {
    pub(super) labels: Labels,
    pub(super) drop_name: bool,
    pub(super) members: Vec<usize>,
}

/// The label set a group is known by.
pub(super) fn group_key(labels: &Labels, grouping: &Grouping) -> Labels {
    let listed = |n: &str| grouping.labels.iter().any(|l| l == n);
    if grouping.without { labels.filter(|n| n != METRIC_NAME && !listed(n)) } else { labels.filter(listed) }
}

pub(super) fn make_groups(columns: &[Column], grouping: &Grouping) -> Vec<Group> {
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (c, column) in columns.iter().enumerate() {
        let key = group_key(&column.labels, grouping);
        let at = *index.entry(key).or_insert_with_key(|key| {
            groups.push(Group { labels: key.clone(), drop_name: column.drop_name, members: Vec::new() });
            groups.len() - 1
        });
        groups[at].members.push(c);
    }
    groups
}

impl Evaluator<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate, grid: Grid) -> Eval<Vec<Column>> {
        if aggregate.op == AggOp::CountValues {
            return self.count_values(aggregate, grid);
        }
        let param = match &aggregate.param {
            Some(param) => self.scalar(param, grid)?,
            None => Vec::new(),
        };
        let columns = self.vector(&aggregate.expr, grid)?;
        if matches!(aggregate.op, AggOp::Topk | AggOp::Bottomk | AggOp::Limitk | AggOp::LimitRatio) {
            return self.aggregate_k(aggregate, &param, columns, grid);
        }
        if aggregate.op == AggOp::Quantile {
            self.check_quantile_param(aggregate, &param);
        }
        let mut out = Vec::new();
        for group in make_groups(&columns, &aggregate.grouping) {
            let mut cells = vec![Cell::default(); grid.n];
            for member in &group.members {
                self.interrupt.check()?;
                for (i, cell) in cells.iter_mut().enumerate() {
                    if let Some(point) = columns[*member].point(i) {
                        self.fold(aggregate, cell, &point);
                    }
                }
            }
            let mut result = Column::empty(group.labels, grid.n);
            result.drop_name = group.drop_name;
            for (i, cell) in cells.iter_mut().enumerate().filter(|(_, c)| c.seen) {
                let q = param.get(i).copied().unwrap_or(STALE);
                let hists = group.members.iter().filter_map(|m| columns[*m].hist(i));
                let hists: Vec<_> = if cell.hists.is_some() { hists.collect() } else { Vec::new() };
                if let Some(point) = self.finish(aggregate, cell, q, &hists) {
                    result.set(i, point);
                }
            }
            if !result.is_empty() {
                out.push(result);
            }
        }
        self.account(out.len() * grid.n)?;
        Ok(out)
    }

    fn check_quantile_param(&mut self, aggregate: &Aggregate, param: &[f64]) {
        let span = aggregate.param.as_ref().map_or(aggregate.span, |p| p.span());
        let bad = |q: &&f64| q.is_nan() || !(0.0..=1.0).contains(*q);
        for q in param.iter().filter(bad) {
            self.note(Note::InvalidQuantile(*q), span);
        }
    }

    fn fold(&mut self, aggregate: &Aggregate, cell: &mut Cell, point: &Point) {
        let op = aggregate.op;
        match point {
            Point::Hist(h) => match op {
                AggOp::Sum | AggOp::Avg => {
                    cell.seen = true;
                    cell.hists.get_or_insert_default().add(h);
                }
                AggOp::Count | AggOp::Group => {
                    cell.seen = true;
                    cell.count += 1.0;
                }
                _ => {
                    let span = aggregate.expr.span();
                    self.note(Note::IgnoredInAggregation(op.name()), span);
                }
            },
            Point::Float(v) => {
                let v = *v;
                let first = !cell.seen;
                cell.seen = true;
                cell.float = true;
                cell.count += 1.0;
                match op {
                    AggOp::Sum => (cell.value, cell.c) = kahan_inc(v, cell.value, cell.c),
                    AggOp::Avg => cell.mean.add(v),
                    AggOp::Stddev | AggOp::Stdvar => cell.variance.add(v),
                    AggOp::Quantile => cell.values.push(v),
                    AggOp::Min if first || cell.value > v || cell.value.is_nan() => cell.value = v,
                    AggOp::Max if first || cell.value < v || cell.value.is_nan() => cell.value = v,
                    _ => {}
                }
            }
        }
    }

    fn finish(
        &mut self,
        aggregate: &Aggregate,
        cell: &mut Cell,
        q: f64,
        all: &[&std::sync::Arc<crate::histogram::FloatHistogram>],
    ) -> Option<Point> {
        let span = aggregate.expr.span();
        if let Some(hists) = &cell.hists {
            if cell.float {
                self.note(Note::MixedFloatsHistogramsAgg, span);
                return None;
            }
            if hists.has_collision() {
                self.note(Note::ResetCollision("aggregation"), span);
            }
            if hists.reconciled {
                self.note(Note::BoundsReconciled("aggregation"), span);
            }
            if hists.incompatible {
                let metric = metric_of(&aggregate.expr);
                self.note(Note::MixedSchemas { metric }, span);
                return None;
            }
            let result = if aggregate.op == AggOp::Avg { hists.mean(all.iter().map(|h| &***h)) } else { hists.total() };
            return result.map(Point::hist);
        }
        Some(Point::Float(match aggregate.op {
            AggOp::Sum if cell.value.is_infinite() => cell.value,
            AggOp::Sum => cell.value + cell.c,
            AggOp::Avg => cell.mean.value(),
            AggOp::Count => cell.count,
            AggOp::Group => 1.0,
            AggOp::Stdvar => cell.variance.value(),
            AggOp::Stddev => cell.variance.value().sqrt(),
            AggOp::Quantile => quantile_of(q, &mut cell.values),
            _ => cell.value,
        }))
    }

    fn count_values(&mut self, aggregate: &Aggregate, grid: Grid) -> Eval<Vec<Column>> {
        let label = match aggregate.param.as_ref().map(|p| p.unwrap_paren()) {
            Some(Expr::String(literal)) => literal,
            _ => return Err(QueryError::execution("expected a string literal")),
        };
        if label.raw.is_some() || label.value.is_empty() {
            let quoted = label.raw.as_ref().map_or_else(|| quote(&label.value), |raw| crate::number::quote_bytes(raw));
            return Err(QueryError::execution(format!("invalid label name {quoted}")));
        }
        let mut grouping = aggregate.grouping.clone();
        if !grouping.without && !grouping.labels.contains(&label.value) {
            grouping.labels.push(label.value.clone());
        }
        let columns = self.vector(&aggregate.expr, grid)?;
        let mut index: HashMap<Labels, usize> = HashMap::new();
        let mut out: Vec<Column> = Vec::new();
        for column in &columns {
            for i in 0..grid.n {
                let text = match column.point(i) {
                    Some(Point::Float(v)) => format_plain(v),
                    Some(Point::Hist(h)) => h.to_string(),
                    None => continue,
                };
                let labels = group_key(&column.labels.with(&label.value, &text), &grouping);
                let at = *index.entry(labels).or_insert_with_key(|labels| {
                    out.push(Column::empty(labels.clone(), grid.n));
                    out.len() - 1
                });
                let slot = &mut out[at].floats[i];
                *slot = if crate::number::is_stale(*slot) { 1.0 } else { *slot + 1.0 };
            }
        }
        self.account(out.len() * grid.n)?;
        Ok(out)
    }
}

/// The metric name of a plain selector, for messages.
fn metric_of(expr: &Expr) -> String {
    match expr.unwrap_paren() {
        Expr::Vector(selector) => selector.name.clone(),
        _ => String::new(),
    }
}
