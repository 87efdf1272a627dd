//! The decaying histogram of the VPA recommender: exponentially growing buckets, weights that halve with age.
//!
//! `start(n) = first × (1.05ⁿ − 1) / 0.05`; a sample's weight is multiplied by `2^((time − reference) / half-life)`; the
//! reference is a multiple of the half-life and moves when a sample is more than [`MAX_HALF_LIVES`] after it.

use jiff::Timestamp;

/// Growth of one bucket over the one before.
pub const GROWTH: f64 = 1.05;
/// Half-life of a sample's weight.
pub const HALF_LIFE_S: i64 = 24 * 3600;
/// A bucket lighter than this is empty.
pub const EPSILON: f64 = 0.001 * 0.1;
/// Half-lives after the reference at which it moves.
pub const MAX_HALF_LIVES: i64 = 100;

/// Shape of a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Buckets {
    /// Upper end of the first bucket.
    pub first: f64,
    /// Largest value told apart.
    pub max: f64,
}

impl Buckets {
    /// CPU in cores: 0.01 to 1000.
    pub const CPU: Self = Self { first: 0.01, max: 1000.0 };
    /// Memory in bytes: 1e7 to 1e12.
    pub const MEMORY: Self = Self { first: 1e7, max: 1e12 };

    /// How many buckets.
    pub fn count(self) -> usize {
        ((self.max * (GROWTH - 1.0) / self.first + 1.0).ln() / GROWTH.ln()).ceil() as usize + 1
    }

    /// The bucket of a value.
    pub fn find(self, value: f64) -> usize {
        if value < self.first {
            return 0;
        }
        let bucket = ((value * (GROWTH - 1.0) / self.first + 1.0).ln() / GROWTH.ln()) as usize;
        bucket.min(self.count() - 1)
    }

    /// Where a bucket starts.
    pub fn start(self, bucket: usize) -> f64 {
        if bucket == 0 { 0.0 } else { self.first * (GROWTH.powf(bucket as f64) - 1.0) / (GROWTH - 1.0) }
    }
}

/// A decaying histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    buckets: Buckets,
    weights: Vec<f64>,
    total: f64,
    first_filled: usize,
    last_filled: usize,
    /// Seconds since 1970; `None` before the first sample.
    reference_s: Option<i64>,
}

impl Histogram {
    /// An empty one.
    pub fn new(buckets: Buckets) -> Self {
        let count = buckets.count();
        Self {
            buckets,
            weights: vec![0.0; count],
            total: 0.0,
            first_filled: count - 1,
            last_filled: 0,
            reference_s: None,
        }
    }

    /// Adds a sample.
    pub fn add(&mut self, value: f64, weight: f64, time: Timestamp) {
        let weight = weight * self.decay(time);
        self.add_raw(self.buckets.find(value), weight);
    }

    /// Takes a sample away that was added at the same time.
    pub fn subtract(&mut self, value: f64, weight: f64, time: Timestamp) {
        let weight = weight * self.decay(time);
        let bucket = self.buckets.find(value);
        self.total = floored(self.total - weight);
        self.weights[bucket] = floored(self.weights[bucket] - weight);
        self.refill();
    }

    /// Whether nothing weighs anything.
    pub fn is_empty(&self) -> bool {
        self.weights[self.first_filled] < EPSILON
    }

    /// The end of the bucket at which the running weight reaches the share; 0 when empty.
    pub fn percentile(&self, share: f64) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        let threshold = share * self.total;
        let mut running = 0.0;
        let mut bucket = self.first_filled;
        while bucket < self.last_filled {
            running += self.weights[bucket];
            if running >= threshold {
                break;
            }
            bucket += 1;
        }
        let end = if bucket < self.weights.len() - 1 { bucket + 1 } else { bucket };
        self.buckets.start(end)
    }

    /// Adds another of the same shape; the older reference is aligned to the younger.
    pub fn merge(&mut self, other: &Self) {
        let Some(theirs) = other.reference_s else { return };
        let Some(ours) = self.reference_s else {
            self.clone_from(other);
            return;
        };
        let mut other = other.clone();
        match ours.cmp(&theirs) {
            std::cmp::Ordering::Less => self.shift(theirs),
            std::cmp::Ordering::Greater => other.shift(ours),
            std::cmp::Ordering::Equal => {}
        }
        for (bucket, weight) in other.weights.iter().enumerate() {
            self.weights[bucket] += weight;
        }
        self.total += other.total;
        self.first_filled = self.first_filled.min(other.first_filled);
        self.last_filled = self.last_filled.max(other.last_filled);
    }

    /// Total weight, for tests and for people.
    pub fn total(&self) -> f64 {
        self.total
    }

    fn decay(&mut self, time: Timestamp) -> f64 {
        let reference = match self.reference_s {
            None => {
                let first = round_to_half_life(time);
                self.reference_s = Some(first);
                first
            }
            Some(reference) if seconds(time) > (reference + HALF_LIFE_S * MAX_HALF_LIVES) as f64 => {
                let moved = round_to_half_life(time);
                self.shift(moved);
                moved
            }
            Some(reference) => reference,
        };
        ((seconds(time) - reference as f64) / HALF_LIFE_S as f64).exp2()
    }

    /// Moves the reference; all weights are scaled by a power of two.
    fn shift(&mut self, to: i64) {
        let to = round_s(to as f64);
        let exponent = self.reference_s.map_or(0, |from| (from - to) / HALF_LIFE_S);
        let factor = (exponent as f64).exp2();
        self.weights.iter_mut().for_each(|w| *w *= factor);
        self.total *= factor;
        self.reference_s = Some(to);
        self.refill();
    }

    fn add_raw(&mut self, bucket: usize, weight: f64) {
        self.weights[bucket] += weight;
        self.total += weight;
        if bucket < self.first_filled && self.weights[bucket] >= EPSILON {
            self.first_filled = bucket;
        }
        if bucket > self.last_filled && self.weights[bucket] >= EPSILON {
            self.last_filled = bucket;
        }
    }

    /// Narrows the filled range after weights shrank.
    fn refill(&mut self) {
        let last = self.weights.len() - 1;
        while self.weights[self.first_filled] < EPSILON && self.first_filled < last {
            self.first_filled += 1;
        }
        while self.weights[self.last_filled] < EPSILON && self.last_filled > 0 {
            self.last_filled -= 1;
        }
    }
}

fn floored(weight: f64) -> f64 {
    if weight < EPSILON { 0.0 } else { weight }
}

fn seconds(time: Timestamp) -> f64 {
    time.as_nanosecond() as f64 / 1e9
}

fn round_to_half_life(time: Timestamp) -> i64 {
    round_s(seconds(time))
}

/// The nearest multiple of the half-life, halves up.
fn round_s(seconds: f64) -> i64 {
    ((seconds / HALF_LIFE_S as f64 + 0.5).floor() as i64) * HALF_LIFE_S
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + hours * 3600).unwrap_or(Timestamp::MAX) // 2026-01-01, a UTC midnight
    }

    #[test]
    fn both_tables_have_176_buckets_with_the_reference_starts() {
        for buckets in [Buckets::CPU, Buckets::MEMORY] {
            assert_eq!(buckets.count(), 176);
            assert_eq!(buckets.start(0), 0.0);
            assert!((buckets.start(1) - buckets.first).abs() < buckets.first * 1e-12);
            // start(2) = first × (1.1025 − 1) / 0.05 = 2.05 first; start(3) = first × 3.1525
            assert!((buckets.start(2) - 2.05 * buckets.first).abs() < buckets.first * 1e-9);
            assert!((buckets.start(3) - 3.1525 * buckets.first).abs() < buckets.first * 1e-9);
            for (value, bucket) in [(0.0, 0), (0.99, 0), (1.0, 1), (2.04, 1), (2.06, 2), (3.2, 3)] {
                assert_eq!(buckets.find(value * buckets.first), bucket, "{value} first buckets");
            }
            assert_eq!(buckets.find(1e30), 175, "what is larger than the table is in its last bucket");
        }
    }

    #[test]
    fn a_percentile_is_the_end_of_its_bucket() {
        let mut h = Histogram::new(Buckets::CPU);
        assert_eq!(h.percentile(0.9), 0.0, "empty");
        for _ in 0..9 {
            h.add(0.005, 1.0, at(0));
        }
        h.add(0.025, 1.0, at(0));
        assert_eq!(h.percentile(0.9), Buckets::CPU.start(1), "nine of ten reach 0.9");
        assert_eq!(h.percentile(0.91), Buckets::CPU.start(3));
        let mut top = Histogram::new(Buckets::CPU);
        top.add(5000.0, 1.0, at(0));
        assert_eq!(top.percentile(0.5), Buckets::CPU.start(175), "the last bucket answers with its start");
    }

    #[test]
    fn weights_halve_every_day_and_the_reference_moves_after_a_hundred() {
        let mut h = Histogram::new(Buckets::CPU);
        h.add(0.005, 1.0, at(0));
        h.add(0.025, 1.0, at(24));
        assert!((h.total() - 3.0).abs() < 1e-12, "a day later weighs twice as much");
        h.add(0.025, 1.0, at(24 * 101));
        assert!((h.total() - 1.0).abs() < 1e-9, "the past has decayed to nothing: {}", h.total());
        assert_eq!(h.reference_s, Some(at(24 * 101).as_second()));
        let mut half = Histogram::new(Buckets::CPU);
        half.add(0.005, 1.0, at(12));
        assert_eq!(half.reference_s, Some(at(24).as_second()), "noon rounds up");
        assert!((half.total() - 0.5_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn subtraction_floors_and_merging_aligns() {
        let mut h = Histogram::new(Buckets::MEMORY);
        h.add(2e7, 1.0, at(0));
        h.subtract(2e7, 1.0, at(0));
        assert!(h.is_empty() && h.percentile(0.9) == 0.0);
        let (mut old, mut young) = (Histogram::new(Buckets::CPU), Histogram::new(Buckets::CPU));
        old.add(0.005, 8.0, at(0));
        young.add(0.025, 1.0, at(72));
        let (mut one, mut two) = (old.clone(), young.clone());
        one.merge(&young);
        two.merge(&old);
        assert!((one.total() - 2.0).abs() < 1e-12, "8 three days old weigh 1");
        assert_eq!((one.percentile(0.5), one.percentile(0.9)), (two.percentile(0.5), two.percentile(0.9)));
    }
}
