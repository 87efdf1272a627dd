//! The three e-processes of one signal, in log space.

use super::{Counts, Settings, Signal};
use crate::math::{ln, ln_sum_exp};
use serde::{Deserialize, Serialize};

/// Grid of ratios around the boundary; the mixture puts the same weight on each.
pub const GRID: [f64; 7] = [1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0];

/// Alternatives to "the bad share is at least `acceptable`", as parts of it. 0 sees a canary without errors soonest.
const SHARES: [f64; 4] = [0.0, 0.1, 0.25, 0.5];

/// Ways to be cleared: by ratio and by share.
const WAYS: f64 = 2.0;

/// Logarithm of one interval's factor for the alternative `rho` against the boundary `rho0`; bad events are divided
/// by φ. An interval in which one arm has no requests says nothing: factor 1.
pub fn ln_factor(counts: Counts, rho: f64, rho0: f64, phi: f64) -> f64 {
    if counts.canary == 0 || counts.stable == 0 {
        return 0.0;
    }
    let (canary, stable) = (counts.canary as f64, counts.stable as f64);
    let canary_bad = counts.canary_bad as f64 / phi;
    let bad = (counts.canary_bad + counts.stable_bad) as f64 / phi;
    canary_bad * ln(rho / rho0) + bad * ln((rho0 * canary + stable) / (rho * canary + stable))
}

/// One signal's processes so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Processes {
    accuse: [f64; GRID.len()],
    clear: [f64; GRID.len()],
    plain: [f64; SHARES.len()],
    pub(crate) total: Counts,
    /// Counts of intervals in which both arms had requests.
    pub(crate) paired: Counts,
}

impl Processes {
    pub(crate) fn new() -> Self {
        Self {
            accuse: [0.0; GRID.len()],
            clear: [0.0; GRID.len()],
            plain: [0.0; SHARES.len()],
            total: Counts::default(),
            paired: Counts::default(),
        }
    }

    /// Takes one interval of counts that are already clipped.
    pub(crate) fn fold(&mut self, counts: Counts, settings: &Settings, signal: &Signal) {
        self.total.add(counts);
        if counts.canary > 0 && counts.stable > 0 {
            self.paired.add(counts);
        }
        for (at, ratio) in GRID.iter().enumerate() {
            let (rho0, rho_max) = (settings.tolerance, settings.promote_below);
            self.accuse[at] += ln_factor(counts, rho0 * ratio, rho0, signal.phi);
            self.clear[at] += ln_factor(counts, rho_max / ratio, rho_max, signal.phi);
        }
        if settings.acceptable > 0.0 {
            self.fold_plain(counts, signal.acceptable(settings), signal.phi);
        }
    }

    fn fold_plain(&mut self, counts: Counts, acceptable: f64, phi: f64) {
        let bad = counts.canary_bad as f64 / phi;
        let fine = (counts.canary - counts.canary_bad) as f64 / phi;
        for (at, part) in SHARES.iter().enumerate() {
            let share = part * acceptable;
            // 0 · ln 0 is 0: a canary without bad events does not rule out the alternative "none at all".
            let of_bad = if bad > 0.0 { bad * ln(share / acceptable) } else { 0.0 };
            self.plain[at] += of_bad + fine * ln((1.0 - share) / (1.0 - acceptable));
        }
    }

    pub(crate) fn ln_accuse(&self) -> f64 {
        mixture(&self.accuse)
    }

    /// Evidence that clears: the mean of both ways, as either of them may do it and they share β.
    pub(crate) fn ln_cleared(&self, settings: &Settings) -> f64 {
        if settings.acceptable == 0.0 {
            return mixture(&self.clear);
        }
        ln_sum_exp([mixture(&self.clear), mixture(&self.plain)].into_iter()) - ln(WAYS)
    }

    /// Canary requests missing until this signal is cleared, by the alternative that gets there first.
    pub(crate) fn needed_to_clear(&self, settings: &Settings, signal: &Signal) -> Option<f64> {
        let ways = if settings.acceptable > 0.0 { ln(WAYS) } else { 0.0 };
        let needed = |process: &[f64], at: usize, gain: f64| {
            let missing = -ln(settings.beta) + ways + ln(process.len() as f64) - process[at];
            (gain > 0.0).then(|| (missing / gain).max(0.0).ceil())
        };
        let by_ratio =
            (0..GRID.len()).filter_map(|at| needed(&self.clear, at, self.gain_by_ratio(settings, signal.phi, at)));
        let by_share =
            (0..SHARES.len()).filter_map(|at| needed(&self.plain, at, self.gain_by_share(settings, signal, at)));
        by_ratio.chain(by_share).min_by(f64::total_cmp)
    }

    /// Mean growth of a clearing term per canary request, for a canary that fails as often as the stable version.
    fn gain_by_ratio(&self, settings: &Settings, phi: f64, at: usize) -> f64 {
        let seen = self.paired;
        if seen.canary == 0 || seen.stable == 0 {
            return 0.0;
        }
        let (rho, rho_max) = (settings.promote_below / GRID[at], settings.promote_below);
        let (q, q_k, q_max) = (seen.share_of_bad(1.0), seen.share_of_bad(rho), seen.share_of_bad(rho_max));
        let per_bad = q * ln(q_k / q_max) + (1.0 - q) * ln((1.0 - q_k) / (1.0 - q_max));
        per_bad * (seen.canary_bad + seen.stable_bad) as f64 / phi / seen.canary as f64
    }

    /// Mean growth of a plain term per canary request, for a canary that goes on as it began.
    fn gain_by_share(&self, settings: &Settings, signal: &Signal, at: usize) -> f64 {
        if settings.acceptable == 0.0 {
            return 0.0;
        }
        let acceptable = signal.acceptable(settings);
        let share = SHARES[at] * acceptable;
        let seen = self.total;
        let bad = if seen.canary > 0 { seen.canary_bad as f64 / seen.canary as f64 } else { 0.0 };
        let of_bad = if bad > 0.0 { bad * ln(share / acceptable) } else { 0.0 };
        (of_bad + (1.0 - bad) * ln((1.0 - share) / (1.0 - acceptable))) / signal.phi
    }

    /// Logarithm of π_k·Λ_k for the grid point nearest to `rho`.
    pub(crate) fn ln_nearest(&self, rho: f64, settings: &Settings) -> f64 {
        let off = |at: usize| (settings.tolerance * GRID[at] - rho).abs();
        let nearest = (0..GRID.len()).min_by(|a, b| off(*a).total_cmp(&off(*b))).expect("the grid is not empty");
        self.accuse[nearest] - ln(GRID.len() as f64)
    }
}

fn mixture(terms: &[f64]) -> f64 {
    ln_sum_exp(terms.iter().copied()) - ln(terms.len() as f64)
}

/// Kullback-Leibler divergence of two coins; 0 · ln 0 is 0.
pub(crate) fn divergence(q: f64, q0: f64) -> f64 {
    let part = |a: f64, b: f64| if a > 0.0 { a * ln(a / b) } else { 0.0 };
    part(q, q0) + part(1.0 - q, 1.0 - q0)
}
