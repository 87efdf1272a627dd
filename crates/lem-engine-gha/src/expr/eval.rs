//! From tree to value.

use super::ast::{Ast, Comparison};
use super::context::Context;
use super::funcs;
use super::value::Value;
use super::{EvalError, Phase};
use std::cmp::Ordering;

pub(super) fn evaluate(ast: &Ast, context: &Context) -> Result<Value, EvalError> {
    match ast {
        Ast::Literal(value) => Ok(value.clone()),
        Ast::Context(name) => Ok(context.get(name)),
        Ast::Not(inner) => Ok(Value::Bool(!evaluate(inner, context)?.is_truthy())),
        Ast::And(args) => decide(args, context, false),
        Ast::Or(args) => decide(args, context, true),
        Ast::Compare(left, how, right) => {
            Ok(Value::Bool(compare(&evaluate(left, context)?, *how, &evaluate(right, context)?)))
        }
        Ast::Star(object) => Ok(star(&evaluate(object, context)?)),
        Ast::Index(object, index) => {
            let index = evaluate(index, context)?;
            Ok(access(&evaluate(object, context)?, &index))
        }
        Ast::Call { name, offset, args } => {
            let values: Result<Vec<_>, _> = args.iter().map(|arg| evaluate(arg, context)).collect();
            funcs::call(name, &values?, context)
                .map_err(|message| EvalError::new(Phase::Evaluation, message, Some(*offset)))
        }
    }
}

/// The first operand whose truth is `stop`, else the last: the operand itself, not a boolean.
fn decide(args: &[Ast], context: &Context, stop: bool) -> Result<Value, EvalError> {
    let mut value = Value::Null;
    for arg in args {
        value = evaluate(arg, context)?;
        if value.is_truthy() == stop {
            break;
        }
    }
    Ok(value)
}

fn compare(left: &Value, how: Comparison, right: &Value) -> bool {
    let order = || left.loosely_compare(right);
    let equal = || left.loosely_equals(right);
    match how {
        Comparison::Equal => equal(),
        Comparison::NotEqual => !equal(),
        Comparison::Less => order() == Some(Ordering::Less),
        Comparison::Greater => order() == Some(Ordering::Greater),
        Comparison::LessOrEqual => equal() || order() == Some(Ordering::Less),
        Comparison::GreaterOrEqual => equal() || order() == Some(Ordering::Greater),
    }
}

fn star(object: &Value) -> Value {
    match object {
        Value::Filtered(items) => Value::Filtered(items.iter().flat_map(children).collect()),
        other => Value::Filtered(children(other).into_iter().collect()),
    }
}

fn children(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) | Value::Filtered(items) => items.to_vec(),
        Value::Object(object) => object.iter().map(|(_, value)| value.clone()).collect(),
        _ => vec![],
    }
}

fn access(object: &Value, index: &Value) -> Value {
    match object {
        Value::Filtered(items) => Value::Filtered(items.iter().filter_map(|item| member(item, index)).collect()),
        other => member(other, index).unwrap_or(Value::Null),
    }
}

fn member(object: &Value, index: &Value) -> Option<Value> {
    match object {
        Value::Array(items) | Value::Filtered(items) => {
            let at = index.to_number();
            (at >= 0.0 && at.is_finite()).then(|| items.get(at.floor() as usize).cloned())?
        }
        Value::Object(entries) if index.is_primitive() => entries.get(&index.to_text()).cloned(),
        _ => None,
    }
}
