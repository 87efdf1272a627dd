//! Time and ids that are the same in every run.

use jiff::{SignedDuration, Timestamp};
use lem_ledger::Ids;
use lem_model::{Clock, EventId};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// A clock that moves when it is told to.
#[derive(Debug)]
pub struct SeededClock(Mutex<Timestamp>);

impl SeededClock {
    /// Starts at 2026-01-01T00:00:00Z.
    pub fn new() -> Self {
        Self::at("2026-01-01T00:00:00Z".parse().expect("a timestamp"))
    }

    /// Starts at this time.
    pub fn at(time: Timestamp) -> Self {
        Self(Mutex::new(time))
    }

    /// Moves on.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock();
        *now = now.saturating_add(by).expect("a duration saturates");
    }

    /// Moves to this time, forward or back.
    pub fn set(&self, time: Timestamp) {
        *self.0.lock() = time;
    }
}

impl Default for SeededClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SeededClock {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }
}

/// Ids of UUID version 7's shape that count up: `00000000-0000-7000-8000-000000000001` ...
#[derive(Debug, Default)]
pub struct SeededIds(AtomicU64);

impl SeededIds {
    /// Counts from one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts on from a seed, so that two sources do not share ids.
    pub fn from(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Ids for SeededIds {
    fn next(&self) -> EventId {
        let n = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        format!("00000000-0000-7000-8000-{n:012x}")
    }
}
