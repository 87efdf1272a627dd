//! Going back, and what holds a rollout: migrations, freezes, the policy gate.

use crate::fake::{CANARY, ONE_PLACE, Stage, Wired, digest, good, scope, sha};
use lem_deploy::events::*;
use lem_model::port::GateWait;
use std::sync::atomic::Ordering::SeqCst;

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

/// Seconds from the start of a stage's clock.
fn second(stage: &Stage, n: i64) -> jiff::Timestamp {
    lem_model::Clock::now(stage.clock.as_ref()).checked_add(jiff::SignedDuration::from_secs(n)).unwrap()
}

#[tokio::test]
async fn a_release_waits_for_what_its_verdict_lacks_across_a_restart() {
    let mut stage = Stage::new(CANARY, ONE_PLACE, Wired::All);
    let wait = GateWait { why: "the policy gate waits for the scan".into(), until: second(&stage, 600) };
    *stage.answers.waits.lock() = Some(wait);
    stage.build(1);
    stage.run(20, &good).await.unwrap();
    stage.restart(true);
    stage.run(20, &good).await.unwrap();
    let held: Vec<String> = stage.journal.all::<RolloutHeld>().into_iter().map(|h| h.why).collect();
    assert_eq!(held, ["the policy gate waits for the scan"], "said once");
    assert!(stage.journal.all::<ReleasePlanned>().is_empty());
    assert!(stage.answers.asked.load(SeqCst) <= 6, "asked when the ledger grows, not all the time");

    *stage.answers.waits.lock() = None;
    stage.run(5, &good).await.unwrap();
    assert!(stage.journal.all::<ReleasePlanned>().is_empty(), "nothing was recorded since");
    stage.journal.hear(&UnfreezeRequested { scope: "other".into(), reason: "news".into(), by: "person:ann".into() });
    stage.run(3, &good).await.unwrap();
    assert_eq!(stage.running().as_deref(), Some("11111111"));
}

#[tokio::test]
async fn after_its_time_the_gate_is_asked_again() {
    let mut stage = Stage::new(CANARY, ONE_PLACE, Wired::All);
    let wait = GateWait { why: "the policy gate waits for the provenance".into(), until: second(&stage, 30) };
    *stage.answers.waits.lock() = Some(wait);
    stage.build(1);
    stage.run(10, &good).await.unwrap();
    *stage.answers.waits.lock() = None;
    *stage.answers.deny.lock() = Some("no provenance".into());
    stage.run(10, &good).await.unwrap();
    assert!(stage.journal.all::<DeployRefused>().is_empty());
    stage.run(15, &good).await.unwrap();
    assert_eq!(stage.journal.all::<DeployRefused>()[0].why, "policy denies it: no provenance");
}
