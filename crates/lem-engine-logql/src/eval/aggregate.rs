//! Aggregations over series, step by step.

use std::collections::BTreeMap;

use super::Series;
use super::range::{grouped, variance};
use crate::ast::{Grouping, Metric, VectorOp};
use crate::value::{LabelSet, Sample};

pub(super) fn run(
    op: VectorOp,
    param: Option<f64>,
    grouping: Option<&Grouping>,
    series: Vec<Series>,
    steps: usize,
) -> Vec<Series> {
    match op {
        VectorOp::Sort | VectorOp::SortDesc => series,
        VectorOp::Topk | VectorOp::Bottomk | VectorOp::ApproxTopk => {
            best(op, param.unwrap_or(1.0) as usize, grouping, series, steps)
        }
        _ => fold(op, grouping, series, steps),
    }
}

/// Without a grouping everything is one group.
fn group_of(labels: &LabelSet, grouping: Option<&Grouping>) -> LabelSet {
    match grouping {
        None => LabelSet::new(),
        some => grouped(labels.clone(), some),
    }
}

fn fold(op: VectorOp, grouping: Option<&Grouping>, series: Vec<Series>, steps: usize) -> Vec<Series> {
    let mut groups: BTreeMap<LabelSet, Vec<Series>> = BTreeMap::new();
    for s in series {
        groups.entry(group_of(&s.labels, grouping)).or_default().push(s);
    }
    let one = |(labels, members): (LabelSet, Vec<Series>)| {
        let at = |step: usize| {
            let values: Vec<f64> = members.iter().filter_map(|s| s.values[step]).collect();
            (!values.is_empty()).then(|| combine(op, &values))
        };
        Series { labels, values: (0..steps).map(at).collect() }
    };
    groups.into_iter().map(one).collect()
}

fn combine(op: VectorOp, values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let sum = || values.iter().sum::<f64>();
    match op {
        VectorOp::Sum => sum(),
        VectorOp::Avg => sum() / count,
        VectorOp::Min => values.iter().copied().fold(f64::NAN, f64::min),
        VectorOp::Max => values.iter().copied().fold(f64::NAN, f64::max),
        VectorOp::Count => count,
        VectorOp::Stdvar => variance(values.iter().copied(), count),
        VectorOp::Stddev => variance(values.iter().copied(), count).sqrt(),
        VectorOp::Topk | VectorOp::Bottomk | VectorOp::Sort | VectorOp::SortDesc | VectorOp::ApproxTopk => f64::NAN,
    }
}

/// Keeps the k greatest or least of each group at each step; equal values keep the order of their labels.
fn best(op: VectorOp, k: usize, grouping: Option<&Grouping>, mut series: Vec<Series>, steps: usize) -> Vec<Series> {
    let mut groups: BTreeMap<LabelSet, Vec<usize>> = BTreeMap::new();
    for (at, s) in series.iter().enumerate() {
        groups.entry(group_of(&s.labels, grouping)).or_default().push(at);
    }
    for step in 0..steps {
        for members in groups.values() {
            let mut ranked: Vec<(usize, f64)> =
                members.iter().filter_map(|at| Some((*at, series[*at].values[step]?))).collect();
            ranked.sort_by(|a, b| {
                let order = a.1.total_cmp(&b.1);
                let order = if op == VectorOp::Bottomk { order } else { order.reverse() };
                order.then_with(|| series[a.0].labels.cmp(&series[b.0].labels))
            });
            for (at, _) in ranked.into_iter().skip(k) {
                series[at].values[step] = None;
            }
        }
    }
    series.retain(|s| s.values.iter().any(Option::is_some));
    series
}

/// Order of an instant answer: by value where the query asks for it, else by labels.
pub(super) fn sort_answer(metric: &Metric, samples: &mut [Sample]) {
    samples.sort_by(|a, b| a.labels.cmp(&b.labels));
    if let Metric::Aggregate { op, .. } = metric {
        match op {
            VectorOp::Sort | VectorOp::Bottomk => samples.sort_by(|a, b| a.value.total_cmp(&b.value)),
            VectorOp::SortDesc | VectorOp::Topk | VectorOp::ApproxTopk => {
                samples.sort_by(|a, b| b.value.total_cmp(&a.value));
            }
            _ => {}
        }
    }
}
