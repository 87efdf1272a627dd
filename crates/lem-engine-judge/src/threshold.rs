//! Flagger's judge: each interval's checks pass or fail, and so many failed checks end the release.
//!
//! As in Flagger's `controller.go`: a metric without values is a failed check, the first failing check of an interval
//! ends it, the counter never decays and starts again only with a new revision.

use serde::{Deserialize, Serialize};

/// `thresholdRange`.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Range {
    /// Smallest good value.
    pub min: Option<f64>,
    /// Largest good value.
    pub max: Option<f64>,
}

impl Range {
    /// Whether a value is inside; NaN and nothing are not.
    pub fn holds(&self, value: Option<f64>) -> bool {
        let Some(value) = value.filter(|v| !v.is_nan()) else { return false };
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }
}

/// Failed checks so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Failed checks that end the release; Flagger's default is 1.
    pub threshold: u32,
    /// Failed so far.
    pub failed: u32,
}

impl Checks {
    /// None failed yet.
    pub fn new(threshold: u32) -> Self {
        Self { threshold, failed: 0 }
    }

    /// Takes one interval's checks in order; returns the index of the one that failed, if any.
    pub fn fold(&mut self, checks: &[(Range, Option<f64>)]) -> Option<usize> {
        let failed = checks.iter().position(|(range, value)| !range.holds(*value));
        self.failed = self.failed.saturating_add(u32::from(failed.is_some()));
        failed
    }

    /// Whether the release ends.
    pub fn is_exceeded(&self) -> bool {
        self.failed >= self.threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_never_decays() {
        let rate = Range { min: Some(99.0), max: None };
        let slow = Range { min: None, max: Some(500.0) };
        let mut checks = Checks::new(3);
        for (values, failed, so_far) in [
            ([Some(99.5), Some(100.0)], None, 0),
            ([Some(98.0), Some(900.0)], Some(0), 1),
            ([Some(99.5), Some(100.0)], None, 1),
            ([Some(99.0), Some(500.1)], Some(1), 2),
            ([None, Some(1.0)], Some(0), 3),
        ] {
            assert_eq!(checks.fold(&[(rate, values[0]), (slow, values[1])]), failed);
            assert_eq!(checks.failed, so_far);
        }
        assert!(checks.is_exceeded());
        assert!(!rate.holds(Some(f64::NAN)));
    }
}
