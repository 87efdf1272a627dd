//! The first phase: all selectors of a query are read concurrently.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::try_join_all;

use super::{Interrupt, Options};
use crate::ast::{Expr, Extended, VectorSelector};
use crate::error::QueryError;
use crate::eval::{Grid, RawSeries, selected_time, subquery_grid};
use crate::labels::Matcher;
use crate::querier::{Querier, SelectHints};

/// One selection to make.
struct Wanted<'a> {
    id: u32,
    hints: SelectHints,
    matchers: &'a [Matcher],
}

/// What surrounds the node at hand.
#[derive(Debug, Clone, Default)]
struct Around {
    func: Option<&'static str>,
    grouping: Vec<String>,
    by: bool,
}

pub(super) async fn populate(
    querier: &dyn Querier,
    expr: &Expr,
    grid: Grid,
    options: &Options,
    interrupt: &Interrupt,
) -> Result<HashMap<u32, Arc<Vec<RawSeries>>>, QueryError> {
    let mut wanted = Vec::new();
    collect(expr, grid, options, &Around::default(), &mut wanted);
    interrupt.check()?;
    let reads = wanted.iter().map(|w| async move {
        let mut series = querier.select(&w.hints, w.matchers).await?;
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        let raw: Vec<RawSeries> = series.into_iter().map(RawSeries::from).collect();
        Ok::<_, QueryError>((w.id, Arc::new(raw)))
    });
    Ok(try_join_all(reads).await?.into_iter().collect())
}

fn collect<'a>(expr: &'a Expr, grid: Grid, options: &Options, around: &Around, out: &mut Vec<Wanted<'a>>) {
    match expr {
        Expr::Vector(selector) => out.push(want(selector, 0, grid, options, around)),
        Expr::Matrix(matrix) => {
            out.push(want(&matrix.vector, matrix.range.ms, grid, options, around));
        }
        Expr::Subquery(subquery) => {
            let inner = subquery_grid(subquery, grid, options.eval_interval_ms);
            if inner.n > 0 {
                collect(&subquery.expr, inner, options, around, out);
            }
        }
        Expr::Call(call) => {
            let around = Around { func: Some(call.func), ..Around::default() };
            for arg in &call.args {
                collect(arg, grid, options, &around, out);
            }
        }
        Expr::Aggregate(aggregate) => {
            let around = Around {
                func: Some(aggregate.op.name()),
                grouping: aggregate.grouping.labels.clone(),
                by: !aggregate.grouping.without,
            };
            if let Some(param) = &aggregate.param {
                collect(param, grid, options, &Around::default(), out);
            }
            collect(&aggregate.expr, grid, options, &around, out);
        }
        Expr::Paren(inner, _) => collect(inner, grid, options, around, out),
        other => {
            for child in other.children() {
                collect(child, grid, options, &Around::default(), out);
            }
        }
    }
}

fn want<'a>(selector: &'a VectorSelector, range_ms: i64, grid: Grid, options: &Options, around: &Around) -> Wanted<'a> {
    let first = selected_time(&selector.time, grid.start);
    let last = selected_time(&selector.time, grid.last());
    let lookback = options.lookback_ms;
    // Windows are open on the left, so the first millisecond does not matter.
    let (before, after) = match selector.extended {
        None if range_ms > 0 => (range_ms - 1, 0),
        None => (lookback - 1, 0),
        Some(Extended::Anchored) => (range_ms + lookback - 1, 0),
        Some(Extended::Smoothed) => (range_ms + lookback - 1, lookback),
    };
    Wanted {
        id: selector.id,
        hints: SelectHints {
            start_ms: first - before,
            end_ms: last + after,
            step_ms: if grid.n > 1 { grid.step } else { 0 },
            range_ms,
            func: around.func,
            grouping: around.grouping.clone(),
            by: around.by,
        },
        matchers: &selector.matchers,
    }
}
