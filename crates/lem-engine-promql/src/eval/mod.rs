//! The evaluator: a pure function of the tree, the time grid and the series that were read.
//!
//! Every instant value is columnar: per series one array with a slot per step. The staleness marker
//! in a slot means that there is no point; real markers never get this far.

mod aggregate;
mod aggregate_k;
mod binop;
mod classic;
mod dates;
mod hist_fn;
mod info;
mod instant_fn;
mod kernels;
mod label_fn;
mod matching;
mod over_time;
mod range_fn;
mod rate;
mod select;

use std::collections::HashMap;
use std::sync::Arc;

use crate::annotations::{Annotations, Note};
use crate::ast::{Expr, Span};
use crate::engine::{Interrupt, Options};
use crate::error::QueryError;
use crate::histogram::FloatHistogram;
use crate::labels::Labels;
use crate::number::{STALE, is_stale};

pub(crate) use rate::edge_points;
pub(crate) use select::{RawSeries, selected_time, subquery_grid};

type Eval<T> = Result<T, QueryError>;

/// The times an expression is worked out at: `start`, `start + step`, … `n` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) start: i64,
    pub(crate) step: i64,
    pub(crate) n: usize,
}

impl Grid {
    pub(crate) fn at(&self, i: usize) -> i64 {
        self.start + self.step * i as i64
    }

    pub(crate) fn last(&self) -> i64 {
        self.at(self.n.saturating_sub(1))
    }
}

/// A point: number or histogram.
#[derive(Debug, Clone)]
pub(crate) enum Point {
    Float(f64),
    Hist(Arc<FloatHistogram>),
}

impl Point {
    fn hist(h: FloatHistogram) -> Self {
        Self::Hist(Arc::new(h))
    }
}

type Hists = Vec<Option<Arc<FloatHistogram>>>;

/// One series of an instant vector over the grid.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) labels: Labels,
    /// The name goes away at the end, when removal is delayed.
    pub(crate) drop_name: bool,
    pub(crate) floats: Vec<f64>,
    pub(crate) hists: Option<Hists>,
}

impl Column {
    fn empty(labels: Labels, n: usize) -> Self {
        Self { labels, drop_name: false, floats: vec![STALE; n], hists: None }
    }

    pub(crate) fn hist(&self, i: usize) -> Option<&Arc<FloatHistogram>> {
        self.hists.as_ref().and_then(|h| h[i].as_ref())
    }

    pub(crate) fn point(&self, i: usize) -> Option<Point> {
        if !is_stale(self.floats[i]) {
            return Some(Point::Float(self.floats[i]));
        }
        self.hist(i).map(|h| Point::Hist(h.clone()))
    }

    fn has(&self, i: usize) -> bool {
        !is_stale(self.floats[i]) || self.hist(i).is_some()
    }

    fn set(&mut self, i: usize, point: Point) {
        match point {
            Point::Float(v) => self.floats[i] = v,
            Point::Hist(h) => {
                let n = self.floats.len();
                self.hists.get_or_insert_with(|| vec![None; n])[i] = Some(h);
            }
        }
    }

    fn is_empty(&self) -> bool {
        (0..self.floats.len()).all(|i| !self.has(i))
    }

    /// Keeps only the floats.
    fn floats_only(mut self) -> Self {
        self.hists = None;
        self
    }
}

/// The value of a sub-expression.
#[derive(Debug, Clone)]
pub(crate) enum Val {
    Scalar(Vec<f64>),
    Vector(Vec<Column>),
    Text(String),
}

/// Everything the evaluation of one query needs.
pub(crate) struct Evaluator<'q> {
    pub(crate) series: &'q HashMap<u32, Arc<Vec<RawSeries>>>,
    pub(crate) options: &'q Options,
    pub(crate) interrupt: &'q Interrupt,
    pub(crate) query_grid: Grid,
    pub(crate) query_end: i64,
    pub(crate) is_range: bool,
    pub(crate) notes: Annotations,
    pub(crate) samples: usize,
}

impl Evaluator<'_> {
    fn note(&mut self, note: Note, span: Span) {
        self.notes.add(note, span);
    }

    /// Counts points that are in memory, and looks whether anyone still waits.
    pub(crate) fn account(&mut self, points: usize) -> Eval<()> {
        self.interrupt.check()?;
        self.samples += points;
        if self.samples > self.options.max_samples {
            return Err(QueryError::TooManySamples("query execution"));
        }
        Ok(())
    }

    /// Refuses steps that could not be held in memory, before anything is allocated for them.
    fn check_room(&self, steps: usize) -> Eval<()> {
        if self.samples.saturating_add(steps) > self.options.max_samples {
            return Err(QueryError::TooManySamples("query execution"));
        }
        Ok(())
    }

    pub(crate) fn eval(&mut self, expr: &Expr, grid: Grid) -> Eval<Val> {
        self.interrupt.check()?;
        let before = self.samples;
        // What does not depend on the time is worked out once.
        let value = if grid.n > 1 && worth_pinning(expr) && is_step_invariant(expr) {
            let once = Grid { n: 1, ..grid };
            broadcast(self.eval_node(expr, once)?, grid.n)
        } else {
            self.eval_node(expr, grid)?
        };
        // Intermediate values are gone by now; only the result still counts.
        self.samples = before + points_of(&value);
        Ok(value)
    }

    fn eval_node(&mut self, expr: &Expr, grid: Grid) -> Eval<Val> {
        match expr {
            Expr::Number(n) => Ok(Val::Scalar(vec![n.value; grid.n])),
            Expr::String(s) => Ok(Val::Text(s.value.clone())),
            Expr::Paren(inner, _) => self.eval(inner, grid),
            Expr::Vector(selector) => {
                let columns = self.instant(selector, grid, false)?;
                Ok(Val::Vector(columns))
            }
            Expr::Matrix(_) | Expr::Subquery(_) => {
                Err(QueryError::execution("a range vector is only allowed as argument of a function"))
            }
            Expr::Unary(unary) => {
                let value = self.eval(&unary.expr, grid)?;
                Ok(if unary.negative { self.negate(value)? } else { value })
            }
            Expr::Binary(binary) => self.binary(binary, grid),
            Expr::Aggregate(aggregate) => Ok(Val::Vector(self.aggregate(aggregate, grid)?)),
            Expr::Call(call) => self.call(call, grid),
        }
    }

    pub(crate) fn vector(&mut self, expr: &Expr, grid: Grid) -> Eval<Vec<Column>> {
        match self.eval(expr, grid)? {
            Val::Vector(columns) => Ok(columns),
            Val::Scalar(_) | Val::Text(_) => Err(QueryError::execution("expected an instant vector")),
        }
    }

    pub(crate) fn scalar(&mut self, expr: &Expr, grid: Grid) -> Eval<Vec<f64>> {
        match self.eval(expr, grid)? {
            Val::Scalar(values) => Ok(values),
            Val::Vector(_) | Val::Text(_) => Err(QueryError::execution("expected a scalar")),
        }
    }

    fn negate(&mut self, value: Val) -> Eval<Val> {
        match value {
            Val::Scalar(values) => Ok(Val::Scalar(values.iter().map(|v| -v).collect())),
            Val::Text(text) => Ok(Val::Text(text)),
            Val::Vector(mut columns) => {
                for column in &mut columns {
                    self.drop_name(column);
                    for v in column.floats.iter_mut().filter(|v| !is_stale(**v)) {
                        *v = -*v;
                    }
                    for h in column.hists.iter_mut().flatten().flatten() {
                        Arc::make_mut(h).mul(-1.0);
                    }
                }
                Ok(Val::Vector(merge_same_labels(columns)?))
            }
        }
    }

    /// The name no longer describes the values: drop it now, or mark it when removal is delayed.
    fn drop_name(&self, column: &mut Column) {
        if self.options.delayed_name_removal {
            column.drop_name = true;
        } else {
            column.labels = column.labels.without_metadata();
        }
    }
}

/// Whether pinning can save work: there is a selector, call or subquery below.
fn worth_pinning(expr: &Expr) -> bool {
    !matches!(expr, Expr::Number(_) | Expr::String(_))
}

/// Whether the value is the same at every step.
pub(crate) fn is_step_invariant(expr: &Expr) -> bool {
    match expr {
        Expr::Number(_) | Expr::String(_) => true,
        Expr::Vector(selector) => selector.time.at.is_some(),
        Expr::Matrix(matrix) => matrix.vector.time.at.is_some(),
        Expr::Subquery(subquery) => subquery.time.at.is_some(),
        Expr::Call(call) => {
            !crate::funcs::depends_on_time(call.func, call.args.len())
                && call.func != "info"
                && call.args.iter().all(is_step_invariant)
        }
        Expr::Aggregate(_) | Expr::Binary(_) | Expr::Unary(_) | Expr::Paren(..) => {
            expr.children().into_iter().all(is_step_invariant)
        }
    }
}

fn points_of(value: &Val) -> usize {
    match value {
        Val::Scalar(values) => values.len(),
        Val::Text(_) => 0,
        Val::Vector(columns) => columns.iter().map(|c| c.floats.len()).sum(),
    }
}

fn broadcast(value: Val, n: usize) -> Val {
    match value {
        Val::Scalar(values) => Val::Scalar(vec![values[0]; n]),
        Val::Text(text) => Val::Text(text),
        Val::Vector(columns) => Val::Vector(
            columns
                .into_iter()
                .map(|c| Column {
                    floats: vec![c.floats[0]; n],
                    hists: c.hists.map(|h| vec![h[0].clone(); n]),
                    labels: c.labels,
                    drop_name: c.drop_name,
                })
                .collect(),
        ),
    }
}

/// Columns that came to share a label set become one; two points at one step are an error.
pub(crate) fn merge_same_labels(columns: Vec<Column>) -> Eval<Vec<Column>> {
    let mut index: HashMap<Labels, usize> = HashMap::with_capacity(columns.len());
    let mut out: Vec<Column> = Vec::with_capacity(columns.len());
    for column in columns {
        let Some(&at) = index.get(&column.labels) else {
            index.insert(column.labels.clone(), out.len());
            out.push(column);
            continue;
        };
        for i in 0..column.floats.len() {
            let Some(point) = column.point(i) else {
                continue;
            };
            if out[at].has(i) {
                return Err(same_labelset());
            }
            out[at].set(i, point);
        }
    }
    Ok(out)
}

pub(crate) fn same_labelset() -> QueryError {
    QueryError::execution("vector cannot contain metrics with the same labelset")
}
