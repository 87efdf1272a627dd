//! Jobs, steps, conditions, variables, outputs, matrices.

use crate::story::{Story, steps};
use lem_model::fact::Outcome;
use lem_pipeline::RunRequest;

#[tokio::test(flavor = "multi_thread")]
async fn a_step_runs_and_is_logged() {
    let told = Story::new(&steps("- run: echo hello $((40+2))"), &[]).run().await;
    assert_eq!(told.run().outcome.outcome, Outcome::Success, "{:?}", told.seen);
    assert_eq!(told.log("job"), ["hello 42"]);
    assert_eq!(told.jobs(), ["job=Success"]);
}

/// Steps of one job against the lines of its log.
async fn check(body: &str, outcome: Outcome, log: &[&str]) {
    let told = Story::new(&steps(body), &[]).run().await;
    let lines = told.log("job");
    // Paths differ from run to run: a line begins as it is written here.
    assert!(
        lines.len() == log.len() && lines.iter().zip(log).all(|(have, want)| have.starts_with(want)),
        "{body}\n{lines:?}"
    );
    assert_eq!(told.run().outcome.outcome, outcome, "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_and_results_of_steps() {
    check(
        "- run: exit 3\n- run: echo never\n- if: failure()\n  run: echo mended\n- if: always()\n  run: echo always\n",
        Outcome::Failure,
        &["##[error]process completed with exit code 3", "mended", "always"],
    )
    .await;
    check("- id: a\n  continue-on-error: true\n  run: exit 1\n- run: echo ${{ steps.a.outcome }} ${{ steps.a.conclusion }} ${{ job.status }}\n",
        Outcome::Success, &["##[error]process completed with exit code 1", "failure success success"]).await;
    check("- if: github.ref_name == 'other'\n  run: echo never\n- if: ${{ github.ref_name == 'MAIN' }}\n  run: echo $GITHUB_REF_NAME\n",
        Outcome::Success, &["main"]).await;
    check(
        "- run: false | true; echo here\n- shell: bash\n  run: false | true\n",
        Outcome::Failure,
        &["here", "##[error]process completed with exit code 1"],
    )
    .await;
    check("- run: kill -9 $$\n", Outcome::Failure, &["##[error]process was ended by signal 9"]).await;
    check(
        "- shell: sh\n  run: echo $0 | grep -c temp\n- shell: python\n  run: print('py', 1 + 1)\n",
        Outcome::Success,
        &["1", "py 2"],
    )
    .await;
    check("- run: pwd | grep -o work$\n- run: mkdir sub\n- working-directory: sub\n  run: pwd | grep -o sub$\n- working-directory: none\n  run: pwd\n",
        Outcome::Failure, &["work", "sub", "##[error]cannot start in"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_and_file_commands() {
    check("- run: |\n    echo \"A=1\" >> $GITHUB_ENV\n    printf 'B<<X\\none\\ntwo\\nX\\n' >> $GITHUB_ENV\n    mkdir bin; printf '#!/bin/sh\\necho tool\\n' > bin/tool; chmod +x bin/tool\n    echo $PWD/bin >> $GITHUB_PATH\n- run: echo \"$A $B\"; tool\n- env: {A: 5}\n  run: echo $A ${{ env.A }}\n",
        Outcome::Success, &["1 one", "two", "tool", "5 5"]).await;
    check("- id: o\n  run: echo v=7 >> $GITHUB_OUTPUT; echo '::set-output name=w::8'\n- run: echo ${{ steps.o.outputs.v }} ${{ steps.o.outputs.w }}\n",
        Outcome::Success, &["7 8"]).await;
    check("- run: echo nonsense >> $GITHUB_ENV\n", Outcome::Failure,
        &["##[error]unable to process file command GITHUB_ENV: line 1: invalid format 'nonsense'; expected NAME=VALUE or NAME<<DELIMITER"]).await;
    check(
        "- run: echo NODE_OPTIONS=x >> $GITHUB_ENV\n",
        Outcome::Failure,
        &["##[error]unable to process file command GITHUB_ENV: line 1: NODE_OPTIONS may not be set"],
    )
    .await;
    check("- run: echo ${{ fromJSON('[1') }}\n", Outcome::Failure, &["##[error].github/workflows/ci.yml"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_outputs_and_skips_across_jobs() {
    let told = Story::new(
        "on: push
env: {TOP: t}
jobs:
  make:
    runs-on: ubuntu-latest
    outputs: {v: '${{ steps.s.outputs.v }}'}
    steps:
    - id: s
      run: echo v=$TOP-42 >> $GITHUB_OUTPUT
  use:
    needs: make
    runs-on: ubuntu-latest
    steps: [{run: 'echo got ${{ needs.make.outputs.v }} ${{ needs.make.result }}'}]
  fail:
    runs-on: ubuntu-latest
    steps: [{run: exit 1}]
  after:
    needs: [fail, use]
    runs-on: ubuntu-latest
    steps: [{run: echo never}]
  later:
    needs: after
    runs-on: ubuntu-latest
    steps: [{run: echo never}]
  tidy:
    needs: [fail, later]
    if: always()
    runs-on: ubuntu-latest
    steps: [{run: 'echo ${{ needs.fail.result }} ${{ needs.later.result }}'}]
  mend:
    needs: fail
    if: failure()
    runs-on: ubuntu-latest
    steps: [{run: echo mended}]
",
        &[],
    )
    .run()
    .await;
    assert_eq!(
        told.jobs(),
        [
            "after=Skipped",
            "fail=Failure",
            "later=Skipped",
            "make=Success",
            "mend=Success",
            "tidy=Success",
            "use=Success"
        ]
    );
    assert_eq!(told.log("use"), ["got t-42 success"]);
    assert_eq!(told.log("tidy"), ["failure skipped"]);
    let why = |job: &str| told.run().view.jobs[job].why_skipped.clone().unwrap();
    assert_eq!(why("after"), "needs fail, which failed (.github/workflows/ci.yml:14:3)");
    assert_eq!(why("later"), "needs after, which was skipped (.github/workflows/ci.yml:17:3)");
    assert_eq!(told.run().outcome.errors.as_deref(), Some("failed: fail"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matrix_gives_jobs_and_a_dynamic_one_waits_for_its_values() {
    let told = Story::new(
        "on: push
jobs:
  list:
    runs-on: ubuntu-latest
    outputs: {all: '${{ steps.s.outputs.all }}'}
    steps:
    - id: s
      run: echo 'all=[\"x\",\"y\"]' >> $GITHUB_OUTPUT
  fixed:
    strategy:
      matrix: {os: [a, b], n: [1], include: [{os: c, extra: e}]}
    runs-on: ubuntu-latest
    steps: [{run: 'echo ${{ matrix.os }}${{ matrix.n }}${{ matrix.extra }} ${{ strategy.job-index }}/${{ strategy.job-total }}'}]
  each:
    needs: list
    strategy: {matrix: {v: '${{ fromJSON(needs.list.outputs.all) }}'}, max-parallel: 1}
    runs-on: ubuntu-latest
    steps: [{run: 'echo ${{ matrix.v }}'}]
",
        &[],
    )
    .run()
    .await;
    assert_eq!(
        told.jobs(),
        [
            "each (x)=Success",
            "each (y)=Success",
            "fixed (a, 1)=Success",
            "fixed (b, 1)=Success",
            "fixed (c, e)=Success",
            "list=Success"
        ]
    );
    assert_eq!(told.log("fixed (c, e)"), ["ce 2/3"]);
    assert_eq!(told.log("each (y)"), ["y"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fail_fast_stops_siblings_and_continue_on_error_does_not() {
    let workflow = |continue_on_error: &str| {
        format!(
            "on: push\njobs:\n  t:\n    continue-on-error: {continue_on_error}\n    strategy: {{max-parallel: 1, matrix: {{n: [1, 2, 3]}}}}\n    runs-on: ubuntu-latest\n    steps: [{{run: 'test ${{{{ matrix.n }}}} != 1'}}]\n"
        )
    };
    let told = Story::new(&workflow("false"), &[]).run().await;
    assert_eq!(told.jobs(), ["t (1)=Failure", "t (2)=Skipped", "t (3)=Skipped"]);
    assert_eq!(told.run().outcome.outcome, Outcome::Failure);
    let told = Story::new(&workflow("${{ matrix.n == 1 }}"), &[]).run().await;
    assert_eq!(told.jobs(), ["t (1)=Success", "t (2)=Success", "t (3)=Success"]);
    assert_eq!(told.run().view.jobs["t (1)"].outcome, Some(Outcome::Failure));
    assert_eq!(told.run().outcome.outcome, Outcome::Success);
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_vars_and_secrets_reach_steps() {
    let story = Story::new(
        "on: {workflow_dispatch: {inputs: {who: {required: true}, loud: {type: boolean, default: true}}}}
jobs:
  job:
    runs-on: ubuntu-latest
    steps: [{run: 'echo ${{ inputs.who }} ${{ inputs.loud && 1 || 0 }} ${{ vars.V }} ${{ secrets.S }}; echo ${{ github.event.inputs.who }}'}]
",
        &[],
    );
    let request = |inputs: &[(&str, &str)]| RunRequest {
        event: "workflow_dispatch".into(),
        inputs: inputs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        vars: [("V".to_owned(), "var".to_owned())].into_iter().collect(),
        secrets: [("S".to_owned(), "hush-hush".to_owned())].into_iter().collect(),
        ..RunRequest::default()
    };
    let told = story.run_with(request(&[("who", "ann")])).await;
    assert_eq!(told.log("job"), ["ann 1 var ***", "ann"]);
    for (inputs, message) in
        [(&[][..], "input \"who\" is required"), (&[("who", "a"), ("x", "y")][..], "no input \"x\"")]
    {
        let error = story.try_run(request(inputs)).await.err().unwrap();
        assert!(error.to_string().contains(message), "{error}");
    }
}
