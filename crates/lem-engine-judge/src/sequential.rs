//! The sequential judge: an e-process over the counts of canary and stable.
//!
//! Given the bad events of both versions in an interval, the canary's share of them is binomial with
//! q(ρ) = ρ·n_c / (ρ·n_c + n_s), whatever the base rate both share and however it moves (Lindon and Malek, NeurIPS
//! 2022, arXiv 2011.03567). Against "the canary's rate is at most ρ0 times the stable one":
//!
//! ```text
//! E_t = Σ_k π_k Π_{i≤t} (ρ_k/ρ0)^b_c,i · ((ρ0·n_c,i + n_s,i)/(ρ_k·n_c,i + n_s,i))^(b_c,i + b_s,i)
//! ```
//!
//! Every factor has mean at most 1 for every ρ ≤ ρ0, and weights may change at any step, so by Ville's inequality the
//! chance that E ever reaches 1/α is at most α: the judge may look as often as it likes. Three processes run side by
//! side: the accusing one above, its mirror against "ρ ≥ ρ_max" that clears a release, and a plain one against "the
//! canary's bad share is at least what is acceptable", because two versions without a single error say nothing about
//! their ratio. What is acceptable is said once, as a share of requests; a signal that makes several events of one
//! failure, such as log lines, is measured against as many times that share, or it would have to prove a tenfold
//! better promise than the one that was asked for. Several signals combine as a weighted mean of e-values, which is an e-value under any dependence.

mod process;
mod state;

pub use process::{GRID, ln_factor};
pub use state::{Combined, Judge, Share, Verdict};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Signals of one judge.
pub const SIGNALS_MAX: usize = 32;

/// What the judge tolerates, and how sure it must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// α: chance of ever condemning a release that is not worse than tolerated.
    pub alpha: f64,
    /// ρ0: how many times the stable version's rate is tolerated.
    pub tolerance: f64,
    /// ρ_max: a release shown to be below this many times the stable rate is good.
    pub promote_below: f64,
    /// β: chance of ever clearing a release that is at or above `promote_below`.
    pub beta: f64,
    /// Share of bad requests that is acceptable whatever the stable version does; a canary shown to be below it is
    /// good. 0 turns this off, and then a service without errors can never be cleared.
    pub acceptable: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { alpha: 0.01, tolerance: 1.1, promote_below: 2.0, beta: 0.05, acceptable: 0.01 }
    }
}

/// Why a judge cannot be built.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SettingsError {
    /// A probability outside 0 to 1.
    #[error("{name} must be above 0 and below 1, not {value}")]
    Probability {
        /// Setting.
        name: &'static str,
        /// As given.
        value: f64,
    },
    /// A ratio below 1.
    #[error("{name} must be at least 1, not {value}")]
    Ratio {
        /// Setting.
        name: &'static str,
        /// As given.
        value: f64,
    },
    /// What is good would be worse than what is tolerated.
    #[error("promoteBelow {promote_below} must be above tolerance {tolerance}")]
    Order {
        /// ρ_max.
        promote_below: f64,
        /// ρ0.
        tolerance: f64,
    },
    /// Weights that do not add up.
    #[error("the weights of the signals must be above 0 and add up to 1, not to {0}")]
    Weights(f64),
    /// Too many or no signals.
    #[error("{0} signals given; 1 to {SIGNALS_MAX} are possible")]
    Signals(usize),
    /// Fewer events than failures, or not a number.
    #[error("events per failure of {signal} must be at least 1, not {value}")]
    EventsPerFailure {
        /// Signal.
        signal: String,
        /// As given.
        value: f64,
    },
    /// φ below 1 or not a number.
    #[error("dispersion of {signal} must be at least 1, not {phi}")]
    Dispersion {
        /// Signal.
        signal: String,
        /// As given.
        phi: f64,
    },
}

/// One signal: what is counted, its weight and its burstiness.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signal {
    /// errors, latency, logs ...
    pub name: String,
    /// v_m; all weights add up to 1.
    pub weight: f64,
    /// φ: bad events are divided by it; see [`crate::dispersion`].
    pub phi: f64,
    /// Bad events that one failing request makes: 1 where requests are counted, several where lines are. What is
    /// acceptable of requests is acceptable of so many events.
    #[serde(default = "one")]
    pub events_per_failure: f64,
}

fn one() -> f64 {
    1.0
}

/// Bad events per request beyond which nothing is acceptable, however many of them one failure makes.
const ACCEPTABLE_MAX: f64 = 0.5;

impl Signal {
    /// The usual signal: errors alone, taken as independent.
    pub fn only(name: impl Into<String>) -> Self {
        Self { name: name.into(), weight: 1.0, phi: 1.0, events_per_failure: one() }
    }

    /// Bad events per request that are acceptable; 0 turns the absolute way to be cleared off.
    fn acceptable(&self, settings: &Settings) -> f64 {
        let events = settings.acceptable * self.events_per_failure;
        events.min(ACCEPTABLE_MAX.max(settings.acceptable))
    }
}

/// Counts of one signal in one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Requests to the canary.
    pub canary: u64,
    /// Bad ones among them.
    pub canary_bad: u64,
    /// Requests to the stable version.
    pub stable: u64,
    /// Bad ones among them.
    pub stable_bad: u64,
}

impl Counts {
    /// The same with no more bad events than requests, and whether something had to be clipped: more bad events than
    /// requests mean that the two were not read at the same moment.
    pub fn clipped(self) -> (Self, Clipped) {
        let fixed =
            Self { canary_bad: self.canary_bad.min(self.canary), stable_bad: self.stable_bad.min(self.stable), ..self };
        (fixed, if fixed == self { Clipped::No } else { Clipped::Yes })
    }

    /// q(ρ): the canary's share of the bad events when its rate is `rho` times the stable one.
    fn share_of_bad(&self, rho: f64) -> f64 {
        let canary = rho * self.canary as f64;
        canary / (canary + self.stable as f64)
    }

    fn add(&mut self, other: Self) {
        self.canary = self.canary.saturating_add(other.canary);
        self.canary_bad = self.canary_bad.saturating_add(other.canary_bad);
        self.stable = self.stable.saturating_add(other.stable);
        self.stable_bad = self.stable_bad.saturating_add(other.stable_bad);
    }
}

/// Whether counts had to be clipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clipped {
    /// As given.
    No,
    /// More bad events than requests were given.
    Yes,
}

pub(crate) fn check(settings: &Settings, signals: &[Signal]) -> Result<(), SettingsError> {
    for (name, value) in [("alpha", settings.alpha), ("beta", settings.beta)] {
        if !(value > 0.0 && value < 1.0) {
            return Err(SettingsError::Probability { name, value });
        }
    }
    if !(0.0..1.0).contains(&settings.acceptable) {
        return Err(SettingsError::Probability { name: "acceptable", value: settings.acceptable });
    }
    for (name, value) in [("tolerance", settings.tolerance), ("promoteBelow", settings.promote_below)] {
        if !(value >= 1.0 && value.is_finite()) {
            return Err(SettingsError::Ratio { name, value });
        }
    }
    if settings.promote_below <= settings.tolerance {
        return Err(SettingsError::Order { promote_below: settings.promote_below, tolerance: settings.tolerance });
    }
    if signals.is_empty() || signals.len() > SIGNALS_MAX {
        return Err(SettingsError::Signals(signals.len()));
    }
    let sum: f64 = signals.iter().map(|s| s.weight).sum();
    if (sum - 1.0).abs() > 1e-9 || signals.iter().any(|s| s.weight.is_nan() || s.weight <= 0.0) {
        return Err(SettingsError::Weights(sum));
    }
    let uncounted = |s: &&Signal| !(s.events_per_failure >= 1.0 && s.events_per_failure.is_finite());
    if let Some(s) = signals.iter().find(uncounted) {
        return Err(SettingsError::EventsPerFailure { signal: s.name.clone(), value: s.events_per_failure });
    }
    match signals.iter().find(|s| !(s.phi >= 1.0 && s.phi.is_finite())) {
        Some(s) => Err(SettingsError::Dispersion { signal: s.name.clone(), phi: s.phi }),
        None => Ok(()),
    }
}
