//! Seeded releases: traffic with shared load noise, errors single or in bursts.

use lem_engine_judge::dispersion::{self, Past};
use lem_engine_judge::sequential::{Counts, Judge, Settings, Signal, Verdict};

/// Length of an interval.
pub(crate) const INTERVAL_S: f64 = 10.0;
/// Weights of the canary, in percent, five minutes each.
pub(crate) const WEIGHTS: [f64; 4] = [5.0, 10.0, 25.0, 50.0];
/// Intervals of a whole rollout: 20 minutes.
pub(crate) const INTERVALS: usize = 120;
/// Intervals of the stable version's past from which φ is estimated: two hours.
const PAST_INTERVALS: usize = 720;

/// SplitMix64 (Steele, Lea, Flood 2014): a small generator is all a simulation needs.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let (a, b) = (self.uniform(), self.uniform());
        libm::sqrt(-2.0 * libm::log(a)) * libm::cos(std::f64::consts::TAU * b)
    }

    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 50.0 {
            return (mean + libm::sqrt(mean) * self.normal()).round().max(0.0) as u64;
        }
        let (limit, mut product, mut n) = (libm::exp(-mean), self.uniform(), 0);
        while product > limit {
            product *= self.uniform();
            n += 1;
        }
        n
    }

    /// At least 1, geometric with this mean.
    fn burst(&mut self, mean: f64) -> u64 {
        if mean <= 1.0 {
            return 1;
        }
        1 + (libm::log(self.uniform()) / libm::log(1.0 - 1.0 / mean)).floor() as u64
    }
}

/// What is simulated.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    /// Requests per second over both versions.
    pub(crate) rps: f64,
    /// Share of requests that fail on the stable version.
    pub(crate) error_share: f64,
    /// How many times worse the canary is.
    pub(crate) rho: f64,
    /// Errors per burst.
    pub(crate) burst: f64,
}

/// Load that wanders: AR(1) with standard deviation 0.3 around 1.
pub(crate) struct Load(f64);

impl Load {
    pub(crate) fn start() -> Self {
        Self(0.0)
    }

    pub(crate) fn next(&mut self, random: &mut Random) -> f64 {
        const MEMORY: f64 = 0.9;
        const SD: f64 = 0.3;
        self.0 = MEMORY * self.0 + SD * libm::sqrt(1.0 - MEMORY * MEMORY) * random.normal();
        libm::exp(self.0 - SD * SD / 2.0)
    }
}

impl Scenario {
    fn bad(&self, random: &mut Random, requests: u64, share: f64) -> u64 {
        let bursts = random.poisson(requests as f64 * share / self.burst);
        let bad: u64 = (0..bursts).map(|_| random.burst(self.burst)).sum();
        bad.min(requests)
    }

    /// One interval's counts at a weight.
    pub(crate) fn interval(&self, random: &mut Random, load: f64, weight: f64) -> Counts {
        let requests = self.rps * INTERVAL_S * load;
        let canary = random.poisson(requests * weight / 100.0);
        let stable = random.poisson(requests * (1.0 - weight / 100.0));
        let canary_bad = self.bad(random, canary, (self.error_share * self.rho).min(1.0));
        let stable_bad = self.bad(random, stable, self.error_share);
        Counts { canary, canary_bad, stable, stable_bad }
    }

    /// φ from the stable version's past, as the stage takes it.
    pub(crate) fn phi(&self, random: &mut Random) -> f64 {
        let mut load = Load::start();
        let past: Vec<Past> = (0..PAST_INTERVALS)
            .map(|_| {
                let load = load.next(random);
                let requests = random.poisson(self.rps * INTERVAL_S * load);
                Past { requests, bad: self.bad(random, requests, self.error_share) }
            })
            .collect();
        dispersion::estimate(&past).unwrap_or(dispersion::UNKNOWN)
    }

    /// All intervals of one release.
    pub(crate) fn release(&self, random: &mut Random) -> Vec<Counts> {
        let mut load = Load::start();
        (0..INTERVALS)
            .map(|at| {
                let load = load.next(random);
                self.interval(random, load, WEIGHTS[at * WEIGHTS.len() / INTERVALS])
            })
            .collect()
    }
}

/// How a release ended under a judge.
pub(crate) struct Ended {
    pub(crate) verdict: Verdict,
    /// Interval of the verdict, from 1; of the first good one when it never was bad.
    pub(crate) interval: usize,
    /// Failed requests of the canary up to then beyond what stable would have failed.
    pub(crate) extra: f64,
}

/// Runs the sequential judge over a release.
pub(crate) fn sequential(release: &[Counts], phi: f64, settings: &Settings, error_share: f64) -> Ended {
    let signal = Signal { phi, ..Signal::only("errors") };
    let mut judge = Judge::new(settings.clone(), vec![signal]).expect("settings of a simulation are in range");
    let mut ended = Ended { verdict: Verdict::Undecided, interval: release.len(), extra: 0.0 };
    for (at, counts) in release.iter().enumerate() {
        if ended.verdict != Verdict::Good {
            ended.extra += counts.canary_bad as f64 - counts.canary as f64 * error_share;
        }
        let before = ended.verdict;
        ended.verdict = judge.fold(&[Some(*counts)]);
        if ended.verdict != before {
            ended.interval = at + 1;
        }
        if ended.verdict == Verdict::Bad {
            break;
        }
    }
    ended
}
