//! The sequential judge: formula, settings, limits, replay.

use lem_engine_judge::sequential::{
    Counts, GRID, Judge, SIGNALS_MAX, Settings, SettingsError, Signal, Verdict, ln_factor,
};

fn counts(canary: u64, canary_bad: u64, stable: u64, stable_bad: u64) -> Counts {
    Counts { canary, canary_bad, stable, stable_bad }
}

fn judge() -> Judge {
    Judge::new(Settings::default(), vec![Signal::only("errors")]).unwrap()
}

#[test]
fn the_formula_as_written() {
    let rows = [counts(100, 3, 1900, 10), counts(110, 0, 2000, 12), counts(90, 7, 1800, 9)];
    let mut judge = judge();
    for row in rows {
        judge.fold(&[Some(row)]);
    }
    let (rho0, mut e) = (1.1_f64, 0.0);
    for ratio in GRID {
        let rho = rho0 * ratio;
        let product: f64 = rows
            .iter()
            .map(|r| {
                let (n_c, n_s) = (r.canary as f64, r.stable as f64);
                let (b_c, b_s) = (r.canary_bad as i32, r.stable_bad as i32);
                (rho / rho0).powi(b_c) * ((rho0 * n_c + n_s) / (rho * n_c + n_s)).powi(b_c + b_s)
            })
            .product();
        e += product / GRID.len() as f64;
    }
    assert!((judge.combined().ln_e - e.ln()).abs() < 1e-9);
}

#[test]
fn an_interval_with_one_arm_says_nothing() {
    for row in [counts(0, 0, 1000, 50), counts(1000, 50, 0, 0), counts(0, 0, 0, 0)] {
        assert_eq!(ln_factor(row, 5.5, 1.1, 1.0), 0.0);
        let mut judge = judge();
        assert_eq!(judge.fold(&[Some(row)]), Verdict::Undecided);
        assert!(judge.combined().ln_e.abs() < 1e-12);
    }
}

#[test]
fn more_bad_events_than_requests_are_clipped_and_counted() {
    let (mut skewed, mut clean) = (judge(), judge());
    skewed.fold(&[Some(counts(10, 12, 100, 300))]);
    clean.fold(&[Some(counts(10, 10, 100, 100))]);
    assert_eq!(skewed.combined(), clean.combined());
    assert_eq!((skewed.clipped(), clean.clipped()), (1, 0));
}

#[test]
fn verdicts() {
    let run = |row, times: usize| {
        let mut judge = judge();
        (0..times).map(|_| judge.fold(&[Some(row)])).last().unwrap()
    };
    assert_eq!(run(counts(100, 20, 900, 5), 3), Verdict::Bad);
    assert_eq!(run(counts(100, 1, 900, 9), 2), Verdict::Undecided);
    assert_eq!(run(counts(1000, 10, 1000, 10), 40), Verdict::Good, "the same rate is below twice the rate");
    assert_eq!(run(counts(100, 0, 900, 0), 20), Verdict::Good, "nothing bad in 2000 requests is below 1 %");
    assert_eq!(run(counts(0, 0, 900, 1), 1000), Verdict::Undecided, "no traffic is never success");
}

#[test]
fn good_may_turn_bad_but_bad_is_final() {
    let mut judge = judge();
    for _ in 0..30 {
        judge.fold(&[Some(counts(100, 0, 900, 0))]);
    }
    assert_eq!(judge.verdict(), Verdict::Good);
    for _ in 0..3 {
        judge.fold(&[Some(counts(100, 30, 900, 2))]);
    }
    assert_eq!(judge.verdict(), Verdict::Bad);
    for _ in 0..100 {
        judge.fold(&[Some(counts(1000, 0, 1000, 100))]);
    }
    assert_eq!(judge.verdict(), Verdict::Bad);
}

#[test]
fn bursts_weigh_less() {
    let ln_e = |phi| {
        let mut judge = Judge::new(Settings::default(), vec![Signal { phi, ..Signal::only("errors") }]).unwrap();
        judge.fold(&[Some(counts(100, 20, 900, 5))]);
        judge.combined().ln_e
    };
    assert!(ln_e(1.0) > ln_e(3.0) && ln_e(3.0) > ln_e(10.0));
}

#[test]
fn several_signals_are_one_decision() {
    let signal = |name: &str, weight| Signal { weight, ..Signal::only(name) };
    let mut judge = Judge::new(Settings::default(), vec![signal("errors", 0.75), signal("logs", 0.25)]).unwrap();
    judge.fold(&[Some(counts(100, 1, 900, 9)), Some(counts(100, 40, 900, 2))]);
    let shares = judge.shares();
    assert_eq!(judge.verdict(), Verdict::Bad);
    assert!(shares[1].share > 0.99 && (shares[0].share + shares[1].share - 1.0).abs() < 1e-12);
    // A signal that cannot be read says nothing: the other goes on.
    let before = judge.shares()[1].ln_e;
    judge.fold(&[Some(counts(100, 1, 900, 9)), None]);
    assert_eq!(judge.shares()[1].ln_e, before);
}

#[test]
fn a_verdict_replays_byte_for_byte() {
    let rows: Vec<Counts> = (0..200).map(|i| counts(50 + i % 7, i % 3, 900 + i % 11, i % 5)).collect();
    let replay = |rows: &[Counts]| {
        let mut judge = judge();
        for row in rows {
            judge.fold(&[Some(*row)]);
        }
        judge
    };
    let whole = replay(&rows);
    let recorded: Vec<Counts> = serde_json::from_str(&serde_json::to_string(&rows).unwrap()).unwrap();
    assert_eq!(serde_json::to_string(&replay(&recorded)).unwrap(), serde_json::to_string(&whole).unwrap());
    // The numbers themselves, so that another platform's difference is seen.
    insta::assert_snapshot!(
        format!("{:x} {:x}", whole.combined().ln_e.to_bits(), whole.combined().ln_e_promote.to_bits()),
        @"40687ecea3a2c012 c0412db72b1a36e9"
    );
}

#[test]
fn how_many_requests_are_missing() {
    let mut judge = judge();
    assert_eq!(judge.needed_to_condemn(2.0), None, "nothing bad seen: nothing can be said");
    let empty = judge.needed_to_clear().unwrap();
    assert!((450..550).contains(&empty), "{empty}");
    judge.fold(&[Some(counts(100, 0, 1900, 0))]);
    let some = judge.needed_to_clear().unwrap();
    assert!(some < empty && some > 100, "{some}");
    judge.fold(&[Some(counts(1000, 2, 19_000, 38))]);
    let double = judge.needed_to_condemn(2.2).unwrap();
    let five = judge.needed_to_condemn(5.5).unwrap();
    assert!(five < double, "{five} {double}");
    // The estimate holds: feed a canary five times as bad and count the requests it takes.
    let mut fed = 0;
    while judge.fold(&[Some(counts(1000, 11, 19_000, 38))]) != Verdict::Bad {
        fed += 1000;
        assert!(fed < 20 * five, "estimated {five}");
    }
    assert!(fed + 1000 > five / 4, "{fed} {five}");
}

#[test]
fn error_lines_do_not_hold_up_a_release_without_any() {
    let cleared_after = |events_per_failure| {
        let logs = Signal { weight: 0.5, phi: 10.0, events_per_failure, ..Signal::only("logs") };
        let errors = Signal { weight: 0.5, ..Signal::only("errors") };
        let mut judge = Judge::new(Settings::default(), vec![errors, logs]).unwrap();
        let row = Some(counts(10, 0, 40, 0));
        1 + (0..10_000).take_while(|_| judge.fold(&[row, row]) == Verdict::Undecided).count() * 10
    };
    let (counted_as_requests, counted_as_lines) = (cleared_after(1.0), cleared_after(10.0));
    assert!(counted_as_requests > 4_000, "{counted_as_requests}");
    assert!((350..550).contains(&counted_as_lines), "{counted_as_lines}");
}

#[test]
fn a_judge_written_before_lines_were_told_from_failures_reads_back() {
    let old: Signal = serde_json::from_str(r#"{"name":"errors","weight":1.0,"phi":1.0}"#).unwrap();
    assert_eq!(old, Signal::only("errors"));
}

#[test]
fn settings_are_checked() {
    let with = |change: fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        Judge::new(settings, vec![Signal::only("errors")]).unwrap_err()
    };
    assert_eq!(with(|s| s.alpha = 0.0), SettingsError::Probability { name: "alpha", value: 0.0 });
    assert_eq!(with(|s| s.beta = 1.0), SettingsError::Probability { name: "beta", value: 1.0 });
    assert_eq!(with(|s| s.tolerance = 0.9), SettingsError::Ratio { name: "tolerance", value: 0.9 });
    assert_eq!(with(|s| s.promote_below = 1.1), SettingsError::Order { promote_below: 1.1, tolerance: 1.1 });
    let signals = |n: usize| {
        let signal = Signal { weight: 1.0 / n as f64, ..Signal::only("s") };
        Judge::new(Settings::default(), vec![signal; n]).err()
    };
    assert_eq!(signals(0), Some(SettingsError::Signals(0)));
    assert_eq!(signals(SIGNALS_MAX), None);
    assert_eq!(signals(SIGNALS_MAX + 1), Some(SettingsError::Signals(SIGNALS_MAX + 1)));
    let half = Judge::new(Settings::default(), vec![Signal { weight: 0.5, ..Signal::only("errors") }]);
    assert_eq!(half.err(), Some(SettingsError::Weights(0.5)));
    let phi = Judge::new(Settings::default(), vec![Signal { phi: 0.5, ..Signal::only("errors") }]);
    assert!(matches!(phi, Err(SettingsError::Dispersion { .. })));
    let events = Judge::new(Settings::default(), vec![Signal { events_per_failure: 0.5, ..Signal::only("logs") }]);
    assert!(matches!(events, Err(SettingsError::EventsPerFailure { .. })));
}
