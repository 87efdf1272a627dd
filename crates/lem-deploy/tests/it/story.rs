//! Stories: what happens from a build to the end of its rollout.

use crate::fake::{CANARY, ONE_PLACE, Stage, Wired, digest, good, scope, second_bad, sha};
use lem_deploy::events::*;

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
