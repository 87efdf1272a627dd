//! Types of values and type constraints of variables.

use super::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A type; as a constraint, [`Type::Any`] takes everything.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Type {
    /// Any type, or one that is not known.
    #[default]
    Any,
    /// `bool`.
    Bool,
    /// `number`.
    Number,
    /// `string`.
    String,
    /// `list(T)`.
    List(Arc<Type>),
    /// `set(T)`.
    Set(Arc<Type>),
    /// `map(T)`.
    Map(Arc<Type>),
    /// `tuple([T, ...])`.
    Tuple(Arc<[Type]>),
    /// `object({...})`.
    Object(Arc<ObjectType>),
}

/// Attributes of an object type.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ObjectType {
    /// Types by name.
    pub attributes: BTreeMap<Arc<str>, Type>,
    /// Attributes that may be left out, with the value they then have; only in constraints.
    pub optional: BTreeMap<Arc<str>, Value>,
}

impl Type {
    /// A list of elements of a type.
    pub fn list(element: Self) -> Self {
        Self::List(Arc::new(element))
    }

    /// A set of elements of a type.
    pub fn set(element: Self) -> Self {
        Self::Set(Arc::new(element))
    }

    /// A map of elements of a type.
    pub fn map(element: Self) -> Self {
        Self::Map(Arc::new(element))
    }

    /// An object whose attributes are all needed.
    pub fn object(attributes: BTreeMap<Arc<str>, Self>) -> Self {
        Self::Object(Arc::new(ObjectType { attributes, optional: BTreeMap::new() }))
    }

    /// Whether it is `bool`, `number` or `string`.
    pub fn is_primitive(&self) -> bool {
        matches!(self, Self::Bool | Self::Number | Self::String)
    }

    /// Whether [`Type::Any`] is nowhere in it.
    pub fn is_exact(&self) -> bool {
        match self {
            Self::Any => false,
            Self::Bool | Self::Number | Self::String => true,
            Self::List(element) | Self::Set(element) | Self::Map(element) => element.is_exact(),
            Self::Tuple(items) => items.iter().all(Self::is_exact),
            Self::Object(object) => object.attributes.values().all(Self::is_exact),
        }
    }

    /// The same without optional attributes: the type that values of the constraint have.
    pub fn without_optional(&self) -> Self {
        match self {
            Self::List(element) => Self::list(element.without_optional()),
            Self::Set(element) => Self::set(element.without_optional()),
            Self::Map(element) => Self::map(element.without_optional()),
            Self::Tuple(items) => Self::Tuple(items.iter().map(Self::without_optional).collect()),
            Self::Object(object) => {
                Self::object(object.attributes.iter().map(|(k, t)| (Arc::clone(k), t.without_optional())).collect())
            }
            other => other.clone(),
        }
    }

    /// In words for messages: `list of string`, `object`.
    pub fn word(&self) -> String {
        match self {
            Self::Any => "any type".into(),
            Self::Bool => "bool".into(),
            Self::Number => "number".into(),
            Self::String => "string".into(),
            Self::List(element) => format!("list of {}", element.word()),
            Self::Set(element) => format!("set of {}", element.word()),
            Self::Map(element) => format!("map of {}", element.word()),
            Self::Tuple(_) => "tuple".into(),
            Self::Object(_) => "object".into(),
        }
    }

    /// As state files write it: `"string"`, `["list","string"]`, `["object",{...}]`.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::json;
        match self {
            Self::Any => json!("dynamic"),
            Self::Bool => json!("bool"),
            Self::Number => json!("number"),
            Self::String => json!("string"),
            Self::List(element) => json!(["list", element.to_json()]),
            Self::Set(element) => json!(["set", element.to_json()]),
            Self::Map(element) => json!(["map", element.to_json()]),
            Self::Tuple(items) => json!(["tuple", items.iter().map(Self::to_json).collect::<Vec<_>>()]),
            Self::Object(object) => {
                let attributes: serde_json::Map<_, _> =
                    object.attributes.iter().map(|(k, t)| (k.to_string(), t.to_json())).collect();
                json!(["object", attributes])
            }
        }
    }

    /// Reads what [`Type::to_json`] writes; `None` for anything else.
    pub fn from_json(json: &serde_json::Value) -> Option<Self> {
        match json {
            serde_json::Value::String(word) => match word.as_str() {
                "dynamic" => Some(Self::Any),
                "bool" => Some(Self::Bool),
                "number" => Some(Self::Number),
                "string" => Some(Self::String),
                _ => None,
            },
            serde_json::Value::Array(parts) => {
                let [serde_json::Value::String(kind), inner, ..] = parts.as_slice() else { return None };
                match kind.as_str() {
                    "list" => Some(Self::list(Self::from_json(inner)?)),
                    "set" => Some(Self::set(Self::from_json(inner)?)),
                    "map" => Some(Self::map(Self::from_json(inner)?)),
                    "tuple" => Some(Self::Tuple(inner.as_array()?.iter().map(Self::from_json).collect::<Option<_>>()?)),
                    "object" => {
                        let read = |(k, t): (&String, _)| Some((Arc::from(k.as_str()), Self::from_json(t)?));
                        Some(Self::object(inner.as_object()?.iter().map(read).collect::<Option<_>>()?))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

impl fmt::Display for Type {
    /// As a variable's `type` argument: `map(object({ name = string }))`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Bool => f.write_str("bool"),
            Self::Number => f.write_str("number"),
            Self::String => f.write_str("string"),
            Self::List(element) => write!(f, "list({element})"),
            Self::Set(element) => write!(f, "set({element})"),
            Self::Map(element) => write!(f, "map({element})"),
            Self::Tuple(items) => {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                write!(f, "tuple([{}])", items.join(", "))
            }
            Self::Object(object) => {
                let show = |(name, ty): (&Arc<str>, &Self)| match object.optional.get(name) {
                    None => format!("{name} = {ty}"),
                    Some(default) if default.is_null() => format!("{name} = optional({ty})"),
                    Some(default) => format!("{name} = optional({ty}, {})", super::json::encode_text(default)),
                };
                let attributes: Vec<String> = object.attributes.iter().map(show).collect();
                write!(f, "object({{ {} }})", attributes.join(", "))
            }
        }
    }
}
