//! Quantiles and fractions of native histograms, with the reference's interpolation.

use super::{Bucket, FloatHistogram};

/// What was odd about the input of a quantile or fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NanNote {
    /// Observations that are not a number make the result so.
    Result,
    /// They make the result too high.
    Skewed,
    /// They are left out of all fractions.
    Excluded,
}

fn clip_zero_bucket(h: &FloatHistogram, b: &mut Bucket) {
    if h.is_custom() || !(b.lower < 0.0 && b.upper > 0.0) {
        return;
    }
    if h.negative.counts.is_empty() && !h.positive.counts.is_empty() {
        b.lower = 0.0;
    } else if h.positive.counts.is_empty() && !h.negative.counts.is_empty() {
        b.upper = 0.0;
    }
}

/// The q-quantile of a native histogram.
pub fn histogram_quantile(q: f64, h: &FloatHistogram) -> (f64, Option<NanNote>) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if h.count == 0.0 || q.is_nan() {
        return (f64::NAN, None);
    }
    let forward = h.sum.is_nan() || q < 0.5;
    let mut rank = if forward { q * h.count } else { (1.0 - q) * h.count };
    let mut buckets = h.all_buckets();
    if !forward {
        buckets.reverse();
    }
    let mut bucket = Bucket { lower: 0.0, upper: 0.0, lower_inclusive: false, upper_inclusive: false, count: 0.0 };
    let mut count = 0.0;
    for b in buckets {
        if b.count == 0.0 {
            continue;
        }
        bucket = b;
        count += b.count;
        if count >= rank {
            break;
        }
    }
    clip_zero_bucket(h, &mut bucket);
    if h.is_custom() {
        // The first bucket starts at zero when its bound is positive; otherwise, and in the last
        // bucket, the finite bound is the answer.
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return (bucket.upper, None);
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return (bucket.lower, None);
        }
    }
    count = count.min(h.count);
    if count < rank {
        if h.sum.is_nan() {
            return (f64::NAN, Some(NanNote::Result));
        }
        return (bucket.upper, None);
    }
    rank = if forward { rank - (count - bucket.count) } else { count - rank };
    let fraction = rank / bucket.count;
    let note = h.sum.is_nan().then_some(NanNote::Skewed);
    (interpolate(h, &bucket, fraction), note)
}

fn interpolate(h: &FloatHistogram, bucket: &Bucket, fraction: f64) -> f64 {
    if h.is_custom() || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        return bucket.lower + (bucket.upper - bucket.lower) * fraction;
    }
    let log_lower = bucket.lower.abs().log2();
    let log_upper = bucket.upper.abs().log2();
    if bucket.lower > 0.0 {
        return (log_lower + (log_upper - log_lower) * fraction).exp2();
    }
    -(log_upper + (log_lower - log_upper) * (1.0 - fraction)).exp2()
}

fn share_below(h: &FloatHistogram, b: &Bucket, v: f64) -> f64 {
    if h.is_custom() || (b.lower <= 0.0 && b.upper >= 0.0) {
        return (v - b.lower) / (b.upper - b.lower);
    }
    let (low, high, cut) = (b.lower.abs().log2(), b.upper.abs().log2(), v.abs().log2());
    if v > 0.0 { (cut - low) / (high - low) } else { 1.0 - (cut - high) / (low - high) }
}

/// The fraction of observations between two values.
pub fn histogram_fraction(lower: f64, upper: f64, h: &FloatHistogram) -> (f64, Option<NanNote>) {
    if h.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, None);
    }
    let note = h.sum.is_nan().then_some(NanNote::Excluded);
    if lower >= upper {
        return (0.0, note);
    }
    let mut rank = 0.0;
    let (mut lower_rank, mut upper_rank) = (None, None);
    for mut b in h.all_buckets() {
        clip_zero_bucket(h, &mut b);
        if h.is_custom() && b.lower == f64::NEG_INFINITY && b.upper > 0.0 && b.upper.is_finite() {
            b.lower = 0.0;
        }
        for (target, set) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if set.is_some() {
                continue;
            }
            if b.lower >= target {
                *set = Some(rank);
            } else if b.upper > target {
                let inside = if b.lower == f64::NEG_INFINITY {
                    // No interpolation in a bucket of infinite width.
                    if target == f64::NEG_INFINITY { 0.0 } else { b.count }
                } else if b.upper == f64::INFINITY {
                    0.0
                } else {
                    b.count * share_below(h, &b, target)
                };
                *set = Some(rank + inside);
            }
        }
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank += b.count;
    }
    // Observations that are not a number are in the count but in no bucket.
    let lower_rank = lower_rank.unwrap_or(rank).min(h.count);
    let upper_rank = upper_rank.unwrap_or(rank).min(h.count);
    ((upper_rank - lower_rank) / h.count, note)
}
