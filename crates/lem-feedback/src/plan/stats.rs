//! The little statistics the factors need. `libm`, so that every platform gives the same bits.

/// Median; `None` when there is nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// Quantile by linear interpolation (R type 7); `None` when there is nothing.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let position = q * last as f64;
    let (low, high) = (libm::floor(position) as usize, libm::ceil(position) as usize);
    Some(sorted[low] + (sorted[high] - sorted[low]) * (position - low as f64))
}

/// Centre and width of a series that is behaving.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// Median.
    pub median: f64,
    /// Interquartile range, floored so that a constant series does not make every wiggle infinite.
    pub width: f64,
}

impl Band {
    /// The band of a baseline; `None` with fewer than three points.
    pub fn of(baseline: &[f64], floor: f64) -> Option<Self> {
        if baseline.len() < 3 {
            return None;
        }
        let width = quantile(baseline, 0.75)? - quantile(baseline, 0.25)?;
        let median = median(baseline)?;
        Some(Self { median, width: width.max(floor).max(median.abs() * 0.05) })
    }

    /// Robust z of a value: distance from the median in widths.
    pub fn z(&self, value: f64) -> f64 {
        (value - self.median) / self.width
    }
}

/// One-sided p of Fisher's exact test: the chance of at least `bad_in` of the bad ones falling into the group, when
/// `total_in` of `total` requests fall into it and `bad` of all are bad, if the group did not matter.
pub fn fisher_greater(bad_in: u64, total_in: u64, bad: u64, total: u64) -> f64 {
    let most = bad.min(total_in);
    let p = (bad_in..=most).map(|k| ln_hypergeometric(k, total_in, bad, total)).map(libm::exp).sum::<f64>();
    p.min(1.0)
}

fn ln_hypergeometric(k: u64, total_in: u64, bad: u64, total: u64) -> f64 {
    if total_in - k > total - bad {
        return f64::NEG_INFINITY;
    }
    ln_choose(bad, k) + ln_choose(total - bad, total_in - k) - ln_choose(total, total_in)
}

fn ln_choose(n: u64, k: u64) -> f64 {
    libm::lgamma(n as f64 + 1.0) - libm::lgamma(k as f64 + 1.0) - libm::lgamma((n - k) as f64 + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_r_type_7() {
        assert_eq!(quantile(&[4.0, 1.0, 3.0, 2.0], 0.25), Some(1.75));
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[f64::NAN, 2.0]), Some(2.0));
    }

    #[test]
    fn fisher_matches_the_textbook() {
        // The lady tasting tea: 3 of 4 right by chance is 17/70, all 4 is 1/70.
        assert!((fisher_greater(3, 4, 4, 8) - 17.0 / 70.0).abs() < 1e-12);
        assert!((fisher_greater(4, 4, 4, 8) - 1.0 / 70.0).abs() < 1e-12);
        assert!((fisher_greater(0, 4, 4, 8) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_constant_baseline_still_has_a_width() {
        let band = Band::of(&[0.0, 0.0, 0.0], 0.01).expect("three points");
        assert!((band.z(0.5) - 50.0).abs() < 1e-9);
        assert_eq!(Band::of(&[1.0], 0.01), None);
    }
}
