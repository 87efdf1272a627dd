//! The Kubernetes VPA recommender 1.7: samples in, lower bound, target and upper bound out.
//!
//! Percentile, margin, confidence on the bounds, floor, policy, in this order; every conversion truncates to whole
//! millicores and bytes.

use super::histogram::{Buckets, Histogram};
use super::{Advice, Amounts, cpu_text, memory_text};
use jiff::Timestamp;
use lem_model::port::Series;

/// Weight of a CPU sample.
pub const CPU_WEIGHT: f64 = 0.1;
/// Weight of a memory peak.
pub const MEMORY_WEIGHT: f64 = 1.0;
/// Length of a memory window.
pub const MEMORY_WINDOW_S: i64 = 24 * 3600;
/// State without samples for so long is dropped.
pub const STALE_S: i64 = 8 * 24 * 3600;
/// Percentiles of the lower bound, the target and the upper bound.
pub const PERCENTILES: [f64; 3] = [0.50, 0.90, 0.95];
/// Safety margin on all three.
pub const MARGIN: f64 = 0.15;
/// Floor of a pod: 25 millicores and 250 MiB, divided by its containers.
pub const FLOOR: Amounts = Amounts { cpu_milli: 25, memory_bytes: 250 * 1024 * 1024 };
/// What an out-of-memory kill adds at least.
pub const OOM_MIN_BUMP: f64 = 100.0 * 1024.0 * 1024.0;
/// Or by what it multiplies.
pub const OOM_BUMP_RATIO: f64 = 1.2;
/// Largest amount.
pub const MAX_AMOUNT: i64 = 100_000_000_000_000;
/// CPU samples of a full day at one a minute.
pub const DAY_SAMPLES: f64 = 60.0 * 24.0;

/// What a container used so far.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerState {
    cpu: Histogram,
    memory: Histogram,
    first_cpu: Option<Timestamp>,
    last_cpu: Option<Timestamp>,
    samples: usize,
    last_memory: Option<Timestamp>,
    window_end: Option<Timestamp>,
    usage_peak: f64,
    oom_peak: f64,
}

impl Default for ContainerState {
    fn default() -> Self {
        Self {
            cpu: Histogram::new(Buckets::CPU),
            memory: Histogram::new(Buckets::MEMORY),
            first_cpu: None,
            last_cpu: None,
            samples: 0,
            last_memory: None,
            window_end: None,
            usage_peak: 0.0,
            oom_peak: 0.0,
        }
    }
}

fn later(time: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_second(time.as_second() + seconds)
        .map_or(Timestamp::MAX, |t| t + jiff::SignedDuration::from_nanos(i64::from(time.subsec_nanosecond())))
}

fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

impl ContainerState {
    /// Takes CPU use in cores; `false` when the sample is negative, no number, or not newer than the last.
    pub fn cpu_sample(&mut self, cores: f64, time: Timestamp) -> bool {
        if cores.is_nan() || cores < 0.0 || self.last_cpu.is_some_and(|last| time <= last) {
            return false;
        }
        self.cpu.add(truncated(cores * 1000.0) as f64 / 1000.0, CPU_WEIGHT, time);
        self.last_cpu = Some(time);
        self.first_cpu.get_or_insert(time);
        self.samples += 1;
        true
    }

    /// Takes memory use in bytes; `false` when the sample is negative, no number, or older than the last.
    pub fn memory_sample(&mut self, bytes: f64, time: Timestamp) -> bool {
        self.memory(bytes, time, false)
    }

    /// Takes an out-of-memory kill at this requested memory; `false` when it is too old to count.
    pub fn out_of_memory(&mut self, time: Timestamp, requested: i64) -> bool {
        if self.window_end.is_some_and(|end| time < later(end, -MEMORY_WINDOW_S)) {
            return false;
        }
        let used = (requested as f64).max(self.usage_peak);
        let needed = (used + OOM_MIN_BUMP).max(used * OOM_BUMP_RATIO);
        self.memory(truncated(needed) as f64, time, true)
    }

    fn memory(&mut self, bytes: f64, time: Timestamp, oom: bool) -> bool {
        if bytes.is_nan() || bytes < 0.0 || (!oom && self.last_memory.is_some_and(|last| time < last)) {
            return false;
        }
        let bytes = truncated(bytes) as f64;
        self.last_memory = Some(time);
        let end = *self.window_end.get_or_insert(time);
        let old = self.usage_peak.max(self.oom_peak);
        let add = if time < end {
            // A window whose peak is 0 takes no other until the next one, as in the reference.
            let larger = old != 0.0 && bytes > old;
            if larger {
                self.memory.subtract(old, MEMORY_WEIGHT, end);
            }
            larger
        } else {
            let shift = (seconds_between(end, time) / MEMORY_WINDOW_S as f64).trunc() as i64 * MEMORY_WINDOW_S;
            self.window_end = Some(later(end, shift + MEMORY_WINDOW_S));
            self.usage_peak = 0.0;
            self.oom_peak = 0.0;
            true
        };
        let end = self.window_end.unwrap_or(end);
        if add {
            self.memory.add(bytes, MEMORY_WEIGHT, end);
            if oom { self.oom_peak = bytes } else { self.usage_peak = bytes }
        }
        true
    }

    /// Adds the state of another container of the same name and target.
    pub fn merge(&mut self, other: &Self) {
        self.cpu.merge(&other.cpu);
        self.memory.merge(&other.memory);
        let pick =
            |a: Option<Timestamp>, b: Option<Timestamp>, choose: fn(Timestamp, Timestamp) -> Timestamp| match (a, b) {
                (Some(a), Some(b)) => Some(choose(a, b)),
                (a, b) => a.or(b),
            };
        self.first_cpu = pick(self.first_cpu, other.first_cpu, Timestamp::min);
        self.last_cpu = pick(self.last_cpu, other.last_cpu, Timestamp::max);
        self.samples += other.samples;
    }

    /// Whether nothing was heard for so long that the state must be dropped.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        let last = self.last_cpu.max(self.last_memory);
        last.is_some_and(|last| seconds_between(last, now) >= STALE_S as f64)
    }

    /// CPU samples taken.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Feeds range queries: cores of CPU and bytes of memory. Samples the reference would discard are counted.
    pub fn feed(&mut self, cpu: &[Series], memory: &[Series]) -> usize {
        let mut discarded = 0;
        for (time, value) in cpu.iter().flat_map(|s| &s.points) {
            discarded += usize::from(!self.cpu_sample(*value, *time));
        }
        for (time, value) in memory.iter().flat_map(|s| &s.points) {
            discarded += usize::from(!self.memory_sample(*value, *time));
        }
        discarded
    }

    /// Days of data and samples together: `min(span / 1 day, samples / 1440)`.
    pub fn confidence(&self) -> f64 {
        let days = match (self.first_cpu, self.last_cpu) {
            (Some(first), Some(last)) => seconds_between(first, last) / 86_400.0,
            _ => 0.0,
        };
        days.min(self.samples as f64 / DAY_SAMPLES)
    }

    /// What a container of a pod with so many containers should ask for.
    pub fn advise(&self, containers: usize, policy: &Policy) -> Advice {
        let mut steps = vec![];
        let percentiles = PERCENTILES.map(|share| Amounts {
            cpu_milli: truncated(self.cpu.percentile(share) * 1000.0),
            memory_bytes: truncated(self.memory.percentile(share)),
        });
        let with_margin = percentiles.map(|a| each(a, |v| v + truncated(v as f64 * MARGIN)));
        let [raw, margin] = [percentiles[1], with_margin[1]];
        steps.push(format!(
            "p90 of use {} and {}; +15 % {} and {}",
            cpu_text(raw.cpu_milli),
            memory_text(raw.memory_bytes),
            cpu_text(margin.cpu_milli),
            memory_text(margin.memory_bytes)
        ));
        let confidence = self.confidence();
        let lower = each(with_margin[0], |v| scaled(v, (1.0 + 0.001 / confidence).powf(-2.0)));
        let upper = each(with_margin[2], |v| scaled(v, 1.0 + 1.0 / confidence));
        steps.push(format!("confidence {confidence:.2} from {} samples widens the bounds", self.samples));
        let share = 1.0 / containers.max(1) as f64;
        let floor = each(FLOOR, |v| truncated(v as f64 * share));
        let floored = [lower, margin, upper].map(|a| both(a, floor, i64::max));
        if floored[1] != margin {
            steps.push(format!("floor of {} and {}", cpu_text(floor.cpu_milli), memory_text(floor.memory_bytes)));
        }
        let [lower, target, upper] = floored.map(|a| policy.apply(a));
        if target != floored[1] {
            steps.push("limited by the policy".into());
        }
        Advice { lower, target, upper, samples: self.samples, steps }
    }
}

/// Bounds somebody set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Not below.
    pub min: Option<Amounts>,
    /// Not above.
    pub max: Option<Amounts>,
}

impl Policy {
    fn apply(&self, amounts: Amounts) -> Amounts {
        let raised = self.min.map_or(amounts, |min| both(amounts, min, i64::max));
        self.max.map_or(raised, |max| both(raised, max, i64::min))
    }
}

/// The limit that keeps its old ratio to the request; no limit stays none, a limit alone or equal follows the request.
pub fn limit(request: Option<i64>, limit: Option<i64>, target: i64) -> Option<i64> {
    match (limit, request) {
        (None, _) => None,
        (Some(_), None) => Some(target),
        (Some(limit), Some(request)) if limit == request || request == 0 => Some(target),
        (Some(limit), Some(request)) => Some(scaled(target, limit as f64 / request as f64)),
    }
}

fn each(a: Amounts, f: impl Fn(i64) -> i64) -> Amounts {
    Amounts { cpu_milli: f(a.cpu_milli), memory_bytes: f(a.memory_bytes) }
}

fn both(a: Amounts, b: Amounts, f: impl Fn(i64, i64) -> i64) -> Amounts {
    Amounts { cpu_milli: f(a.cpu_milli, b.cpu_milli), memory_bytes: f(a.memory_bytes, b.memory_bytes) }
}

fn truncated(value: f64) -> i64 {
    if value.is_nan() { 0 } else { (value as i64).clamp(0, MAX_AMOUNT) }
}

fn scaled(value: i64, factor: f64) -> i64 {
    truncated(value as f64 * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MI: i64 = 1024 * 1024;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + minutes * 60).unwrap_or(Timestamp::MAX)
    }

    /// A container that always used the same, one sample a minute.
    fn steady(minutes: i64, cores: f64, bytes: f64) -> ContainerState {
        let mut state = ContainerState::default();
        for minute in 0..=minutes {
            assert!(state.cpu_sample(cores, at(minute)) && state.memory_sample(bytes, at(minute)));
        }
        state
    }

    #[test]
    fn a_steady_container_gets_the_end_of_its_bucket_and_the_margin() {
        let state = steady(7 * 1440, 0.5, 1e9);
        let advice = state.advise(1, &Policy::default());
        // CPU: bucket of 0.5 is trunc(ln(0.5·0.05/0.01 + 1)/ln 1.05) = trunc(25.68) = 25; its end is start(26) =
        // 0.2·(1.05^26 − 1) = 0.511134 -> 511 m; +trunc(511·0.15) = 76 -> 587 m.
        assert_eq!(advice.target.cpu_milli, 587);
        // Memory: trunc(ln(1e9·0.05/1e7 + 1)/ln 1.05) = trunc(36.72) = 36; start(37) = 2e8·(1.05^37 − 1) =
        // 1 016 281 385.x; +15 %.
        let end = truncated(2e8 * (1.05_f64.powf(37.0) - 1.0) / 1.0);
        assert!((end - 1_016_281_385).abs() < 1_000, "{end}");
        assert_eq!(advice.target.memory_bytes, end + truncated(end as f64 * 0.15));
        // Confidence is min(7 d, 10081/1440) = 7: the upper bound is ×(1 + 1/7), the lower ×(1 + 0.001/7)^-2.
        assert_eq!(advice.upper.cpu_milli, truncated(587.0 * (1.0 + 1.0 / 7.0)));
        assert_eq!(advice.lower.cpu_milli, truncated(587.0 * (1.0_f64 + 0.001 / 7.0).powf(-2.0)));
        assert_eq!(advice.samples, 7 * 1440 + 1);
    }

    #[test]
    fn little_data_widens_the_bounds_as_the_reference_says() {
        // (minutes of data, factor of the upper bound, factor of the lower one)
        for (minutes, upper, lower) in [(720, 3.0, 0.996), (1440, 2.0, 0.998), (5, 289.0, 0.6), (30, 49.0, 0.9)] {
            let state = steady(minutes, 0.5, 1e9);
            let advice = state.advise(1, &Policy::default());
            let ratio = |v: i64| v as f64 / 587.0;
            assert!(
                (ratio(advice.upper.cpu_milli) - upper).abs() < 0.01 * upper,
                "{minutes}: {}",
                ratio(advice.upper.cpu_milli)
            );
            assert!(
                (ratio(advice.lower.cpu_milli) - lower).abs() < 0.01,
                "{minutes}: {}",
                ratio(advice.lower.cpu_milli)
            );
        }
        let nothing = ContainerState::default().advise(1, &Policy::default());
        assert_eq!((nothing.target, nothing.lower), (FLOOR, FLOOR));
        assert_eq!(nothing.upper, FLOOR, "zero times infinity ends at the floor");
        let mut one = ContainerState::default();
        one.cpu_sample(0.5, at(0));
        assert_eq!(
            one.advise(1, &Policy::default()).upper.cpu_milli,
            MAX_AMOUNT,
            "one sample says nothing about the top"
        );
        assert_eq!(one.advise(1, &Policy::default()).lower.cpu_milli, FLOOR.cpu_milli);
    }

    #[test]
    fn the_floor_is_per_pod_and_the_policy_clamps() {
        let state = steady(1440, 0.001, 1e6);
        let advice = state.advise(2, &Policy::default());
        assert_eq!(advice.target, Amounts { cpu_milli: 12, memory_bytes: 125 * MI }, "half of the floor, truncated");
        let policy = Policy {
            min: Some(Amounts { cpu_milli: 100, memory_bytes: 0 }),
            max: Some(Amounts { cpu_milli: 1000, memory_bytes: 64 * MI }),
        };
        assert_eq!(state.advise(2, &policy).target, Amounts { cpu_milli: 100, memory_bytes: 64 * MI });
    }

    #[test]
    fn cpu_samples_must_be_newer_and_are_counted() {
        let mut state = ContainerState::default();
        for (cores, minute, taken) in
            [(0.1, 1, true), (0.1, 1, false), (0.1, 0, false), (-1.0, 2, false), (f64::NAN, 2, false), (0.2, 2, true)]
        {
            assert_eq!(state.cpu_sample(cores, at(minute)), taken, "{cores} at {minute}");
        }
        assert_eq!(state.samples(), 2);
    }

    #[test]
    fn a_memory_window_keeps_its_peak_alone() {
        let mut state = ContainerState::default();
        for (bytes, minute) in [(3e8, 0), (5e8, 10), (2e8, 20)] {
            assert!(state.memory_sample(bytes, at(minute)));
        }
        let peak = Buckets::MEMORY.start(Buckets::MEMORY.find(5e8) + 1);
        assert_eq!(state.memory.percentile(0.01), peak, "smaller and earlier samples are gone");
        assert_eq!(state.window_end, Some(at(1440)));
        assert!(state.memory_sample(1e8, at(3 * 1440 + 5)), "two windows without samples are skipped");
        assert_eq!(state.window_end, Some(at(4 * 1440)));
        assert!(!state.memory_sample(1e8, at(0)), "older than the last");
    }

    #[test]
    fn an_out_of_memory_kill_bumps_once_and_does_not_compound() {
        let mut state = ContainerState::default();
        state.memory_sample(4e8, at(0));
        assert!(state.out_of_memory(at(5), 500_000_000));
        let expect = (5e8 + OOM_MIN_BUMP).max(5e8 * 1.2);
        assert_eq!(state.oom_peak, expect);
        assert!(state.out_of_memory(at(6), 500_000_000));
        assert_eq!(state.oom_peak, expect, "the bump before it is left out");
        let small = truncated(state.memory.percentile(0.5));
        assert_eq!(small, truncated(Buckets::MEMORY.start(Buckets::MEMORY.find(expect) + 1)));
        let mut large = ContainerState::default();
        large.memory_sample(1e9, at(0));
        large.out_of_memory(at(1), 2_000_000_000);
        assert_eq!(large.oom_peak, 2.4e9, "the ratio beats the minimum");
        assert!(!large.out_of_memory(at(-1), 2_000_000_000), "before the window");
    }

    #[test]
    fn merging_adds_up_and_stale_state_is_dropped() {
        let (mut one, two) = (steady(1440, 0.5, 1e9), steady(1440, 0.5, 1e9));
        one.merge(&two);
        assert_eq!(one.samples(), 2 * 1441);
        assert_eq!(one.confidence(), 1.0, "the span is what it was");
        assert_eq!(one.advise(1, &Policy::default()).target, two.advise(1, &Policy::default()).target);
        assert!(!one.is_stale(at(1440 + 8 * 1440 - 1)) && one.is_stale(at(1440 + 8 * 1440)));
    }

    #[test]
    fn limits_keep_their_ratio() {
        let cases = [
            (None, None, 100, None),
            (Some(100), None, 200, None),
            (None, Some(500), 200, Some(200)),
            (Some(500), Some(500), 200, Some(200)),
            (Some(100), Some(150), 201, Some(301)),
        ];
        for (request, old, target, expect) in cases {
            assert_eq!(limit(request, old, target), expect);
        }
    }
}
