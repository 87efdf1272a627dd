//! Prints how judges fare over simulated 20-minute rollouts: share rolled back / median minutes / mean extra failed
//! requests. Seeded: the same table on every machine. Rebuilds the comparison this project chose its default judge by.

#[path = "simulation/mod.rs"]
mod simulation;

use lem_engine_judge::sequential::{Counts, Settings, Verdict};
use simulation::{Ended, INTERVAL_S, Random, Scenario, sequential};

/// Releases per cell of the first table.
const RELEASES: u64 = 300;
/// Releases of the checks of false rollbacks.
const NULL_RELEASES: u64 = 10_000;
/// Intervals in a minute.
const MINUTE: usize = (60.0 / INTERVAL_S) as usize;

const CELLS: [(&str, Scenario); 4] = [
    ("200 rps 0.5 % rho 1", Scenario { rps: 200.0, error_share: 0.005, rho: 1.0, burst: 1.0 }),
    ("200 rps 0.5 % rho 2", Scenario { rps: 200.0, error_share: 0.005, rho: 2.0, burst: 1.0 }),
    ("200 rps 0.5 % rho 5", Scenario { rps: 200.0, error_share: 0.005, rho: 5.0, burst: 1.0 }),
    ("1000 rps 0.1 % rho 1.5", Scenario { rps: 1000.0, error_share: 0.001, rho: 1.5, burst: 1.0 }),
];

/// A judge under test: a name, and what it says of a release.
type Peer = (&'static str, fn(&Scenario, &[Counts]) -> Ended);

const PEERS: [Peer; 4] = [
    ("e-process a=.01 r0=1.1", |s, release| sequential(release, 1.0, &Settings::default(), s.error_share)),
    ("fixed 1 %, failureLimit 0", |s, release| fixed(s, release, 0)),
    ("fixed 1 %, 5 failed checks", |s, release| fixed(s, release, 4)),
    ("z-test p<.01 each minute", z_test),
];

fn main() {
    println!("share rolled back / median minutes / mean extra failed requests, {RELEASES} releases per cell\n");
    print!("{:28}", "judge");
    for (name, _) in CELLS {
        print!(" | {name:24}");
    }
    println!();
    for (name, judge) in PEERS {
        print!("{name:28}");
        for (_, scenario) in CELLS {
            print!(" | {:24}", cell(&scenario, judge));
        }
        println!();
    }
    println!("\nfalse rollbacks of equal releases, {NULL_RELEASES} each");
    for (rps, error_share) in [(50.0, 0.002), (200.0, 0.005), (1000.0, 0.001), (200.0, 0.05)] {
        let scenario = Scenario { rps, error_share, rho: 1.0, burst: 1.0 };
        let at = |alpha| rolled_back(&scenario, NULL_RELEASES, &Settings { alpha, ..Settings::default() }, |_| 1.0);
        println!("  {rps:5} rps {:4} %: {:.4} at alpha .01, {:.4} at .05", error_share * 100.0, at(0.01), at(0.05));
    }
    println!("\nharmless differences of 5 % at 2000 rps, 1000 each");
    for tolerance in [1.0, 1.1] {
        let scenario = Scenario { rps: 2000.0, error_share: 0.005, rho: 1.05, burst: 1.0 };
        let settings = Settings { tolerance, ..Settings::default() };
        println!("  tolerance {tolerance}: {:.4}", rolled_back(&scenario, 1000, &settings, |_| 1.0));
    }
    println!(
        "\nerrors in bursts, 200 rps 0.5 %, 1000 each: equal releases uncorrected -> corrected, twice as bad corrected"
    );
    for burst in [3.0, 10.0] {
        let equal = Scenario { burst, ..CELLS[0].1 };
        let double = Scenario { rho: 2.0, ..equal };
        let settings = Settings::default();
        println!(
            "  mean {burst:2}: {:.3} -> {:.3}, {:.3}",
            rolled_back(&equal, 1000, &settings, |_| 1.0),
            rolled_back(&equal, 1000, &settings, |random| equal.phi(random)),
            rolled_back(&double, 1000, &settings, |random| double.phi(random)),
        );
    }
    println!(
        "\nclearing a release (promoteBelow 2, beta .05): share cleared, median minutes; cleared though twice as bad"
    );
    for (rps, error_share) in [(200.0, 0.005), (50.0, 0.005), (50.0, 0.0)] {
        // By ratio alone, so that the error control of that process is seen.
        let settings = Settings { acceptable: 0.0, ..Settings::default() };
        let both = Settings::default();
        let equal = Scenario { rps, error_share, rho: 1.0, burst: 1.0 };
        let (by_ratio, minutes) = cleared(&equal, &settings);
        let (by_either, minutes_either) = cleared(&equal, &both);
        let (wrong, _) = cleared(&Scenario { rho: 2.0, ..equal }, &settings);
        println!(
            "  {rps:4} rps {:3} %: by ratio {by_ratio:.2} in {minutes:4.1}, by ratio or share {by_either:.2} in {minutes_either:4.1}; wrong {wrong:.3}",
            error_share * 100.0
        );
    }
}

fn cell(scenario: &Scenario, judge: fn(&Scenario, &[Counts]) -> Ended) -> String {
    let (mut at, mut extra) = (vec![], 0.0);
    for seed in 0..RELEASES {
        let release = scenario.release(&mut Random::seeded(seed * 7919 + 17));
        let ended = judge(scenario, &release);
        if ended.verdict == Verdict::Bad {
            at.push(ended.interval);
        }
        extra += ended.extra;
    }
    let share = at.len() as f64 / RELEASES as f64;
    format!("{share:.3} / {:>4} / {:.0}", median_minutes(&mut at), extra / RELEASES as f64)
}

fn median_minutes(at: &mut [usize]) -> String {
    at.sort_unstable();
    at.get(at.len() / 2).map_or_else(|| "-".to_owned(), |n| format!("{:.1}", *n as f64 / MINUTE as f64))
}

fn rolled_back(scenario: &Scenario, releases: u64, settings: &Settings, phi: impl Fn(&mut Random) -> f64) -> f64 {
    let bad = (0..releases).filter(|seed| {
        let mut random = Random::seeded(seed * 104_729 + 3);
        let phi = phi(&mut random);
        sequential(&scenario.release(&mut random), phi, settings, scenario.error_share).verdict == Verdict::Bad
    });
    bad.count() as f64 / releases as f64
}

fn cleared(scenario: &Scenario, settings: &Settings) -> (f64, f64) {
    const RUNS: u64 = 1000;
    let mut at = vec![];
    for seed in 0..RUNS {
        let release = scenario.release(&mut Random::seeded(seed * 15_485_863 + 5));
        let ended = sequential(&release, 1.0, settings, scenario.error_share);
        if ended.verdict == Verdict::Good {
            at.push(ended.interval);
        }
    }
    at.sort_unstable();
    let median = at.get(at.len() / 2).map_or(f64::NAN, |n| *n as f64 / MINUTE as f64);
    (at.len() as f64 / RUNS as f64, median)
}

/// Each minute fails whose canary error share is above 1 %; more failed minutes than allowed roll back.
fn fixed(scenario: &Scenario, release: &[Counts], failed_allowed: usize) -> Ended {
    let mut failed = 0;
    minutely(scenario, release, |minute, _| {
        failed += usize::from(minute.canary_bad as f64 > 0.01 * minute.canary as f64);
        failed > failed_allowed
    })
}

/// One-sided two-proportion z-test over everything so far, looked at each minute.
fn z_test(scenario: &Scenario, release: &[Counts]) -> Ended {
    const Z_99: f64 = 2.326_347_874;
    minutely(scenario, release, |_, total| {
        let (n_c, n_s) = (total.canary as f64, total.stable as f64);
        let (p_c, p_s) = (total.canary_bad as f64 / n_c, total.stable_bad as f64 / n_s);
        let pooled = (total.canary_bad + total.stable_bad) as f64 / (n_c + n_s);
        let sd = libm::sqrt(pooled * (1.0 - pooled) * (1.0 / n_c + 1.0 / n_s));
        sd > 0.0 && (p_c - p_s) / sd > Z_99
    })
}

fn minutely(scenario: &Scenario, release: &[Counts], mut is_bad: impl FnMut(Counts, Counts) -> bool) -> Ended {
    let mut total = Counts::default();
    let mut ended = Ended { verdict: Verdict::Undecided, interval: release.len(), extra: 0.0 };
    for (at, minute) in release.chunks(MINUTE).enumerate() {
        let mut sum = Counts::default();
        for counts in minute {
            add(&mut sum, counts);
            add(&mut total, counts);
            ended.extra += counts.canary_bad as f64 - counts.canary as f64 * scenario.error_share;
        }
        if is_bad(sum, total) {
            ended.verdict = Verdict::Bad;
            ended.interval = (at + 1) * MINUTE;
            break;
        }
    }
    ended
}

fn add(sum: &mut Counts, counts: &Counts) {
    sum.canary += counts.canary;
    sum.canary_bad += counts.canary_bad;
    sum.stable += counts.stable;
    sum.stable_bad += counts.stable_bad;
}
