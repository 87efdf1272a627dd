//! What the plan says for people: durations, sentences.

use lem_deploy::model::{Slack, human_ms};

#[test]
fn durations_for_people() {
    for (ms, text) in
        [(0, "0ms"), (250, "250ms"), (1500, "1500ms"), (90_000, "1m30s"), (3_600_000, "1h"), (86_400_000, "24h")]
    {
        assert_eq!(human_ms(ms), text);
    }
}

#[test]
fn surge_rounds_up_and_unavailable_down() {
    assert_eq!((Slack::Percent(25).up(3), Slack::Percent(25).down(3)), (1, 0));
    assert_eq!((Slack::Count(2).up(3), Slack::Count(2).down(3)), (2, 2));
}
