//! The five metrics count what they say they count.

use crate::story::{Story, at};
use lem_feedback::plan::dora::dora;
use lem_model::fact::*;
use lem_model::port::Window;

#[test]
fn rows_explain_every_number() {
    let mut story = Story::default();
    story.commit(0, 'a', None, "x").commit(100, 'b', Some('a'), "x").commit(200, 'c', Some('b'), "x");
    story.release(10, 'a', None, 100).finished(60, 'a', RolloutOutcome::Promoted);
    // b and c go out together: two commits, two lead times.
    story.release(250, 'c', Some('a'), 10).verdict(300, 'c', VerdictOutcome::Good);
    story.finished(400, 'c', RolloutOutcome::Promoted);
    // d is caught in canary.
    story.commit(500, 'd', Some('c'), "x").release(510, 'd', Some('c'), 10).verdict(540, 'd', VerdictOutcome::Bad);
    story.finished(545, 'd', RolloutOutcome::RolledBack);
    let result = dora(&story.state, &"production".into(), Window { from: at(-1), to: at(86_399) });
    assert_eq!(result.deployments.len(), 3);
    assert_eq!(result.deployment_frequency_per_day, Some(2.0), "a rolled back canary never became the service");
    assert_eq!(result.change_lead_time.n, 3);
    assert_eq!(result.change_lead_time.median_s, Some(200.0), "60 for a, 300 for b, 200 for c");
    assert_eq!((result.change_fail_rate.numerator, result.change_fail_rate.denominator), (1, 3));
    assert_eq!(result.failed_deployment_recovery_time.median_s, Some(5.0));
    assert!(result.deployments[2].failed.as_ref().unwrap().contains("6 times"));
}

#[test]
fn the_same_digest_again_is_no_deployment() {
    let mut story = Story::default();
    story.commit(0, 'a', None, "x").release(10, 'a', None, 100).finished(60, 'a', RolloutOutcome::Promoted);
    let mut again = story.events.iter().find_map(lem_model::Event::read::<ReleasePlanned>).unwrap();
    again.deployment = "d-again".into();
    story.tell(100, &again).tell(
        100,
        &RolloutStarted {
            deployment: "d-again".into(),
            service: "shop".into(),
            environment: "production".into(),
            version: "a".into(),
            sha: crate::story::sha('a').into(),
        },
    );
    let result = dora(&story.state, &"production".into(), Window { from: at(-1), to: at(1000) });
    assert_eq!(result.deployments.len(), 1);
}

#[test]
fn nothing_is_unknown_not_zero() {
    let result = dora(&Story::default().state, &"production".into(), Window { from: at(0), to: at(1) });
    assert_eq!(result.change_fail_rate.value, None);
    assert_eq!(result.change_lead_time.median_s, None);
}
