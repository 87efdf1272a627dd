//! What each team reads.

use crate::story::{Story, at, sha};
use lem_feedback::report::{MAX_ROWS, team};
use lem_model::fact::*;
use lem_model::{Section, Team};

fn section(story: &Story, whose: Team, title: &str) -> Section {
    let report = team(whose, &story.state, &story.events, at(5_000)).unwrap();
    assert!(
        report.sections.iter().flat_map(|s| &s.rows).all(|r| r.event.is_some_and(|e| e < story.events.len() as u64))
    );
    report.sections.into_iter().find(|s| s.title == title).unwrap()
}

fn rows(story: &Story, whose: Team, title: &str) -> Vec<String> {
    section(story, whose, title).rows.iter().map(|r| r.cells.join(" | ")).collect()
}

fn suite(run: &str, letter: char, failures: &[&str]) -> TestSuiteFinished {
    TestSuiteFinished {
        outcome: if failures.is_empty() { Outcome::Success } else { Outcome::Failure },
        environment: Ref::to("ci"),
        test_suite: Ref::to("shop"),
        run: run.into(),
        job: "test".into(),
        suite: "shop".into(),
        passed: 5 - failures.len() as u32,
        failed: failures.len() as u32,
        skipped: 0,
        duration_ms: 10,
        failures: failures.iter().map(|f| FailedTest { name: (*f).into(), message: "1 is not 2".into() }).collect(),
        sha: sha(letter).into(),
    }
}

fn run(run: &str, letter: char, outcome: Outcome) -> RunFinished {
    RunFinished {
        run: run.into(),
        pipeline_name: "ci".into(),
        uri: format!("/runs/{run}"),
        outcome,
        errors: None,
        sha: sha(letter).into(),
        branch: "main".into(),
        duration_ms: 1_500,
        queued_ms: 0,
    }
}

/// `a` is out; `b` went out, failed, was blamed and taken back; `c` fails its tests.
fn story() -> Story {
    let mut story = Story::default();
    story
        .commit(0, 'a', None, "src/cart.rs")
        .tell(1, &suite("r1", 'a', &[]))
        .tell(2, &run("r1", 'a', Outcome::Success));
    story.release(10, 'a', None, 100).finished(20, 'a', RolloutOutcome::Promoted);
    story.commit(900, 'b', Some('a'), "src/secret_checkout.rs").tell(901, &suite("r2", 'b', &[]));
    story.tell(902, &run("r2", 'b', Outcome::Success));
    story.release(960, 'b', Some('a'), 20).finished(990, 'b', RolloutOutcome::Promoted).weights(991, 'b', 100, None);
    story.incident(1050, 1005).tell(1060, &proposed()).tell(1061, &taken()).weights(1062, 'a', 100, None);
    story.tell(1063, &quarantined());
    story
}

fn ended(story: &mut Story) {
    let attribution = AttributionConfirmed {
        attribution: "A1".into(),
        incident: "INC-1".into(),
        sha: Some(sha('b').into()),
        deployment: Some("d-b".into()),
        kind: "release".into(),
        sentence: "gone".into(),
        by: "intervention".into(),
    };
    let resolved = IncidentResolved {
        incident: "INC-1".into(),
        description: Some("gone".into()),
        environment: Ref::to("production"),
        service: Some(Ref::to("shop")),
        by: "policy:observe".into(),
    };
    story.tell(1100, &attribution).tell(1105, &resolved);
    let gap = lem_feedback::plan::gap::test_gap(&story.state, &story.state.incidents[&"INC-1".into()]).unwrap();
    story.tell(1106, &gap);
}

fn proposed() -> AttributionProposed {
    AttributionProposed {
        attribution: "A1".into(),
        incident: "INC-1".into(),
        onset: None,
        causes: vec![RankedCause {
            kind: "release".into(),
            name: "shop b in production".into(),
            sha: Some(sha('b').into()),
            deployment: Some("d-b".into()),
            version: Some("b".into()),
            apply: None,
            effective_at: Some(at(991)),
            score: 3.0,
            confidence: 0.93,
            factors: vec![],
            sentence: "30 of 31 failing requests on b".into(),
            against: vec!["its canary passed".into()],
        }],
        level: "likely".into(),
        blind_spots: vec![],
    }
}

fn taken() -> ActionTaken {
    ActionTaken {
        incident: "INC-1".into(),
        kind: "rollback".into(),
        sentence: "shop goes back from b to a".into(),
        service: "shop".into(),
        environment: "production".into(),
    }
}

fn quarantined() -> ArtifactQuarantined {
    ArtifactQuarantined {
        digest: "sha256:b".into(),
        service: "shop".into(),
        version: "b".into(),
        sha: sha('b').into(),
        why: "caused INC-1".into(),
        incident: Some("INC-1".into()),
    }
}

#[test]
fn engineering_reads_what_is_where_and_what_to_fix_first() {
    let mut story = story();
    let open = "INC-1 | SEV2 | HighErrorRatio | shop | production | 67 min | \
                Open; probably caused by shop b in production. shop goes back from b to a";
    assert_eq!(rows(&story, Team::Engineering, "Open incidents"), [open]);
    assert_eq!(
        rows(&story, Team::Engineering, "Ranked causes of open incidents"),
        [
            "INC-1 | 1 | shop b in production | 0.93, likely | bbbbbbbb | 30 of 31 failing requests on b | its canary passed"
        ]
    );
    let placed = section(&story, Team::Engineering, "What is where");
    assert_eq!(placed.rows.len(), 1);
    assert_eq!(placed.rows[0].cells[2..4], ["a".to_owned(), "100 %".to_owned()]);
    ended(&mut story);
    story.commit(1200, 'c', Some('b'), "x").tell(1201, &suite("r3", 'c', &["shop::totals"]));
    story.tell(1202, &run("r3", 'c', Outcome::Failure));
    assert_eq!(
        rows(&story, Team::Engineering, "Fix order"),
        [
            "1 | shop b: caused INC-1 | taken off traffic, not fixed yet | bbbbbbbb",
            "2 | run of ci on main | the last run failed | cccccccc",
            "3 | a test of src/secret_checkout.rs that fails on: HighErrorRatio: shop fails | \
             no test would catch it again | bbbbbbbb",
        ]
    );
    story.release(1300, 'd', Some('a'), 100).finished(1310, 'd', RolloutOutcome::Promoted);
    assert!(!rows(&story, Team::Engineering, "Fix order")[0].contains("taken off"), "a later release repaired it");
}

#[test]
fn quality_reads_runs_flakes_escapes_and_missing_tests() {
    let mut story = story();
    ended(&mut story);
    story
        .tell(1200, &suite("r3", 'c', &["shop::totals", "shop::slow"]))
        .tell(1210, &suite("r4", 'c', &["shop::totals"]));
    story.tell(1211, &run("r4", 'c', Outcome::Failure));
    let newest = "r4 | ci | main | cccccccc | failure | 1.5 s | 4 passed, 1 failed, 0 skipped";
    assert!(rows(&story, Team::Qa, "Runs")[0].starts_with(newest), "{:?}", rows(&story, Team::Qa, "Runs"));
    let failing = section(&story, Team::Qa, "Failing tests");
    assert_eq!(failing.rows.len(), 1);
    assert_eq!((failing.rows[0].cells[0].as_str(), failing.rows[0].cells[4].as_str()), ("shop::totals", "bbbbbbbb"));
    assert_eq!(rows(&story, Team::Qa, "Flaky tests"), ["shop::slow | 1 | 2 | cccccccc"]);
    assert_eq!(
        rows(&story, Team::Qa, "Escaped defects"),
        ["INC-1 | HighErrorRatio | bbbbbbbb | shop b in production (confirmed) | an alert | 90 s | 0 of 100 (0.00 %) | \
          5 passed, 0 failed, 0 skipped"
            .replace("90 s", "2 min")]
    );
    assert!(rows(&story, Team::Qa, "Missing tests")[0].starts_with("INC-1 | a test of src/secret_checkout.rs"));
}

#[test]
fn product_reads_notes_impact_and_freezes() {
    let mut story = story();
    let freeze = FreezeStarted { scope: "*".into(), until: None, reason: "the sale".into(), by: "person:ann".into() };
    story.tell(1400, &freeze);
    let notes: Vec<String> = section(&story, Team::Product, "Release notes by environment")
        .rows
        .iter()
        .map(|r| r.cells[4..].join(" | "))
        .collect();
    assert_eq!(notes, ["new | change b | out", "new | change a | out"], "each against the one before it");
    let impact = rows(&story, Team::Product, "Observed impact");
    assert_eq!(impact[0], "production | shop | b | out | 100 | 0 (0.00 %) | INC-1 | still open");
    assert!(
        rows(&story, Team::Product, "Freezes")[0].ends_with("lifted by a person | the sale | person:ann | in force")
    );
    let end = FreezeEnded { scope: "*".into(), reason: "done".into(), by: "person:ann".into() };
    story.tell(1500, &end);
    assert!(rows(&story, Team::Product, "Freezes")[0].ends_with("over"));
}

#[test]
fn support_reads_words_for_customers_and_nothing_internal() {
    let mut story = story();
    assert!(rows(&story, Team::Support, "Status now")[0].starts_with("shop | production | disturbed, impact major"));
    let stages = |story: &Story| -> Vec<String> {
        section(story, Team::Support, "Customer timeline").rows.iter().map(|r| r.cells[2].clone()).collect()
    };
    assert_eq!(stages(&story), ["investigating", "identified", "monitoring"]);
    ended(&mut story);
    assert_eq!(stages(&story), ["investigating", "identified", "monitoring", "resolved"]);
    assert!(rows(&story, Team::Support, "Status now")[0].starts_with("shop | production | operational"));
    let reply = &rows(&story, Team::Support, "Reply to customers")[0];
    assert!(reply.contains("it works as it should again after a change on our side was taken back"), "{reply}");
    let page = team(Team::Support, &story.state, &story.events, at(5_000)).unwrap().markdown();
    for internal in [&sha('b')[..8], "Ann", "ann@example.com", "HighErrorRatio", "secret", "rollback", "canary"] {
        assert!(!page.contains(internal), "{internal} in {page}");
    }
}

#[test]
fn a_long_table_is_cut_and_says_so() {
    let mut story = Story::default();
    for n in 0..=MAX_ROWS {
        story.tell(n as i64, &run(&format!("r{n}"), 'a', Outcome::Success));
    }
    let runs = section(&story, Team::Qa, "Runs");
    assert_eq!((runs.rows.len(), runs.note.as_deref()), (MAX_ROWS, Some("1 older rows are in the ledger")));
    assert_eq!(runs.rows[0].cells[0], format!("r{MAX_ROWS}"), "the newest stay");
}

#[test]
fn an_empty_ledger_reads_as_empty_and_other_stages_answer_for_themselves() {
    let story = Story::default();
    for whose in Team::ALL {
        let report = team(whose, &story.state, &story.events, at(0));
        assert_eq!(report.is_none(), matches!(whose, Team::Security | Team::Finance), "{whose}");
        assert!(report.is_none_or(|r| r.sections.iter().all(|s| s.rows.is_empty())), "{whose}");
    }
}
