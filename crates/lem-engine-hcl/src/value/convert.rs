//! Conversion of values to types, and the one type that several have in common.

use super::{Entries, Number, ObjectType, Type, Value};
use std::sync::Arc;

/// Why a value does not convert.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct ConvertError {
    /// Where inside the value: `.ports[0]`; empty for the value itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl ConvertError {
    fn new(message: impl Into<String>) -> Self {
        Self { path: String::new(), message: message.into() }
    }

    fn under(mut self, step: impl std::fmt::Display) -> Self {
        self.path = format!("{step}{}", self.path);
        self
    }
}

/// The value as a value of the type. Optional attributes of objects that are left out get their defaults.
pub fn convert(value: &Value, ty: &Type) -> Result<Value, ConvertError> {
    let (plain, mark) = value.unmark();
    Ok(plain_convert(plain, ty)?.marked(mark))
}

fn plain_convert(value: &Value, ty: &Type) -> Result<Value, ConvertError> {
    match (value, ty) {
        (_, Type::Any) => Ok(value.clone()),
        (Value::Null(_), ty) => Ok(Value::Null(ty.without_optional())),
        (Value::Unknown(unknown), ty) => {
            if convertible(&unknown.ty, ty) {
                Ok(Value::unknown(ty.without_optional(), Arc::clone(&unknown.why)))
            } else {
                Err(mismatch(value, ty))
            }
        }
        (Value::Bool(_), Type::Bool) | (Value::Number(_), Type::Number) | (Value::String(_), Type::String) => {
            Ok(value.clone())
        }
        (Value::Bool(b), Type::String) => Ok(Value::string(if *b { "true" } else { "false" })),
        (Value::Number(n), Type::String) => Ok(Value::string(n.to_string())),
        (Value::String(text), Type::Number) => {
            Number::parse(text).map(Value::Number).map_err(|_| ConvertError::new("a number is required"))
        }
        (Value::String(text), Type::Bool) => match &**text {
            "true" | "1" => Ok(Value::Bool(true)),
            "false" | "0" => Ok(Value::Bool(false)),
            _ => Err(ConvertError::new("a bool is required")),
        },
        (Value::List(..) | Value::Set(..) | Value::Tuple(_), Type::List(element)) => {
            let (element, items) = elements(value, element)?;
            Ok(Value::list(element, items))
        }
        (Value::List(..) | Value::Set(..) | Value::Tuple(_), Type::Set(element)) => {
            let (element, items) = elements(value, element)?;
            Ok(Value::set(element, items))
        }
        (Value::Tuple(items), Type::Tuple(types)) if items.len() == types.len() => {
            let convert_one =
                |(i, (item, ty)): (usize, (&Value, &Type))| convert(item, ty).map_err(|e| e.under(format!("[{i}]")));
            Ok(Value::tuple(items.iter().zip(types.iter()).enumerate().map(convert_one).collect::<Result<_, _>>()?))
        }
        (Value::Map(_, entries) | Value::Object(entries), Type::Map(element)) => map(entries, element),
        (Value::Map(_, entries) | Value::Object(entries), Type::Object(object)) => to_object(entries, object),
        _ => Err(mismatch(value, ty)),
    }
}

fn mismatch(value: &Value, ty: &Type) -> ConvertError {
    ConvertError::new(format!("{} required, but have {}", ty.word(), value.ty().word()))
}

fn elements(value: &Value, element: &Type) -> Result<(Type, Vec<Value>), ConvertError> {
    let items = value.items().unwrap_or_default();
    let element = match element {
        Type::Any => unify(items.iter().map(Value::ty))
            .ok_or_else(|| ConvertError::new("all elements must have the same type"))?,
        element => element.clone(),
    };
    let convert_one = |(i, item)| convert(item, &element).map_err(|e| e.under(format!("[{i}]")));
    let items: Vec<Value> = items.iter().enumerate().map(convert_one).collect::<Result<_, _>>()?;
    Ok((own_type(element, &items), items))
}

fn map(entries: &Entries, element: &Type) -> Result<Value, ConvertError> {
    let element = match element {
        Type::Any => unify(entries.values().map(Value::ty))
            .ok_or_else(|| ConvertError::new("all elements must have the same type"))?,
        element => element.clone(),
    };
    let convert_one = |(k, v): (&Arc<str>, &Value)| {
        let converted = convert(v, &element).map_err(|e| e.under(format!("[\"{k}\"]")))?;
        Ok((Arc::clone(k), converted))
    };
    let entries: Entries = entries.iter().map(convert_one).collect::<Result<_, ConvertError>>()?;
    let values: Vec<Value> = entries.values().take(1).cloned().collect();
    Ok(Value::map(own_type(element, &values), entries))
}

/// The element type a collection really has: what a constraint with `any` in it leaves open comes from its members.
fn own_type(element: Type, items: &[Value]) -> Type {
    if element.is_exact() {
        return element.without_optional();
    }
    items.first().map_or_else(|| element.without_optional(), Value::ty)
}

fn to_object(entries: &Entries, object: &ObjectType) -> Result<Value, ConvertError> {
    let mut made = Entries::new();
    for (name, ty) in &object.attributes {
        let given = entries.get(name).filter(|v| !v.is_null() || !object.optional.contains_key(name));
        let value = match (given, object.optional.get(name)) {
            (Some(given), _) => convert(given, ty).map_err(|e| e.under(format!(".{name}")))?,
            (None, Some(default)) => convert(default, ty).map_err(|e| e.under(format!(".{name}")))?,
            (None, None) => return Err(ConvertError::new(format!("attribute \"{name}\" is required"))),
        };
        made.insert(Arc::clone(name), value);
    }
    Ok(Value::object(made))
}

/// Whether values of the first type may convert to the second; some still fail, as text that is no number.
pub fn convertible(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Any, _) | (_, Type::Any) => true,
        (Type::Bool | Type::Number | Type::String, Type::String) | (Type::String, Type::Number | Type::Bool) => true,
        (Type::List(a) | Type::Set(a), Type::List(b) | Type::Set(b)) | (Type::Map(a), Type::Map(b)) => {
            convertible(a, b)
        }
        (Type::Tuple(items), Type::List(b) | Type::Set(b)) => items.iter().all(|a| convertible(a, b)),
        (Type::Tuple(a), Type::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| convertible(a, b))
        }
        (Type::Object(a), Type::Map(b)) => a.attributes.values().all(|a| convertible(a, b)),
        (Type::Map(a), Type::Object(b)) => b.attributes.values().all(|b| convertible(a, b)),
        (Type::Object(a), Type::Object(b)) => b.attributes.iter().all(|(name, b_ty)| {
            a.attributes.get(name).map_or_else(|| b.optional.contains_key(name), |a_ty| convertible(a_ty, b_ty))
        }),
        (a, b) => a == b,
    }
}

/// The one type that values of all these types convert to without loss; `None` when there is none.
pub fn unify(types: impl IntoIterator<Item = Type>) -> Option<Type> {
    let mut types = types.into_iter();
    let Some(first) = types.next() else { return Some(Type::Any) };
    types.try_fold(first, |a, b| unify_two(&a, &b))
}

fn unify_two(a: &Type, b: &Type) -> Option<Type> {
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (Type::Any, other) | (other, Type::Any) => Some(other.clone()),
        (Type::String, other) | (other, Type::String) if other.is_primitive() => Some(Type::String),
        (Type::List(a), Type::List(b)) => Some(Type::list(unify_two(a, b)?)),
        (Type::Set(a), Type::Set(b)) => Some(Type::set(unify_two(a, b)?)),
        (Type::List(a) | Type::Set(a), Type::Set(b) | Type::List(b)) => Some(Type::list(unify_two(a, b)?)),
        (Type::Map(a), Type::Map(b)) => Some(Type::map(unify_two(a, b)?)),
        (Type::Tuple(a), Type::Tuple(b)) if a.len() == b.len() => {
            let items: Option<Vec<Type>> = a.iter().zip(b.iter()).map(|(a, b)| unify_two(a, b)).collect();
            Some(Type::Tuple(items?.into()))
        }
        (Type::Tuple(a), Type::Tuple(b)) => Some(Type::list(unify(a.iter().chain(b.iter()).cloned())?)),
        (Type::List(l), Type::Tuple(t)) | (Type::Tuple(t), Type::List(l)) => {
            Some(Type::list(unify(t.iter().cloned().chain([(**l).clone()]))?))
        }
        (Type::Set(l), Type::Tuple(t)) | (Type::Tuple(t), Type::Set(l)) => {
            Some(Type::set(unify(t.iter().cloned().chain([(**l).clone()]))?))
        }
        (Type::Object(a), Type::Object(b)) if a.attributes.keys().eq(b.attributes.keys()) => {
            let pairs = a.attributes.iter().zip(b.attributes.values());
            let attributes = pairs.map(|((name, a), b)| Some((Arc::clone(name), unify_two(a, b)?)));
            Some(Type::object(attributes.collect::<Option<_>>()?))
        }
        (Type::Object(a), Type::Object(b)) => {
            Some(Type::map(unify(a.attributes.values().chain(b.attributes.values()).cloned())?))
        }
        (Type::Map(m), Type::Object(o)) | (Type::Object(o), Type::Map(m)) => {
            Some(Type::map(unify(o.attributes.values().cloned().chain([(**m).clone()]))?))
        }
        _ => None,
    }
}
