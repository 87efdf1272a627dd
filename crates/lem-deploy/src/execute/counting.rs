//! Counts in memory: the open interval, the rollout's exposure, the stable version's past.

use crate::evidence::{History, Tallies, Tally, between};
use crate::state::{Lane, Rollout};
use jiff::Timestamp;
use lem_engine_judge::dispersion::{INTERVALS_MAX, Past};
use lem_model::{DeploymentId, Version};
use std::collections::VecDeque;
use std::time::Duration;

/// One interval of the stable version's past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PastInterval {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) tally: Tally,
}

/// Counting for one place.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    watching: Option<Watching>,
    past: VecDeque<PastInterval>,
    past_of: Option<Version>,
    past_open: Option<(Timestamp, Tally)>,
}

#[derive(Debug)]
struct Watching {
    deployment: DeploymentId,
    canary: Version,
    stable: Option<Version>,
    first: Tally,
    opened: Timestamp,
    canary_before: Tally,
    stable_before: Tally,
}

/// A closed interval without error lines.
#[derive(Clone, Debug)]
pub(crate) struct Closed {
    pub(crate) deployment: DeploymentId,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) canary: (Version, Tally),
    pub(crate) stable: (Version, Tally),
}

fn of(tallies: &Tallies, version: &Version) -> Tally {
    tallies.get(version).copied().unwrap_or_default()
}

fn is_over(from: Timestamp, now: Timestamp, interval: Duration) -> bool {
    let age = now.as_millisecond() - from.as_millisecond();
    age >= i64::try_from(interval.as_millis()).unwrap_or(i64::MAX)
}

impl Counting {
    /// Keeps the stable version's past up to date.
    pub(crate) fn look(&mut self, lane: Option<&Lane>, tallies: &Tallies, interval: Duration, now: Timestamp) {
        let stable = lane.and_then(|l| l.stable.as_ref()).map(|s| &s.version);
        if self.past_of.as_ref() != stable {
            (self.past_of, self.past_open) = (stable.cloned(), None);
            self.past.clear();
        }
        let Some(stable) = stable else { return };
        let tally = of(tallies, stable);
        let Some((from, before)) = self.past_open else {
            self.past_open = Some((now, tally));
            return;
        };
        if !is_over(from, now, interval) {
            return;
        }
        if let Some(counted) = between(before, tally) {
            self.past.push_back(PastInterval { from, to: now, tally: counted });
            if self.past.len() > INTERVALS_MAX {
                self.past.pop_front();
            }
        }
        self.past_open = Some((now, tally));
    }

    /// Counts for a rollout from now on, unless it does already.
    pub(crate) fn watch(
        &mut self,
        deployment: &DeploymentId,
        canary: &Version,
        stable: Option<&Version>,
        tallies: &Tallies,
        now: Timestamp,
    ) {
        if self.watching.as_ref().is_some_and(|w| w.deployment == *deployment && w.stable.as_ref() == stable) {
            return;
        }
        let canary_before = of(tallies, canary);
        self.watching = Some(Watching {
            deployment: deployment.clone(),
            canary: canary.clone(),
            stable: stable.cloned(),
            first: canary_before,
            opened: now,
            canary_before,
            stable_before: stable.map(|s| of(tallies, s)).unwrap_or_default(),
        });
    }

    /// Requests of the new version since its rollout is watched, and bad ones.
    pub(crate) fn exposed(&self, canary: &Version, tallies: &Tallies) -> (u64, u64) {
        let watching = self.watching.as_ref().filter(|w| w.canary == *canary);
        let counted = watching.and_then(|w| between(w.first, of(tallies, canary)));
        counted.map_or((0, 0), |t| (t.requests, t.bad))
    }

    /// Closes the interval when it is over. A counter that went back ends it without a result.
    pub(crate) fn close(
        &mut self,
        rollout: &Rollout,
        tallies: &Tallies,
        interval: Duration,
        now: Timestamp,
    ) -> Option<Closed> {
        let w = self.watching.as_mut().filter(|w| w.deployment == rollout.planned.deployment)?;
        let stable = w.stable.clone()?;
        if !is_over(w.opened, now, interval) {
            return None;
        }
        let (canary_now, stable_now) = (of(tallies, &w.canary), of(tallies, &stable));
        let counted = between(w.canary_before, canary_now).zip(between(w.stable_before, stable_now));
        let from = std::mem::replace(&mut w.opened, now);
        (w.canary_before, w.stable_before) = (canary_now, stable_now);
        let (canary, stable_counted) = counted?;
        Some(Closed {
            deployment: w.deployment.clone(),
            from,
            to: now,
            canary: (w.canary.clone(), canary),
            stable: (stable, stable_counted),
        })
    }

    /// The stable version's past.
    pub(crate) fn past(&self) -> Vec<PastInterval> {
        self.past.iter().copied().collect()
    }
}

/// The past as the dispersion estimate takes it.
pub(crate) fn history(past: &[PastInterval], logs: Vec<Past>) -> History {
    let part =
        |bad: fn(&Tally) -> u64| past.iter().map(|p| Past { requests: p.tally.requests, bad: bad(&p.tally) }).collect();
    History { errors: part(|t| t.bad), latency: part(|t| t.slow), logs }
}
