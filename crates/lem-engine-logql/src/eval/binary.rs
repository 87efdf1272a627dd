//! Binary operators: numbers, vectors, and how their series pair.

use std::collections::{BTreeMap, BTreeSet};

use super::range::grouped;
use super::{Columns, Series, set_label};
use crate::ast::{BinaryOp, Matching, Side};
use crate::error::EvalError;
use crate::pipeline::holds;
use crate::value::LabelSet;

pub(super) fn run(
    op: BinaryOp,
    as_bool: bool,
    matching: &Matching,
    lhs: Columns,
    rhs: Columns,
    steps: usize,
) -> Result<Columns, EvalError> {
    match (lhs, rhs) {
        (Columns::Number(a), Columns::Number(b)) => {
            // Between numbers there is nothing to filter: a comparison answers 0 or 1.
            Ok(Columns::Number(apply(op, true, a, b, a).unwrap_or(0.0)))
        }
        (Columns::Vector(series), Columns::Number(b)) => {
            Ok(Columns::Vector(map(series, |a| apply(op, as_bool, a, b, a))))
        }
        (Columns::Number(a), Columns::Vector(series)) => {
            Ok(Columns::Vector(map(series, |b| apply(op, as_bool, a, b, b))))
        }
        (Columns::Vector(lhs), Columns::Vector(rhs)) => {
            let result = match op {
                BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => Ok(set(op, matching, lhs, &rhs, steps)),
                _ => pair(op, as_bool, matching, lhs, rhs, steps),
            };
            result.map(Columns::Vector)
        }
    }
}

/// `None` filters the value out; `kept` is what a comparison that holds leaves.
fn apply(op: BinaryOp, as_bool: bool, a: f64, b: f64, kept: f64) -> Option<f64> {
    Some(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Compare(compare) if as_bool => f64::from(u8::from(holds(compare, a, b))),
        BinaryOp::Compare(compare) => return holds(compare, a, b).then_some(kept),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => return None,
    })
}

fn map(series: Vec<Series>, value: impl Fn(f64) -> Option<f64>) -> Vec<Series> {
    let one = |s: Series| Series { labels: s.labels, values: s.values.into_iter().map(|v| value(v?)).collect() };
    series.into_iter().map(one).filter(|s| s.values.iter().any(Option::is_some)).collect()
}

fn signature(labels: &LabelSet, matching: &Matching) -> LabelSet {
    grouped(labels.clone(), matching.labels.as_ref())
}

fn set(op: BinaryOp, matching: &Matching, lhs: Vec<Series>, rhs: &[Series], steps: usize) -> Vec<Series> {
    let present = |series: &[Series]| {
        let mut map: BTreeMap<LabelSet, Vec<bool>> = BTreeMap::new();
        for s in series {
            let steps = map.entry(signature(&s.labels, matching)).or_insert_with(|| vec![false; steps]);
            for (there, value) in steps.iter_mut().zip(&s.values) {
                *there |= value.is_some();
            }
        }
        map
    };
    let keep = |series: Vec<Series>, other: &BTreeMap<LabelSet, Vec<bool>>, wanted: bool| -> Vec<Series> {
        series
            .into_iter()
            .map(|mut s| {
                let there = other.get(&signature(&s.labels, matching));
                for (step, value) in s.values.iter_mut().enumerate() {
                    if there.is_some_and(|t| t[step]) != wanted {
                        *value = None;
                    }
                }
                s
            })
            .filter(|s| s.values.iter().any(Option::is_some))
            .collect()
    };
    match op {
        BinaryOp::And => keep(lhs, &present(rhs), true),
        BinaryOp::Unless => keep(lhs, &present(rhs), false),
        _ => {
            let missing = keep(rhs.to_vec(), &present(&lhs), false);
            let mut all = lhs;
            for s in missing {
                // The same labels on both sides at different steps are one series.
                match all.iter_mut().find(|have| have.labels == s.labels) {
                    Some(have) => have.values.iter_mut().zip(s.values).for_each(|(a, b)| *a = a.or(b)),
                    None => all.push(s),
                }
            }
            all
        }
    }
}

fn pair(
    op: BinaryOp,
    as_bool: bool,
    matching: &Matching,
    lhs: Vec<Series>,
    rhs: Vec<Series>,
    steps: usize,
) -> Result<Vec<Series>, EvalError> {
    let side = matching.many.as_ref().map(|(side, _)| *side);
    let swapped = side == Some(Side::Right);
    let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
    let mut index: BTreeMap<LabelSet, Vec<&Series>> = BTreeMap::new();
    for s in &one {
        index.entry(signature(&s.labels, matching)).or_default().push(s);
    }
    let mut out: Vec<Series> = Vec::new();
    let mut used: BTreeMap<LabelSet, Vec<bool>> = BTreeMap::new();
    for m in many {
        let key = signature(&m.labels, matching);
        let Some(partners) = index.get(&key) else { continue };
        let mut values = vec![None; steps];
        for (step, value) in values.iter_mut().enumerate() {
            let mut there = partners.iter().filter_map(|s| s.values[step].map(|v| (v, &s.labels)));
            let (Some(a), Some((b, _))) = (m.values[step], there.next()) else { continue };
            if there.next().is_some() {
                return Err(EvalError::Matching(format!(
                    "found duplicate series on the one side of the operator for {key:?}"
                )));
            }
            let taken = used.entry(key.clone()).or_insert_with(|| vec![false; steps]);
            if side.is_none() && std::mem::replace(&mut taken[step], true) {
                return Err(EvalError::Matching(format!(
                    "multiple matches for labels {key:?}: many-to-one matching must be explicit (group_left/group_right)"
                )));
            }
            let (a, b) = if swapped { (b, a) } else { (a, b) };
            *value = apply(op, as_bool, a, b, a);
        }
        if values.iter().any(Option::is_some) {
            out.push(Series { labels: result_labels(&m.labels, partners, matching, op, as_bool), values });
        }
    }
    let mut seen = BTreeSet::new();
    match out.iter().find(|s| !seen.insert(s.labels.clone())) {
        Some(twice) => Err(EvalError::Matching(format!("two results have the labels {:?}", twice.labels))),
        None => Ok(out),
    }
}

fn result_labels(many: &LabelSet, one: &[&Series], matching: &Matching, op: BinaryOp, as_bool: bool) -> LabelSet {
    let Some((_, include)) = &matching.many else {
        let filters = matches!(op, BinaryOp::Compare(_)) && !as_bool;
        return if filters { many.clone() } else { signature(many, matching) };
    };
    let mut labels = many.clone();
    for name in include {
        let value = one.first().and_then(|s| s.labels.get(name)).cloned().unwrap_or_default();
        set_label(&mut labels, name, value);
    }
    labels
}
