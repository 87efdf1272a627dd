//! The judge over all signals: fold intervals, read the verdict.

use super::process::{Processes, divergence};
use super::{Clipped, Counts, Settings, SettingsError, Signal, check};
use crate::math::{ln, ln_sum_exp};
use serde::{Deserialize, Serialize};

/// What the judge says now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Not worse than allowed.
    Good,
    /// Worse than tolerated: roll back.
    Bad,
    /// Not enough evidence: hold.
    Undecided,
}

/// The combined e-values, as natural logarithms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Combined {
    /// Of the accusing process; bad at `ln_bad_at`.
    pub ln_e: f64,
    /// Of the clearing one, the best it has reached; good at `ln_good_at`.
    pub ln_e_promote: f64,
    /// ln(1/α).
    pub ln_bad_at: f64,
    /// ln(1/β).
    pub ln_good_at: f64,
}

/// One signal's part in the combined evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// Signal.
    pub signal: String,
    /// Its part of the combined e-value, 0 to 1.
    pub share: f64,
    /// Its own e-value, natural logarithm.
    pub ln_e: f64,
    /// What it has counted so far.
    pub counts: Counts,
    /// φ in use.
    pub phi: f64,
}

/// The judge of one rollout. Folding the same counts in the same order gives the same state, bit for bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judge {
    settings: Settings,
    signals: Vec<Signal>,
    processes: Vec<Processes>,
    verdict: Verdict,
    intervals: u64,
    clipped: u64,
}

impl Judge {
    /// A judge that has seen nothing.
    pub fn new(settings: Settings, signals: Vec<Signal>) -> Result<Self, SettingsError> {
        check(&settings, &signals)?;
        let processes = signals.iter().map(|_| Processes::new()).collect();
        Ok(Self { settings, signals, processes, verdict: Verdict::Undecided, intervals: 0, clipped: 0 })
    }

    /// What it tolerates.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its signals, in the order in which counts are given.
    pub fn signals(&self) -> &[Signal] {
        &self.signals
    }

    /// Takes one interval: the counts of each signal in the order of [`Judge::signals`]; a signal that was not read
    /// is `None` and says nothing. Returns the verdict after it. Bad is final; good may still turn bad.
    pub fn fold(&mut self, interval: &[Option<Counts>]) -> Verdict {
        self.intervals += 1;
        for ((processes, signal), counts) in self.processes.iter_mut().zip(&self.signals).zip(interval) {
            let Some(counts) = counts else { continue };
            let (counts, clipped) = counts.clipped();
            self.clipped += u64::from(clipped == Clipped::Yes);
            processes.fold(counts, &self.settings, signal);
        }
        let combined = self.combined();
        if combined.ln_e >= combined.ln_bad_at {
            self.verdict = Verdict::Bad;
        } else if self.verdict == Verdict::Undecided && combined.ln_e_promote >= combined.ln_good_at {
            self.verdict = Verdict::Good;
        }
        self.verdict
    }

    /// The verdict so far.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Intervals folded.
    pub fn intervals(&self) -> u64 {
        self.intervals
    }

    /// Counts that had to be clipped.
    pub fn clipped(&self) -> u64 {
        self.clipped
    }

    /// The combined e-values. A release is cleared by the ratio, or by an acceptable share, whichever shows it first;
    /// each signal must be cleared, so the weakest one counts. Signals that saw no request at all do not vote.
    pub fn combined(&self) -> Combined {
        let accuse = self.weighted().collect::<Vec<_>>();
        let seen = self.processes.iter().filter(|p| p.total.canary > 0).map(|p| p.ln_cleared(&self.settings));
        let weakest = seen.fold(f64::INFINITY, f64::min);
        Combined {
            ln_e: ln_sum_exp(accuse.into_iter()),
            ln_e_promote: if weakest.is_finite() { weakest } else { 0.0 },
            ln_bad_at: -ln(self.settings.alpha),
            ln_good_at: -ln(self.settings.beta),
        }
    }

    fn weighted(&self) -> impl Iterator<Item = f64> + '_ {
        self.signals.iter().zip(&self.processes).map(|(s, p)| ln(s.weight) + p.ln_accuse())
    }

    /// Each signal's part in the accusing evidence.
    pub fn shares(&self) -> Vec<Share> {
        let all = ln_sum_exp(self.weighted().collect::<Vec<_>>().into_iter());
        let parts = self.signals.iter().zip(&self.processes).zip(self.weighted().collect::<Vec<_>>());
        parts
            .map(|((signal, processes), weighted)| Share {
                signal: signal.name.clone(),
                share: libm::exp(weighted - all),
                ln_e: processes.ln_accuse(),
                counts: processes.total,
                phi: signal.phi,
            })
            .collect()
    }

    /// Estimate: canary requests still missing until a canary that is `rho` times worse would be found out, from the
    /// traffic split and bad share so far. `None` while nothing bad was seen at all, so that nothing can be said.
    pub fn needed_to_condemn(&self, rho: f64) -> Option<u64> {
        let rho0 = self.settings.tolerance;
        let each = self.signals.iter().zip(&self.processes).filter_map(|(signal, p)| {
            let seen = p.paired;
            let requests = (seen.canary + seen.stable) as f64;
            let bad_share = (seen.canary_bad + seen.stable_bad) as f64 / signal.phi / requests;
            let q = |rho: f64| seen.share_of_bad(rho);
            let gain = divergence(q(rho), q(rho0)) * bad_share;
            if gain.is_nan() || gain <= 0.0 {
                return None;
            }
            let missing = -ln(self.settings.alpha) - ln(signal.weight) - p.ln_nearest(rho, &self.settings);
            Some((missing / gain * seen.canary as f64 / requests).max(0.0).ceil())
        });
        each.min_by(f64::total_cmp).map(|n| n as u64)
    }

    /// Estimate: canary requests still missing until a release that fails as often as the stable version, or as seldom
    /// as it did so far, is cleared. `None` when at the share of errors seen so far no number of requests would do.
    pub fn needed_to_clear(&self) -> Option<u64> {
        let combined = self.combined();
        if combined.ln_e_promote >= combined.ln_good_at {
            return Some(0);
        }
        let nothing_seen = self.processes.iter().all(|p| p.total.canary == 0);
        let voting = self.signals.iter().zip(&self.processes).filter(|(_, p)| nothing_seen || p.total.canary > 0);
        let each = voting.map(|(signal, p)| p.needed_to_clear(&self.settings, signal));
        let all = each.collect::<Option<Vec<f64>>>()?;
        all.into_iter().max_by(f64::total_cmp).map(|n| n as u64)
    }
}
