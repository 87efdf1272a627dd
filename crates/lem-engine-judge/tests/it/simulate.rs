//! What the sequential judge promises, over many seeded releases.

use crate::simulation::{Random, Scenario, sequential};
use lem_engine_judge::sequential::{Settings, Verdict};

fn run(scenario: Scenario, releases: u64, correct: fn(&Scenario, &mut Random) -> f64) -> (f64, f64) {
    let mut intervals = vec![];
    for seed in 0..releases {
        let mut random = Random::seeded(seed * 7919 + 17);
        let phi = correct(&scenario, &mut random);
        let ended = sequential(&scenario.release(&mut random), phi, &Settings::default(), scenario.error_share);
        if ended.verdict == Verdict::Bad {
            intervals.push(ended.interval);
        }
    }
    intervals.sort_unstable();
    let median = intervals.get(intervals.len() / 2).map_or(f64::NAN, |n| *n as f64 / 6.0);
    (intervals.len() as f64 / releases as f64, median)
}

const A_A: Scenario = Scenario { rps: 200.0, error_share: 0.005, rho: 1.0, burst: 1.0 };

#[test]
fn a_thousand_equal_releases_are_hardly_ever_rolled_back() {
    let (share, _) = run(A_A, 1000, |_, _| 1.0);
    assert!(share <= 0.01, "{share}");
}

#[test]
fn a_canary_five_times_worse_is_caught_within_a_minute() {
    let (share, minutes) = run(Scenario { rho: 5.0, ..A_A }, 300, |_, _| 1.0);
    assert_eq!(share, 1.0);
    assert!(minutes <= 1.0, "{minutes}");
}

#[test]
fn a_canary_twice_as_bad_is_caught() {
    let (share, minutes) = run(Scenario { rho: 2.0, ..A_A }, 300, |_, _| 1.0);
    assert!(share >= 0.99 && minutes < 9.0, "{share} {minutes}");
}

#[test]
fn bursts_are_corrected_by_dispersion() {
    for burst in [3.0, 10.0] {
        let bursty = Scenario { burst, ..A_A };
        let (without, _) = run(bursty, 1000, |_, _| 1.0);
        let (with, _) = run(bursty, 1000, |s, random| s.phi(random));
        assert!(without > 0.1, "bursts of {burst} fool an uncorrected judge: {without}");
        assert!(with <= 0.01, "bursts of {burst}: {with}");
    }
}
