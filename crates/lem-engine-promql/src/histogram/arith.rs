//! Adding, subtracting and scaling histograms, and finding counter resets.

use super::{Buckets, CounterReset, FloatHistogram, exponential_bound, target_index};

/// One histogram has exponential, the other custom buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")]
pub struct IncompatibleSchema;

/// What happened while two histograms were combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Combined {
    /// One said "reset", the other "not reset".
    pub reset_collision: bool,
    /// Custom bounds differed and were reduced to those both have.
    pub bounds_reconciled: bool,
}

impl FloatHistogram {
    /// Adds another histogram.
    pub fn add(&mut self, other: &Self) -> Result<Combined, IncompatibleSchema> {
        self.combine(other, 1.0)
    }

    /// Subtracts another histogram.
    pub fn sub(&mut self, other: &Self) -> Result<Combined, IncompatibleSchema> {
        self.combine(other, -1.0)
    }

    fn combine(&mut self, other: &Self, sign: f64) -> Result<Combined, IncompatibleSchema> {
        if self.is_custom() != other.is_custom() {
            return Err(IncompatibleSchema);
        }
        let reset_collision = self.merge_counter_reset(other.counter_reset);
        let mut other = other.clone();
        let mut bounds_reconciled = false;
        if self.is_custom() {
            if self.custom_bounds != other.custom_bounds {
                bounds_reconciled = true;
                let shared = intersect(&self.custom_bounds, &other.custom_bounds);
                self.rebucket(&shared);
                other.rebucket(&shared);
            }
        } else {
            self.reconcile_zero_bucket(&mut other);
            let schema = self.schema.min(other.schema);
            self.reduce_to(schema);
            other.reduce_to(schema);
            self.zero_count += sign * other.zero_count;
            add_side(&mut self.negative, &other.negative, sign);
        }
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        add_side(&mut self.positive, &other.positive, sign);
        Ok(Combined { reset_collision, bounds_reconciled })
    }

    fn merge_counter_reset(&mut self, other: CounterReset) -> bool {
        use CounterReset::{Gauge, Unknown};
        match (self.counter_reset, other) {
            (a, b) if a == b => false,
            (Gauge, _) => false,
            (_, Gauge) => {
                self.counter_reset = Gauge;
                false
            }
            (Unknown, _) => false,
            (_, Unknown) => {
                self.counter_reset = Unknown;
                false
            }
            _ => {
                self.counter_reset = Unknown;
                true
            }
        }
    }

    /// Scales all counts and the sum.
    pub fn mul(&mut self, factor: f64) {
        self.scale(|v| v * factor);
        if factor < 0.0 {
            self.counter_reset = CounterReset::Gauge;
        }
    }

    /// Divides all counts and the sum; division by zero leaves no buckets.
    pub fn div(&mut self, divisor: f64) {
        if divisor == 0.0 {
            self.positive = Buckets::default();
            self.negative = Buckets::default();
        }
        self.scale(|v| v / divisor);
        if divisor < 0.0 {
            self.counter_reset = CounterReset::Gauge;
        }
    }

    fn scale(&mut self, f: impl Fn(f64) -> f64) {
        self.zero_count = f(self.zero_count);
        self.count = f(self.count);
        self.sum = f(self.sum);
        for side in [&mut self.positive, &mut self.negative] {
            for count in &mut side.counts {
                *count = f(*count);
            }
        }
    }

    /// Whether any number is infinite.
    pub fn has_overflow(&self) -> bool {
        let counts = self.positive.counts.iter().chain(&self.negative.counts);
        [self.zero_count, self.count, self.sum].iter().chain(counts).any(|v| v.is_infinite())
    }

    /// Lowers the resolution to a smaller exponential schema.
    pub fn reduce_to(&mut self, schema: i32) {
        if self.is_custom() || schema >= self.schema {
            return;
        }
        for side in [&mut self.positive, &mut self.negative] {
            let mut out = Buckets::default();
            for (index, count) in side.iter() {
                let index = target_index(index, self.schema, schema);
                if out.counts.is_empty() {
                    out.offset = index;
                }
                while out.end() <= index {
                    out.counts.push(0.0);
                }
                let at = (index - out.offset) as usize;
                out.counts[at] += count;
            }
            *side = out;
        }
        self.schema = schema;
    }

    fn rebucket(&mut self, bounds: &[f64]) {
        let mut counts = vec![0.0; bounds.len() + 1];
        for (index, count) in self.positive.iter() {
            let target = usize::try_from(index)
                .ok()
                .and_then(|i| self.custom_bounds.get(i))
                .map_or(bounds.len(), |bound| bounds.partition_point(|b| b < bound));
            counts[target] += count;
        }
        self.positive = Buckets { offset: 0, counts };
        self.positive.compact();
        self.custom_bounds = bounds.to_vec();
    }

    fn reconcile_zero_bucket(&mut self, other: &mut Self) {
        while self.zero_threshold != other.zero_threshold {
            if self.zero_threshold > other.zero_threshold {
                other.widen_zero_bucket(self.zero_threshold);
            } else {
                self.widen_zero_bucket(other.zero_threshold);
            }
        }
    }

    /// The zero count and threshold if the threshold grew to at least `threshold`; a populated
    /// bucket that the threshold cuts is taken in whole.
    fn zero_count_for(&self, mut threshold: f64) -> (f64, f64) {
        if threshold == self.zero_threshold {
            return (self.zero_count, threshold);
        }
        'again: loop {
            let mut count = self.zero_count;
            for (side, is_positive) in [(&self.positive, true), (&self.negative, false)] {
                for (index, bucket) in side.iter() {
                    if exponential_bound(index - 1, self.schema) >= threshold {
                        break;
                    }
                    count += bucket;
                    let upper = exponential_bound(index, self.schema);
                    if upper > threshold {
                        if bucket != 0.0 {
                            threshold = upper;
                            if !is_positive {
                                continue 'again;
                            }
                        }
                        break;
                    }
                }
            }
            return (count, threshold);
        }
    }

    fn widen_zero_bucket(&mut self, threshold: f64) {
        let (count, threshold) = self.zero_count_for(threshold);
        self.zero_count = count;
        self.zero_threshold = threshold;
        let schema = self.schema;
        for side in [&mut self.positive, &mut self.negative] {
            let offset = side.offset;
            for (i, bucket) in side.counts.iter_mut().enumerate() {
                if exponential_bound(offset + i as i32 - 1, schema) < threshold {
                    *bucket = 0.0;
                }
            }
            side.compact();
        }
    }

    /// Whether this histogram can only follow `previous` after a counter reset.
    pub fn detect_reset(&self, previous: &Self) -> bool {
        match self.counter_reset {
            CounterReset::Reset => return true,
            CounterReset::NotReset => return false,
            CounterReset::Unknown | CounterReset::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.is_custom() {
            return self.custom_reset(previous);
        }
        if previous.is_custom() || self.schema > previous.schema {
            return true;
        }
        if self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (zero_count, threshold) = previous.zero_count_for(self.zero_threshold);
        if threshold != self.zero_threshold || self.zero_count < zero_count {
            return true;
        }
        let mut before = previous.clone();
        if before.zero_threshold != self.zero_threshold {
            before.widen_zero_bucket(self.zero_threshold);
        }
        before.reduce_to(self.schema);
        shrank(&self.positive, &before.positive) || shrank(&self.negative, &before.negative)
    }

    fn custom_reset(&self, previous: &Self) -> bool {
        if !previous.is_custom() {
            return true;
        }
        if self.custom_bounds == previous.custom_bounds {
            return shrank(&self.positive, &previous.positive);
        }
        let shared = intersect(&self.custom_bounds, &previous.custom_bounds);
        let (mut now, mut before) = (self.clone(), previous.clone());
        now.rebucket(&shared);
        before.rebucket(&shared);
        shrank(&now.positive, &before.positive)
    }
}

fn shrank(now: &Buckets, before: &Buckets) -> bool {
    before.iter().any(|(index, count)| now.at(index) < count)
}

fn intersect(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().copied().filter(|v| b.contains(v)).collect()
}

fn add_side(into: &mut Buckets, from: &Buckets, sign: f64) {
    if from.counts.is_empty() {
        return;
    }
    if into.counts.is_empty() {
        into.offset = from.offset;
    }
    if from.offset < into.offset {
        let gap = (into.offset - from.offset) as usize;
        into.counts.splice(0..0, std::iter::repeat_n(0.0, gap));
        into.offset = from.offset;
    }
    let end = from.end().max(into.end());
    into.counts.resize((end - into.offset) as usize, 0.0);
    for (index, count) in from.iter() {
        into.counts[(index - into.offset) as usize] += sign * count;
    }
}

impl FloatHistogram {
    /// Adds with compensation: `comp` collects what rounding loses and is to be added at the end.
    pub(crate) fn kahan_add(&mut self, other: &Self, comp: &mut Option<Self>) -> Result<Combined, IncompatibleSchema> {
        let before = self.clone();
        let combined = self.add(other)?;
        let mut lost = comp.take().unwrap_or_else(|| Self {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            custom_bounds: self.custom_bounds.clone(),
            ..Self::default()
        });
        // Bring everything to the layout of the new sum before comparing numbers.
        let layout = Self {
            counter_reset: self.counter_reset,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            custom_bounds: self.custom_bounds.clone(),
            ..Self::default()
        };
        let (mut a, mut b) = (before, other.clone());
        a.add(&layout)?;
        b.add(&layout)?;
        lost.add(&layout)?;
        let step = |sum: f64, x: f64, y: f64, c: f64| -> f64 {
            if sum.is_infinite() {
                0.0
            } else if x.abs() >= y.abs() {
                c + ((x - sum) + y)
            } else {
                c + ((y - sum) + x)
            }
        };
        lost.count = step(self.count, a.count, b.count, lost.count);
        lost.sum = step(self.sum, a.sum, b.sum, lost.sum);
        lost.zero_count = step(self.zero_count, a.zero_count, b.zero_count, lost.zero_count);
        let side = |sum: &Buckets, x: &Buckets, y: &Buckets, c: &Buckets| Buckets {
            offset: sum.offset,
            counts: sum.iter().map(|(i, total)| step(total, x.at(i), y.at(i), c.at(i))).collect(),
        };
        lost.positive = side(&self.positive, &a.positive, &b.positive, &lost.positive);
        lost.negative = side(&self.negative, &a.negative, &b.negative, &lost.negative);
        lost.counter_reset = self.counter_reset;
        *comp = Some(lost);
        Ok(combined)
    }
}
