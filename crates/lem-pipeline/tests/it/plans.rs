//! What is decided before anything runs.

use crate::story::{FILE, Story, steps};
use lem_model::fact::Outcome;
use lem_pipeline::report::{GraphFormat, explain, graph};
use lem_pipeline::{PipelineError, RunRequest};

#[tokio::test(flavor = "multi_thread")]
async fn filters_decide_whether_a_run_exists() {
    let body = "jobs: {a: {runs-on: x, steps: [{run: 'true'}]}}\n";
    for (on, runs) in [
        ("on: push\n", true),
        ("on: pull_request\n", false),
        ("on: {push: {branches: [main]}}\n", true),
        ("on: {push: {branches: ['rel/**']}}\n", false),
        ("on: {push: {branches-ignore: [main]}}\n", false),
        ("on: {push: {tags: ['v*']}}\n", false),
        ("on: {push: {paths: ['docs/**']}}\n", false),
        ("on: {push: {paths: ['src/**', '!src/x']}}\n", true),
    ] {
        let story = Story::new(&format!("{on}{body}"), &[]);
        story.write("src/a.rs", "");
        story.commit("second");
        let prepared = story.pipeline().prepare(&RunRequest::default()).unwrap();
        assert_eq!(prepared.plans.len(), usize::from(runs), "{on}: {:?}", prepared.passed);
    }
    let story = Story::new(&format!("on: push\n{body}"), &[]);
    story.commit("no run [skip ci]");
    let prepared = story.pipeline().prepare(&RunRequest::default()).unwrap();
    assert!(prepared.passed[0].1.contains("[skip ci]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_supported_is_named_and_the_run_is_no_success() {
    let told = Story::new(
        "on: push
jobs:
  box:
    runs-on: ubuntu-latest
    container: debian:12
    services: {db: {image: 'postgres:16'}}
    steps:
    - uses: docker://alpine
    - uses: actions/chekout@v4
    - uses: some/thing@v1
    - uses: actions/checkout@v4
      with: {sparse-checkout: x}
  mac: {runs-on: macos-latest, steps: [{run: 'true'}]}
  fine: {runs-on: ubuntu-latest, steps: [{run: echo fine}]}
  after: {needs: box, runs-on: ubuntu-latest, steps: [{run: 'true'}]}
",
        &[],
    )
    .run()
    .await;
    assert_eq!(told.jobs(), ["after=Skipped", "box=Skipped", "fine=Success", "mac=Skipped"]);
    assert_eq!(told.run().outcome.outcome, Outcome::Failure);
    let messages: Vec<String> =
        told.result.diagnostics.iter().map(|d| d.to_string().lines().next().unwrap().to_owned()).collect();
    assert_eq!(
        messages,
        [
            ".github/workflows/ci.yml:5:16: a job in a container is not supported by the local executor [unsupported]",
            ".github/workflows/ci.yml:6:15: service containers are not supported by the local executor [unsupported]",
            ".github/workflows/ci.yml:8:13: docker action docker://alpine is not supported [unsupported]",
            ".github/workflows/ci.yml:9:13: action actions/chekout@v4 is not supported; there is no network and no Node.js in a run [unsupported]",
            ".github/workflows/ci.yml:10:13: action some/thing@v1 is not supported; there is no network and no Node.js in a run [unsupported]",
            ".github/workflows/ci.yml:12:14: input \"sparse-checkout\" of actions/checkout is not supported [unsupported]",
            ".github/workflows/ci.yml:13:18: runner \"macos-latest\" is not supported: jobs run on this machine, which is Linux [unsupported]",
        ]
    );
    assert!(told.run().view.jobs["box"].why_skipped.as_ref().unwrap().starts_with("blocked: a job in a container"));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_errors_of_all_files_are_reported_and_nothing_starts() {
    let story = Story::new(
        "on: push\njobs:\n  a: {runs-on: x, needs: [b], steps: [{run: '${{ nothing.x }}', shel: sh}]}\n",
        &[],
    );
    story.write(".github/workflows/other.yml", "on: push\njobs: {}\nextra: 1\n");
    story.commit("second");
    let error = story.try_run(RunRequest::default()).await.err().unwrap();
    let PipelineError::Invalid(found) = error else { panic!("{error}") };
    assert!(
        found.iter().any(|d| d.place.file == FILE) && found.iter().any(|d| d.place.file.ends_with("other.yml")),
        "{found:?}"
    );
    assert!(found.len() >= 4, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_job_runs_with_what_it_needs() {
    let story = Story::new(
        "on: push\njobs:\n  a: {runs-on: x, steps: [{run: 'true'}]}\n  b: {needs: a, runs-on: x, steps: [{run: 'true'}]}\n  c: {runs-on: x, steps: [{run: 'true'}]}\n",
        &[],
    );
    let told = story.run_with(RunRequest { job: Some("b".into()), ..RunRequest::default() }).await;
    assert_eq!(told.jobs(), ["a=Success", "b=Success"]);
    let error = story.try_run(RunRequest { job: Some("x".into()), ..RunRequest::default() }).await.err().unwrap();
    assert!(error.to_string().contains("\"x\""), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_explains_itself_and_draws_its_graph() {
    let story = Story::new(
        "on: push
jobs:
  build: {runs-on: x, strategy: {matrix: {v: [1, 2]}}, steps: [{run: 'true'}]}
  test: {needs: build, if: github.ref_name == 'other', runs-on: x, steps: [{run: 'true'}]}
  ship: {needs: test, runs-on: x, steps: [{run: 'true'}]}
",
        &[],
    );
    let prepared = story.pipeline().prepare(&RunRequest::default()).unwrap();
    let plan = &prepared.plans[0];
    assert_eq!(
        explain(plan, "ship").unwrap(),
        [
            "event push on refs/heads/main starts .github/workflows/ci.yml",
            "build runs: its condition success() holds (.github/workflows/ci.yml:3:10) [.github/workflows/ci.yml:3:3]",
            "test is skipped: its condition github.ref_name == 'other' does not hold (.github/workflows/ci.yml:4:28) [.github/workflows/ci.yml:4:3]",
            "ship is skipped: needs test, which was skipped (.github/workflows/ci.yml:4:3) [.github/workflows/ci.yml:5:3]",
        ]
    );
    assert!(explain(plan, "nope").is_err());
    assert_eq!(graph(&plan.jobs, GraphFormat::Text), "build (1)\nbuild (2)\n  test  <- build\n    ship  <- test\n");
    assert!(graph(&plan.jobs, GraphFormat::Mermaid).contains("n0 --> n2"));
    assert!(graph(&plan.jobs, GraphFormat::Dot).contains("n1 -> n2;"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matrix_has_a_limit() {
    let values: Vec<String> = (0..257).map(|n| n.to_string()).collect();
    let workflow = format!(
        "on: push\njobs:\n  a: {{runs-on: x, strategy: {{matrix: {{n: [{}]}}}}, steps: [{{run: 'true'}}]}}\n",
        values.join(",")
    );
    let told = Story::new(&workflow, &[]).run().await;
    assert_eq!(told.run().outcome.outcome, Outcome::Failure);
    assert!(told.run().view.jobs["a"].why_skipped.as_ref().unwrap().contains("257 jobs; at most 256"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_must_be_a_time() {
    let told = Story::new(&steps("- timeout-minutes: 0\n  run: 'true'\n"), &[]).run().await;
    assert!(told.log("job")[0].contains("timeout-minutes must be above 0"), "{:?}", told.log("job"));
}
