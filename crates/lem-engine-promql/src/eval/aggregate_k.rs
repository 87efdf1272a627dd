//! Aggregations that keep some series of a group: `topk`, `bottomk`, `limitk`, `limit_ratio`.

use std::cmp::Ordering;

use super::aggregate::make_groups;
use super::{Column, Eval, Evaluator, Grid};
use crate::annotations::Note;
use crate::ast::{AggOp, Aggregate};
use crate::error::QueryError;
use crate::number::format_plain;

impl Evaluator<'_> {
    pub(super) fn aggregate_k(
        &mut self,
        aggregate: &Aggregate,
        param: &[f64],
        columns: Vec<Column>,
        grid: Grid,
    ) -> Eval<Vec<Column>> {
        let is_ratio = aggregate.op == AggOp::LimitRatio;
        if param.iter().any(|v| v.is_nan()) {
            let what = if is_ratio { "Ratio" } else { "Parameter" };
            return Err(QueryError::execution(format!("{what} value is NaN")));
        }
        let param = if is_ratio {
            self.capped_ratios(aggregate, param)
        } else {
            check_counts(param)?;
            param.to_vec()
        };
        let groups = make_groups(&columns, &aggregate.grouping);
        let mut kept: Vec<Column> = columns
            .iter()
            .map(|c| {
                let mut column = Column::empty(c.labels.clone(), grid.n);
                column.drop_name = c.drop_name;
                column
            })
            .collect();
        let mut order: Vec<usize> = Vec::new();
        for (i, limit) in param.iter().enumerate() {
            self.interrupt.check()?;
            for group in &groups {
                let chosen = self.choose(aggregate, &columns, &group.members, i, *limit);
                for c in chosen {
                    if let Some(point) = columns[c].point(i) {
                        kept[c].set(i, point);
                        order.push(c);
                    }
                }
            }
        }
        // At a single step the order of choice is the order of the result.
        let mut seen = vec![false; kept.len()];
        order.retain(|c| !std::mem::replace(&mut seen[*c], true));
        let mut slots: Vec<Option<Column>> = kept.into_iter().map(Some).collect();
        Ok(order.into_iter().filter_map(|c| slots[c].take()).collect())
    }

    fn capped_ratios(&mut self, aggregate: &Aggregate, param: &[f64]) -> Vec<f64> {
        let span = aggregate.param.as_ref().map_or(aggregate.span, |p| p.span());
        let max = param.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let min = param.iter().copied().fold(f64::INFINITY, f64::min);
        for (got, to, out_of_range) in [(max, 1.0, max > 1.0), (min, -1.0, min < -1.0)] {
            if out_of_range {
                self.note(Note::InvalidRatio { got, to }, span);
            }
        }
        param.iter().map(|r| r.clamp(-1.0, 1.0)).collect()
    }

    fn choose(
        &mut self,
        aggregate: &Aggregate,
        columns: &[Column],
        members: &[usize],
        i: usize,
        limit: f64,
    ) -> Vec<usize> {
        let present = members.iter().copied().filter(|c| columns[*c].has(i));
        match aggregate.op {
            AggOp::LimitRatio => present.filter(|c| ratio_keeps(&columns[*c], limit)).collect(),
            AggOp::Limitk => present.take(count(limit)).collect(),
            op => {
                if count(limit) == 0 {
                    return Vec::new();
                }
                let (floats, hists): (Vec<usize>, Vec<usize>) = present.partition(|c| columns[*c].hist(i).is_none());
                if !hists.is_empty() {
                    self.note(Note::IgnoredInAggregation(op.name()), aggregate.span);
                }
                let mut floats = floats;
                floats.sort_by(|a, b| {
                    let (a, b) = (columns[*a].floats[i], columns[*b].floats[i]);
                    match (a.is_nan(), b.is_nan()) {
                        (true, true) => Ordering::Equal,
                        (true, false) => Ordering::Greater,
                        (false, true) => Ordering::Less,
                        (false, false) if op == AggOp::Topk => b.partial_cmp(&a).unwrap_or(Ordering::Equal),
                        (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
                    }
                });
                floats.truncate(count(limit));
                floats
            }
        }
    }
}

fn count(limit: f64) -> usize {
    if limit < 1.0 { 0 } else { usize::try_from(limit as i64).unwrap_or(usize::MAX) }
}

fn check_counts(param: &[f64]) -> Eval<()> {
    let low = i64::MIN as f64;
    let high = i64::MAX as f64;
    for v in param {
        let word = if *v >= high {
            "overflows"
        } else if *v <= low {
            "underflows"
        } else {
            continue;
        };
        return Err(QueryError::execution(format!("Scalar value {} {word} int64", format_plain(*v))));
    }
    Ok(())
}

/// Series are spread over `[0, 1)` by their hash; a negative ratio keeps the complement.
fn ratio_keeps(column: &Column, ratio: f64) -> bool {
    let offset = column.labels.stable_hash() as f64 / u64::MAX as f64;
    (ratio >= 0.0 && offset < ratio) || (ratio < 0.0 && offset >= 1.0 + ratio)
}
