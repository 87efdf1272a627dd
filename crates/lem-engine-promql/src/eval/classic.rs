//! Classic histograms: buckets as series with an `le` label.

/// A bucket: upper bound and cumulative count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ClassicBucket {
    pub(crate) upper: f64,
    pub(crate) count: f64,
}

/// Where and how much counts fell with growing bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ForcedMonotonic {
    pub(crate) bucket_min: f64,
    pub(crate) bucket_max: f64,
    pub(crate) max_diff: f64,
}

/// Differences up to this fraction of the sum of both counts are rounding.
const SMALL_DELTA: f64 = 1e-12;

fn coalesce(buckets: &mut Vec<ClassicBucket>) {
    buckets.dedup_by(|b, a| {
        let same = a.upper == b.upper;
        if same {
            a.count += b.count;
        }
        same
    });
}

fn almost_equal(a: f64, b: f64) -> bool {
    if a == b {
        return true;
    }
    let diff = (a - b).abs();
    let sum = a.abs() + b.abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return diff < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    diff / sum.min(f64::MAX) < SMALL_DELTA
}

fn make_monotonic(buckets: &mut [ClassicBucket]) -> Option<ForcedMonotonic> {
    let mut forced: Option<ForcedMonotonic> = None;
    let mut previous = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let current = bucket.count;
        if current == previous {
            continue;
        }
        if almost_equal(previous, current) {
            bucket.count = previous;
            continue;
        }
        if current < previous {
            let diff = previous - current;
            bucket.count = previous;
            let known = forced.get_or_insert(ForcedMonotonic {
                bucket_min: bucket.upper,
                bucket_max: bucket.upper,
                max_diff: diff,
            });
            known.bucket_min = known.bucket_min.min(bucket.upper);
            known.bucket_max = known.bucket_max.max(bucket.upper);
            known.max_diff = known.max_diff.max(diff);
            continue;
        }
        previous = current;
    }
    forced
}

/// The q-quantile of a classic histogram.
pub(crate) fn bucket_quantile(q: f64, mut buckets: Vec<ClassicBucket>) -> (f64, Option<ForcedMonotonic>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return (f64::NAN, None);
    }
    coalesce(&mut buckets);
    let forced = make_monotonic(&mut buckets);
    if buckets.len() < 2 {
        return (f64::NAN, None);
    }
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if observations == 0.0 || observations.is_nan() {
        return (f64::NAN, None);
    }
    let mut rank = q * observations;
    let at = buckets[..last].partition_point(|b| b.count < rank);
    if at == last {
        return (buckets[last - 1].upper, forced);
    }
    if at == 0 && buckets[0].upper <= 0.0 {
        return (buckets[0].upper, forced);
    }
    let (mut start, end, mut count) = (0.0, buckets[at].upper, buckets[at].count);
    if at > 0 {
        start = buckets[at - 1].upper;
        count -= buckets[at - 1].count;
        rank -= buckets[at - 1].count;
    }
    (start + (end - start) * (rank / count), forced)
}

/// The fraction of observations between two values.
pub(crate) fn bucket_fraction(lower: f64, upper: f64, mut buckets: Vec<ClassicBucket>) -> f64 {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return f64::NAN;
    }
    coalesce(&mut buckets);
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let (mut lower_rank, mut upper_rank) = (None, None);
    let mut rank = 0.0;
    for (i, b) in buckets.iter().enumerate() {
        let start = if i > 0 {
            buckets[i - 1].upper
        } else if b.upper > 0.0 && b.upper.is_finite() {
            0.0
        } else {
            f64::NEG_INFINITY
        };
        for (target, set) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if set.is_some() {
                continue;
            }
            if start >= target {
                *set = Some(rank);
            } else if b.upper > target {
                // No interpolation in a bucket of infinite width.
                *set = Some(if start == f64::NEG_INFINITY {
                    b.count
                } else if b.upper == f64::INFINITY {
                    rank
                } else {
                    rank + (b.count - rank) * (target - start) / (b.upper - start)
                });
            }
        }
        rank = b.count;
    }
    (upper_rank.unwrap_or(count) - lower_rank.unwrap_or(count)) / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<ClassicBucket> {
        pairs.iter().map(|(upper, count)| ClassicBucket { upper: *upper, count: *count }).collect()
    }

    #[test]
    fn quantiles_interpolate_linearly() {
        let all = [(1.0, 1.0), (2.0, 3.0), (f64::INFINITY, 4.0)];
        let cases = [(0.25, 1.0), (0.5, 1.5), (1.0, 2.0), (-1.0, f64::NEG_INFINITY), (2.0, f64::INFINITY)];
        for (q, expect) in cases {
            assert_eq!(bucket_quantile(q, buckets(&all)).0, expect, "q={q}");
        }
    }

    #[test]
    fn falling_counts_are_lifted_and_reported() {
        let (_, forced) = bucket_quantile(0.5, buckets(&[(1.0, 5.0), (2.0, 3.0), (f64::INFINITY, 6.0)]));
        let forced = forced.expect("reported");
        assert_eq!((forced.bucket_min, forced.max_diff), (2.0, 2.0));
    }
}
