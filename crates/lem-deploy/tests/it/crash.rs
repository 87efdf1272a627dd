//! The engine is killed after every single event and starts again on the same ledger: the end is the same.

use crate::fake::{CANARY, ONE_PLACE, Stage, Wired, good, scope, second_bad};
use lem_deploy::events::*;

/// What a story comes to: what runs, how rollouts ended, what is quarantined.
#[derive(Debug, PartialEq)]
struct End {
    running: Option<String>,
    weight_of_running: u32,
    outcomes: Vec<(String, RolloutOutcome)>,
    quarantined: usize,
    refused: usize,
}

fn end(stage: &Stage) -> End {
    let running = stage.running();
    let weight = running.as_deref().map_or(0, |v| stage.router.weight(&scope(), v));
    End {
        running,
        weight_of_running: weight,
        outcomes: stage.outcomes(),
        quarantined: stage.journal.all::<ArtifactQuarantined>().len(),
        refused: stage.journal.all::<RollbackRefused>().len() + stage.journal.all::<DeployRefused>().len(),
    }
}

type Fails = fn(&str) -> f64;

struct Story {
    name: &'static str,
    strategy: &'static str,
    fails: Fails,
    rollback: bool,
}

const STORIES: [Story; 5] = [
    Story { name: "good canary", strategy: CANARY, fails: good, rollback: false },
    Story { name: "bad canary", strategy: CANARY, fails: second_bad, rollback: false },
    Story { name: "rollback", strategy: CANARY, fails: good, rollback: true },
    Story { name: "blue-green", strategy: "strategy: {blueGreen: {}}", fails: good, rollback: false },
    Story { name: "recreate", strategy: "strategy: {type: Recreate}", fails: good, rollback: true },
];

/// Seconds long enough for any of the stories, also when every interval of evidence is cut by a restart.
const LONG: i64 = 150;

/// Plays a story; the engine is killed once after `kill_at` appends.
async fn play(story: &Story, kill_at: u64, lose_children: bool) -> (Stage, bool) {
    let mut stage = Stage::new(story.strategy, ONE_PLACE, Wired::None);
    stage.journal.allow(kill_at);
    let mut killed = false;
    for part in 0..3 {
        match part {
            0 => stage.build(1),
            1 => stage.build(2),
            _ if story.rollback => stage.journal.hear(&RollbackRequested {
                service: "shop".into(),
                environment: "production".into(),
                from: None,
                to: None,
                reason: "alert".into(),
                incident: None,
                by: "policy:feedback".into(),
            }),
            _ => {}
        }
        let seconds = if part == 1 { LONG } else { 5 };
        for _ in 0..seconds {
            if stage.run(1, &story.fails).await.is_err() {
                assert!(!killed, "{}: killed once only", story.name);
                killed = true;
                stage.restart(lose_children);
            }
        }
    }
    (stage, killed)
}

#[tokio::test]
async fn killed_after_any_event_the_end_is_the_same() {
    for story in &STORIES {
        let (calm, _) = play(story, u64::MAX, false).await;
        let expect = end(&calm);
        for lose_children in [false, true] {
            let mut kill_at = 0;
            loop {
                let (stage, killed) = play(story, kill_at, lose_children).await;
                assert_eq!(end(&stage), expect, "{}: killed after {kill_at} events, lost {lose_children}", story.name);
                for rollout in stage.journal.all::<RolloutFinished>() {
                    let same = |f: &RolloutFinished| f.deployment == rollout.deployment;
                    assert_eq!(stage.journal.all::<RolloutFinished>().iter().filter(|f| same(f)).count(), 1);
                }
                assert_eq!(
                    stage.journal.all::<VerdictReached>().iter().filter(|v| v.outcome == VerdictOutcome::Bad).count(),
                    calm.journal.all::<VerdictReached>().iter().filter(|v| v.outcome == VerdictOutcome::Bad).count()
                );
                if !killed {
                    break;
                }
                // The many intervals of evidence in the middle are all alike: one in seven of them is enough.
                kill_at += if (25..80).contains(&kill_at) { 7 } else { 1 };
            }
            assert!(kill_at > 10, "{}: the story has events", story.name);
        }
    }
}

#[tokio::test]
async fn instances_that_ended_with_the_program_are_said_to_be_gone() {
    let mut stage = Stage::canary();
    stage.build(1);
    stage.run(3, &good).await.unwrap();
    let started = InstanceStarted {
        instance: "shop-production-11111111-ab".into(),
        service: "shop".into(),
        environment: "production".into(),
        version: "11111111".into(),
        address: "127.0.0.1:10000".into(),
        pid: Some(7),
    };
    stage.journal.hear(&started);
    *stage.target.adopts.lock() = true;
    stage.restart(false);
    stage.run(1, &good).await.unwrap();
    assert!(stage.journal.all::<InstanceExited>().is_empty(), "this target's instances go on");

    *stage.target.adopts.lock() = false;
    stage.restart(true);
    stage.run(2, &good).await.unwrap();
    let gone = stage.journal.all::<InstanceExited>();
    assert_eq!(gone.len(), 1, "once");
    assert_eq!((gone[0].instance.as_str(), gone[0].expected), ("shop-production-11111111-ab", true));
    assert!(stage.lane().instances.is_empty());
}
