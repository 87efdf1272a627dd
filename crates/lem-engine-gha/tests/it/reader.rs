#![expect(clippy::unwrap_used, reason = "tests")]

use lem_engine_gha::{Action, Checks, Context, Files, Options, Status, Value, Work, Workflow, read, to_template_json};
use std::collections::HashMap;

const STEPS: &str = "    runs-on: x\n    steps:\n    - run: x\n";

fn diagnostics(text: &str) -> Vec<String> {
    let (workflow, found) = read(text, "ci.yml", None, &Options::default());
    assert_eq!(workflow.is_some(), found.is_empty());
    found.iter().map(ToString::to_string).collect()
}

fn check(text: &str, expect: &[&str]) {
    assert_eq!(diagnostics(text), expect, "{text}");
}

fn good(text: &str) -> Workflow {
    let (workflow, found) = read(text, "ci.yml", None, &Options::default());
    assert!(found.is_empty(), "{found:?}");
    workflow.unwrap()
}

#[test]
fn keys_and_values() {
    check("", &["ci.yml: the file is empty [empty-file]"]);
    check(
        "jobs: {}\n",
        &[
            "ci.yml:1:1: Required property is missing: on [missing-key]",
            "ci.yml:1:7: The workflow must contain at least one job with no dependencies. [needs]",
        ],
    );
    check(
        &format!("on: pusj\njobs:\n  a:\n{STEPS}"),
        &["ci.yml:1:5: Unexpected value 'pusj' [unexpected-value]\n  help: did you mean \"push\"?"],
    );
    check(
        &format!("on: push\njobs:\n  a:\n{STEPS}    timeout-minuts: 1\n"),
        &["ci.yml:7:5: Unexpected value 'timeout-minuts' [unknown-key]\n  help: did you mean \"timeout-minutes\"?"],
    );
    check(
        &format!("on: push\njobs:\n  a:\n{STEPS}    timeout-minutes: soon\n"),
        &["ci.yml:7:22: Unexpected value 'soon' [unexpected-value]"],
    );
    check(
        "on: push\njobs:\n  a:\n    runs-on: x\n    Runs-On: y\n",
        &["ci.yml:5:5: 'Runs-On' is already defined [duplicate-key]"],
    );
    check(
        "on: push\non: push\njobs: x\n",
        &[
            "ci.yml:2:1: 'on' is already defined [duplicate-key]",
            "ci.yml:3:7: Unexpected value 'x' [unexpected-value]",
            "ci.yml:3:7: The workflow must contain at least one job with no dependencies. [needs]",
        ],
    );
    check("on: [push\n", &["ci.yml:2:1: while parsing a flow sequence, expected ',' or ']' [yaml-syntax]"]);
}

#[test]
fn expressions_know_which_names_are_legal() {
    let job = |line: &str| format!("on: push\njobs:\n  a:\n{STEPS}      {line}\n");
    check(&job("if: github.ref == 'x' && steps.a.outputs.b"), &[]);
    check(
        &job("if: secrets.x"),
        &[
            "ci.yml:7:11: Unrecognized named-value: 'secrets'. Located at position 1 within expression: secrets.x [expression]",
        ],
    );
    check(
        &job("if: ${{ nope }}"),
        &["ci.yml:7:11: Unrecognized named-value: 'nope'. Located at position 1 within expression: nope [expression]"],
    );
    check(
        &job("env: {A: '${{ secrets.x }}-${{ env.y'}"),
        &[
            "ci.yml:7:34: The expression is not closed. An unescaped ${{ sequence was found, but the closing }} sequence \
         was not found. [expression]",
        ],
    );
    check(
        &job("id: ${{ github.sha }}"),
        &[
            "ci.yml:7:11: Unrecognized named-value: 'github'. Located at position 1 within expression: github.sha [expression]",
        ],
    );
    check(
        &job("shell: bash\n    - run: |\n        echo\n        echo ${{ nope.x }} ${{ github.ref }} ${{ 1 + }}"),
        &[
            "ci.yml:10: Unrecognized named-value: 'nope'. Located at position 1 within expression: nope.x [expression]",
            "ci.yml:10: Unexpected symbol: '+'. Located at position 3 within expression: 1 + [expression]",
        ],
    );
    let name = format!("on: push\nname: ${{{{ github.ref }}}}\njobs:\n  a:\n{STEPS}");
    let found = diagnostics(&name);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn all_errors_of_a_file_in_one_pass() {
    check(
        "on:\n  push:\n    branches: [a]\n    branches-ignore: ['[']\njobs:\n  a:\n    runs-on: x\n    needs: c\n    steps:\n    - uses: x\n    - runn: x\n",
        &[
            "ci.yml:4:22: 'branches' and 'branches-ignore' may not both be given for one event [events]\n  help: put \
             the patterns of branches-ignore into branches, each with a leading !",
            "ci.yml:4:23: invalid pattern '[': '[' is not closed [pattern]",
            "ci.yml:8:12: Job 'a' depends on unknown job 'c'. [needs]",
            "ci.yml:10:13: Expected format {org}/{repo}[/path]@ref. Actual 'x' [uses]",
            "ci.yml:11:7: Unexpected value 'runn' [unknown-key]\n  help: did you mean \"run\"?",
            "ci.yml:11:7: There's not enough info to determine what you meant. Add one of these properties: cancel, \
             parallel, run, shell, uses, wait, wait-all, with, working-directory [missing-key]",
        ],
    );
}

#[test]
fn needs() {
    let jobs = |needs: [&str; 3]| {
        let job = |(id, needs): (&str, &str)| format!("  {id}:\n    needs: {needs}\n{STEPS}");
        let jobs: String = ["a", "b", "c"].into_iter().zip(needs).map(job).collect();
        format!("on: push\njobs:\n{jobs}")
    };
    check(&jobs(["[]", "a", "[A, b]"]), &[]);
    check(
        &jobs(["[]", "c", "b"]),
        &[
            "ci.yml:9:12: Job 'b' depends on job 'c' which creates a cycle in the dependency graph. [needs]",
            "ci.yml:14:12: Job 'c' depends on job 'b' which creates a cycle in the dependency graph. [needs]",
        ],
    );
    check(&jobs(["[]", "x", "[]"]), &["ci.yml:9:12: Job 'b' depends on unknown job 'x'. [needs]"]);
}

#[test]
fn conditions_imply_success() {
    let of = |condition: &str| {
        let workflow = good(&format!("on: push\njobs:\n  a:\n    if: {condition}\n{STEPS}"));
        let condition = workflow.jobs[0].condition.clone();
        (condition.expr.source().to_owned(), condition.calls_status)
    };
    assert_eq!(of("github.ref"), ("success() && (github.ref)".to_owned(), false));
    assert_eq!(of("${{ always() }}"), ("always()".to_owned(), true));
    assert_eq!(of("\"!cancelled() && github.ref\""), ("!cancelled() && github.ref".to_owned(), true));
    assert_eq!(of("''"), ("success()".to_owned(), false));
    let workflow = good(&format!("on: push\njobs:\n  a:\n    if: failure()\n{STEPS}"));
    let run =
        |status| workflow.jobs[0].condition.expr.evaluate(&Context::new().with_status(status)).unwrap().is_truthy();
    assert!(run(Status::Failure) && !run(Status::Success));
}

#[test]
fn tokens_evaluate_with_inserts_and_text() {
    let workflow = good(&format!(
        "on: push\nenv:\n  A: x-${{{{ github.sha }}}}-y\n  ${{{{ insert }}}}: >-\n    ${{{{ fromJSON('{{\"B\": 2}}') }}}}\njobs:\n  a:\n{STEPS}"
    ));
    let context = Context::new().with("github", Value::object([("sha", Value::from("abc"))]));
    let env = workflow.env.unwrap().evaluate(&context).unwrap();
    assert_eq!(env.to_json().to_string(), r#"{"A":"x-abc-y","B":2}"#);
}

#[test]
fn background_steps() {
    let workflow = good(
        "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n    - {id: s, run: x, background: true}\n    - wait: s\n    - wait-all:\n    - cancel: s\n",
    );
    let steps = workflow.jobs[0].steps();
    assert!(steps[0].background);
    assert!(matches!(&steps[1].action, Action::Wait(targets) if targets[0].value == "s"));
    assert!(matches!(steps[2].action, Action::WaitAll));
    assert!(matches!(&steps[3].action, Action::Cancel(target) if target.value == "s"));
    check(
        "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n    - wait: s\n",
        &["ci.yml:6:13: Step references unknown step ID 's' [wait]"],
    );
}

struct Folder(HashMap<&'static str, String>);

impl Files for Folder {
    fn load(&self, uses: &str) -> Option<String> {
        self.0.get(uses).cloned()
    }
}

fn call(called: &str, more: &str) -> (Option<Workflow>, Vec<String>) {
    let folder = Folder(HashMap::from([("./b.yml", called.to_owned())]));
    let text = format!("on: push\njobs:\n  a:\n    uses: ./b.yml\n{more}");
    let (workflow, found) = read(&text, "a.yml", Some(&folder), &Options::default());
    (workflow, found.iter().map(ToString::to_string).collect())
}

#[test]
fn called_workflows() {
    let called =
        format!("on:\n  workflow_call:\n    inputs:\n      n: {{type: number, required: true}}\njobs:\n  j:\n{STEPS}");
    let (workflow, found) = call(&called, "    with: {n: 1}\n");
    assert_eq!(found, [""; 0]);
    let Work::Call(inner) = &workflow.unwrap().jobs[0].work else { panic!("a call") };
    assert_eq!(inner.workflow.as_ref().unwrap().jobs[0].id.value, "j");
    assert_eq!(call(&called, "").1, ["a.yml:4:11: Input n is required, but not provided while calling. [inputs]"]);
    assert_eq!(call(&called, "    with: {n: x}\n").1, ["a.yml:5:15: Unexpected value 'x' [inputs]"]);
    assert_eq!(
        call(&format!("on: push\njobs:\n  j:\n{STEPS}"), "").1,
        [
            "./b.yml:1:5: workflow_call key is not defined in the referenced workflow. [workflow-call]\n  help: called from a.yml:4:11",
        ]
    );
    let greedy = format!("on: workflow_call\npermissions: {{contents: write}}\njobs:\n  j:\n{STEPS}");
    assert_eq!(
        call(&greedy, "").1,
        [
            "a.yml:3:3: Error calling workflow './b.yml'. The workflow './b.yml' is requesting 'contents: write', but is \
         only allowed 'contents: read'. [permissions]",
        ]
    );
}

#[test]
fn permissions_of_all_scopes_allow_each() {
    let text = |permissions: &str, asked: &str| {
        let called = format!("on: workflow_call\npermissions: {asked}\njobs:\n  j:\n{STEPS}");
        call(&called, &format!("    permissions: {permissions}\n")).1
    };
    assert_eq!(text("write-all", "{attestations: write, id-token: write}"), [""; 0]);
    assert_eq!(text("read-all", "{models: read}"), [""; 0]);
    assert_eq!(text("{}", "{models: read, attestations: read, actions: write}").len(), 1);
    assert!(text("{}", "{models: read, attestations: read, actions: write, id-token: write}")[0].contains(
        "'actions: write, attestations: read, id-token: write, models: read', but is only allowed 'actions: none, "
    ));
}

#[test]
fn limits_are_reached() {
    let good = format!("on: push\njobs:\n  a:\n{STEPS}  b:\n{STEPS}");
    let with = |options: Options| {
        let called =
            Folder(HashMap::from([("./b.yml", "on: workflow_call\njobs:\n  a:\n    uses: ./b.yml\n".to_owned())]));
        let text = if options.max_call_depth < 10 || options.max_files < 10 {
            "on: push\njobs:\n  a:\n    uses: ./b.yml\n".to_owned()
        } else {
            good.clone()
        };
        let (_, found) = read(&text, "ci.yml", Some(&called), &options);
        found.first().map(|diagnostic| diagnostic.code.clone())
    };
    let base = Options { checks: Checks::Service, ..Options::default() };
    assert_eq!(with(base), None);
    assert_eq!(with(Options { max_file_chars: 10, ..base }).as_deref(), Some("file-too-large"));
    assert_eq!(with(Options { max_bytes: 100, ..base }).as_deref(), Some("workflow-too-large"));
    assert_eq!(with(Options { max_jobs: 1, ..base }).as_deref(), Some("too-many-jobs"));
    assert_eq!(with(Options { max_depth: 2, ..base }).as_deref(), Some("workflow-depth"));
    assert_eq!(with(Options { max_files: 1, ..base }).as_deref(), Some("too-many-files"));
    assert_eq!(with(Options { max_call_depth: 3, ..base }).as_deref(), Some("call-depth"));
}

#[test]
fn the_normal_form_implies_ids_and_conditions() {
    let workflow = good(&format!("on: push\njobs:\n  a:\n{STEPS}"));
    assert_eq!(
        to_template_json(&workflow).to_string(),
        r#"{"jobs":[{"type":"job","id":"a","name":"a","if":{"type":3,"expr":"success()"},"runs-on":"x","steps":[{"id":"__run","if":{"type":3,"expr":"success()"},"run":"x"}]}]}"#
    );
}

#[test]
fn block_scalars_stand_where_their_indicator_stands() {
    let place = |run: &str| {
        let workflow = good(&format!("on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n    - run: {run}"));
        let Action::Run { run, .. } = &workflow.jobs[0].steps()[0].action else { panic!("a script") };
        (run.place.line, run.place.column)
    };
    assert_eq!(place("|\n        x\n"), (6, 12));
    assert_eq!(place("\n        >-  # why | so\n        x\n"), (7, 9));
    assert_eq!(place("|+\n\n\n        x\n"), (6, 12));
    assert_eq!(place("'x |\n        y'\n"), (6, 12));
}
