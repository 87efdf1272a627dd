//! Who is named, who is not, and what is done about it.

use crate::story::{Story, at};
use lem_feedback::plan::candidate::judged;
use lem_feedback::plan::rank::{Evidence, Ranking, rank};
use lem_feedback::plan::safety::{Decision, decide};
use lem_feedback::{Config, RollbackPolicy};
use lem_model::fact::*;
use lem_model::port::{CohortCount, NewPattern, Scope, Series};

fn scope() -> Scope {
    Scope { service: "shop".into(), environment: "production".into() }
}

fn onset() -> Onset {
    Onset { from: at(1000), to: at(1010), query: "ratio".into() }
}

fn ratio(version: Option<&str>, before: f64, after: f64) -> Series {
    let points = (0..30).map(|i| (at(850 + i * 10), if 850 + i * 10 <= 1000 { before } else { after })).collect();
    let mut labels =
        [("signal".to_owned(), "error_ratio".to_owned())].into_iter().collect::<std::collections::BTreeMap<_, _>>();
    labels.extend(version.map(|v| ("version".to_owned(), v.to_owned())));
    Series { query: "ratio".into(), labels, points }
}

fn cohort(version: &str, total: u64, bad: u64) -> CohortCount {
    CohortCount { cohort: [("version".to_owned(), version.to_owned())].into(), total, bad }
}

fn ranked(story: &Story, evidence: &Evidence) -> Ranking {
    rank(&story.state, &scope(), &onset(), evidence, &[], at(1100))
}

/// `a` runs since long ago; `b` is a canary since 960.
fn canary() -> Story {
    let mut story = Story::default();
    story.commit(-20_000, 'a', None, "src/cart.rs").commit(900, 'b', Some('a'), "src/checkout.rs");
    story.release(-10_000, 'a', None, 100).finished(-9_000, 'a', RolloutOutcome::Promoted);
    story.release(960, 'b', Some('a'), 10);
    story
}

fn bad_canary() -> Evidence {
    Evidence {
        series: vec![ratio(None, 0.001, 0.03), ratio(Some("a"), 0.001, 0.001), ratio(Some("b"), 0.001, 0.3)],
        cohorts: vec![cohort("a", 900, 1), cohort("b", 100, 30)],
        patterns: vec![],
        blind_spots: vec![],
    }
}

#[test]
fn a_bad_canary_is_named_with_its_reasons() {
    let ranking = ranked(&canary(), &bad_canary());
    let cause = ranking.named().unwrap();
    assert_eq!((cause.name.as_str(), ranking.level()), ("shop b in production", "likely"));
    assert!(
        cause.sentence.contains("30 of 31 failing requests on b, which took 10 % of the traffic"),
        "{}",
        cause.sentence
    );
    assert!(cause.sentence.contains("50 s before the symptom began"), "{}", cause.sentence);
}

#[test]
fn what_took_effect_after_the_onset_is_never_named() {
    let mut story = canary();
    story.commit(1020, 'c', Some('b'), "x").release(1030, 'c', Some('b'), 50);
    let ranking = ranked(&story, &bad_canary());
    assert!(ranking.causes.iter().all(|c| c.name != "shop c in production"));
}

#[test]
fn failures_spread_like_traffic_speak_against_the_canary() {
    let evidence = Evidence {
        series: vec![ratio(None, 0.001, 0.3), ratio(Some("a"), 0.001, 0.3), ratio(Some("b"), 0.001, 0.3)],
        cohorts: vec![cohort("a", 900, 270), cohort("b", 100, 30)],
        ..Evidence::default()
    };
    let ranking = ranked(&canary(), &evidence);
    assert!(ranking.causes.iter().all(|c| c.confidence < 0.8), "{ranking:?}");
}

#[test]
fn a_surge_of_traffic_competes_and_is_never_rolled_back() {
    let mut rate = ratio(None, 100.0, 400.0);
    rate.labels.insert("signal".into(), "rate".into());
    let evidence = Evidence { series: vec![rate, ratio(None, 0.001, 0.3)], ..Evidence::default() };
    let mut story = Story::default();
    story.commit(-80_000, 'a', None, "x").release(-70_000, 'a', None, 100).finished(
        -69_000,
        'a',
        RolloutOutcome::Promoted,
    );
    story.incident(1050, 1005);
    let ranking = ranked(&story, &evidence);
    assert_eq!(ranking.named().unwrap().kind, "traffic");
    let incident = story.state.incidents.values().next().unwrap();
    let config = Config { rollback: RollbackPolicy::Automatic, ..Config::default() };
    let decision = decide(&story.state, incident, &ranking, &config, None, at(1100));
    assert_eq!(decision, Decision::Refuse("the likely cause is no release, so a rollback would not help".into()));
}

#[test]
fn without_any_change_nothing_is_named() {
    let evidence = Evidence { series: vec![ratio(None, 0.001, 0.3)], ..Evidence::default() };
    let ranking = ranked(&Story::default(), &evidence);
    assert_eq!((ranking.named(), ranking.level()), (None, "none"));
}

#[test]
fn a_regression_after_promotion_is_likely_in_spite_of_its_good_canary() {
    let mut story = canary();
    story.verdict(970, 'b', VerdictOutcome::Good).weights(980, 'b', 100, None).finished(
        981,
        'b',
        RolloutOutcome::Promoted,
    );
    let evidence = Evidence {
        series: vec![ratio(None, 0.001, 0.4), ratio(Some("b"), 0.001, 0.4), ratio(Some("a"), 0.001, 0.001)],
        cohorts: vec![cohort("a", 4000, 4), cohort("b", 1000, 300)],
        patterns: vec![NewPattern {
            template: "panic in checkout <_>".into(),
            severity: "error".into(),
            version: "b".into(),
            count: 300,
            sample: "panic in src/checkout.rs line 12".into(),
            first_seen: at(1001),
        }],
        blind_spots: vec![],
    };
    let ranking = ranked(&story, &evidence);
    let cause = ranking.named().unwrap();
    assert_eq!((cause.name.as_str(), ranking.level()), ("shop b in production", "likely"));
    assert_eq!(cause.against, ["its canary passed"]);
    assert!(cause.sentence.contains("the diff touches src/checkout.rs"), "{}", cause.sentence);
}

#[test]
fn a_stale_source_lowers_all_and_forbids_action() {
    let evidence = Evidence { blind_spots: vec!["logs: unreachable".into()], ..bad_canary() };
    let ranking = ranked(&canary(), &evidence);
    assert!(ranking.causes[0].confidence < 0.5);
}

#[test]
fn safety_says_why_not() {
    let automatic = Config { rollback: RollbackPolicy::Automatic, ..Config::default() };
    let check = |story: &mut Story, config: &Config, stopped: Option<&str>| {
        story.incident(1050, 1005);
        let ranking = rank(&story.state, &scope(), &onset(), &bad_canary(), &[], at(1100));
        let incident = story.state.incidents.values().next().unwrap();
        decide(&story.state, incident, &ranking, config, stopped, at(1100))
    };
    assert_eq!(check(&mut canary(), &automatic, None), Decision::RollBack { deployment: "d-b".into() });
    let refuse = |why: &str| Decision::Refuse(why.to_owned());
    assert_eq!(
        check(&mut canary(), &Config::default(), None),
        refuse("the policy is to ask: a person decides about the rollback")
    );
    assert_eq!(
        check(&mut canary(), &automatic, Some("file .lem/stop exists")),
        refuse("automatic actions are switched off: file .lem/stop exists")
    );
    let mut off = canary();
    off.weights(1080, 'a', 100, None);
    assert_eq!(check(&mut off, &automatic, None), Decision::AlreadyOff);
    let mut migration = Story::default();
    migration.commit(900, 'b', None, "src/checkout.rs");
    migration.release(-10_000, 'a', None, 100).finished(-9_000, 'a', RolloutOutcome::Promoted);
    migration.release_in(960, 'b', Some('a'), 10, MigrationClass::Irreversible);
    assert_eq!(check(&mut migration, &automatic, None), refuse("b carries a migration that cannot be taken back"));
    let mut acted = canary();
    acted.incident(1050, 1005).tell(
        1060,
        &ActionTaken {
            incident: "INC-1".into(),
            kind: "rollback".into(),
            sentence: "rolled back".into(),
            service: "shop".into(),
            environment: "production".into(),
        },
    );
    assert_eq!(check(&mut acted, &automatic, None), refuse("this incident had its one automatic action"));
    let limit = Config { hourly_limit: 0, ..automatic };
    assert_eq!(
        check(&mut canary(), &limit, None),
        refuse("0 automatic actions on shop within the hour; the limit is 0")
    );
}

/// What the first demo measured: a tenth of the requests go to the canary, 17 of its 435 fail, none of 2,017 others.
fn caught_by_its_cohort(own_ratio: &[f64]) -> Evidence {
    let own = Series {
        query: "by version".into(),
        labels: [("signal".to_owned(), "error_ratio".to_owned()), ("version".to_owned(), "b".to_owned())].into(),
        points: (0_i64..).zip(own_ratio).map(|(i, v)| (at(1000 + i * 10), *v)).collect(),
    };
    Evidence {
        series: vec![ratio(None, 0.0, 0.007), ratio(Some("a"), 0.0, 0.0), own],
        cohorts: vec![cohort("a", 2017, 0), cohort("b", 435, 17)],
        ..Evidence::default()
    }
}

#[test]
fn a_canary_caught_by_its_own_cohort_beside_a_clean_stable_is_named_surely() {
    for own_ratio in [&[0.0, 0.04, 0.04][..], &[], &[0.0, 0.0, 0.0]] {
        let ranking = ranked(&canary(), &caught_by_its_cohort(own_ratio));
        let cause = ranking.named().unwrap();
        assert_eq!(
            (cause.name.as_str(), ranking.level()),
            ("shop b in production", "likely"),
            "{own_ratio:?} {cause:?}"
        );
        assert!(cause.sentence.contains("17 of 17 failing requests on b"), "{}", cause.sentence);
    }
}

#[test]
fn a_cohort_that_fails_like_the_others_or_hardly_at_all_is_not_named_surely() {
    let with = |cohorts: Vec<CohortCount>| {
        let own = caught_by_its_cohort(&[]);
        ranked(&canary(), &Evidence { cohorts, ..own })
    };
    for (cohorts, why) in [
        (vec![cohort("a", 2017, 79), cohort("b", 435, 17)], "failures spread like traffic"),
        (vec![cohort("a", 2017, 0), cohort("b", 435, 2)], "two failures prove nothing"),
        (vec![cohort("a", 0, 0), cohort("b", 435, 17)], "nobody to compare with"),
    ] {
        assert_ne!(with(cohorts).level(), "likely", "{why}");
    }
    let spread = with(vec![cohort("a", 2017, 79), cohort("b", 435, 17)]);
    assert_eq!(spread.level(), "none", "failures that are everywhere name nobody: {spread:?}");
}

#[test]
fn a_condemned_canary_is_compared_by_what_the_judge_counted() {
    let mut story = canary();
    let interval = |canary, canary_bad, stable| EvidenceRecorded {
        deployment: "d-b".into(),
        from: at(960),
        to: at(961),
        counts: ["errors", "logs"].map(|signal| arm(signal, canary, canary_bad, stable)).into(),
        ln_e: 0.0,
        ln_e_promote: 0.0,
        needed: None,
        sha: crate::story::sha('b').into(),
    };
    assert_eq!(judged(&story.state, &"d-b".into()), None, "nothing was counted yet");
    story.tell(961, &interval(200, 7, 1000)).tell(962, &interval(235, 10, 1017));
    let counted = judged(&story.state, &"d-b".into()).unwrap();
    assert_eq!(counted, [cohort("b", 435, 17), cohort("a", 2017, 0)]);
    let own = caught_by_its_cohort(&[]);
    assert_eq!(ranked(&story, &Evidence { cohorts: counted, ..own }).level(), "likely");
}

fn arm(signal: &str, canary: u64, canary_bad: u64, stable: u64) -> ArmCounts {
    ArmCounts { signal: signal.into(), canary, canary_bad, stable, stable_bad: 0, note: None }
}
