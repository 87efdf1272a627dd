//! Native histograms with float counts: exponential schemas -4 to 8 and custom bounds (-53).
//!
//! Buckets are kept dense, from the first to the last populated index of each side; empty buckets
//! at either end carry no meaning and are dropped by [`FloatHistogram::compact`].

mod arith;
mod fraction;
mod trim;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use arith::{Combined, IncompatibleSchema};
pub use fraction::{NanNote, histogram_fraction, histogram_quantile};
pub use trim::Trim;

use crate::number::format_g;

/// The schema number of histograms with custom bounds.
pub const CUSTOM_SCHEMA: i32 = -53;

/// What is known about a counter reset between this histogram and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CounterReset {
    /// Nothing is known; look at the buckets.
    #[default]
    Unknown,
    /// There was a reset.
    Reset,
    /// There was none.
    NotReset,
    /// The histogram is a gauge.
    Gauge,
}

/// One side (positive or negative) of a histogram: counts from index `offset` upwards.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Buckets {
    /// Index of the first count.
    pub offset: i32,
    /// Consecutive counts.
    pub counts: Vec<f64>,
}

impl Buckets {
    /// Counts with their index, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i32, f64)> {
        let offset = self.offset;
        self.counts.iter().enumerate().map(move |(i, c)| (offset + i as i32, *c))
    }

    /// The count at an index, zero when outside.
    pub fn at(&self, index: i32) -> f64 {
        usize::try_from(i64::from(index) - i64::from(self.offset))
            .ok()
            .and_then(|i| self.counts.get(i))
            .copied()
            .unwrap_or(0.0)
    }

    /// The end index, exclusive.
    pub fn end(&self) -> i32 {
        self.offset + self.counts.len() as i32
    }

    /// Drops empty buckets at both ends.
    pub fn compact(&mut self) {
        let first = self.counts.iter().position(|c| *c != 0.0);
        let Some(first) = first else {
            *self = Self::default();
            return;
        };
        let last = self.counts.iter().rposition(|c| *c != 0.0).unwrap_or(first);
        self.counts.truncate(last + 1);
        self.counts.drain(..first);
        self.offset += first as i32;
    }

    /// Whether no bucket is populated.
    pub fn is_unpopulated(&self) -> bool {
        self.counts.iter().all(|c| *c == 0.0)
    }
}

/// A bucket with its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Whether the lower bound belongs to the bucket.
    pub lower_inclusive: bool,
    /// Whether the upper bound belongs to the bucket.
    pub upper_inclusive: bool,
    /// Observations.
    pub count: f64,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{},{}{}:{}",
            if self.lower_inclusive { '[' } else { '(' },
            format_g(self.lower),
            format_g(self.upper),
            if self.upper_inclusive { ']' } else { ')' },
            format_g(self.count)
        )
    }
}

/// A native histogram with float counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FloatHistogram {
    /// Counter reset knowledge.
    pub counter_reset: CounterReset,
    /// -4 to 8, or [`CUSTOM_SCHEMA`].
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of observations; the staleness marker when stale.
    pub sum: f64,
    /// Positive buckets, or the custom ones.
    pub positive: Buckets,
    /// Negative buckets, indexes growing away from zero.
    pub negative: Buckets,
    /// Upper bounds when the schema is custom.
    pub custom_bounds: Vec<f64>,
}

impl FloatHistogram {
    /// Whether the bounds are custom.
    pub fn is_custom(&self) -> bool {
        self.schema == CUSTOM_SCHEMA
    }

    /// Drops empty buckets at the ends of each side.
    pub fn compact(&mut self) {
        self.positive.compact();
        self.negative.compact();
    }

    /// Bounds and count of a positive (or custom) bucket.
    fn positive_bucket(&self, index: i32, count: f64) -> Bucket {
        if self.is_custom() {
            let upper = custom_bound(&self.custom_bounds, index);
            let lower = if index <= 0 { f64::NEG_INFINITY } else { custom_bound(&self.custom_bounds, index - 1) };
            return Bucket {
                lower,
                upper,
                lower_inclusive: index <= 0 && lower == f64::NEG_INFINITY,
                upper_inclusive: true,
                count,
            };
        }
        Bucket {
            lower: exponential_bound(index - 1, self.schema),
            upper: exponential_bound(index, self.schema),
            lower_inclusive: false,
            upper_inclusive: true,
            count,
        }
    }

    fn negative_bucket(&self, index: i32, count: f64) -> Bucket {
        Bucket {
            lower: -exponential_bound(index, self.schema),
            upper: -exponential_bound(index - 1, self.schema),
            lower_inclusive: true,
            upper_inclusive: false,
            count,
        }
    }

    /// The zero bucket.
    pub fn zero_bucket(&self) -> Bucket {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
        }
    }

    /// All buckets ascending, with the zero bucket when populated; neighbours of the zero bucket
    /// are clipped to its threshold.
    pub fn all_buckets(&self) -> Vec<Bucket> {
        let mut out = Vec::with_capacity(self.positive.counts.len() + self.negative.counts.len() + 1);
        for (index, count) in self.negative.iter().rev() {
            let mut bucket = self.negative_bucket(index, count);
            if bucket.upper < 0.0 && bucket.upper > -self.zero_threshold {
                bucket.upper = -self.zero_threshold;
            }
            out.push(bucket);
        }
        if self.zero_count > 0.0 {
            out.push(self.zero_bucket());
        }
        for (index, count) in self.positive.iter() {
            let mut bucket = self.positive_bucket(index, count);
            if bucket.lower > 0.0 && bucket.lower < self.zero_threshold {
                bucket.lower = self.zero_threshold;
            }
            out.push(bucket);
        }
        out
    }

    /// Equality of data: bit patterns of numbers, layout without empty buckets at the ends.
    pub fn same_data(&self, other: &Self) -> bool {
        let mut a = self.clone();
        let mut b = other.clone();
        a.compact();
        b.compact();
        let bits = |x: f64, y: f64| x.to_bits() == y.to_bits();
        let sides = |x: &Buckets, y: &Buckets| {
            x.offset == y.offset
                && x.counts.len() == y.counts.len()
                && x.counts.iter().zip(&y.counts).all(|(p, q)| bits(*p, *q))
        };
        a.schema == b.schema
            && bits(a.count, b.count)
            && bits(a.sum, b.sum)
            && a.zero_threshold == b.zero_threshold
            && bits(a.zero_count, b.zero_count)
            && a.custom_bounds == b.custom_bounds
            && sides(&a.positive, &b.positive)
            && sides(&a.negative, &b.negative)
    }

    /// The notation of test files, for example `{{schema:1 count:3 sum:4 buckets:[1 2]}}`.
    pub fn test_expression(&self) -> String {
        let mut h = self.clone();
        h.compact();
        let mut parts = Vec::new();
        if h.schema != 0 {
            parts.push(format!("schema:{}", h.schema));
        }
        for (name, value) in
            [("count", h.count), ("sum", h.sum), ("z_bucket", h.zero_count), ("z_bucket_w", h.zero_threshold)]
        {
            if value != 0.0 {
                parts.push(format!("{name}:{}", format_g(value)));
            }
        }
        let list = |values: &[f64]| values.iter().map(|v| format_g(*v)).collect::<Vec<_>>().join(" ");
        if h.is_custom() {
            parts.push(format!("custom_values:[{}]", list(&h.custom_bounds)));
        }
        match h.counter_reset {
            CounterReset::Unknown => {}
            CounterReset::Reset => parts.push("counter_reset_hint:reset".to_owned()),
            CounterReset::NotReset => parts.push("counter_reset_hint:not_reset".to_owned()),
            CounterReset::Gauge => parts.push("counter_reset_hint:gauge".to_owned()),
        }
        for (side, offset, name) in [(&h.positive, "offset", "buckets"), (&h.negative, "n_offset", "n_buckets")] {
            if side.offset != 0 && !side.counts.is_empty() {
                parts.push(format!("{offset}:{}", side.offset));
            }
            if !side.counts.is_empty() {
                parts.push(format!("{name}:[{}]", list(&side.counts)));
            }
        }
        format!("{{{{{}}}}}", parts.join(" "))
    }
}

impl fmt::Display for FloatHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", format_g(self.count), format_g(self.sum))?;
        for (index, count) in self.negative.iter().rev().filter(|(_, c)| *c != 0.0) {
            write!(f, ", {}", self.negative_bucket(index, count))?;
        }
        if self.zero_count != 0.0 {
            write!(f, ", {}", self.zero_bucket())?;
        }
        for (index, count) in self.positive.iter().filter(|(_, c)| *c != 0.0) {
            write!(f, ", {}", self.positive_bucket(index, count))?;
        }
        f.write_str("}")
    }
}

fn custom_bound(bounds: &[f64], index: i32) -> f64 {
    match usize::try_from(index) {
        Ok(i) => bounds.get(i).copied().unwrap_or(f64::INFINITY),
        Err(_) => f64::NEG_INFINITY,
    }
}

/// Upper bound of a positive exponential bucket: `2^(index · 2^-schema)`.
pub fn exponential_bound(index: i32, schema: i32) -> f64 {
    if schema <= 0 {
        let exponent = i64::from(index) << (-schema).clamp(0, 32);
        return match exponent {
            1024 => f64::MAX,
            e if e > 1024 => f64::INFINITY,
            e => 2f64.powi(e.max(-1100) as i32),
        };
    }
    let per_power = 1i32 << schema.min(16);
    let whole = index.div_euclid(per_power);
    let part = index.rem_euclid(per_power);
    if part == 0 && whole == 1024 {
        return f64::MAX;
    }
    let fraction = (f64::from(part) / f64::from(per_power)).exp2();
    if whole > 1023 {
        return f64::INFINITY;
    }
    fraction * 2f64.powi(whole)
}

/// Index of a bucket after the resolution went down from one schema to another.
pub(crate) fn target_index(index: i32, from: i32, to: i32) -> i32 {
    ((index - 1) >> (from - to).clamp(0, 31)) + 1
}
