//! The trim operators `</` and `>/`: cut the observations above or below a value.

use super::{Bucket, FloatHistogram};

/// Which observations survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trim {
    /// `</`: those below the value.
    KeepBelow,
    /// `>/`: those above the value.
    KeepAbove,
}

impl FloatHistogram {
    /// Cuts the histogram at `at`; count and sum are estimated anew when anything was cut.
    pub fn trim(&mut self, at: f64, trim: Trim) {
        let (mut count, mut sum, mut cut) = (0.0, 0.0, false);
        let custom = self.is_custom();
        let has_positive = !self.positive.counts.is_empty();
        let has_negative = !self.negative.counts.is_empty();
        let mut positive = self.positive.clone();
        let mut negative = self.negative.clone();
        for (side, is_positive) in [(&mut positive, true), (&mut negative, false)] {
            let offset = side.offset;
            for (i, kept) in side.counts.iter_mut().enumerate() {
                if *kept == 0.0 {
                    continue;
                }
                let index = offset + i as i32;
                let bucket =
                    if is_positive { self.positive_bucket(index, *kept) } else { self.negative_bucket(index, *kept) };
                let (keep, middle) = trim_bucket(&bucket, at, trim, is_positive, custom);
                count += keep;
                sum += middle * keep;
                if keep != *kept {
                    *kept = keep;
                    cut = true;
                }
            }
        }
        if self.zero_count > 0.0 {
            let (keep, middle) = trim_zero(&self.zero_bucket(), at, trim, has_positive, has_negative);
            cut |= keep != self.zero_count;
            self.zero_count = keep;
            count += keep;
            sum += middle * keep;
        }
        self.positive = positive;
        self.negative = negative;
        if cut {
            self.count = count;
            self.sum = sum;
            self.compact();
        }
    }
}

fn trim_bucket(b: &Bucket, at: f64, trim: Trim, positive: bool, custom: bool) -> (f64, f64) {
    let whole = (b.count, midpoint(b.lower, b.upper, positive, custom));
    match trim {
        Trim::KeepBelow if b.upper <= at => whole,
        Trim::KeepBelow if b.lower >= at => (0.0, 0.0),
        Trim::KeepAbove if b.lower >= at => whole,
        Trim::KeepAbove if b.upper <= at => (0.0, 0.0),
        _ if b.lower.is_infinite() || b.upper.is_infinite() => trim_open_bucket(b, at, trim),
        _ => {
            let below = b.count * fraction_below(b, at, positive, custom);
            match trim {
                Trim::KeepBelow => (below, midpoint(b.lower, at, positive, custom)),
                Trim::KeepAbove => (b.count - below, midpoint(at, b.upper, positive, custom)),
            }
        }
    }
}

fn fraction_below(b: &Bucket, at: f64, positive: bool, custom: bool) -> f64 {
    if custom {
        return (at - b.lower) / (b.upper - b.lower);
    }
    let (low, high, cut) = (b.lower.abs().log2(), b.upper.abs().log2(), at.abs().log2());
    if positive { (cut - low) / (high - low) } else { 1.0 - (cut - high) / (low - high) }
}

/// A bucket with an infinite side that the value cuts: nothing is known about the distribution
/// inside, except that a first bucket with a positive bound starts at zero.
fn trim_open_bucket(b: &Bucket, at: f64, trim: Trim) -> (f64, f64) {
    let zero_if_infinite = |v: f64| if v.is_infinite() { 0.0 } else { v };
    if b.lower == f64::NEG_INFINITY {
        let from_zero = b.upper > 0.0 && b.upper.is_finite();
        return match trim {
            Trim::KeepBelow if at > 0.0 && from_zero => (b.count * at / b.upper, at / 2.0),
            Trim::KeepBelow if b.upper <= 0.0 => (b.count, at),
            Trim::KeepAbove if at >= 0.0 && from_zero => (b.count * (1.0 - at / b.upper), f64::midpoint(at, b.upper)),
            Trim::KeepAbove if at < 0.0 && from_zero => (b.count, b.upper / 2.0),
            _ => (0.0, zero_if_infinite(b.upper)),
        };
    }
    match trim {
        Trim::KeepBelow => (0.0, zero_if_infinite(b.lower)),
        Trim::KeepAbove => (b.count, at),
    }
}

fn midpoint(lower: f64, upper: f64, positive: bool, custom: bool) -> f64 {
    if lower.is_infinite() {
        if upper.is_infinite() {
            return 0.0;
        }
        return if upper > 0.0 { upper / 2.0 } else { upper };
    }
    if upper.is_infinite() {
        return lower;
    }
    if custom {
        return f64::midpoint(lower, upper);
    }
    let mean = (lower * upper).abs().sqrt();
    if positive { mean } else { -mean }
}

fn trim_zero(b: &Bucket, at: f64, trim: Trim, has_positive: bool, has_negative: bool) -> (f64, f64) {
    let lower = if has_positive && !has_negative { 0.0 } else { b.lower };
    let upper = if has_negative && !has_positive { 0.0 } else { b.upper };
    let whole = (b.count, f64::midpoint(lower, upper));
    match trim {
        Trim::KeepBelow if at <= lower => (0.0, 0.0),
        Trim::KeepBelow if at >= upper => whole,
        Trim::KeepBelow => (b.count * (at - lower) / (upper - lower), f64::midpoint(lower, at)),
        Trim::KeepAbove if at <= lower => whole,
        Trim::KeepAbove if at >= upper => (0.0, 0.0),
        Trim::KeepAbove => (b.count * (upper - at) / (upper - lower), f64::midpoint(at, upper)),
    }
}
