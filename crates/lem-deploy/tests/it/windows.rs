//! Kargo promotion windows, across changes of the clock.

use lem_deploy::promotion::{closed, read};
use lem_deploy::state::State;
use lem_model::port::Scope;

fn is_open(file: &str, environment: &str, at: &str) -> bool {
    let (windows, found) = read("windows.yaml", file);
    assert!(found.is_empty(), "{found:?}");
    let mut config = crate::fake::config(crate::fake::CANARY, crate::fake::ONE_PLACE);
    config.services[0].windows = windows;
    let scope = Scope { service: "shop".into(), environment: environment.into() };
    closed(&State::default(), &config.services[0], &scope, at.parse().unwrap()).is_none()
}

#[test]
fn when_it_is_open() {
    let office = "
promotionWindows:
- {name: office, kind: Allow, rrule: 'FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR', dtstart: 'TZID=Europe/Berlin:20260105T090000', dtend: 'TZID=Europe/Berlin:20260105T170000'}
";
    let freeze = "
promotionWindows:
- {name: sale, kind: Deny, dtstart: '20261127T000000', dtend: '20261201T000000', stageSelector: {name: production}}
";
    let both = format!("{office}{}", freeze.trim_start().trim_start_matches("promotionWindows:\n"));
    let night = "
promotionWindows:
- {name: night, kind: Deny, rrule: 'FREQ=DAILY', dtstart: 'TZID=Europe/Berlin:20260101T220000', dtend: 'TZID=Europe/Berlin:20260102T060000'}
";
    let globbed = "
apiVersion: kargo.akuity.io/v1alpha1
kind: ProjectConfig
metadata: {name: shop}
spec:
  promotionWindows:
  - {name: no, kind: Deny, stageSelector: {name: 'glob:prod*'}, dtstart: '20260101T000000', dtend: '20270101T000000'}
  - {name: off, kind: Deny, disabled: true, dtstart: '20260101T000000', dtend: '20270101T000000'}
";
    for (file, environment, at, open) in [
        // Winter: Berlin is an hour ahead of UTC.
        (office, "production", "2026-01-05T07:59:59Z", false),
        (office, "production", "2026-01-05T08:00:00Z", true),
        (office, "production", "2026-01-05T15:59:59Z", true),
        (office, "production", "2026-01-05T16:00:00Z", false),
        (office, "production", "2026-01-10T10:00:00Z", false),
        // Summer, two hours: the same office hours.
        (office, "production", "2026-07-06T06:59:59Z", false),
        (office, "production", "2026-07-06T07:00:00Z", true),
        (office, "production", "2026-07-06T15:00:00Z", false),
        // Before the first occurrence nothing is open.
        (office, "production", "2025-12-29T10:00:00Z", false),
        (freeze, "production", "2026-11-28T12:00:00Z", false),
        (freeze, "staging", "2026-11-28T12:00:00Z", true),
        (freeze, "production", "2026-12-01T00:00:00Z", true),
        // Deny wins over an open Allow.
        (&both, "production", "2026-11-30T10:00:00Z", false),
        (&both, "production", "2026-12-02T10:00:00Z", true),
        // The night in which the clocks go forward starts at 22:00 all the same, and lasts its eight hours.
        (night, "production", "2026-03-28T20:59:59Z", true),
        (night, "production", "2026-03-28T21:00:00Z", false),
        (night, "production", "2026-03-29T04:59:59Z", false),
        (night, "production", "2026-03-29T05:00:00Z", true),
        (night, "production", "2026-03-29T19:59:59Z", true),
        (night, "production", "2026-03-29T20:00:00Z", false),
        (globbed, "production", "2026-05-01T00:00:00Z", false),
        (globbed, "staging", "2026-05-01T00:00:00Z", true),
    ] {
        assert_eq!(is_open(file, environment, at), open, "{environment} at {at}");
    }
}

#[test]
fn what_is_wrong_has_a_place() {
    let window = |keys: &str| {
        let file = format!("promotionWindows:\n- {{name: a, kind: Deny, {keys}}}\n");
        let found = read("w.yaml", &file).1;
        found.into_iter().map(|d| d.to_string()).collect::<Vec<_>>().join("; ")
    };
    let times = "dtstart: '20260101T000000', dtend: '20260102T000000'";
    for (keys, expect) in [
        (
            "dtstart: '20260101T000000', dtend: '20260101T000000'",
            "w.yaml:2:60: dtend must be after dtstart [ends-before-start]",
        ),
        ("dtstart: 'TZID=Mars/Base:20260101T000000', dtend: '20260102T000000'", "time zone Mars/Base is not known"),
        ("dtstart: '2026-01-01', dtend: '20260102T000000'", "dtstart must be YYYYMMDDThhmmss"),
        (&format!("{times}, rrule: 'FREQ=SOMETIMES'"), "recurrence rule is not understood"),
        (&format!("{times}, projectSelector: {{}}"), "projectSelector belongs to a cluster-wide file"),
        (&format!("{times}, rule: x"), "unknown key \"rule\" in the window"),
        ("dtstart: '20260101T000000'", "the window needs \"dtend\""),
    ] {
        let found = window(keys);
        assert!(found.contains(expect), "{keys}: {found}");
    }
    assert!(read("w.yaml", "x: 1").1[0].message.contains("unknown key"));
}
