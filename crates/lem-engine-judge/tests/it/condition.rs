//! The table of condition semantics.

use lem_engine_judge::condition::Measured::{self, Nil, Number, Numbers, Text};
use lem_engine_judge::condition::Phase::{self, Error, Failed, Inconclusive, Successful};
use lem_engine_judge::condition::{Condition, Conditions, LENGTH_MAX};

fn check(success: &str, failure: &str, result: Measured, expect: Phase) {
    let compile = |text: &str| (!text.is_empty()).then(|| Condition::compile(text).unwrap());
    let conditions = Conditions { success: compile(success), failure: compile(failure) };
    let (phase, why) = conditions.assess(&result);
    assert_eq!(phase, expect, "success {success:?} failure {failure:?} of {result:?}: {why:?}");
    assert_eq!(why.is_some(), phase == Error);
}

#[test]
fn which_condition_is_given() {
    check("", "", Number(1.0), Successful);
    check("result > 0", "", Number(1.0), Successful);
    check("result > 0", "", Number(0.0), Failed);
    check("", "result > 0", Number(1.0), Failed);
    check("", "result > 0", Number(0.0), Successful);
    check("result > 5", "result < 1", Number(3.0), Inconclusive);
    check("result > 0", "result > 0", Number(1.0), Failed);
    check("result > 5", "result < 1", Number(6.0), Successful);
    check("result > 5", "result < 1", Number(0.0), Failed);
}

#[test]
fn errors() {
    check("result", "", Number(1.0), Error);
    check("result[0] > 1", "", Numbers(vec![]), Error);
    check("result[0] == nil", "", Numbers(vec![]), Error);
    check("result[-1] == 2", "", Numbers(vec![1.0, 2.0]), Successful);
    check("result > 'a'", "", Number(1.0), Error);
    check("result[0] > 1", "", Number(1.0), Error);
    check("result > 0", "result[0] > 1", Number(1.0), Error);
}

#[test]
fn lists_are_flat() {
    check("result[0] >= 0.95", "", Numbers(vec![0.96]), Successful);
    check("len(result) == 0 || result[0] >= 0.95", "", Numbers(vec![]), Successful);
    check("all(result, {# < 1})", "", Numbers(vec![0.5, 0.6]), Successful);
    check("all(result, # < 1)", "", Numbers(vec![0.5, 0.6]), Successful);
    check("any(result, {# > 1})", "", Numbers(vec![0.5, 0.6]), Failed);
}

#[test]
fn functions_and_their_traps() {
    check("asInt(result) == 3", "", Number(3.7), Successful);
    check("asInt(result) == 3", "", Text("3".into()), Successful);
    check("asInt(result) == 3", "", Text("three".into()), Error);
    check("asFloat(result) > 2.5", "", Text("2.75".into()), Successful);
    check("asFloat(result) > 2.5", "", Numbers(vec![3.0]), Error);
    check("isNaN(result)", "", Number(f64::NAN), Successful);
    check("isNaN(result)", "", Numbers(vec![]), Error);
    check("isInf(result)", "", Number(f64::NEG_INFINITY), Successful);
    // The argument is ignored: the result decides.
    check("isNil(1)", "", Nil, Successful);
    check("isNil(nil)", "", Number(1.0), Failed);
    check("default(7, 0) == 0", "", Nil, Successful);
    check("default(7, 0) == 1", "", Number(1.0), Successful);
}

#[test]
fn not_a_number_only_compares_false() {
    check("result > 0", "", Number(f64::NAN), Failed);
    check("result <= 0", "", Number(f64::NAN), Failed);
    check("", "result > 0", Number(f64::NAN), Successful);
    check("result > 0", "result <= 0", Number(f64::NAN), Inconclusive);
}

#[test]
fn what_does_not_compile_has_a_place() {
    let place = |text: &str| {
        let error = Condition::compile(text).unwrap_err();
        (error.line, error.column, error.message)
    };
    assert_eq!(place("result >").0, 1);
    assert_eq!(place("result >").1, 9);
    assert_eq!(place("result > 1 &&\n foo(result)"), (2, 2, "unknown function foo".into()));
    assert_eq!(place("resutl > 1"), (1, 1, "unknown name resutl".into()));
    assert_eq!(place(&"1".repeat(LENGTH_MAX + 1)).2, "condition has 4097 bytes; at most 4096 are read");
    assert_eq!(place("").0, 1);
}
