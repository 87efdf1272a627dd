//! What the sequential judge promises, over many seeded releases.

use crate::simulation::{Random, Scenario, sequential};
use lem_engine_judge::sequential::{Counts, Judge, Settings, Signal, Verdict};

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

#[test]
fn rare_errors_keep_the_promise_too() {
    // One request in ten thousand fails: whole rollouts go by with a handful of errors.
    let (share, _) = run(Scenario { error_share: 0.0001, ..A_A }, 1000, |_, _| 1.0);
    assert!(share <= Settings::default().alpha, "{share}");
}

/// Share of releases that were cleared at any time, and condemned at any time, with seconds to the verdict. Counts come
/// every second at 200 requests a second, a fifth of them to the canary; each failure says up to ten error lines.
fn beside_an_error_free_stable(canary_share: f64, releases: u64, seconds: usize) -> (f64, f64, Vec<usize>) {
    const RPS: f64 = 200.0;
    const WEIGHT: f64 = 0.2;
    const LINES: f64 = 10.0;
    let errors = Signal { weight: 2.0 / 3.0, ..Signal::only("errors") };
    let logs = Signal { weight: 1.0 / 3.0, phi: LINES, events_per_failure: LINES, ..Signal::only("logs") };
    let (mut cleared, mut condemned) = (0, vec![]);
    for seed in 0..releases {
        let mut random = Random::seeded(seed * 104_729 + 3);
        let mut judge = Judge::new(Settings::default(), vec![errors.clone(), logs.clone()]).unwrap();
        let mut was_cleared = false;
        for second in 1..=seconds {
            let canary = random.poisson(RPS * WEIGHT);
            let bad = random.poisson(canary as f64 * canary_share).min(canary);
            let lines = (bad * LINES as u64).min(canary);
            let row = Counts { canary, canary_bad: bad, stable: random.poisson(RPS * (1.0 - WEIGHT)), stable_bad: 0 };
            let verdict = judge.fold(&[Some(row), Some(Counts { canary_bad: lines, ..row })]);
            was_cleared |= verdict == Verdict::Good;
            if verdict == Verdict::Bad {
                condemned.push(second);
                break;
            }
        }
        cleared += u64::from(was_cleared);
    }
    condemned.sort_unstable();
    (cleared as f64 / releases as f64, condemned.len() as f64 / releases as f64, condemned)
}

#[test]
fn a_canary_at_the_edge_of_what_is_acceptable_is_hardly_ever_cleared() {
    let settings = Settings::default();
    let (cleared, _, _) = beside_an_error_free_stable(settings.acceptable, 1000, 300);
    assert!(cleared <= settings.beta, "{cleared}");
}

#[test]
fn a_canary_without_errors_is_cleared_within_seconds() {
    let (cleared, condemned, _) = beside_an_error_free_stable(0.0, 200, 15);
    assert_eq!((cleared, condemned), (1.0, 0.0));
}

#[test]
fn a_bad_canary_beside_an_error_free_stable_is_off_within_a_minute() {
    let (cleared, condemned, seconds) = beside_an_error_free_stable(0.03, 500, 60);
    assert!(cleared <= Settings::default().beta, "{cleared}");
    assert_eq!(condemned, 1.0);
    assert!(seconds[seconds.len() / 2] <= 20 && seconds[seconds.len() * 99 / 100] <= 40, "{seconds:?}");
}
