//! Expected against actual.

use super::read::{Eval, When};
use super::series::Slot;
use crate::histogram::{Buckets, FloatHistogram};
use crate::labels::Labels;
use crate::number::is_stale;
use crate::value::{QueryValue, Sample, SeriesData, Value, VectorSample};

/// Relative error allowed.
const EPSILON: f64 = 1e-6;

/// Equality but for small relative errors; not-a-number equals itself.
fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let diff = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return diff < EPSILON * f64::MIN_POSITIVE;
    }
    diff / sum.min(f64::MAX) < EPSILON
}

fn same_histogram(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    let mut a = a.clone();
    let mut b = b.clone();
    a.compact();
    b.compact();
    let sides = |x: &Buckets, y: &Buckets| {
        x.counts.len() == y.counts.len()
            && (x.counts.is_empty() || x.offset == y.offset)
            && x.counts.iter().zip(&y.counts).all(|(p, q)| almost_equal(*p, *q))
    };
    a.schema == b.schema
        && almost_equal(a.count, b.count)
        && almost_equal(a.sum, b.sum)
        && almost_equal(a.zero_count, b.zero_count)
        && a.zero_threshold == b.zero_threshold
        && a.custom_bounds == b.custom_bounds
        && sides(&a.positive, &b.positive)
        && sides(&a.negative, &b.negative)
}

fn show(value: &Value) -> String {
    match value {
        Value::Float(v) => crate::number::format_sample(*v),
        Value::Histogram(h) => h.test_expression(),
    }
}

fn show_slot(slot: &Slot) -> String {
    match slot {
        Slot::Omitted => "_".to_owned(),
        Slot::Float(v) => crate::number::format_sample(*v),
        Slot::Hist(h) => h.test_expression(),
    }
}

fn matches(slot: &Slot, value: &Value) -> bool {
    match (slot, value) {
        (Slot::Float(a), Value::Float(b)) => almost_equal(*a, *b),
        (Slot::Hist(a), Value::Histogram(b)) => same_histogram(a, b),
        _ => false,
    }
}

/// Compares a result with what an evaluation expects.
pub(super) fn value(eval: &Eval, actual: &QueryValue) -> Result<(), String> {
    match actual {
        QueryValue::String(_, text) => match &eval.expected_text {
            Some(expected) if expected == text => Ok(()),
            expected => Err(format!("expected {expected:?}, got the string {text:?}")),
        },
        QueryValue::Scalar(_, v) => match eval.expected_scalar {
            Some(expected) if almost_equal(expected, *v) => Ok(()),
            expected => Err(format!("expected {expected:?}, got the scalar {v}")),
        },
        QueryValue::Vector(_) | QueryValue::Matrix(_) if eval.expected_scalar.is_some() => {
            Err("expected a scalar, got a vector or matrix".to_owned())
        }
        QueryValue::Vector(vector) => compare_vector(eval, vector),
        QueryValue::Matrix(matrix) => compare_matrix(eval, matrix),
    }
}

fn compare_vector(eval: &Eval, vector: &[VectorSample]) -> Result<(), String> {
    for (position, sample) in vector.iter().enumerate() {
        let Some(at) = eval.series.iter().rposition(|(l, _)| *l == sample.labels) else {
            return Err(format!("unexpected {} with {}", sample.labels, show(&sample.sample.value)));
        };
        if eval.is_ordered && at != position {
            return Err(format!("expected {} at position {}, it is at {}", sample.labels, at + 1, position + 1));
        }
        let expected = eval.series[at].1.first();
        if !expected.is_some_and(|slot| matches(slot, &sample.sample.value)) {
            return Err(format!(
                "expected {} for {}, got {}",
                expected.map_or_else(|| "nothing".to_owned(), show_slot),
                sample.labels,
                show(&sample.sample.value)
            ));
        }
    }
    missing(eval, |labels| vector.iter().any(|s| s.labels == *labels))
}

fn missing(eval: &Eval, is_there: impl Fn(&Labels) -> bool) -> Result<(), String> {
    match eval.series.iter().find(|(labels, _)| !is_there(labels)) {
        Some((labels, _)) => Err(format!("expected {labels}, which is not there")),
        None => Ok(()),
    }
}

fn compare_matrix(eval: &Eval, matrix: &[SeriesData]) -> Result<(), String> {
    if matrix.windows(2).any(|pair| pair[0].labels > pair[1].labels) {
        return Err("series are not sorted by labels".to_owned());
    }
    let (start, end, step) = match (eval.range_vector, eval.when) {
        (Some(times), _) => times,
        (None, When::Range { start_ms, end_ms, step_ms }) => (start_ms, end_ms, step_ms),
        (None, When::Instant { .. }) => {
            return Err("expected a vector, got a matrix".to_owned());
        }
    };
    for series in matrix {
        let Some((labels, slots)) = eval.series.iter().rfind(|(l, _)| *l == series.labels) else {
            return Err(format!("unexpected {} with {}", series.labels, show_samples(&series.samples)));
        };
        let expected: Vec<(i64, &Slot)> = slots
            .iter()
            .enumerate()
            .map(|(i, slot)| (start + step * i as i64, slot))
            .filter(|(_, slot)| !matches!(slot, Slot::Omitted))
            .collect();
        if expected.iter().any(|(t, _)| *t > end) {
            return Err(format!("more points expected for {labels} than the range has"));
        }
        let same = expected.len() == series.samples.len()
            && expected
                .iter()
                .zip(&series.samples)
                .all(|((t, slot), sample)| *t == sample.t_ms && matches(slot, &sample.value));
        if !same {
            let texts: Vec<String> = expected.iter().map(|(t, slot)| format!("{}@{t}", show_slot(slot))).collect();
            return Err(format!("expected {} for {labels}, got {}", texts.join(" "), show_samples(&series.samples)));
        }
    }
    missing(eval, |labels| matrix.iter().any(|s| s.labels == *labels))
}

fn show_samples(samples: &[Sample]) -> String {
    let texts: Vec<String> = samples.iter().map(|s| format!("{}@{}", show(&s.value), s.t_ms)).collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_relative_errors_are_allowed() {
        let cases = [
            (1.0, 1.000_000_1, true),
            (1.0, 1.0001, false),
            (f64::NAN, f64::NAN, true),
            (0.0, 1e-9, false),
            (f64::INFINITY, f64::INFINITY, true),
        ];
        for (a, b, expect) in cases {
            assert_eq!(almost_equal(a, b), expect, "{a} and {b}");
        }
        let h = FloatHistogram::default();
        assert!(same_histogram(&h, &h));
    }
}
