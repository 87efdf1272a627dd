//! Counters, limits and phases.

use lem_engine_judge::analysis::{Evidence, Limits, Mode, Phase, Run, validate};
use lem_engine_judge::condition::Phase::{self as Measurement, Error, Failed, Inconclusive, Successful};

fn phase(limits: &Limits, measurements: &[Measurement]) -> Phase {
    let mut run = Run::new(vec![limits.clone()], 0);
    for (at, measurement) in measurements.iter().enumerate() {
        run.fold(&limits.name, at as i64, *measurement);
    }
    run.phase()
}

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::named("m");
    change(&mut limits);
    limits
}

#[test]
fn limits_end_a_metric() {
    let once = limits(|_| {});
    assert_eq!(phase(&once, &[]), Phase::Pending);
    assert_eq!(phase(&once, &[Successful]), Phase::Successful);
    assert_eq!(phase(&once, &[Failed]), Phase::Failed);
    assert_eq!(phase(&once, &[Inconclusive]), Phase::Inconclusive);
    assert_eq!(phase(&once, &[Error; 4]), Phase::Running);
    assert_eq!(phase(&once, &[Error; 5]), Phase::Error);
    assert_eq!(phase(&once, &[Error, Error, Error, Error, Successful]), Phase::Successful);

    let five = limits(|l| (l.count, l.interval_ms, l.failure_limit) = (Some(5), Some(1000), 1));
    assert_eq!(phase(&five, &[Successful; 4]), Phase::Running);
    assert_eq!(phase(&five, &[Successful, Failed, Successful, Successful]), Phase::Running);
    assert_eq!(phase(&five, &[Successful, Failed, Successful, Successful, Successful]), Phase::Successful);
    assert_eq!(phase(&five, &[Failed, Failed]), Phase::Failed);
    assert_eq!(phase(&five, &[Error, Error, Successful, Error, Error, Successful]), Phase::Running);

    let endless = limits(|l| l.interval_ms = Some(1000));
    assert_eq!(phase(&endless, &[Successful; 100]), Phase::Running);
    let off = limits(|l| (l.interval_ms, l.failure_limit) = (Some(1000), -1));
    assert_eq!(phase(&off, &[Failed; 100]), Phase::Running);
}

#[test]
fn successes_in_a_row() {
    let both = limits(|l| {
        (l.count, l.interval_ms, l.failure_limit, l.consecutive_success_limit) = (Some(4), Some(1000), 2, 2);
    });
    assert_eq!(phase(&both, &[Successful, Successful]), Phase::Successful);
    assert_eq!(phase(&both, &[Successful, Failed, Successful, Successful]), Phase::Successful);
    assert_eq!(phase(&both, &[Successful, Failed, Successful, Failed]), Phase::Inconclusive);
    let alone = Limits { failure_limit: -1, ..both };
    assert_eq!(phase(&alone, &[Successful, Failed, Successful, Failed]), Phase::Failed);
}

#[test]
fn the_worst_metric_decides_and_dry_runs_never_count() {
    let dry = limits(|l| (l.name, l.mode) = ("dry".into(), Mode::DryRun));
    let mut run = Run::new(vec![limits(|_| {}), dry], 0);
    assert_eq!(run.due(0), ["m", "dry"]);
    run.fold("dry", 0, Failed);
    assert_eq!(run.phase(), Phase::Running);
    run.fold("m", 0, Successful);
    assert_eq!(run.phase(), Phase::Successful);

    let mut run = Run::new(vec![limits(|_| {}), limits(|l| l.name = "n".into())], 0);
    run.fold("m", 0, Inconclusive);
    assert_eq!(run.phase(), Phase::Inconclusive, "ends the run though n has not been measured");
    assert!(run.due(0).is_empty());
}

#[test]
fn when_a_metric_is_due() {
    let five = limits(|l| (l.count, l.interval_ms, l.initial_delay_ms) = (Some(5), Some(60_000), 5_000));
    let mut run = Run::new(vec![five], 1_000);
    assert!(run.due(5_999).is_empty());
    assert_eq!(run.due(6_000), ["m"]);
    run.fold("m", 6_000, Successful);
    assert!(run.due(65_999).is_empty());
    assert_eq!(run.due(66_000), ["m"]);
    run.fold("m", 66_000, Error);
    assert_eq!(run.due(76_000), ["m"], "an error is tried again after ten seconds");
}

#[test]
fn a_run_without_measurement_is_successful_and_says_it_knows_nothing() {
    let mut run = Run::new(vec![limits(|_| {})], 0);
    run.terminate();
    assert_eq!((run.phase(), run.evidence()), (Phase::Successful, Evidence::None));
}

#[test]
fn validation() {
    let problems = |l: Limits| validate(&[l]).into_iter().map(|p| p.problem).collect::<Vec<_>>();
    assert!(problems(limits(|_| {})).is_empty());
    assert_eq!(problems(limits(|l| l.count = Some(2))), ["interval must be given when count is above 1"]);
    assert_eq!(
        problems(limits(|l| (l.count, l.interval_ms, l.failure_limit) = (Some(2), Some(1), 3))),
        ["count 2 must be at least failureLimit 3 plus consecutiveSuccessLimit 0"]
    );
    assert_eq!(
        problems(limits(|l| (l.count, l.inconclusive_limit) = (Some(1), 2))),
        ["count 1 must be at least inconclusiveLimit 2"]
    );
    assert_eq!(
        problems(limits(|l| (l.failure_limit, l.consecutive_success_limit) = (-1, -1))),
        ["failureLimit and consecutiveSuccessLimit must not both be disabled"]
    );
    assert_eq!(validate(&[limits(|_| {}), limits(|_| {})])[0].problem, "name is used twice");
}
