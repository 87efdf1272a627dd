//! Logarithms that are the same on every machine.

/// Natural logarithm.
pub(crate) fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// `ln(Σ exp(x))` without overflow; negative infinity for nothing.
pub(crate) fn ln_sum_exp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return top;
    }
    top + ln(terms.map(|x| libm::exp(x - top)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_far_outside_the_range_of_exp() {
        let sum = ln_sum_exp([2000.0, 2000.0].into_iter());
        assert!((sum - (2000.0 + ln(2.0))).abs() < 1e-12);
        assert_eq!(ln_sum_exp([].into_iter()), f64::NEG_INFINITY);
        assert_eq!(ln_sum_exp([f64::NEG_INFINITY, 0.0].into_iter()), 0.0);
    }
}
