//! Checkout, artifacts, caches, test results.

use crate::story::{Story, dirty, steps};
use lem_model::fact::Outcome;
use lem_model::port::ArtifactSource;
use lem_pipeline::events::PipelineFact;
use lem_pipeline::service::Progress;
use std::os::unix::fs::PermissionsExt;

#[tokio::test(flavor = "multi_thread")]
async fn checkout_gives_the_commit_or_the_working_tree() {
    let story = Story::new(
        &steps(
            "- run: ls -A | wc -l\n- uses: actions/checkout@v4\n- run: cat a.txt; git log -1 --format=%s; git status --short | wc -l; ls new.txt 2>&1 | head -1\n",
        ),
        &[("a.txt", "committed\n"), ("gone.txt", "x")],
    );
    story.write("a.txt", "changed\n");
    story.write("new.txt", "");
    std::fs::remove_file(story.root().join("gone.txt")).unwrap();
    let told = story.run().await;
    let log = told.log("job");
    assert_eq!(log[0], "0", "no files without a checkout");
    assert!(log[1].starts_with("checked out "), "{log:?}");
    assert_eq!(log[2..5], ["committed", "first", "0"]);
    assert!(log[5].contains("No such file"));
    let log = story.run_with(dirty()).await.log("job");
    assert_eq!(
        log[2..],
        ["3 uncommitted changes of the working tree are included", "changed", "first", "3", "new.txt"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_go_from_job_to_job_and_to_other_stages() {
    let story = Story::new(
        "on: push
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
    - run: mkdir -p out/bin && echo '#!/bin/sh' > out/bin/shop && chmod 755 out/bin/shop && echo data > out/data.txt && touch out/skip.log
    - uses: actions/upload-artifact@v4
      id: up
      with: {name: shop, path: \"out\\n!out/*.log\", retention-days: 5}
    - run: echo ${{ steps.up.outputs.artifact-digest }} | wc -c
  use:
    needs: build
    runs-on: ubuntu-latest
    steps:
    - uses: actions/download-artifact@v4
      with: {name: shop, path: got}
    - run: find got -type f -printf '%P %m\\n' | sort
    - uses: actions/download-artifact@v4
    - run: ls shop
    - uses: actions/download-artifact@v4
      with: {name: missing}
",
        &[],
    );
    let told = story.run().await;
    assert_eq!(told.jobs(), ["build=Success", "use=Failure"]);
    assert_eq!(told.log("build").last().unwrap(), "65");
    let log = told.log("use");
    assert_eq!(log[1..3], ["bin/shop 755", "data.txt 644"], "{log:?}");
    assert!(log.last().unwrap().contains("no artifact \"missing\" in this run; there are: shop"), "{log:?}");
    assert!(told.result.diagnostics.iter().any(|d| d.message.contains("retention-days")));

    let artifact = &told.run().view.artifacts[0];
    assert!(artifact.purl.starts_with("pkg:generic/shop@") && artifact.purl.contains("?checksum=sha256:"));
    let into = tempfile::tempdir().unwrap();
    told.pipeline.artifacts().unpack(&artifact.digest, into.path()).await.unwrap();
    let mode = std::fs::metadata(into.path().join("bin/shop")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_nothing_warns_or_fails() {
    for (what, outcome, line) in [
        ("", Outcome::Success, "##[warning]no files were found"),
        (", if-no-files-found: error", Outcome::Failure, "##[error]no files were found"),
        (", name: 'a/b'", Outcome::Failure, "##[error]artifact name \"a/b\" may not contain '/'"),
    ] {
        let body = format!("- uses: actions/upload-artifact@v4\n  with: {{path: none{what}}}\n");
        let told = Story::new(&steps(&body), &[]).run().await;
        assert_eq!(told.run().outcome.outcome, outcome);
        assert!(told.log("job")[0].starts_with(line), "{:?}", told.log("job"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn test_reports_become_facts() {
    let xml = "<testsuite name=\"shop\"><testcase name=\"a\"/><testcase name=\"b\"><failure message=\"no\"/></testcase></testsuite>";
    let body = format!(
        "- run: mkdir -p target/nextest/ci && echo '{xml}' > target/nextest/ci/junit.xml; exit 1\n- if: always()\n  uses: actions/upload-artifact@v4\n  with: {{name: tests, path: target/nextest/ci/junit.xml}}\n"
    );
    let told = Story::new(&steps(&body), &[]).run().await;
    let suites: Vec<_> = told
        .seen
        .iter()
        .filter_map(|p| match p {
            Progress::Fact(PipelineFact::TestSuiteFinished(suite)) => Some(suite),
            _ => None,
        })
        .collect();
    assert_eq!(suites.len(), 1, "one report is read once");
    assert_eq!((suites[0].passed, suites[0].failed, suites[0].outcome), (1, 1, Outcome::Failure));
    assert_eq!(suites[0].failures[0].name, "shop::b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_is_saved_and_restored() {
    let story = Story::new(
        &steps(
            "- id: c\n  uses: actions/cache@v4\n  with: {path: deps, key: 'deps-${{ hashFiles(''lock'') }}', restore-keys: deps-}\n- run: 'echo hit=${{ steps.c.outputs.cache-hit }}; cat deps/x 2>/dev/null || (mkdir deps && echo made > deps/x)'\n",
        ),
        &[],
    );
    let first = story.run().await.log("job");
    assert_eq!(first[1..], ["hit=", "cache saved under key deps-: 1 files, 2048 bytes"], "{first:?}");
    let second = story.run().await.log("job");
    assert_eq!(second, ["cache restored from key deps-", "hit=true", "made"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_there_or_an_error_says_what_is() {
    let told = Story::new(&steps("- uses: actions/setup-python@v5\n  with: {python-version: '3'}\n- uses: actions/setup-python@v5\n  with: {python-version: '2.7'}\n"), &[]).run().await;
    let log = told.log("job");
    assert!(log[0].starts_with("python3 3."), "{log:?}");
    assert!(log[1].contains("is installed, but 2.7 is asked for"), "{log:?}");
}
