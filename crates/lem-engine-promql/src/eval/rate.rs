//! `rate`, `increase`, `delta`, `irate`, `idelta`.

use std::sync::Arc;

use super::range_fn::Context;
use super::select::Window;
use super::{Eval, Point};
use crate::annotations::Note;
use crate::ast::Extended;
use crate::error::QueryError;
use crate::histogram::{CounterReset, FloatHistogram};
use crate::value::Sample;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rate,
    Increase,
    Delta,
}

impl Kind {
    fn is_counter(self) -> bool {
        self != Self::Delta
    }
}

pub(super) fn rate(w: &Window<'_>, cx: &mut Context<'_>) -> Eval<Option<Point>> {
    change(w, cx, Kind::Rate)
}

pub(super) fn increase(w: &Window<'_>, cx: &mut Context<'_>) -> Eval<Option<Point>> {
    change(w, cx, Kind::Increase)
}

pub(super) fn delta(w: &Window<'_>, cx: &mut Context<'_>) -> Eval<Option<Point>> {
    change(w, cx, Kind::Delta)
}

fn change(w: &Window<'_>, cx: &mut Context<'_>, kind: Kind) -> Eval<Option<Point>> {
    if let Some(extended) = cx.extended {
        return extended_change(w, cx, kind, extended);
    }
    if !w.hs.is_empty() && !w.vs.is_empty() {
        let metric = cx.metric.to_owned();
        cx.note(Note::MixedFloatsHistograms { metric });
        return Ok(None);
    }
    if w.hs.len() > 1 {
        let Some(mut result) = histogram_change(w.hs, cx, kind) else {
            return Ok(None);
        };
        let zero = (result.count > 0.0 && w.hs[0].count >= 0.0).then(|| w.hs[0].count / result.count);
        result.mul(extrapolation(w, w.hts, cx, kind, zero));
        return Ok(Some(Point::hist(result)));
    }
    if w.vs.len() < 2 {
        return Ok(None);
    }
    let first = w.vs[0];
    let mut result = w.vs[w.vs.len() - 1] - first;
    if kind.is_counter() {
        result += w.vs.windows(2).filter(|pair| pair[1] < pair[0]).map(|pair| pair[0]).sum::<f64>();
    }
    let zero = (result > 0.0 && first >= 0.0).then(|| first / result);
    Ok(Some(Point::Float(result * extrapolation(w, w.ts, cx, kind, zero))))
}

/// The factor that stretches what was sampled to the window's edges. `to_zero` is how many sampled
/// intervals before the first sample the counter was zero.
fn extrapolation(w: &Window<'_>, times: &[i64], cx: &Context<'_>, kind: Kind, to_zero: Option<f64>) -> f64 {
    let (first, last) = (times[0], times[times.len() - 1]);
    let mut to_start = (first - w.start) as f64 / 1000.0;
    let mut to_end = (w.end - last) as f64 / 1000.0;
    let sampled = (last - first) as f64 / 1000.0;
    let average = sampled / (times.len() - 1) as f64;
    let threshold = average * 1.1;
    if to_start >= threshold {
        to_start = average / 2.0;
    }
    if kind.is_counter()
        && let Some(intervals) = to_zero
    {
        to_start = to_start.min(sampled * intervals);
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let factor = (sampled + to_start + to_end) / sampled;
    if kind == Kind::Rate { factor / (cx.range_ms as f64 / 1000.0) } else { factor }
}

fn histogram_change(points: &[Arc<FloatHistogram>], cx: &mut Context<'_>, kind: Kind) -> Option<FloatHistogram> {
    let metric = cx.metric.to_owned();
    let last = &points[points.len() - 1];
    let mut first = (*points[0]).clone();
    if kind.is_counter() {
        if points.iter().any(|h| h.counter_reset == CounterReset::Gauge) {
            cx.note(Note::NotCounter { metric: metric.clone() });
        }
        // With a reset right after the first sample, its bucket layout does not matter.
        if points[1].detect_reset(&first) {
            first = FloatHistogram {
                schema: points[1].schema,
                custom_bounds: points[1].custom_bounds.clone(),
                zero_threshold: points[1].zero_threshold,
                ..FloatHistogram::default()
            };
        }
    }
    let custom = first.is_custom();
    let looked_at = if kind.is_counter() { &points[1..] } else { std::slice::from_ref(last) };
    if looked_at.iter().any(|h| h.is_custom() != custom) {
        cx.note(Note::MixedSchemas { metric });
        return None;
    }
    let mut result = (**last).clone();
    if !custom {
        let schema = looked_at.iter().map(|h| h.schema).min().unwrap_or(result.schema);
        result.reduce_to(schema.min(first.schema));
    }
    let combined = result.sub(&first).ok()?;
    if combined.bounds_reconciled {
        cx.note(Note::BoundsReconciled("subtraction"));
    }
    if kind.is_counter() {
        let mut previous = &first;
        for current in &points[1..] {
            if current.detect_reset(previous) && result.add(previous).ok()?.bounds_reconciled {
                cx.note(Note::BoundsReconciled("addition"));
            }
            previous = current;
        }
    } else if points[0].counter_reset != CounterReset::Gauge || last.counter_reset != CounterReset::Gauge {
        cx.note(Note::NotGauge { metric });
    }
    result.counter_reset = CounterReset::Gauge;
    result.compact();
    Some(result)
}

/// Linear interpolation; a counter that fell is taken to have started from zero.
pub(super) fn interpolate(a: (i64, f64), b: (i64, f64), t: i64, counter: bool) -> f64 {
    let from = if counter && b.1 < a.1 { 0.0 } else { a.1 };
    from + (b.1 - from) * (t - a.0) as f64 / (b.0 - a.0) as f64
}

fn extended_change(w: &Window<'_>, cx: &mut Context<'_>, kind: Kind, extended: Extended) -> Eval<Option<Point>> {
    no_histograms(w, extended)?;
    let smoothed = extended == Extended::Smoothed;
    let Some(mut last) = w.ts.len().checked_sub(1) else {
        return Ok(None);
    };
    let mut first = first_point(w, last);
    if smoothed {
        last = w.ts[..last].partition_point(|t| *t < w.end);
    }
    if w.ts[last] <= w.start {
        return Ok(None);
    }
    let counter = kind.is_counter();
    let (left, right) = edges(w, first, last, smoothed, counter);
    let mut result = right - left;
    if counter {
        if w.ts[first] <= w.start {
            first += 1;
        }
        let end = if w.ts[last] >= w.end { last } else { last + 1 };
        let mut previous = left;
        let inner = if first < end { &w.vs[first..end] } else { &[][..] };
        for v in inner.iter().copied().chain(std::iter::once(right)) {
            if v < previous {
                result += previous;
            }
            previous = v;
        }
    }
    if kind == Kind::Rate {
        result /= cx.range_ms as f64 / 1000.0;
    }
    Ok(Some(Point::Float(result)))
}

pub(super) fn irate(w: &Window<'_>, cx: &mut Context<'_>) -> Eval<Option<Point>> {
    last_change(w, cx, true)
}

pub(super) fn idelta(w: &Window<'_>, cx: &mut Context<'_>) -> Eval<Option<Point>> {
    last_change(w, cx, false)
}

/// The last two points of a window in time order.
fn last_two(w: &Window<'_>) -> Option<[(i64, Point); 2]> {
    let mut points: Vec<(i64, Point)> = Vec::with_capacity(4);
    for i in w.ts.len().saturating_sub(2)..w.ts.len() {
        points.push((w.ts[i], Point::Float(w.vs[i])));
    }
    for i in w.hts.len().saturating_sub(2)..w.hts.len() {
        points.push((w.hts[i], Point::Hist(w.hs[i].clone())));
    }
    points.sort_by_key(|(t, _)| *t);
    let last = points.pop()?;
    Some([points.pop()?, last])
}

fn last_change(w: &Window<'_>, cx: &mut Context<'_>, is_rate: bool) -> Eval<Option<Point>> {
    let Some([(t0, before), (t1, after)]) = last_two(w) else {
        return Ok(None);
    };
    if t0 == t1 {
        return Ok(None);
    }
    let seconds = (t1 - t0) as f64 / 1000.0;
    let metric = cx.metric.to_owned();
    Ok(match (before, after) {
        (Point::Float(a), Point::Float(b)) => {
            let change = if is_rate && b < a { b } else { b - a };
            Some(Point::Float(if is_rate { change / seconds } else { change }))
        }
        (Point::Hist(a), Point::Hist(b)) => {
            let gauges = [&a, &b].map(|h| h.counter_reset == CounterReset::Gauge);
            if is_rate && gauges.contains(&true) {
                cx.note(Note::NotCounter { metric: metric.clone() });
            }
            if !is_rate && gauges.contains(&false) {
                cx.note(Note::NotGauge { metric: metric.clone() });
            }
            let mut result = (*b).clone();
            if !is_rate || !b.detect_reset(&a) {
                let Ok(combined) = result.sub(&a) else {
                    cx.note(Note::MixedSchemas { metric });
                    return Ok(None);
                };
                if combined.bounds_reconciled {
                    cx.note(Note::BoundsReconciled("subtraction"));
                }
            }
            result.counter_reset = CounterReset::Gauge;
            result.compact();
            if is_rate {
                result.div(seconds);
            }
            Some(Point::hist(result))
        }
        _ => {
            cx.note(Note::MixedFloatsHistograms { metric });
            None
        }
    })
}

/// The points of an anchored or smoothed window, with one at each of its edges.
pub(crate) fn edge_points(w: &Window<'_>, extended: Extended) -> Eval<Vec<Sample>> {
    no_histograms(w, extended)?;
    let smoothed = extended == Extended::Smoothed;
    let Some(mut last) = w.ts.len().checked_sub(1) else {
        return Ok(Vec::new());
    };
    let mut first = first_point(w, last);
    if smoothed {
        last = w.ts[..last].partition_point(|t| *t < w.end);
    }
    if w.ts[last] <= w.start {
        return Ok(Vec::new());
    }
    let (left, right) = edges(w, first, last, smoothed, false);
    if w.ts[first] <= w.start {
        first += 1;
    }
    let end = if w.ts[last] >= w.end { last } else { last + 1 };
    let mut out = vec![Sample::float(w.start, left)];
    out.extend((first..end).map(|i| Sample::float(w.ts[i], w.vs[i])));
    out.push(Sample::float(w.end, right));
    Ok(out)
}

fn no_histograms(w: &Window<'_>, extended: Extended) -> Eval<()> {
    if w.hts.is_empty() {
        return Ok(());
    }
    let word = match extended {
        Extended::Anchored => "anchored",
        Extended::Smoothed => "smoothed",
    };
    Err(QueryError::execution(format!("{word} modifier is not supported with histograms")))
}

/// The last point at or before the window's start, or the first of all.
fn first_point(w: &Window<'_>, last: usize) -> usize {
    w.ts[..last].partition_point(|t| *t <= w.start).saturating_sub(1)
}

/// Values at the edges of the window.
fn edges(w: &Window<'_>, first: usize, last: usize, smoothed: bool, counter: bool) -> (f64, f64) {
    let at = |i: usize| (w.ts[i], w.vs[i]);
    let left = if smoothed && w.ts[first] < w.start && first + 1 < w.ts.len() {
        interpolate(at(first), at(first + 1), w.start, counter)
    } else {
        w.vs[first]
    };
    let right = if smoothed && last > 0 && w.ts[last] > w.end {
        interpolate(at(last - 1), at(last), w.end, counter)
    } else {
        w.vs[last]
    };
    (left, right)
}
