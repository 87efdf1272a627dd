//! The other strategies, and what is measured beside them.

use crate::fake::{CANARY, ONE_PLACE, Stage, Wired, digest, good, scope, second_bad, sha};
use lem_deploy::events::*;

fn canary_with(extra: &str) -> String {
    format!("{CANARY}{extra}")
}

#[tokio::test]
async fn a_chain_of_environments() {
    let section = "
shop:
  strategy: rollout.yaml
  environments:
  - {name: staging, listen: '127.0.0.1:0', target: {process: {command: [./shop]}}}
  - name: production
    listen: '127.0.0.1:0'
    from: [{stage: staging, soak: 60s}]
    target: {process: {command: [./shop]}}
";
    let mut stage = Stage::new("strategy: {type: RollingUpdate}", section, Wired::None);
    stage.build(1);
    stage.run(50, &good).await.unwrap();
    let planned = |stage: &Stage| {
        let all = stage.journal.all::<ReleasePlanned>();
        all.iter().map(|p| format!("{} {}", p.environment, p.version)).collect::<Vec<_>>()
    };
    assert_eq!(planned(&stage), ["staging 11111111"]);
    stage.run(30, &good).await.unwrap();
    assert_eq!(planned(&stage), ["staging 11111111", "production 11111111"]);
    stage.build(2);
    stage.run(10, &good).await.unwrap();
    // Quarantined between the stages: it goes no further.
    stage.journal.hear(&QuarantineRequested {
        digest: digest(2),
        service: "shop".into(),
        version: "22222222".into(),
        sha: sha(2).into(),
        reason: "incident 7".into(),
        incident: None,
        by: "policy:feedback".into(),
    });
    stage.run(120, &good).await.unwrap();
    assert_eq!(planned(&stage).last().unwrap(), "staging 22222222");
    assert!(stage.journal.all::<DeployRefused>()[0].why.contains("incident 7"));
}

#[tokio::test]
async fn the_other_ways() {
    let three = ONE_PLACE.replace("command: [./shop]", "command: [./shop], replicas: 3");
    for (strategy, expect_most) in [
        ("strategy: {type: Recreate}", 3),
        ("strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}", 4),
        ("strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}", 3),
        ("strategy: {blueGreen: {}}", 6),
        ("strategy: {canary: {}}", 6),
    ] {
        let mut stage = Stage::new(strategy, &three, Wired::None);
        stage.build(1);
        stage.run(3, &good).await.unwrap();
        stage.build(2);
        let mut most = 0;
        for _ in 0..60 {
            stage.run(1, &good).await.unwrap();
            most = most.max(stage.target.instances.lock().len());
        }
        assert_eq!(stage.running().as_deref(), Some("22222222"), "{strategy}");
        assert!(most <= expect_most, "{strategy}: {most} instances");
        assert_eq!(stage.target.instances.lock().len(), 3, "{strategy}: the old version is gone");
        assert_eq!(stage.router.weight(&scope(), "22222222"), 100, "{strategy}");
    }
}

#[tokio::test]
async fn a_failed_recreate_brings_the_old_version_back() {
    let mut stage = Stage::new("strategy: {type: Recreate}", ONE_PLACE, Wired::None);
    stage.target.crashing.lock().push("22222222".into());
    stage.second().await;
    stage.run(5, &good).await.unwrap();
    assert_eq!(stage.outcomes()[1].1, RolloutOutcome::Failed);
    assert_eq!(stage.router.weight(&scope(), "11111111"), 100);
}

#[tokio::test]
async fn blue_green_waits_for_a_person_with_a_preview() {
    let strategy = "strategy: {blueGreen: {autoPromotionEnabled: false, scaleDownDelaySeconds: 60}}";
    let mut stage = Stage::new(strategy, ONE_PLACE, Wired::None);
    stage.second().await;
    stage.run(30, &good).await.unwrap();
    let routed = stage.router.served.lock()[&scope()].clone();
    assert_eq!(routed.rules[0].matches[0].header, "x-release");
    assert_eq!(stage.router.weight(&scope(), "22222222"), 0);
    assert_eq!(stage.journal.all::<RolloutPaused>().len(), 1);
    let deployment = stage.deployment();
    stage.journal.hear(&PromoteRequested { deployment, full: false, reason: String::new(), by: "person:ann".into() });
    stage.run(2, &good).await.unwrap();
    assert_eq!(stage.router.weight(&scope(), "22222222"), 100);
    assert_eq!(stage.target.instances.lock().len(), 2, "the old version stays for its delay");
    stage.run(70, &good).await.unwrap();
    assert_eq!(stage.target.instances.lock().len(), 1);
}

const TEMPLATE: &str = "
---
kind: AnalysisTemplate
metadata: {name: errors}
spec:
  args: [{name: version}]
  metrics:
  - name: rate
    interval: 5s
    count: 3
    successCondition: result[0] < 0.01
    provider: {prometheus: {query: 'errors{version=\"{{args.version}}\"}'}}
";

fn analysed() -> String {
    format!(
        "
strategy:
  canary:
    steps:
    - setWeight: 20
    - analysis:
        templates: [{{templateName: errors}}]
        args: [{{name: version, valueFrom: {{podTemplateHashValue: Latest}}}}]
{TEMPLATE}"
    )
}

#[tokio::test]
async fn an_analysis_step_and_the_judge_must_both_agree() {
    let conditions = format!("{ONE_PLACE}  judge: {{kind: conditions}}\n");
    for (value, section, outcome) in [
        (Some(0.001), ONE_PLACE, RolloutOutcome::Promoted),
        (Some(0.5), ONE_PLACE, RolloutOutcome::RolledBack),
        (Some(0.001), conditions.as_str(), RolloutOutcome::Promoted),
        (None, conditions.as_str(), RolloutOutcome::RolledBack),
    ] {
        let mut stage = Stage::new(&analysed(), section, Wired::All);
        *stage.answers.metric.lock() = value;
        stage.second().await;
        stage.run(120, &good).await.unwrap();
        let last = stage.journal.all::<RolloutFinished>().pop().unwrap();
        assert_eq!((last.version.as_str(), last.outcome), ("22222222", outcome), "{value:?}: {}", last.why);
        assert_eq!(stage.answers.queries.lock()[0], "errors{version=\"22222222\"}");
        if value == Some(0.5) {
            assert_eq!(stage.journal.all::<VerdictReached>().last().unwrap().judge, "conditions");
            assert_eq!(stage.journal.all::<AnalysisMeasured>()[0].value, "[0.5]");
        }
        if value.is_none() {
            assert!(last.why.contains("could not be measured"), "an empty answer is an error: {}", last.why);
            assert_eq!(stage.journal.all::<AnalysisMeasured>().len(), 5);
        }
    }
    let mut stage = Stage::new(&analysed(), ONE_PLACE, Wired::All);
    *stage.answers.metric.lock() = Some(0.001);
    stage.second().await;
    stage.run(120, &second_bad).await.unwrap();
    assert_eq!(stage.outcomes()[1].1, RolloutOutcome::RolledBack, "the judge objects though the analysis agrees");
}

#[tokio::test]
async fn a_background_analysis_ends_a_rollout_in_any_step() {
    let strategy = format!(
        "{}{TEMPLATE}",
        canary_with(
            "    analysis:
      startingStep: 1
      templates: [{templateName: errors}]
      args: [{name: version, value: x}]
"
        )
    );
    let mut stage = Stage::new(&strategy, ONE_PLACE, Wired::All);
    *stage.answers.metric.lock() = Some(0.001);
    stage.second().await;
    stage.run(6, &good).await.unwrap();
    *stage.answers.metric.lock() = Some(0.9);
    stage.run(10, &good).await.unwrap();
    let last = stage.journal.all::<RolloutFinished>().pop().unwrap();
    assert_eq!(last.outcome, RolloutOutcome::RolledBack);
    assert_eq!(last.why, "analysis of background analysis failed; rate measured [0.9]");
}

#[tokio::test]
async fn error_lines_are_a_signal() {
    let mut stage = Stage::new(CANARY, ONE_PLACE, Wired::All);
    stage.second().await;
    stage.answers.lines.lock().insert("22222222".into(), 15);
    stage.run(60, &good).await.unwrap();
    let verdict = stage.journal.all::<VerdictReached>().pop().unwrap();
    assert_eq!(verdict.outcome, VerdictOutcome::Bad);
    let leading = verdict.signals.iter().max_by(|a, b| a.share.total_cmp(&b.share)).unwrap();
    assert_eq!(leading.signal, "logs");
}

#[tokio::test]
async fn only_what_can_come_back_is_kept() {
    let section = format!("{ONE_PLACE}  rollback: {{keep: 1}}\n");
    let mut stage = Stage::new("strategy: {type: RollingUpdate}", &section, Wired::None);
    for n in 1..=4 {
        stage.build(n);
        stage.run(5, &good).await.unwrap();
    }
    let kept = stage.target.kept.lock().clone();
    assert!(kept.contains(&digest(4)) && kept.contains(&digest(3)) && !kept.contains(&digest(1)), "{kept:?}");
}

#[tokio::test]
async fn header_routes_and_scale() {
    let strategy = "
strategy:
  canary:
    trafficRouting: {managedRoutes: [{name: testers}]}
    steps:
    - setCanaryScale: {replicas: 2}
    - setHeaderRoute: {name: testers, match: [{headerName: x-tester, headerValue: {exact: 'yes'}}]}
    - pause: {}
";
    let section = ONE_PLACE.replace("command: [./shop]", "command: [./shop], replicas: 3");
    let mut stage = Stage::new(strategy, &section, Wired::None);
    stage.second().await;
    stage.run(3, &good).await.unwrap();
    let routed = stage.router.served.lock()[&scope()].clone();
    assert_eq!(routed.rules.len(), 1);
    assert_eq!(
        routed.versions.iter().find(|(v, ..)| v.as_str() == "22222222").map(|(_, at, w)| (at.len(), *w)),
        Some((2, 0))
    );
    let deployment = stage.deployment();
    stage.journal.hear(&PromoteRequested { deployment, full: false, reason: String::new(), by: "person:ann".into() });
    stage.run(5, &good).await.unwrap();
    assert_eq!(stage.running().as_deref(), Some("22222222"));
    assert!(stage.router.served.lock()[&scope()].rules.is_empty());
}

#[tokio::test]
async fn a_version_that_lacks_something_is_not_a_bad_version() {
    let mut stage = Stage::canary();
    stage.target.crashing.lock().push("22222222".into());
    let now = |stage: &Stage| Some(lem_model::Clock::now(stage.clock.as_ref()));
    *stage.target.lacking.lock() = now(&stage).map(|at| at + jiff::SignedDuration::from_secs(5));
    stage.second().await;
    stage.run(5, &good).await.unwrap();
    let finished = stage.journal.all::<RolloutFinished>().pop().unwrap();
    assert_eq!(
        (finished.outcome, finished.why.as_str()),
        (RolloutOutcome::Failed, "version 22222222 cannot run: exit 1")
    );
    assert!(stage.journal.all::<VerdictReached>().is_empty() && stage.state().quarantined.is_empty());

    // Written meanwhile: the same rollout again, and what was seen before it counts no more.
    stage.target.crashing.lock().clear();
    stage.target.instances.lock().retain(|(_, i)| i.version.as_str() != "22222222");
    let (deployment, by) = (finished.deployment, "person:ann".into());
    stage.journal.hear(&RetryRequested { deployment, reason: "it is there now".into(), by });
    stage.run(120, &good).await.unwrap();
    assert_eq!(stage.running().as_deref(), Some("22222222"));
}
