//! Kernels that follow a series through its window: resets, changes, regression, smoothing.

use std::sync::Arc;

use super::over_time::note_ignored;
use super::range_fn::Context;
use super::select::Window;
use super::{Eval, Point};
use crate::ast::Extended;
use crate::error::QueryError;
use crate::number::kahan_inc;

type Out = Eval<Option<Point>>;

/// The points in time order; anchored windows begin with the last point before their start.
fn merged(w: &Window<'_>, cx: &Context<'_>) -> Option<Vec<Point>> {
    let mut first = 0;
    if cx.extended == Some(Extended::Anchored) {
        if w.ts.last().is_none_or(|t| *t <= w.start) {
            return None;
        }
        first = w.ts[..w.ts.len() - 1].partition_point(|t| *t <= w.start).saturating_sub(1);
    }
    let mut out = Vec::with_capacity(w.ts.len() + w.hts.len());
    let (mut i, mut j) = (first, 0);
    while i < w.ts.len() || j < w.hts.len() {
        if j >= w.hts.len() || (i < w.ts.len() && w.ts[i] <= w.hts[j]) {
            out.push(Point::Float(w.vs[i]));
            i += 1;
        } else {
            out.push(Point::Hist(Arc::clone(&w.hs[j])));
            j += 1;
        }
    }
    Some(out)
}

fn count_pairs(points: &[Point], differs: impl Fn(&Point, &Point) -> bool) -> Out {
    let count = points.windows(2).filter(|pair| differs(&pair[0], &pair[1])).count();
    Ok(Some(Point::Float(count as f64)))
}

pub(super) fn resets(w: &Window<'_>, cx: &mut Context<'_>) -> Out {
    let Some(points) = merged(w, cx) else {
        return Ok(None);
    };
    count_pairs(&points, |a, b| match (a, b) {
        (Point::Float(a), Point::Float(b)) => b < a,
        (Point::Hist(a), Point::Hist(b)) => b.detect_reset(a),
        _ => true,
    })
}

pub(super) fn changes(w: &Window<'_>, cx: &mut Context<'_>) -> Out {
    let Some(points) = merged(w, cx) else {
        return Ok(None);
    };
    count_pairs(&points, |a, b| match (a, b) {
        (Point::Float(a), Point::Float(b)) => a != b && !(a.is_nan() && b.is_nan()),
        (Point::Hist(a), Point::Hist(b)) => !a.same_data(b),
        _ => true,
    })
}

/// Least squares: slope per second and value at `origin`.
fn linear_regression(ts: &[i64], vs: &[f64], origin: i64) -> (f64, f64) {
    let first = vs[0];
    if vs.iter().all(|v| *v == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let n = vs.len() as f64;
    let [mut x1, mut y1, mut xy, mut x2] = [(0.0, 0.0); 4];
    for (t, v) in ts.iter().zip(vs) {
        let x = (t - origin) as f64 / 1e3;
        x1 = kahan_inc(x, x1.0, x1.1);
        y1 = kahan_inc(*v, y1.0, y1.1);
        xy = kahan_inc(x * v, xy.0, xy.1);
        x2 = kahan_inc(x * x, x2.0, x2.1);
    }
    let total = |pair: (f64, f64)| pair.0 + pair.1;
    let (x1, y1, xy, x2) = (total(x1), total(y1), total(xy), total(x2));
    let covariance = xy - x1 * y1 / n;
    let variance = x2 - x1 * x1 / n;
    let slope = covariance / variance;
    (slope, y1 / n - slope * x1 / n)
}

fn two_floats(w: &Window<'_>, cx: &mut Context<'_>) -> bool {
    if !w.hs.is_empty() && !w.vs.is_empty() {
        note_ignored(cx);
    }
    w.vs.len() >= 2
}

pub(super) fn deriv(w: &Window<'_>, cx: &mut Context<'_>) -> Out {
    if !two_floats(w, cx) {
        return Ok(None);
    }
    let (slope, _) = linear_regression(w.ts, w.vs, w.ts[0]);
    Ok(Some(Point::Float(slope)))
}

pub(super) fn predict_linear(w: &Window<'_>, cx: &mut Context<'_>) -> Out {
    if !two_floats(w, cx) {
        return Ok(None);
    }
    let (slope, intercept) = linear_regression(w.ts, w.vs, w.eval_t);
    Ok(Some(Point::Float(slope * cx.scalars[0] + intercept)))
}

pub(super) fn double_exponential_smoothing(w: &Window<'_>, cx: &mut Context<'_>) -> Out {
    let (sf, tf) = (cx.scalars[0], cx.scalars[1]);
    if sf <= 0.0 || sf >= 1.0 {
        return Err(QueryError::execution(format!("invalid smoothing factor. Expected: 0 < sf < 1, got: {sf:.6}")));
    }
    if tf <= 0.0 || tf >= 1.0 {
        return Err(QueryError::execution(format!("invalid trend factor. Expected: 0 < tf < 1, got: {tf:.6}")));
    }
    if !two_floats(w, cx) {
        return Ok(None);
    }
    let (mut s0, mut s1) = (0.0, w.vs[0]);
    let mut trend = w.vs[1] - w.vs[0];
    for (i, v) in w.vs.iter().enumerate().skip(1) {
        if i > 1 {
            trend = tf * (s1 - s0) + (1.0 - tf) * trend;
        }
        let next = sf * v + (1.0 - sf) * (s1 + trend);
        s0 = s1;
        s1 = next;
    }
    Ok(Some(Point::Float(s1)))
}
