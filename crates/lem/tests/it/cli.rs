//! Commands that need no server.

use crate::repository::{Answer, Repository, lem};

#[test]
fn version_and_help_are_answers() {
    let version = Answer::of(&lem().arg("--version").output().unwrap());
    assert!(version.code(0).out.starts_with("lem "));
    let help = Answer::of(&lem().arg("--help").output().unwrap());
    assert!(help.code(0).out.contains("Usage"));
    let nonsense = Answer::of(&lem().arg("launch").output().unwrap());
    assert!(nonsense.code(2).err.contains("launch"));
}

#[test]
fn init_writes_what_the_next_command_reads() {
    let repository = Repository::empty();
    repository.write(".github/workflows/ci.yml", "on: push\njobs: {a: {runs-on: x, steps: [{run: 'true'}]}}\n");
    repository.write("observe/rules.yml", "groups:\n- name: x\n  rules:\n  - alert: Y\n    expr: up == 0\n");
    let answer = repository.lem(&["init"]);
    assert!(answer.code(0).err.contains("GitHub Actions workflow"), "{}", answer.err);
    let text = std::fs::read_to_string(repository.root.join("lem.yaml")).unwrap();
    assert!(text.contains("- .github/workflows/ci.yml") && text.contains("rules: [observe/rules.yml]"), "{text}");
    repository.lem(&["run", "--dry-run"]).code(0);
    assert!(repository.lem(&["init"]).code(2).err.contains("--force"));
    assert_eq!(repository.lem(&["init", "--print"]).code(0).out, text);
}

#[test]
fn a_bad_configuration_is_named_with_its_place() {
    let repository = Repository::empty();
    for (text, expect) in [
        ("deploi: {}\n", "lem.yaml:1:1: unknown key \"deploi\" in lem.yaml [unknown-key]"),
        ("branch: [main]\n", "lem.yaml:1:9: branch must be a string, not a list [wrong-type]"),
        ("a: 1\na: 2\n", "lem.yaml:2:1: key \"a\" stands twice [yaml-duplicate-key]"),
    ] {
        repository.write("lem.yaml", text);
        let answer = repository.lem(&["run"]);
        assert!(answer.code(2).err.contains(expect), "{}", answer.err);
    }
}

#[test]
fn the_example_runs_here_and_now() {
    let (repository, _) = Repository::shop();
    let answer = repository.lem(&["run", "--output", "json"]);
    let runs = answer.code(0).json();
    assert_eq!(runs[0]["outcome"], "success", "{}", answer.err);
    let names: Vec<_> = runs[0]["artifacts"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"shop") && names.contains(&"test-results"), "{names:?}");
    assert!(answer.err.contains("test | "), "lines come with their job: {}", answer.err);
}

#[test]
fn a_failing_test_is_a_negative_result() {
    let (repository, _) = Repository::shop();
    repository.replace("src/server.mjs", "status: 'up'", "status: 'down', oops: undefinedName");
    let answer = repository.lem(&["run", "--output", "json"]);
    let runs = answer.code(1).json();
    assert_eq!(runs[0]["outcome"], "failure");
    let package = runs[0]["jobs"].as_array().unwrap().iter().find(|j| j["job"] == "package").unwrap();
    assert!(package["whySkipped"].as_str().unwrap().contains("test"), "{package}");
}

#[test]
fn a_malformed_workflow_starts_nothing() {
    let repository = Repository::empty();
    repository
        .write(".github/workflows/ci.yml", "on: push\njobs:\n  a:\n    runs-on: x\n    stesp:\n    - run: touch ran\n");
    let answer = repository.lem(&["run"]);
    assert!(answer.code(2).err.contains(".github/workflows/ci.yml:5:5"), "{}", answer.err);
    assert!(!repository.root.join("ran").exists());
}

#[test]
fn expressions_evaluate_to_kind_and_value() {
    let repository = Repository::empty();
    repository.write("context.json", r#"{"matrix": {"os": ["a", "B"]}, "$status": "failure"}"#);
    for (expr, kind, value) in [
        ("contains(matrix.os, 'b') && failure()", "boolean", serde_json::json!(true)),
        ("1 / 0 || 'x'", "", serde_json::json!(null)),
        ("format('{0}-{1}', matrix.os[0], NaN)", "string", serde_json::json!("a-NaN")),
    ] {
        let answer = repository.lem(&["pipeline", "eval", expr, "--context", "context.json"]);
        if kind.is_empty() {
            assert_eq!(answer.code(2).json()["error"]["phase"], "lexing", "{}", answer.out);
        } else {
            let found = answer.code(0).json();
            assert_eq!((found["kind"].as_str(), &found["value"]), (Some(kind), &value), "{expr}");
        }
    }
}

#[test]
fn a_job_explains_itself() {
    let (repository, _) = Repository::shop();
    let answer = repository.lem(&["pipeline", "explain", "package"]);
    assert!(answer.code(0).out.contains("ci.yml:"), "{}", answer.out);
    let graph = repository.lem(&["pipeline", "graph", "--format", "mermaid"]);
    assert!(graph.code(0).out.contains("package"), "{}", graph.out);
}

#[test]
fn the_projects_own_workflow_can_be_planned() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let answer =
        Answer::of(&lem().current_dir(root).args(["run", ".github/workflows/ci.yml", "--dry-run"]).output().unwrap());
    assert!(answer.code(0).out.contains("test"), "{}", answer.out);
}

#[test]
fn looking_at_a_ledger_does_not_make_one() {
    let repository = Repository::empty();
    assert!(repository.lem(&["ledger", "verify"]).code(2).err.contains("there is no ledger"));
    assert!(!repository.root.join(".lem/ledger.db").exists());
}

#[test]
fn codes_are_explained() {
    let repository = Repository::empty();
    assert!(repository.lem(&["explain", "unknown-key"]).code(0).out.contains("misspelt"));
    assert!(repository.lem(&["explain", "unknwn-key"]).code(2).err.contains("did you mean unknown-key?"));
}
