//! Conversions and marks.

use super::{Context, Fault, Outcome};
use crate::value::{Type, Value, convert, unify};

fn to(value: &Value, ty: &Type) -> Outcome {
    convert(value, ty).map_err(|e| Fault { code: "type-mismatch", argument: Some(0), ..e.to_string().into() })
}

pub(super) fn tobool(args: &[Value], _: &Context) -> Outcome {
    to(&args[0], &Type::Bool)
}

pub(super) fn tonumber(args: &[Value], _: &Context) -> Outcome {
    to(&args[0], &Type::Number)
}

pub(super) fn tostring(args: &[Value], _: &Context) -> Outcome {
    to(&args[0], &Type::String)
}

pub(super) fn tolist(args: &[Value], _: &Context) -> Outcome {
    to(&args[0], &Type::list(Type::Any))
}

pub(super) fn toset(args: &[Value], _: &Context) -> Outcome {
    to(&args[0], &Type::set(Type::Any))
}

pub(super) fn tomap(args: &[Value], _: &Context) -> Outcome {
    to(&args[0], &Type::map(Type::Any))
}

fn element(ty: &Type) -> Type {
    match ty {
        Type::List(element) | Type::Set(element) | Type::Map(element) => (**element).clone(),
        Type::Tuple(items) => unify(items.iter().cloned()).unwrap_or_default(),
        Type::Object(object) => unify(object.attributes.values().cloned()).unwrap_or_default(),
        _ => Type::Any,
    }
}

pub(super) fn list_of(args: &[Value]) -> Type {
    Type::list(args.first().map(|a| element(&a.ty())).unwrap_or_default())
}

pub(super) fn set_of(args: &[Value]) -> Type {
    Type::set(args.first().map(|a| element(&a.ty())).unwrap_or_default())
}

pub(super) fn map_of(args: &[Value]) -> Type {
    Type::map(args.first().map(|a| element(&a.ty())).unwrap_or_default())
}

pub(super) fn sensitive(args: &[Value], _: &Context) -> Outcome {
    Ok(args[0].clone().sensitive())
}

pub(super) fn nonsensitive(args: &[Value], _: &Context) -> Outcome {
    Ok(args[0].revealed().clone())
}

pub(super) fn issensitive(args: &[Value], _: &Context) -> Outcome {
    match &args[0] {
        Value::Unknown(unknown) => Ok(Value::unknown(Type::Bool, unknown.why.clone())),
        value => Ok(Value::Bool(matches!(value, Value::Sensitive(_)))),
    }
}

/// Ephemeral values do not exist here, so nothing is one.
pub(super) fn ephemeralasnull(args: &[Value], _: &Context) -> Outcome {
    Ok(args[0].clone())
}

pub(super) fn type_of(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::string(args[0].ty().to_string()))
}
