//! The arrows to the other stages: which kinds of change are candidates, and what is asked of whom.

use crate::story::{Story, at, sha};
use lem_feedback::plan::capacity::{Resource, shortage};
use lem_feedback::plan::gap::test_gap;
use lem_feedback::plan::rank::{Evidence, Ranking, rank};
use lem_feedback::plan::safety::{Decision, decide};
use lem_feedback::state::Incident;
use lem_feedback::{Config, RollbackPolicy};
use lem_model::fact::*;
use lem_model::port::{CohortCount, NewPattern, Scope, Series};
use lem_model::resource::ResourceAction;

fn scope() -> Scope {
    Scope { service: "shop".into(), environment: "production".into() }
}

fn onset() -> Onset {
    Onset { from: at(1000), to: at(1010), query: "ratio".into() }
}

fn series(signal: &str, version: Option<&str>, before: f64, after: f64) -> Series {
    let points = (0..30).map(|i| (at(850 + i * 10), if 850 + i * 10 <= 1000 { before } else { after })).collect();
    let labels = [("signal", Some(signal)), ("version", version)];
    let labels = labels.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned()))).collect();
    Series { query: signal.into(), labels, points }
}

fn apply(environment: &str, services: &[&str], changed: u32) -> ApplyFinished {
    ApplyFinished {
        apply: "apply-1".into(),
        plan: "sha256:1".into(),
        root: "infra".into(),
        environment: environment.into(),
        services: services.iter().map(|s| (*s).to_owned()).collect(),
        counts: PlanCounts { update: changed, ..PlanCounts::default() },
        changes: vec![ResourceChange {
            address: "aws_db_instance.shop".into(),
            kind: "aws_db_instance".into(),
            action: ResourceAction::Update,
            attributes: vec!["max_connections".into()],
            place: "infra/database.tf:12".into(),
        }],
        failed: vec![],
        duration_ms: 20_000,
        irreversible: false,
        sha: None,
        by: "person:ann".into(),
    }
}

/// `a` runs since long ago, and everything fails since 1000.
fn settled() -> Story {
    let mut story = Story::default();
    story.commit(-90_000, 'a', None, "src/cart.rs").release(-80_000, 'a', None, 100);
    story.finished(-79_000, 'a', RolloutOutcome::Promoted);
    story
}

fn all_fail() -> Evidence {
    let series = vec![series("error_ratio", None, 0.001, 0.4), series("error_ratio", Some("a"), 0.001, 0.4)];
    Evidence { series, ..Evidence::default() }
}

fn ranked(story: &Story, evidence: &Evidence) -> Ranking {
    rank(&story.state, &scope(), &onset(), evidence, &[], at(1100))
}

fn automatic() -> Config {
    Config { rollback: RollbackPolicy::Automatic, ..Config::default() }
}

fn incident(story: &Story) -> &Incident {
    story.state.incidents.values().next().unwrap()
}

#[test]
fn an_apply_is_a_candidate_beside_commits() {
    let named = |fact: &ApplyFinished, second: i64| {
        let ranking = ranked(settled().tell(second, fact), &all_fail());
        ranking.named().filter(|c| c.kind == "apply").map(|c| (c.name.clone(), format!("{:.2}", c.factors[1].value)))
    };
    let name = "apply of infra in production".to_owned();
    assert_eq!(
        named(&apply("production", &["shop"], 2), 990),
        Some((name.clone(), "0.80".into())),
        "what shop stands on"
    );
    assert_eq!(named(&apply("production", &[], 2), 990), Some((name, "0.64".into())), "nobody said which services");
    assert_eq!(named(&apply("production", &["mail"], 2), 990), None, "another service's ground");
    assert_eq!(named(&apply("staging", &["shop"], 2), 990), None, "another environment");
    assert_eq!(named(&apply("production", &["shop"], 0), 990), None, "nothing changed");
    assert_eq!(named(&apply("production", &["shop"], 2), 1040), None, "began after the symptom did");
    assert!(named(&apply("production", &["shop"], 2), 1025).is_some(), "what counts is when it began, not its end");
}

#[test]
fn failures_of_one_version_alone_speak_against_an_apply() {
    let factor = |a: (u64, u64), b: (u64, u64)| {
        let count = |version: &str, (total, bad): (u64, u64)| CohortCount {
            cohort: [("version".to_owned(), version.to_owned())].into(),
            total,
            bad,
        };
        let mut story = Story::default();
        story.tell(990, &apply("production", &["shop"], 2));
        let evidence = Evidence { cohorts: vec![count("a", a), count("b", b)], ..Evidence::default() };
        let ranking = ranked(&story, &evidence);
        ranking.causes[0].factors.iter().find(|f| f.name == "cohort").map(|f| f.value)
    };
    for (a, b, expect, why) in [
        ((600, 0), (400, 90), 0.25, "one version fails, and the ground is everybody's"),
        ((600, 60), (400, 40), 1.0, "all fail alike"),
        ((600, 0), (400, 4), 1.0, "four failures prove nothing"),
        ((0, 0), (400, 90), 1.0, "nobody to compare with"),
    ] {
        assert_eq!(factor(a, b), Some(expect), "{why}");
    }
}

#[test]
fn an_apply_leads_to_a_check_for_drift_and_never_to_a_rollback() {
    let mut story = settled();
    story.tell(990, &apply("production", &["shop"], 2)).incident(1050, 1005);
    let ranking = ranked(&story, &all_fail());
    let decision = decide(&story.state, incident(&story), &ranking, &automatic(), None, at(1100));
    let Decision::CheckDrift { environment, why } = decision else { panic!("{decision:?}") };
    assert_eq!(environment.as_str(), "production");
    assert!(why.contains("never taken back automatically"), "{why}");
    let stopped = decide(&story.state, incident(&story), &ranking, &automatic(), Some("file stop exists"), at(1100));
    assert_eq!(stopped, Decision::Refuse("automatic actions are switched off: file stop exists".into()));
}

#[test]
fn no_rollback_across_an_irreversible_apply() {
    let decision = |environment: &str, services: &[&str], second: i64, irreversible: bool| {
        let mut story = settled();
        story.commit(900, 'b', Some('a'), "src/checkout.rs").release(960, 'b', Some('a'), 100);
        let fact = ApplyFinished { irreversible, duration_ms: 0, ..apply(environment, services, 1) };
        story.finished(970, 'b', RolloutOutcome::Promoted).tell(second, &fact).incident(1050, 1005);
        let evidence = Evidence {
            series: vec![series("error_ratio", None, 0.001, 0.4), series("error_ratio", Some("b"), 0.001, 0.4)],
            patterns: vec![pattern("panic in src/checkout.rs line 12")],
            ..Evidence::default()
        };
        let mut ranking = ranked(&story, &evidence);
        ranking.causes.retain(|c| c.kind == "release");
        ranking.causes[0].confidence = 0.9;
        decide(&story.state, incident(&story), &ranking, &automatic(), None, at(1100))
    };
    let crossed = Decision::Refuse(
        "a last ran before the apply of infra in production, which destroyed what no later apply brings back".into(),
    );
    let back = Decision::RollBack { deployment: "d-b".into() };
    assert_eq!(decision("production", &["shop"], 980, true), crossed);
    assert_eq!(decision("production", &[], 980, true), crossed, "nobody said that shop does not stand on it");
    assert_eq!(decision("production", &["shop"], 980, false), back, "it can be applied again");
    assert_eq!(decision("production", &["shop"], 900, true), back, "a ran after it");
    assert_eq!(decision("production", &["mail"], 980, true), back);
    assert_eq!(decision("staging", &["shop"], 980, true), back);
}

#[test]
fn a_configuration_alone_is_a_candidate_of_its_own_kind() {
    let kind = |digest: &str, config: &str| {
        let mut story = settled();
        story.commit(900, 'b', Some('a'), "deploy/production.env");
        story.release_of(960, 'b', Some('a'), digest, config);
        let evidence = Evidence {
            series: vec![series("error_ratio", None, 0.001, 0.4), series("error_ratio", Some("b"), 0.001, 0.4)],
            ..Evidence::default()
        };
        let cause = ranked(&story, &evidence).causes.remove(0);
        (cause.kind, cause.name)
    };
    let config = ("config".to_owned(), "configuration of shop b in production".to_owned());
    assert_eq!(kind("sha256:a", "sha256:new"), config);
    assert_eq!(kind("sha256:b", "sha256:new").0, "release", "a new artifact brings its configuration along");
    assert_eq!(kind("sha256:a", "sha256:0").0, "release", "the same again");
}

fn pattern(line: &str) -> NewPattern {
    NewPattern {
        template: line.into(),
        severity: "error".into(),
        version: "b".into(),
        count: 12,
        sample: line.into(),
        first_seen: at(1001),
    }
}

fn alert(rule: &str, query: &str) -> AlertFired {
    AlertFired {
        alert: "alert-1".into(),
        rule: rule.into(),
        labels: [].into(),
        annotations: [].into(),
        query: query.into(),
        value: 0.97,
        active_at: at(1005),
        service: Some("shop".into()),
        environment: Some("production".into()),
        severity: "page".into(),
    }
}

#[test]
fn memory_and_saturation_ask_for_advice() {
    let found = |alert: Option<AlertFired>, exit: Option<(&str, bool)>, evidence: &Evidence| {
        let mut story = settled();
        if let Some(alert) = &alert {
            story.tell(1040, alert);
        }
        if let Some((line, expected)) = exit {
            let exited = InstanceExited {
                instance: "shop-1".into(),
                service: "shop".into(),
                environment: "production".into(),
                version: "a".into(),
                status: "exit code 134".into(),
                expected,
                last_lines: vec![line.into()],
            };
            story.tell(1041, &exited);
        }
        story.incident_of(1050, 1005, alert.map(|a| a.alert));
        shortage(incident(&story), &story.state.exits, &onset(), evidence).map(|s| (s.resource, s.sentence))
    };
    let none = Evidence::default();
    let heap = "FATAL ERROR: Reached heap limit";
    let said = found(None, Some((heap, false)), &none);
    assert_eq!(said, Some((Resource::Memory, format!("an instance of shop a ended: {heap}"))));
    assert_eq!(found(None, Some((heap, true)), &none), None, "it was told to end");
    assert_eq!(found(None, Some(("panic at src/a.rs", false)), &none), None);
    let lines = Evidence { patterns: vec![pattern("java.lang.OutOfMemoryError: Java heap space")], ..none.clone() };
    assert_eq!(found(None, None, &lines).map(|f| f.0), Some(Resource::Memory));
    for (rule, query, resource) in [
        ("HighMemory", "up", Some(Resource::Memory)),
        ("Slow", "rate(container_cpu_cfs_throttled_seconds_total[5m]) > 1", Some(Resource::Cpu)),
        ("DiskFull", "node_filesystem_avail_bytes < 1", Some(Resource::Disk)),
        ("ShopErrors", "sum(rate(http_requests_total{room=\"zoom\"}[5m])) > 1", None),
    ] {
        assert_eq!(found(Some(alert(rule, query)), None, &none).map(|f| f.0), resource, "{rule} {query}");
    }
    let grown = |after| Evidence { series: vec![series("memory", Some("a"), 1e8, after)], ..Evidence::default() };
    assert_eq!(
        found(None, None, &grown(2.5e8)).map(|f| f.1).unwrap(),
        "memory of a stands at 2.5 times what it was before"
    );
    assert_eq!(found(None, None, &grown(1.5e8)), None);
}

/// `b` was named for INC-1.
fn named(story: &mut Story) {
    let mut ranking = ranked(story, &all_fail());
    ranking.causes.retain(|c| c.version.as_ref().is_some_and(|v| v.as_str() == "b"));
    let proposed = AttributionProposed {
        attribution: "A1".into(),
        incident: "INC-1".into(),
        onset: Some(onset()),
        causes: ranking.causes,
        level: "likely".into(),
        blind_spots: vec![],
    };
    story.tell(1060, &proposed);
}

fn resolved() -> IncidentResolved {
    IncidentResolved {
        incident: "INC-1".into(),
        description: Some("gone".into()),
        environment: Ref::to("production"),
        service: Some(Ref::to("shop")),
        by: "policy:observe".into(),
    }
}

fn confirmed() -> AttributionConfirmed {
    AttributionConfirmed {
        attribution: "A1".into(),
        incident: "INC-1".into(),
        sha: Some(sha('b').into()),
        deployment: Some("d-b".into()),
        kind: "release".into(),
        sentence: "gone after the rollback".into(),
        by: "intervention".into(),
    }
}

#[test]
fn the_missing_test_is_raised_when_the_incident_is_over_and_its_cause_is_proved() {
    let mut story = settled();
    story.commit(900, 'b', Some('a'), "src/checkout.rs").release(960, 'b', Some('a'), 100).incident(1050, 1005);
    named(&mut story);
    let gap = |story: &Story| test_gap(&story.state, incident(story));
    story.tell(1100, &confirmed());
    assert_eq!(gap(&story), None, "it is not over");
    story.tell(1110, &resolved());
    let raised = gap(&story).unwrap();
    assert_eq!(
        (raised.paths.as_slice(), raised.sha.clone()),
        (&["src/checkout.rs".to_owned()][..], Some(sha('b').into()))
    );
    assert_eq!(raised.symptom, "HighErrorRatio: shop fails");
    assert_eq!(raised.wanted, "a test of src/checkout.rs that fails on: HighErrorRatio: shop fails");
    story.tell(1120, &raised);
    assert_eq!(gap(&story), None, "once is enough");
}

#[test]
fn a_cause_that_is_not_proved_raises_no_test() {
    let mut story = settled();
    story.commit(900, 'b', Some('a'), "src/checkout.rs").release(960, 'b', Some('a'), 100).incident(1050, 1005);
    named(&mut story);
    story.tell(1110, &resolved());
    assert_eq!(test_gap(&story.state, incident(&story)), None);
}
