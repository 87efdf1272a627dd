//! How much burstier than independent errors the stable version's errors are.
//!
//! Errors come in bursts: a retrying client, one bad user. Counting each of them as independent evidence is the
//! commonest way to condemn a good release, so bad events are divided by φ = variance / mean of the stable version's
//! own past, where that is above 1.

use serde::{Deserialize, Serialize};

/// Intervals with requests that an estimate needs; with fewer φ is unknown and taken as [`UNKNOWN`].
pub const INTERVALS_MIN: usize = 20;
/// Bad events that an estimate needs.
pub const BAD_MIN: f64 = 5.0;
/// φ when the past says too little: events are taken as independent, and the verdict says so.
pub const UNKNOWN: f64 = 1.0;
/// Largest φ in use: beyond it the signal is too bursty to say anything, and a larger φ only hides overflow.
pub const MAX: f64 = 1000.0;
/// Intervals of the past that are looked at.
pub const INTERVALS_MAX: usize = 2000;

/// Requests and bad events of one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Requests.
    pub requests: u64,
    /// Bad ones.
    pub bad: u64,
}

/// φ, or `None` when the past says too little.
///
/// With the same number of requests in each interval this is variance / mean of the bad events; with changing load it
/// is Pearson's dispersion, which does not mistake more requests for a burst. Rounded up to three decimals, so that it
/// reads back exactly from its decimal form.
pub fn estimate(past: &[Past]) -> Option<f64> {
    let recent = &past[past.len().saturating_sub(INTERVALS_MAX)..];
    let used: Vec<Past> = recent.iter().copied().filter(|p| p.requests > 0).collect();
    let requests: f64 = used.iter().map(|p| p.requests as f64).sum();
    let bad: f64 = used.iter().map(|p| p.bad.min(p.requests) as f64).sum();
    if used.len() < INTERVALS_MIN || bad < BAD_MIN {
        return None;
    }
    let share = bad / requests;
    let excess: f64 = used
        .iter()
        .map(|p| {
            let expected = share * p.requests as f64;
            let off = p.bad.min(p.requests) as f64 - expected;
            off * off / expected
        })
        .sum();
    let phi = excess / (used.len() - 1) as f64;
    Some((phi.clamp(UNKNOWN, MAX) * 1000.0).ceil() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(bad: impl Iterator<Item = u64>) -> Vec<Past> {
        bad.map(|bad| Past { requests: 1000, bad }).collect()
    }

    #[test]
    fn variance_over_mean_at_equal_load() {
        // 0 and 10 in turn: mean 5, variance 25 · 40 / 39.
        let phi = estimate(&past((0..40).map(|i| if i % 2 == 0 { 0 } else { 10 })));
        assert_eq!(phi, Some(5.129));
    }

    #[test]
    fn steady_errors_are_not_rewarded() {
        assert_eq!(estimate(&past((0..40).map(|_| 7))), Some(1.0));
    }

    #[test]
    fn more_load_is_no_burst() {
        let past: Vec<Past> = (1..=40).map(|i| Past { requests: 1000 * i, bad: 2 * i }).collect();
        assert_eq!(estimate(&past), Some(1.0));
    }

    #[test]
    fn too_short_a_past_is_unknown() {
        assert_eq!(estimate(&past((0..19).map(|_| 7))), None);
        assert_eq!(estimate(&past((0..40).map(|_| 0))), None);
        assert_eq!(estimate(&[Past { requests: 0, bad: 3 }; 50]), None);
    }

    #[test]
    fn the_limits_hold() {
        let mut burst = past((0..40).map(|_| 0));
        burst[0] = Past { requests: 1_000_000_000, bad: 900_000_000 };
        burst[1] = Past { requests: 1_000_000_000, bad: 0 };
        assert_eq!(estimate(&burst), Some(MAX));
        let old = past((0..40).map(|i| if i % 2 == 0 { 0 } else { 10 }).chain((0..INTERVALS_MAX as u64).map(|_| 7)));
        assert_eq!(estimate(&old), Some(1.0), "what is older than the limit does not count");
    }
}
