//! Operators.

use super::{Evaluated, error};
use crate::syntax::{BinaryOp, Pos, UnaryOp};
use crate::value::{Number, Type, Value, convert};
use std::sync::Arc;

pub(super) fn unary(op: UnaryOp, value: &Value, pos: &Pos) -> Evaluated {
    let (plain, mark) = value.unmark();
    let ty = if op == UnaryOp::Not { Type::Bool } else { Type::Number };
    let result = match operand(plain, &ty, pos)? {
        Value::Bool(value) => Value::Bool(!value),
        Value::Number(number) => Value::Number(number.negate()),
        other => other,
    };
    Ok(result.marked(mark))
}

pub(super) fn binary(op: BinaryOp, left: &Value, right: &Value, at: &Pos, right_at: &Pos) -> Evaluated {
    if matches!(op, BinaryOp::Eq | BinaryOp::NotEq) {
        let mark = left.has_sensitive() || right.has_sensitive();
        let result = match equal(left, right) {
            Ok(same) => Value::Bool(same == (op == BinaryOp::Eq)),
            Err(why) => Value::unknown(Type::Bool, why),
        };
        return Ok(result.marked(mark));
    }
    let ((left, left_mark), (right, right_mark)) = (left.unmark(), right.unmark());
    let result = match op {
        BinaryOp::And | BinaryOp::Or => logic(op, left, right, at, right_at)?,
        _ => arithmetic(op, left, right, at, right_at)?,
    };
    Ok(result.marked(left_mark || right_mark))
}

/// A known answer wins over an unknown side.
fn logic(op: BinaryOp, left: &Value, right: &Value, at: &Pos, right_at: &Pos) -> Evaluated {
    let (left, right) = (operand(left, &Type::Bool, at)?, operand(right, &Type::Bool, right_at)?);
    let decisive = Value::Bool(op == BinaryOp::Or);
    if left == decisive || right == decisive {
        return Ok(decisive);
    }
    Ok(if left.is_unknown() { left } else { right })
}

fn arithmetic(op: BinaryOp, left: &Value, right: &Value, at: &Pos, right_at: &Pos) -> Evaluated {
    let (left, right) = (operand(left, &Type::Number, at)?, operand(right, &Type::Number, right_at)?);
    let compares = matches!(op, BinaryOp::Less | BinaryOp::LessEq | BinaryOp::Greater | BinaryOp::GreaterEq);
    let (a, b) = match (&left, &right) {
        (Value::Number(a), Value::Number(b)) => (a, b),
        (Value::Unknown(u), _) | (_, Value::Unknown(u)) => {
            let ty = if compares { Type::Bool } else { Type::Number };
            return Ok(Value::unknown(ty, Arc::clone(&u.why)));
        }
        _ => return error("null-value", "null is no number", at),
    };
    let number = |result: Result<Number, crate::value::NumberError>| match result {
        Ok(number) => Ok(Value::Number(number)),
        Err(e) => error("bad-number", e.to_string(), right_at),
    };
    match op {
        BinaryOp::Add => number(a.add(b)),
        BinaryOp::Sub => number(a.sub(b)),
        BinaryOp::Mul => number(a.mul(b)),
        BinaryOp::Div => number(a.div(b)),
        BinaryOp::Mod => number(a.rem(b)),
        BinaryOp::Less => Ok(Value::Bool(a < b)),
        BinaryOp::LessEq => Ok(Value::Bool(a <= b)),
        BinaryOp::Greater => Ok(Value::Bool(a > b)),
        _ => Ok(Value::Bool(a >= b)),
    }
}

fn operand(value: &Value, ty: &Type, pos: &Pos) -> Evaluated {
    match convert(value, ty) {
        Ok(Value::Null(_)) => error("null-value", format!("null is no {}", ty.word()), pos),
        Ok(converted) => Ok(converted),
        Err(e) => error("type-mismatch", e.to_string(), pos),
    }
}

/// Whether two values are equal: only values of one type are. The reason when that is not known.
pub(crate) fn equal(a: &Value, b: &Value) -> Result<bool, Arc<str>> {
    match (a.revealed(), b.revealed()) {
        (Value::Unknown(u), _) | (_, Value::Unknown(u)) => Err(Arc::clone(&u.why)),
        (Value::Null(_), Value::Null(_)) => Ok(true),
        (Value::List(s, a), Value::List(t, b)) | (Value::Set(s, a), Value::Set(t, b)) if s == t => sequences(a, b),
        (Value::Tuple(a), Value::Tuple(b)) => sequences(a, b),
        (Value::Map(s, a), Value::Map(t, b)) if s == t => maps(a, b),
        (Value::Object(a), Value::Object(b)) => maps(a, b),
        (a, b) => Ok(a == b),
    }
}

fn sequences(a: &[Value], b: &[Value]) -> Result<bool, Arc<str>> {
    if a.len() != b.len() {
        return Ok(false);
    }
    all(a.iter().zip(b.iter()))
}

fn maps(a: &crate::value::Entries, b: &crate::value::Entries) -> Result<bool, Arc<str>> {
    if !a.keys().eq(b.keys()) {
        return Ok(false);
    }
    all(a.values().zip(b.values()))
}

/// One known difference decides; otherwise one unknown does.
fn all<'v>(pairs: impl Iterator<Item = (&'v Value, &'v Value)>) -> Result<bool, Arc<str>> {
    let mut unknown = None;
    for (a, b) in pairs {
        match equal(a, b) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(why) => unknown = Some(why),
        }
    }
    unknown.map_or(Ok(true), Err)
}
