#![expect(clippy::unwrap_used, reason = "tests")]

use lem_engine_gha::glob::{MAX_PATTERN_CHARS, Pattern};
use lem_engine_gha::{Match, Options, TriggerEvent, Workflow, read, trigger};

fn workflow(on: &str) -> Workflow {
    let text = format!("on:\n{on}\njobs:\n  a:\n    runs-on: x\n    steps:\n    - run: x\n");
    let (workflow, diagnostics) = read(&text, "ci.yml", None, &Options::default());
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    workflow.unwrap()
}

fn check(on: &str, event: &TriggerEvent, expect: &str) {
    let shown = match trigger::matches(&workflow(on), event) {
        Match::Runs { place } => format!("runs {place}"),
        Match::Skips { reason, place } => format!("{place}: {reason}"),
    };
    assert_eq!(shown, expect, "{on}\n{event:?}");
}

fn push(git_ref: &str, changed: &[&str]) -> TriggerEvent {
    TriggerEvent::push(git_ref, changed.iter().copied())
}

#[test]
fn events_and_types() {
    check("  [push, pull_request]", &push("refs/heads/x", &[]), "runs ci.yml:2:4");
    check("  push:", &TriggerEvent::named("release", ""), "ci.yml:2:3: \"release\" is not among the events of \"on\"");
    let mut pull = TriggerEvent::named("pull_request", "refs/heads/main");
    for (action, on, expect) in [
        ("opened", "  pull_request:", "runs ci.yml:2:3"),
        (
            "labeled",
            "  pull_request:",
            "ci.yml:2:3: activity \"labeled\" is not among those meant without \"types\": opened, synchronize, reopened",
        ),
        ("labeled", "  pull_request:\n    types: [labeled]", "runs ci.yml:2:3"),
        ("opened", "  pull_request:\n    types: labeled", "ci.yml:3:12: activity \"opened\" is not among \"types\""),
    ] {
        pull.action = Some(action.to_owned());
        check(on, &pull, expect);
    }
}

#[test]
fn branches_and_tags() {
    let on = "  push:\n    branches: [main, 'release/**', '!release/old']";
    check(on, &push("refs/heads/main", &[]), "runs ci.yml:2:3");
    check(on, &push("refs/heads/release/1/x", &[]), "runs ci.yml:2:3");
    check(on, &push("refs/heads/release/old", &[]), "ci.yml:3:36: branch \"release/old\" matches no pattern");
    check(on, &push("refs/heads/dev", &[]), "ci.yml:3:16: branch \"dev\" matches no pattern");
    check(on, &push("refs/tags/v1", &[]), "ci.yml:3:16: \"v1\" is a tag, and only branches are filtered for");
    let on = "  push:\n    tags-ignore: ['v0.*']";
    check(on, &push("refs/tags/v1.0", &[]), "runs ci.yml:2:3");
    check(on, &push("refs/tags/v0.1", &[]), "ci.yml:3:19: tag \"v0.1\" is ignored");
    check(on, &push("refs/heads/main", &[]), "ci.yml:3:19: \"main\" is a branch, and only tags are filtered for");
    let on = "  push:\n    tags: ['v*']\n    branches-ignore: [dev]";
    check(on, &push("refs/heads/main", &[]), "runs ci.yml:2:3");
    check(on, &push("refs/tags/v1", &[]), "runs ci.yml:2:3");
}

#[test]
fn paths() {
    let on = "  push:\n    paths: ['src/**', '!**/*.md']";
    check(on, &push("refs/heads/x", &["src/a.rs", "README.md"]), "runs ci.yml:2:3");
    check(on, &push("refs/heads/x", &["src/a.md"]), "ci.yml:3:23: path \"src/a.md\" matches no pattern");
    check(on, &push("refs/tags/x", &["src/a.md"]), "runs ci.yml:2:3");
    check(on, &TriggerEvent::named("push", "refs/heads/x"), "runs ci.yml:2:3");
    let on = "  push:\n    paths-ignore: ['docs/**']";
    check(on, &push("refs/heads/x", &["docs/a", "src/b"]), "runs ci.yml:2:3");
    check(
        on,
        &push("refs/heads/x", &["docs/a", "docs/b"]),
        "ci.yml:3:20: none of 2 changed paths is wanted: every one is ignored",
    );
    let on = "  push:\n    branches: [main]\n    paths: [src]";
    check(on, &push("refs/heads/dev", &["src"]), "ci.yml:3:16: branch \"dev\" matches no pattern");
}

#[test]
fn skip_ci() {
    for word in ["[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]"] {
        let event = TriggerEvent { message: format!("docs {word}"), ..push("refs/heads/x", &[]) };
        check("  push:", &event, &format!("ci.yml:2:3: the commit message says {word}"));
    }
    let event = TriggerEvent { message: "[skip ci]".into(), ..TriggerEvent::named("workflow_dispatch", "") };
    check("  workflow_dispatch:", &event, "runs ci.yml:2:3");
}

#[test]
fn schedules_and_other_workflows() {
    let due = |cron: &str| TriggerEvent { cron: Some(cron.into()), ..TriggerEvent::named("schedule", "") };
    let on = "  schedule:\n  - cron: '0 3 * * 1-5'";
    check(on, &due("0 3 * * 1-5"), "runs ci.yml:2:3");
    check(on, &due("0 4 * * *"), "ci.yml:2:3: no line of the schedule is \"0 4 * * *\"");
    let run = |name: &str| TriggerEvent { workflow: Some(name.into()), ..TriggerEvent::named("workflow_run", "") };
    let on = "  workflow_run:\n    workflows: [ci]";
    check(on, &run("ci"), "runs ci.yml:2:3");
    check(on, &run("other"), "ci.yml:3:17: workflow \"other\" is not listed");
}

#[test]
fn patterns() {
    for (pattern, yes, no) in [
        ("*", "main", "feature/a"),
        ("**", "feature/a", "\0"),
        ("feature/*", "feature/a", "feature/a/b"),
        ("feature/**", "feature/a/b", "features/a"),
        ("**/README.md", "README.md", "xREADME.md"),
        ("**/README.md", "a/b/README.md", "README.mdx"),
        ("docs/**/*.md", "docs/a.md", "docs/a.txt"),
        ("*.jsx?", "a.js", "a.jsxx"),
        ("v[12].[0-9]+.[0-9]+", "v1.10.2", "v3.1.1"),
        ("v[!0-9]", "vx", "v1"),
        (r"a\*b", "a*b", "axb"),
        ("+", "", ""),
    ] {
        let Ok(parsed) = Pattern::parse(pattern) else {
            assert_eq!(pattern, "+");
            continue;
        };
        assert!(parsed.matches(yes), "{pattern} {yes}");
        assert!(no == "\0" || !parsed.matches(no), "{pattern} {no}");
    }
    assert!(Pattern::parse(&"x".repeat(MAX_PATTERN_CHARS)).is_ok());
    assert!(Pattern::parse(&"x".repeat(MAX_PATTERN_CHARS + 1)).is_err());
}
