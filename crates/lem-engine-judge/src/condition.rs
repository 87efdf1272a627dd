//! Conditions of an analysis metric: Argo Rollouts' `successCondition` and `failureCondition`.
//!
//! The language is expr-lang with `result`, `asInt`, `asFloat`, `isNaN`, `isInf`, `isNil` and `default`. Two traps are
//! kept as they are in the original (`utils/evaluate`): `isNil(x)` and `default(x, d)` ignore `x` and look at the
//! result; an index outside a list is an error, not nil.

use expr::{Context, Environment, Program, Value};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;
use thiserror::Error;

mod source;

/// Longest condition that is read.
pub const LENGTH_MAX: usize = 4096;

/// What a metrics provider answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Measured {
    /// Prometheus scalar, or any one number.
    Number(f64),
    /// Prometheus vector or matrix: all values as one flat list.
    Numbers(Vec<f64>),
    /// Text, from providers that answer in JSON.
    Text(String),
    /// A truth value, from such providers.
    Bool(bool),
    /// Nothing.
    Nil,
}

/// How one measurement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The conditions hold.
    Successful,
    /// Neither condition holds.
    Inconclusive,
    /// It could not be measured or evaluated.
    Error,
    /// The failure condition holds, or the success condition does not.
    Failed,
}

/// A condition that does not compile.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct CompileError {
    /// Line in the condition, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

/// A compiled condition.
#[derive(Clone, Debug)]
pub struct Condition {
    text: String,
    program: Program,
}

/// Both conditions of a metric, either may be absent.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// `successCondition`.
    pub success: Option<Condition>,
    /// `failureCondition`.
    pub failure: Option<Condition>,
}

impl Condition {
    /// Compiles the text of a condition.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        if text.len() > LENGTH_MAX {
            let message = format!("condition has {} bytes; at most {LENGTH_MAX} are read", text.len());
            return Err(CompileError { line: 1, column: 1, message });
        }
        // The text as written is compiled first, so that a message speaks of what the user wrote.
        expr::compile(text).map_err(|error| compile_error(&error))?;
        source::check_names(text, |name| ENVIRONMENT_PROBE.has(name))?;
        let program = expr::compile(&source::checked_index(text)).map_err(|error| compile_error(&error))?;
        Ok(Self { text: text.to_owned(), program })
    }

    /// The condition as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds; an error when it cannot be evaluated or is not a truth value.
    pub fn holds(&self, result: &Measured) -> Result<bool, String> {
        let mut context = Context::default();
        context.insert("result", value(result));
        match environment(result).run(&self.program, &context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!("expected a truth value, but got {other}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Conditions {
    /// How a measurement ends under these conditions, with the reason when it is an error.
    pub fn assess(&self, result: &Measured) -> (Phase, Option<String>) {
        match self.truths(result) {
            Err(why) => (Phase::Error, Some(why)),
            Ok((_, true)) => (Phase::Failed, None),
            Ok((true, false)) => (Phase::Successful, None),
            Ok((false, false)) => (Phase::Inconclusive, None),
        }
    }

    /// (success, failure); one that is absent is the negation of the other.
    fn truths(&self, result: &Measured) -> Result<(bool, bool), String> {
        match (&self.success, &self.failure) {
            (None, None) => Ok((true, false)),
            (Some(success), None) => success.holds(result).map(|holds| (holds, !holds)),
            (None, Some(failure)) => failure.holds(result).map(|holds| (!holds, holds)),
            (Some(success), Some(failure)) => Ok((success.holds(result)?, failure.holds(result)?)),
        }
    }
}

fn value(result: &Measured) -> Value {
    match result {
        Measured::Number(number) => Value::Float(*number),
        Measured::Numbers(numbers) => Value::Array(numbers.iter().map(|n| Value::Float(*n)).collect()),
        Measured::Text(text) => Value::String(text.clone()),
        Measured::Bool(truth) => Value::Bool(*truth),
        Measured::Nil => Value::Nil,
    }
}

fn environment(result: &Measured) -> Environment<'static> {
    let mut env = Environment::new();
    let is_nil = *result == Measured::Nil;
    let whole = value(result);
    env.add_function("isNil", move |_| Ok(Value::Bool(is_nil)));
    env.add_function("default", move |call| match call.args.as_slice() {
        [_, fallback] if is_nil => Ok(fallback.clone()),
        [_, _] => Ok(whole.clone()),
        _ => Err("default needs a value and a fallback".to_owned().into()),
    });
    env.add_function("asInt", |call| match call.args.as_slice() {
        [Value::Integer(n)] => Ok(Value::Integer(*n)),
        [Value::Float(x)] => Ok(Value::Integer(*x as i64)),
        [Value::String(text)] => {
            text.parse().map(Value::Integer).map_err(|_| format!("asInt cannot read {text:?}").into())
        }
        _ => Err("asInt needs a number or a string".to_owned().into()),
    });
    env.add_function("asFloat", |call| match call.args.as_slice() {
        [Value::Integer(n)] => Ok(Value::Float(*n as f64)),
        [Value::Float(x)] => Ok(Value::Float(*x)),
        [Value::String(text)] => {
            text.parse().map(Value::Float).map_err(|_| format!("asFloat cannot read {text:?}").into())
        }
        _ => Err("asFloat needs a number or a string".to_owned().into()),
    });
    env.add_function("isNaN", |call| float_test(&call.args, "isNaN", f64::is_nan));
    env.add_function("isInf", |call| float_test(&call.args, "isInf", f64::is_infinite));
    env.add_function(source::INDEX, |call| match call.args.as_slice() {
        [Value::Array(items), Value::Integer(at)] => {
            // As in Go's expr: a negative index counts from the end, and outside is an error.
            let at = if *at < 0 { *at + items.len() as i64 } else { *at };
            let item = usize::try_from(at).ok().and_then(|at| items.get(at)).cloned();
            item.ok_or_else(|| format!("index {at} is out of range of a list of {}", items.len()).into())
        }
        [list, at] => Err(format!("{list} cannot be indexed by {at}").into()),
        _ => Err("an index needs one value".to_owned().into()),
    });
    env
}

fn float_test(args: &[Value], name: &str, test: fn(f64) -> bool) -> expr::Result<Value> {
    match args {
        [Value::Float(x)] => Ok(Value::Bool(test(*x))),
        [Value::Integer(_)] => Ok(Value::Bool(false)),
        _ => Err(format!("{name} needs a number").into()),
    }
}

/// Answers which functions the language has, which the library does not list.
struct Probe(Environment<'static>);

static ENVIRONMENT_PROBE: LazyLock<Probe> = LazyLock::new(|| Probe(environment(&Measured::Nil)));

impl Probe {
    fn has(&self, function: &str) -> bool {
        let unknown = format!("Unknown function: {function}");
        match self.0.eval(&format!("{function}()"), &Context::default()) {
            Ok(_) => true,
            Err(error) => error.to_string() != unknown,
        }
    }
}

fn compile_error(error: &expr::Error) -> CompileError {
    use expr::Error as E;
    let text = error.to_string();
    // The parser draws ` --> line:column` in its message; the drawing itself is of no use in ours.
    let place = matches!(error, E::PestError(_))
        .then(|| text.lines().find_map(|l| l.trim().strip_prefix("--> ")))
        .flatten()
        .and_then(|at| at.split_once(':'))
        .and_then(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?)));
    let (line, column) = place.unwrap_or((1, 1));
    let expected = text.lines().find_map(|l| l.trim().strip_prefix("= "));
    CompileError { line, column, message: expected.unwrap_or("does not parse").to_owned() }
}
