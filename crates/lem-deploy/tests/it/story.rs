//! Stories: what happens from a build to the end of its rollout.

use crate::fake::{CANARY, ONE_PLACE, Stage, Wired, digest, good, scope, second_bad, sha};
use lem_deploy::events::*;

fn canary_with(extra: &str) -> String {
    format!("{CANARY}{extra}")
}

#[tokio::test]
async fn a_first_deployment_skips_steps() {
    let mut stage = Stage::canary();
    stage.build(1);
    stage.run(1, &good).await.unwrap();
    assert_eq!(
        stage.journal.types()[3..],
        [
            "deploy.requested",
            "release.planned",
            "rollout.started",
            "routes.applied",
            "service.deployed",
            "releasenotes.published",
            "rollout.finished"
        ]
    );
    assert_eq!(stage.running().as_deref(), Some("11111111"));
    assert_eq!(stage.router.weight(&scope(), "11111111"), 100);
}

#[tokio::test]
async fn a_good_canary_is_promoted_in_steps() {
    let mut stage = Stage::canary();
    stage.second().await;
    stage.run(120, &good).await.unwrap();
    assert_eq!(
        stage.outcomes(),
        [("11111111".to_owned(), RolloutOutcome::Promoted), ("22222222".to_owned(), RolloutOutcome::Promoted)]
    );
    let weights: Vec<u32> = stage
        .journal
        .all::<RoutesApplied>()
        .iter()
        .map(|r| r.weights.iter().find(|w| w.version.as_str() == "22222222").map_or(0, |w| w.weight))
        .collect();
    assert_eq!(weights, [0, 10, 50, 100]);
    let verdicts = stage.journal.all::<VerdictReached>();
    assert_eq!(verdicts.iter().map(|v| v.outcome).collect::<Vec<_>>(), [VerdictOutcome::Good]);
    let finished = stage.journal.all::<RolloutFinished>().pop().unwrap();
    assert!(finished.exposed_requests > 1000 && finished.exposed_bad > 0, "{finished:?}");
    let notes = stage.journal.all::<ReleaseNotesPublished>().pop().unwrap().markdown;
    assert!(notes.contains("- **cart**: change number 2 (22222222)"), "{notes}");
    assert!(!notes.contains("change number 1"), "{notes}");
    // The old version ended after its delay.
    assert!(stage.target.instances.lock().iter().all(|(_, i)| i.version.as_str() == "22222222"));
}

#[tokio::test]
async fn a_bad_canary_is_off_traffic_within_a_second_of_the_verdict() {
    let mut stage = Stage::canary();
    stage.second().await;
    stage.run(60, &second_bad).await.unwrap();
    let at = |short: &str| {
        let events = stage.journal.events.lock();
        events.iter().rev().find(|e| e.kind.short() == short).unwrap().time_occurred
    };
    assert_eq!(stage.outcomes()[1].1, RolloutOutcome::RolledBack);
    assert_eq!(stage.router.weight(&scope(), "22222222"), 0);
    assert_eq!(stage.running().as_deref(), Some("11111111"));
    let verdict = stage.journal.all::<VerdictReached>().pop().unwrap();
    assert_eq!((verdict.outcome, verdict.judge.as_str()), (VerdictOutcome::Bad, "sequential"));
    assert!(verdict.ln_e >= verdict.ln_threshold && verdict.sentence.contains("5.00 %"), "{}", verdict.sentence);
    assert_eq!(at("routes.applied"), at("verdict.reached"), "traffic is off in the same look");
    let quarantined = stage.journal.all::<ArtifactQuarantined>();
    assert_eq!(quarantined[0].digest, digest(2));
    // Nobody deploys it again.
    stage.journal.hear(&DeployRequested {
        deployment: "again".into(),
        service: "shop".into(),
        environment: "production".into(),
        version: "22222222".into(),
        sha: sha(2).into(),
        digest: digest(2),
        by: "person:ann".into(),
        reason: None,
    });
    stage.run(1, &good).await.unwrap();
    assert!(stage.journal.all::<DeployRefused>().pop().unwrap().why.contains("quarantined"));
}

#[tokio::test]
async fn a_verdict_replays_from_the_ledger() {
    let mut stage = Stage::canary();
    stage.second().await;
    stage.run(60, &second_bad).await.unwrap();
    let started = stage.journal.all::<JudgeStarted>().pop().unwrap();
    let signals: Vec<lem_engine_judge::sequential::Signal> = serde_json::from_value(started.signals).unwrap();
    let settings = serde_json::from_value(started.settings).unwrap();
    let mut judge = lem_engine_judge::sequential::Judge::new(settings, signals).unwrap();
    for recorded in stage.journal.all::<EvidenceRecorded>() {
        judge.fold(&lem_deploy::evidence::interval(&judge, &recorded.counts));
        assert_eq!(judge.combined().ln_e.to_bits(), recorded.ln_e.to_bits());
    }
    let verdict = stage.journal.all::<VerdictReached>().pop().unwrap();
    assert_eq!(judge.combined().ln_e.to_bits(), verdict.ln_e.to_bits());
}

#[tokio::test]
async fn without_traffic_it_holds_and_says_what_is_missing_once() {
    let mut stage = Stage::canary();
    stage.second().await;
    for _ in 0..300 {
        stage.clock.advance(1);
        stage.tick().await.unwrap();
    }
    assert_eq!(stage.outcomes().len(), 1, "neither success nor failure");
    let held = stage.journal.all::<RolloutHeld>();
    assert_eq!(held.len(), 1, "{held:?}");
    assert!(held[0].why.contains("more requests to the new version are needed"), "{}", held[0].why);
    assert_eq!(stage.router.weight(&scope(), "22222222"), 50);
    // A person takes it upon themselves.
    let deployment = stage.deployment();
    stage.journal.hear(&PromoteRequested {
        deployment,
        full: false,
        reason: "night, nobody buys".into(),
        by: "person:ann".into(),
    });
    stage.tick().await.unwrap();
    let finished = stage.journal.all::<RolloutFinished>().pop().unwrap();
    assert_eq!(finished.outcome, RolloutOutcome::Promoted);
    assert_eq!(finished.why, "promoted by person:ann: night, nobody buys");
}

#[tokio::test]
async fn a_service_without_any_error_can_be_cleared() {
    let mut stage = Stage::canary();
    stage.second().await;
    stage.run(120, &|_| 0.0).await.unwrap();
    assert_eq!(stage.outcomes()[1].1, RolloutOutcome::Promoted);
}

#[tokio::test]
async fn a_crash_loop_acts_at_once() {
    let mut stage = Stage::canary();
    stage.target.crashing.lock().push("22222222".into());
    stage.second().await;
    stage.run(1, &good).await.unwrap();
    let finished = stage.journal.all::<RolloutFinished>().pop().unwrap();
    assert_eq!(finished.outcome, RolloutOutcome::Failed);
    assert!(finished.why.contains("exit 1; last line: no config"), "{}", finished.why);
    assert_eq!(stage.journal.all::<VerdictReached>()[0].judge, "health");
    assert_eq!(stage.router.weight(&scope(), "11111111"), 100);
}

#[tokio::test]
async fn what_never_is_ready_fails_at_the_deadline() {
    let mut stage = Stage::new(&format!("progressDeadlineSeconds: 60\n{CANARY}"), ONE_PLACE, Wired::None);
    stage.target.never_ready.lock().push("22222222".into());
    stage.second().await;
    stage.run(55, &good).await.unwrap();
    assert_eq!(stage.outcomes().len(), 1);
    stage.run(10, &good).await.unwrap();
    let finished = stage.journal.all::<RolloutFinished>().pop().unwrap();
    assert_eq!(
        (finished.outcome, finished.why.as_str()),
        (RolloutOutcome::Failed, "version 22222222 was not ready within 1m")
    );
    assert!(stage.state().quarantined.is_empty(), "a slow start is no verdict");
}

#[tokio::test]
async fn abort_and_retry() {
    let mut stage = Stage::canary();
    stage.second().await;
    let deployment = stage.deployment();
    let (reason, by) = ("too early".to_owned(), lem_model::Actor::from("person:ann"));
    stage.journal.hear(&AbortRequested { deployment: deployment.clone(), reason, by: by.clone() });
    stage.run(1, &good).await.unwrap();
    let aborted = stage.journal.all::<RolloutAborted>().pop().unwrap();
    assert_eq!((aborted.why.as_str(), aborted.by.as_str()), ("too early", "person:ann"));
    assert_eq!(stage.outcomes()[1].1, RolloutOutcome::RolledBack);
    stage.run(40, &good).await.unwrap();
    assert_eq!(stage.target.instances.lock().len(), 1, "the aborted version ends after its delay");
    stage.journal.hear(&RetryRequested { deployment: deployment.clone(), reason: "now".into(), by });
    stage.run(120, &good).await.unwrap();
    assert_eq!(stage.outcomes()[2], ("22222222".to_owned(), RolloutOutcome::Promoted));
    assert_eq!(stage.deployment(), deployment);
}

#[tokio::test]
async fn pause_and_resume() {
    let mut stage = Stage::canary();
    stage.second().await;
    let deployment = stage.deployment();
    let by = lem_model::Actor::from("person:ann");
    stage.journal.hear(&PauseRequested { deployment: deployment.clone(), reason: "lunch".into(), by: by.clone() });
    stage.run(120, &good).await.unwrap();
    assert_eq!(stage.router.weight(&scope(), "22222222"), 10, "a paused rollout keeps its weight");
    stage.journal.hear(&ResumeRequested { deployment, reason: String::new(), by });
    stage.run(120, &good).await.unwrap();
    assert_eq!(stage.outcomes()[1].1, RolloutOutcome::Promoted);
}

#[tokio::test]
async fn a_paused_rollout_is_still_judged() {
    let mut stage = Stage::canary();
    stage.second().await;
    let deployment = stage.deployment();
    stage.journal.hear(&PauseRequested { deployment, reason: "lunch".into(), by: "person:ann".into() });
    stage.run(60, &second_bad).await.unwrap();
    assert_eq!(stage.outcomes()[1].1, RolloutOutcome::RolledBack);
}

#[tokio::test]
async fn promote_step_by_step_and_all_the_way() {
    let mut stage = Stage::canary();
    stage.second().await;
    let by = lem_model::Actor::from("person:ann");
    let promote =
        |full| PromoteRequested { deployment: stage.deployment(), full, reason: "hurry".into(), by: by.clone() };
    let (step, full) = (promote(false), promote(true));
    stage.run(1, &good).await.unwrap();
    assert_eq!(stage.router.weight(&scope(), "22222222"), 10);
    stage.journal.hear(&step);
    stage.run(1, &good).await.unwrap();
    assert_eq!(stage.router.weight(&scope(), "22222222"), 50);
    stage.journal.hear(&full);
    stage.run(1, &good).await.unwrap();
    assert_eq!(stage.outcomes()[1].1, RolloutOutcome::Promoted);
}

#[tokio::test]
async fn a_newer_release_supersedes() {
    let mut stage = Stage::canary();
    stage.second().await;
    stage.run(5, &good).await.unwrap();
    stage.build(3);
    stage.run(120, &good).await.unwrap();
    assert_eq!(
        stage.outcomes()[1..],
        [("22222222".to_owned(), RolloutOutcome::Superseded), ("33333333".to_owned(), RolloutOutcome::Promoted)]
    );
    let planned = stage.journal.all::<ReleasePlanned>().pop().unwrap();
    assert_eq!(planned.rollback_to, Some("11111111".into()), "the last verified version, not the superseded one");
    let notes = stage.journal.all::<ReleaseNotesPublished>().pop().unwrap().markdown;
    assert!(notes.contains("number 2") && notes.contains("number 3"), "{notes}");
}

fn rollback(to: Option<&str>) -> RollbackRequested {
    RollbackRequested {
        service: "shop".into(),
        environment: "production".into(),
        from: None,
        to: to.map(Into::into),
        reason: "alert Errors".into(),
        incident: Some("inc1".into()),
        by: "policy:feedback".into(),
    }
}

async fn two_promoted(section: &str) -> Stage {
    let mut stage = Stage::new(CANARY, section, Wired::None);
    stage.second().await;
    stage.run(150, &good).await.unwrap();
    assert_eq!(stage.running().as_deref(), Some("22222222"));
    stage
}

#[tokio::test]
async fn a_rollback_after_promotion_is_a_switch_even_in_a_freeze() {
    let mut stage = two_promoted(ONE_PLACE).await;
    stage.journal.hear(&FreezeRequested {
        scope: "*".into(),
        until: None,
        reason: "holidays".into(),
        by: "person:ann".into(),
    });
    stage.journal.hear(&rollback(None));
    stage.run(1, &good).await.unwrap();
    assert_eq!(stage.running().as_deref(), Some("11111111"));
    assert_eq!(stage.router.weight(&scope(), "11111111"), 100);
    let back = stage.journal.all::<ServiceRolledBack>().pop().unwrap();
    assert_eq!((back.version.as_str(), back.from.as_str()), ("11111111", "22222222"));
    assert_eq!((back.incident, back.deployment.as_str()), (Some("inc1".into()), "shop-production-22222222-222222"));
    // What was rolled back is not where a rollback leads, and policy does not bring it back.
    stage.run(60, &good).await.unwrap();
    assert_eq!(stage.running().as_deref(), Some("11111111"));
    stage.journal.hear(&rollback(None));
    stage.run(1, &good).await.unwrap();
    assert_eq!(stage.journal.all::<RollbackRefused>()[0].why, "there is no earlier verified version");
}

#[tokio::test]
async fn a_rollback_during_a_rollout_aborts_it_first() {
    let mut stage = two_promoted(ONE_PLACE).await;
    stage.build(3);
    stage.run(5, &good).await.unwrap();
    stage.journal.hear(&RollbackRequested { from: Some("33333333".into()), ..rollback(None) });
    stage.run(2, &good).await.unwrap();
    assert_eq!(stage.outcomes().last().unwrap(), &("33333333".to_owned(), RolloutOutcome::RolledBack));
    assert_eq!(stage.running().as_deref(), Some("22222222"), "the stable version was not meant");
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_not_taken_back() {
    let irreversible = format!("{ONE_PLACE}  migrations: {{class: irreversible}}\n");
    let late = format!("{ONE_PLACE}  rollback: {{window: 1m}}\n");
    for (section, why) in [
        (irreversible.as_str(), "version 22222222 changed data in a way that cannot be taken back"),
        (late.as_str(), "version 22222222 took over more than 1m ago; deploy 11111111 instead"),
    ] {
        let mut stage = two_promoted(section).await;
        stage.journal.hear(&rollback(None));
        stage.run(1, &good).await.unwrap();
        assert_eq!(stage.journal.all::<RollbackRefused>()[0].why, why);
        assert_eq!(stage.running().as_deref(), Some("22222222"));
    }
    let mut stage = two_promoted(ONE_PLACE).await;
    stage.journal.hear(&rollback(Some("77777777")));
    stage.run(1, &good).await.unwrap();
    assert_eq!(stage.journal.all::<RollbackRefused>()[0].why, "version 77777777 was never verified here");
}

#[tokio::test]
async fn a_contract_migration_waits_for_the_window() {
    let section = format!("{ONE_PLACE}  migrations: {{class: contract}}\n  rollback: {{window: 5m}}\n");
    let mut stage = two_promoted(&section).await;
    stage.build(3);
    stage.run(1, &good).await.unwrap();
    assert!(stage.journal.all::<RolloutHeld>().pop().unwrap().why.contains("contract migration waits"));
    stage.run(300, &good).await.unwrap();
    assert_eq!(stage.running().as_deref(), Some("33333333"));
}

#[tokio::test]
async fn a_freeze_holds_a_rollout_and_lets_it_go_on() {
    let mut stage = Stage::canary();
    stage.second().await;
    stage.run(5, &good).await.unwrap();
    let by = lem_model::Actor::from("person:ann");
    let until = None;
    stage.journal.hear(&FreezeRequested {
        scope: "production/shop".into(),
        until,
        reason: "sale".into(),
        by: by.clone(),
    });
    stage.run(120, &good).await.unwrap();
    assert_eq!(stage.router.weight(&scope(), "22222222"), 10);
    let held = stage.journal.all::<RolloutHeld>();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].why, "production/shop is frozen by person:ann: sale");
    stage.journal.hear(&UnfreezeRequested { scope: "production/shop".into(), reason: "over".into(), by });
    stage.run(120, &good).await.unwrap();
    assert_eq!(stage.outcomes()[1].1, RolloutOutcome::Promoted);
}

#[tokio::test]
async fn a_freeze_ends_by_itself_and_only_the_newest_goes_out() {
    let mut stage = Stage::canary();
    stage.build(1);
    stage.run(2, &good).await.unwrap();
    let until = lem_model::Clock::now(stage.clock.as_ref()).checked_add(jiff::SignedDuration::from_secs(60)).unwrap();
    stage.journal.hear(&FreezeRequested {
        scope: "*".into(),
        until: Some(until),
        reason: "sale".into(),
        by: "person:ann".into(),
    });
    stage.run(1, &good).await.unwrap();
    for n in [2, 3] {
        stage.build(n);
        stage.run(5, &good).await.unwrap();
    }
    assert_eq!(stage.journal.all::<ReleasePlanned>().len(), 1);
    stage.run(200, &good).await.unwrap();
    assert_eq!(stage.journal.all::<FreezeEnded>()[0].by.as_str(), "engine:deploy");
    assert_eq!(stage.running().as_deref(), Some("33333333"));
    assert_eq!(stage.journal.all::<DeployRefused>()[0].why, "33333333 was asked for after it");
}

#[tokio::test]
async fn a_person_may_break_the_glass_with_a_reason() {
    let mut stage = Stage::canary();
    stage.build(1);
    stage.run(2, &good).await.unwrap();
    let by = lem_model::Actor::from("person:ann");
    stage.journal.hear(&FreezeRequested { scope: "shop".into(), until: None, reason: "sale".into(), by: by.clone() });
    stage.journal.hear(&DeployRequested {
        deployment: "hotfix".into(),
        service: "shop".into(),
        environment: "production".into(),
        version: "22222222".into(),
        sha: sha(2).into(),
        digest: digest(2),
        by,
        reason: Some("security fix".into()),
    });
    stage.run(120, &good).await.unwrap();
    assert_eq!(stage.journal.all::<FreezeOverridden>()[0].reason, "security fix");
    assert_eq!(stage.running().as_deref(), Some("22222222"));
}

#[tokio::test]
async fn policy_is_asked_first() {
    let mut stage = Stage::new(CANARY, ONE_PLACE, Wired::All);
    *stage.answers.deny.lock() = Some("CVE-2026-1".into());
    stage.build(1);
    stage.run(2, &good).await.unwrap();
    assert_eq!(stage.journal.all::<DeployRefused>()[0].why, "policy denies it: CVE-2026-1");
    assert!(stage.journal.all::<ReleasePlanned>().is_empty());
    *stage.answers.deny.lock() = None;
    stage.build(2);
    stage.run(3, &good).await.unwrap();
    assert_eq!(stage.running().as_deref(), Some("22222222"));
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
