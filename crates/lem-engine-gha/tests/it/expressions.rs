#![expect(clippy::unwrap_used, reason = "tests")]

use lem_engine_gha::expr::{MAX_CHAIN, MAX_DEPTH, MAX_LENGTH, MAX_RESULT_BYTES};
use lem_engine_gha::{Context, Expr, Host, Names, Phase, Status, Value, eval};
use serde_json::json;
use std::sync::Arc;

fn context() -> Context {
    Context::from_json(&json!({
        "github": {"ref": "refs/heads/main", "Actor": "mona", "event": {"commits": [{"id": 1}, {"id": 2}, {"other": 3}]}},
        "env": {"A": "1"},
        "z": {"b": 1, "a": [true, null, "x\n"]},
    }))
    .unwrap()
}

fn check(source: &str, expect: &str) {
    let shown = match eval(source, &context()) {
        Ok(value) => format!("{} {}", value.kind(), value.to_json()),
        Err(error) => format!("{} at {:?}: {}", error.phase, error.offset, error.message),
    };
    assert_eq!(shown, expect, "{source}");
}

#[test]
fn values() {
    check("", "null null");
    check("'it''s'", r#"string "it's""#);
    check("1 && 'x'", r#"string "x""#);
    check("0 || ''", r#"string """#);
    check("!''", "boolean true");
    check("NaN == NaN", "boolean false");
    check("'ABC' == 'abc'", "boolean true");
    check("null == 0", "boolean true");
    check("true == '1'", "boolean true");
    check("z == z", "boolean true");
    check("fromJSON('[]') == fromJSON('[]')", "boolean false");
    check("github.ACTOR", r#"string "mona""#);
    check("github.none.deeper", "null null");
    check("github.event.commits.*.id", "array [1,2]");
    check("github.event.commits[1].id", "number 2");
    check("github.event.commits[-1]", "null null");
    check("z.a[1.9]", "null null");
    check("1e21", "number 1e+21");
    check("-Infinity", r#"string "-Infinity""#.replacen("string", "number", 1).as_str());
}

#[test]
fn functions() {
    check("format('{{{0}}} {1}', 'a', 2)", r#"string "{a} 2""#);
    check(
        "format('{0}')",
        "evaluation at Some(0): The following format string references more arguments than were supplied: {0}",
    );
    check("format('}')", "evaluation at Some(0): The following format string is invalid: }");
    check("join(z.a, '-')", r#"string "true--x\n""#);
    check("join(z)", r#"string """#);
    check("toJSON(z.b)", r#"string "1""#);
    check(
        "toJSON(z)",
        &format!("string {}", json!("{\n  \"b\": 1,\n  \"a\": [\n    true,\n    null,\n    \"x\\n\"\n  ]\n}")),
    );
    check("fromJSON('{\"a\": [1]}').a[0]", "number 1");
    check("contains('Hello', 'LL')", "boolean true");
    check("contains(fromJSON('[1, 2]'), '2')", "boolean true");
    check("contains(z, 'b')", "boolean false");
    check("startsWith(github.ref, 'REFS/')", "boolean true");
    check("endsWith(github.ref, 'main')", "boolean true");
    check("case(false, 1, true, 2, 3)", "number 2");
    check("case(1, 1, 2)", "evaluation at Some(0): case predicate must evaluate to a boolean value");
    check("hashFiles('**')", "evaluation at Some(0): hashFiles needs the files of a job, which are not there");
}

#[test]
fn errors_have_a_phase_and_an_offset() {
    check("  @x", "lexing at Some(2): Unexpected symbol: '@x'. Located at position 3 within expression:   @x");
    check("'open", "lexing at Some(0): Unexpected symbol: ''open'. Located at position 1 within expression: 'open");
    check("1 +", "lexing at Some(2): Unexpected symbol: '+'. Located at position 3 within expression: 1 +");
    check("1 2", "parsing at Some(2): Unexpected symbol: '2'");
    check("(1", "parsing at Some(1): Unexpected end of expression: '1'");
    check("nope.x", "parsing at Some(0): Unrecognized named-value: 'nope'");
    check("1 == nope()", "parsing at Some(5): Unrecognized function: 'nope'");
    check("join()", "parsing at Some(0): Too few parameters supplied: 'join'");
    check(
        "case(true, 1, 2, 3)",
        "parsing at Some(0): Even number of parameters supplied, requires an odd number of parameters: 'case'",
    );
    check("github.true", "null null");
}

#[test]
fn status_functions_answer_from_the_context() {
    let answer = |source: &str, status| eval(source, &context().with_status(status)).unwrap().is_truthy();
    for (source, success, failure, cancelled) in [
        ("success()", true, false, false),
        ("failure()", false, true, false),
        ("cancelled()", false, false, true),
        ("always()", true, true, true),
    ] {
        let got = [Status::Success, Status::Failure, Status::Cancelled].map(|status| answer(source, status));
        assert_eq!(got, [success, failure, cancelled], "{source}");
    }
}

#[derive(Debug)]
struct OneHash;

impl Host for OneHash {
    fn hash_files(&self, patterns: &[String]) -> Result<String, String> {
        Ok(patterns.join("+"))
    }
}

#[test]
fn hash_files_asks_the_host() {
    let value = eval("hashFiles('a', 'b')", &context().with_host(Arc::new(OneHash))).unwrap();
    assert_eq!(value.to_text(), "a+b");
}

#[test]
fn keys_of_the_environment_keep_case_where_asked() {
    let context = Context::new().with("env", Value::exact_object([("Path", Value::from("x"))]));
    assert_eq!(eval("env.PATH", &context).unwrap().to_text(), "");
    assert_eq!(eval("env.Path", &context).unwrap().to_text(), "x");
}

#[test]
fn limits_are_reached() {
    let phase = |source: &str| eval(source, &context()).map(|_| ()).map_err(|error| error.phase);
    let long = |count: usize| format!("'{}'", "x".repeat(count - 2));
    assert_eq!(phase(&long(MAX_LENGTH)), Ok(()));
    assert_eq!(phase(&long(MAX_LENGTH + 1)), Err(Phase::Lexing));
    let deep = |count: usize| format!("{}1{}", "(".repeat(count), ")".repeat(count));
    assert_eq!(phase(&deep(MAX_DEPTH - 1)), Ok(()));
    assert_eq!(phase(&deep(MAX_DEPTH)), Err(Phase::Parsing));
    let chain = |count: usize| format!("1{}", " == 1".repeat(count));
    assert_eq!(phase(&chain(MAX_CHAIN)), Ok(()));
    assert_eq!(phase(&chain(MAX_CHAIN + 1)), Err(Phase::Parsing));
    let huge = Context::new().with("x", Value::from("x".repeat(MAX_RESULT_BYTES)));
    for source in ["format('{0}{0}', x)", "join(fromJSON('[1]'), x) && format('{0}{0}', x)"] {
        assert_eq!(eval(source, &huge).unwrap_err().phase, Phase::Evaluation);
    }
}

#[test]
fn an_expression_knows_what_it_calls_and_reads() {
    let parse = |source: &str| Expr::parse(source, &Names::all()).unwrap();
    assert!(parse("!CANCELLED() || github.ref").calls_status());
    assert!(!parse("contains('success()', github.ref)").calls_status());
    assert_eq!(parse("GitHub.ref && env[matrix.x] && github").contexts(), ["github", "env", "matrix"]);
}
