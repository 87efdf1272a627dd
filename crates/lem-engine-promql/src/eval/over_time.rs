//! The `_over_time` kernels.

use std::sync::Arc;

use super::range_fn::Context;
use super::select::Window;
use super::{Eval, Point};
use crate::annotations::Note;
use crate::histogram::{CounterReset, FloatHistogram};
use crate::number::kahan_inc;

type Out = Eval<Option<Point>>;

fn float(v: f64) -> Out {
    Ok(Some(Point::Float(v)))
}

/// Notes histograms that a float function ignores; false when there is no float.
fn floats_only(w: &Window<'_>, cx: &mut Context<'_>) -> bool {
    if w.vs.is_empty() {
        return false;
    }
    if !w.hs.is_empty() {
        note_ignored(cx);
    }
    true
}

pub(super) fn note_ignored(cx: &mut Context<'_>) {
    let metric = cx.metric.to_owned();
    let span = cx.first_arg_span;
    cx.notes.add(Note::IgnoredInMixedRange { metric }, span);
}

fn is_mixed(w: &Window<'_>, cx: &mut Context<'_>) -> bool {
    let mixed = !w.vs.is_empty() && !w.hs.is_empty();
    if mixed {
        let metric = cx.metric.to_owned();
        cx.note(Note::MixedFloatsHistograms { metric });
    }
    mixed
}

/// Compensated sum of a slice.
pub(super) fn sum_floats(values: &[f64]) -> f64 {
    let (mut sum, mut c) = (0.0, 0.0);
    for v in values {
        (sum, c) = kahan_inc(*v, sum, c);
    }
    if sum.is_infinite() { sum } else { sum + c }
}

/// Mean of a slice: direct while the sum does not overflow, incremental from there on.
pub(super) fn mean_floats(values: &[f64]) -> f64 {
    let mut mean = Mean::default();
    for v in values {
        mean.add(*v);
    }
    mean.value()
}

/// A running mean.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mean {
    sum: f64,
    c: f64,
    count: f64,
    incremental: bool,
}

impl Mean {
    pub(super) fn add(&mut self, v: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.sum = v;
            return;
        }
        if !self.incremental {
            let (sum, c) = kahan_inc(v, self.sum, self.c);
            if !sum.is_infinite() {
                (self.sum, self.c) = (sum, c);
                return;
            }
            self.incremental = true;
            self.sum /= self.count - 1.0;
            self.c /= self.count - 1.0;
        }
        let q = (self.count - 1.0) / self.count;
        (self.sum, self.c) = kahan_inc(v / self.count, q * self.sum, q * self.c);
    }

    pub(super) fn value(&self) -> f64 {
        if self.incremental { self.sum + self.c } else { self.sum / self.count + self.c / self.count }
    }
}

/// Sum of histograms with what was odd about it.
#[derive(Debug, Clone, Default)]
pub(super) struct HistSum {
    pub(super) sum: Option<FloatHistogram>,
    comp: Option<FloatHistogram>,
    pub(super) count: f64,
    saw_reset: bool,
    saw_not_reset: bool,
    pub(super) reconciled: bool,
    pub(super) incompatible: bool,
}

impl HistSum {
    pub(super) fn add(&mut self, h: &FloatHistogram) {
        self.count += 1.0;
        self.saw_reset |= h.counter_reset == CounterReset::Reset;
        self.saw_not_reset |= h.counter_reset == CounterReset::NotReset;
        if self.incompatible {
            return;
        }
        let Some(sum) = &mut self.sum else {
            self.sum = Some(h.clone());
            return;
        };
        match sum.kahan_add(h, &mut self.comp) {
            Ok(combined) => self.reconciled |= combined.bounds_reconciled,
            Err(_) => self.incompatible = true,
        }
    }

    pub(super) fn has_collision(&self) -> bool {
        self.saw_reset && self.saw_not_reset
    }

    pub(super) fn total(&self) -> Option<FloatHistogram> {
        let mut total = self.sum.clone()?;
        if let Some(comp) = &self.comp {
            total.add(comp).ok()?;
        }
        total.compact();
        Some(total)
    }

    /// The mean; worked out incrementally from `all` when the sum overflowed.
    pub(super) fn mean<'a>(&self, all: impl Iterator<Item = &'a FloatHistogram>) -> Option<FloatHistogram> {
        let total = self.total()?;
        if !total.has_overflow() {
            let mut mean = total;
            mean.div(self.count);
            return Some(mean);
        }
        let mut mean: Option<FloatHistogram> = None;
        let mut count = 0.0;
        for h in all {
            count += 1.0;
            let Some(mean) = &mut mean else {
                mean = Some(h.clone());
                continue;
            };
            mean.mul((count - 1.0) / count);
            let mut part = h.clone();
            part.div(count);
            mean.add(&part).ok()?;
        }
        mean
    }
}

fn histograms(w: &Window<'_>, cx: &mut Context<'_>, mean: bool) -> Out {
    let mut sum = HistSum::default();
    for h in w.hs {
        sum.add(h);
    }
    if sum.has_collision() {
        cx.note(Note::ResetCollision("aggregation"));
    }
    if sum.reconciled {
        cx.note(Note::BoundsReconciled("aggregation"));
    }
    if sum.incompatible {
        let metric = cx.metric.to_owned();
        cx.note(Note::MixedSchemas { metric });
        return Ok(None);
    }
    let result = if mean { sum.mean(w.hs.iter().map(|h| &**h)) } else { sum.total() };
    Ok(result.map(Point::hist))
}

pub(super) fn sum(w: &Window<'_>, cx: &mut Context<'_>) -> Out {
    if is_mixed(w, cx) {
        return Ok(None);
    }
    if w.vs.is_empty() {
        return histograms(w, cx, false);
    }
    float(sum_floats(w.vs))
}

pub(super) fn avg(w: &Window<'_>, cx: &mut Context<'_>) -> Out {
    if is_mixed(w, cx) {
        return Ok(None);
    }
    if w.vs.is_empty() {
        return histograms(w, cx, true);
    }
    float(mean_floats(w.vs))
}

pub(super) fn count(w: &Window<'_>, _: &mut Context<'_>) -> Out {
    float((w.vs.len() + w.hs.len()) as f64)
}

pub(super) fn present(_: &Window<'_>, _: &mut Context<'_>) -> Out {
    float(1.0)
}

fn best(w: &Window<'_>, better: impl Fn(f64, f64) -> bool) -> (i64, f64) {
    let mut best = (w.ts[0], w.vs[0]);
    for (t, v) in w.ts.iter().zip(w.vs) {
        if better(*v, best.1) || best.1.is_nan() {
            best = (*t, *v);
        }
    }
    best
}

pub(super) fn min(w: &Window<'_>, cx: &mut Context<'_>) -> Out {
    if !floats_only(w, cx) {
        return Ok(None);
    }
    float(best(w, |v, m| v < m).1)
}

pub(super) fn max(w: &Window<'_>, cx: &mut Context<'_>) -> Out {
    if !floats_only(w, cx) {
        return Ok(None);
    }
    float(best(w, |v, m| v > m).1)
}

pub(super) fn ts_of_min(w: &Window<'_>, cx: &mut Context<'_>) -> Out {
    if !floats_only(w, cx) {
        return Ok(None);
    }
    float(best(w, |v, m| v <= m).0 as f64 / 1000.0)
}

pub(super) fn ts_of_max(w: &Window<'_>, cx: &mut Context<'_>) -> Out {
    if !floats_only(w, cx) {
        return Ok(None);
    }
    float(best(w, |v, m| v >= m).0 as f64 / 1000.0)
}

pub(super) fn first(w: &Window<'_>, _: &mut Context<'_>) -> Out {
    Ok(match (w.ts.first(), w.hts.first()) {
        (Some(t), Some(ht)) if t < ht => Some(Point::Float(w.vs[0])),
        (_, Some(_)) => Some(Point::Hist(Arc::clone(&w.hs[0]))),
        (Some(_), None) => Some(Point::Float(w.vs[0])),
        (None, None) => None,
    })
}

pub(super) fn last(w: &Window<'_>, _: &mut Context<'_>) -> Out {
    Ok(match (w.ts.last(), w.hts.last()) {
        (Some(t), Some(ht)) if t > ht => w.vs.last().map(|v| Point::Float(*v)),
        (_, Some(_)) => w.hs.last().map(|h| Point::Hist(Arc::clone(h))),
        (Some(_), None) => w.vs.last().map(|v| Point::Float(*v)),
        (None, None) => None,
    })
}

pub(super) fn ts_of_first(w: &Window<'_>, _: &mut Context<'_>) -> Out {
    let first = w.ts.first().into_iter().chain(w.hts.first()).min();
    Ok(first.map(|t| Point::Float(*t as f64 / 1000.0)))
}

pub(super) fn ts_of_last(w: &Window<'_>, _: &mut Context<'_>) -> Out {
    let last = w.ts.last().into_iter().chain(w.hts.last()).max();
    Ok(last.map(|t| Point::Float(*t as f64 / 1000.0)))
}

/// Population variance by Welford's method, compensated.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Variance {
    count: f64,
    mean: f64,
    mean_c: f64,
    aux: f64,
    aux_c: f64,
}

impl Variance {
    pub(super) fn add(&mut self, v: f64) {
        self.count += 1.0;
        let delta = v - (self.mean + self.mean_c);
        (self.mean, self.mean_c) = kahan_inc(delta / self.count, self.mean, self.mean_c);
        let spread = delta * (v - (self.mean + self.mean_c));
        (self.aux, self.aux_c) = kahan_inc(spread, self.aux, self.aux_c);
    }

    pub(super) fn value(&self) -> f64 {
        (self.aux + self.aux_c) / self.count
    }
}

fn variance(values: &[f64]) -> f64 {
    let mut variance = Variance::default();
    for v in values {
        variance.add(*v);
    }
    variance.value()
}

pub(super) fn stdvar(w: &Window<'_>, cx: &mut Context<'_>) -> Out {
    if !floats_only(w, cx) {
        return Ok(None);
    }
    float(variance(w.vs))
}

pub(super) fn stddev(w: &Window<'_>, cx: &mut Context<'_>) -> Out {
    if !floats_only(w, cx) {
        return Ok(None);
    }
    float(variance(w.vs).sqrt())
}

/// The q-quantile of values; not-a-number sorts lowest.
pub(super) fn quantile_of(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| match (a.is_nan(), b.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Less,
        (false, true) => std::cmp::Ordering::Greater,
        (false, false) => a.total_cmp(b),
    });
    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor().max(0.0);
    let upper = (lower as usize + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower as usize] * (1.0 - weight) + values[upper] * weight
}

pub(super) fn quantile(w: &Window<'_>, cx: &mut Context<'_>) -> Out {
    if w.vs.is_empty() {
        return Ok(None);
    }
    let q = cx.scalars[0];
    if q.is_nan() || !(0.0..=1.0).contains(&q) {
        let span = cx.first_arg_span;
        cx.notes.add(Note::InvalidQuantile(q), span);
    }
    if !w.hs.is_empty() {
        note_ignored(cx);
    }
    float(quantile_of(q, &mut w.vs.to_vec()))
}

pub(super) fn mad(w: &Window<'_>, cx: &mut Context<'_>) -> Out {
    if !floats_only(w, cx) {
        return Ok(None);
    }
    let median = quantile_of(0.5, &mut w.vs.to_vec());
    let mut deviations: Vec<f64> = w.vs.iter().map(|v| (v - median).abs()).collect();
    float(quantile_of(0.5, &mut deviations))
}
