//! Values.

use super::number::{number_to_text, text_to_number};
use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// A value of the language. Arrays and objects are shared, and equal only to themselves.
#[derive(Clone, Debug)]
pub enum Value {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// Any number.
    Number(f64),
    /// Text.
    String(Arc<str>),
    /// A list.
    Array(Arc<[Value]>),
    /// What `.*` gives: a further access maps over it.
    Filtered(Arc<[Value]>),
    /// Keys and values in source order.
    Object(Arc<Object>),
}

/// Keys and values in source order.
#[derive(Clone, Debug, Default)]
pub struct Object {
    entries: IndexMap<String, Value>,
    exact: bool,
}

impl Object {
    /// From pairs; a key that comes twice keeps its first place and takes the last value.
    pub fn new(pairs: impl IntoIterator<Item = (String, Value)>) -> Self {
        Self { entries: pairs.into_iter().collect(), exact: false }
    }

    /// The same with keys that do not ignore case, as the environment of a Linux runner.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    /// The value of a key. Keys ignore case unless the object is [`Object::exact`].
    pub fn get(&self, key: &str) -> Option<&Value> {
        let found = self.entries.get(key);
        if found.is_some() || self.exact {
            return found;
        }
        let upper = key.to_lowercase();
        self.entries.iter().find(|(k, _)| k.to_lowercase() == upper).map(|(_, value)| value)
    }

    /// Entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Number(value)
    }
}

impl Value {
    /// A list.
    pub fn array(items: impl IntoIterator<Item = Value>) -> Self {
        Value::Array(items.into_iter().collect())
    }

    /// An object whose keys ignore case.
    pub fn object<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Self {
        Value::Object(Arc::new(Object::new(pairs.into_iter().map(|(key, value)| (key.into(), value)))))
    }

    /// An object whose keys keep case: the environment of a Linux runner.
    pub fn exact_object<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Self {
        Value::Object(Arc::new(Object::new(pairs.into_iter().map(|(key, value)| (key.into(), value))).exact()))
    }

    /// From JSON.
    pub fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Value::from(text.as_str()),
            Json::Array(items) => Value::array(items.iter().map(Value::from_json)),
            Json::Object(entries) => Value::object(entries.iter().map(|(key, value)| (key, Value::from_json(value)))),
        }
    }

    /// To JSON. Numbers JSON cannot hold become the strings `NaN`, `Infinity` and `-Infinity`.
    pub fn to_json(&self) -> Json {
        match self {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number) if !number.is_finite() => Json::String(number_to_text(*number)),
            Value::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => json!(*number as i64),
            Value::Number(number) => json!(number),
            Value::String(text) => Json::String(text.to_string()),
            Value::Array(items) | Value::Filtered(items) => items.iter().map(Value::to_json).collect(),
            Value::Object(object) => Json::Object(object.iter().map(|(k, v)| (k.to_owned(), v.to_json())).collect()),
        }
    }

    /// `{kind, value}`, what `lem pipeline eval` prints.
    pub fn to_kind_json(&self) -> Json {
        json!({"kind": self.kind(), "value": self.to_json()})
    }

    /// `null`, `boolean`, `number`, `string`, `array` or `object`.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) | Value::Filtered(_) => "array",
            Value::Object(_) => "object",
        }
    }

    /// Whether it is neither array nor object.
    pub fn is_primitive(&self) -> bool {
        !matches!(self, Value::Array(_) | Value::Filtered(_) | Value::Object(_))
    }

    /// Everything but null, false, zero, NaN and the empty string.
    pub fn is_truthy(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(value) => *value,
            Value::Number(number) => *number != 0.0 && !number.is_nan(),
            Value::String(text) => !text.is_empty(),
            Value::Array(_) | Value::Filtered(_) | Value::Object(_) => true,
        }
    }

    /// As text: what stands in place of `${{ ... }}`.
    pub fn to_text(&self) -> String {
        match self {
            Value::Null => String::new(),
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => number_to_text(*number),
            Value::String(text) => text.to_string(),
            Value::Array(_) | Value::Filtered(_) => "Array".to_owned(),
            Value::Object(_) => "Object".to_owned(),
        }
    }

    /// As a number, as comparisons and indices take it.
    pub fn to_number(&self) -> f64 {
        match self {
            Value::Null => 0.0,
            Value::Bool(value) => f64::from(u8::from(*value)),
            Value::Number(number) => *number,
            Value::String(text) => text_to_number(text),
            Value::Array(_) | Value::Filtered(_) | Value::Object(_) => f64::NAN,
        }
    }

    /// The items, if it is a list.
    pub fn items(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) | Value::Filtered(items) => Some(items),
            _ => None,
        }
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a key, if it is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_object()?.get(key)
    }

    /// `==`: kinds are brought together, strings ignore case, arrays and objects are equal only to themselves.
    pub fn loosely_equals(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::String(a), Value::String(b)) => upper(a) == upper(b),
            (Value::Array(a) | Value::Filtered(a), Value::Array(b) | Value::Filtered(b)) => Arc::ptr_eq(a, b),
            (Value::Object(a), Value::Object(b)) => Arc::ptr_eq(a, b),
            _ => numbers(self, other).is_some_and(|(a, b)| a == b),
        }
    }

    /// The order of `<` and `>`; `None` when there is none.
    pub fn loosely_compare(&self, other: &Value) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            // Ordinal order is that of UTF-16 units, not of code points.
            (Value::String(a), Value::String(b)) => Some(upper(a).encode_utf16().cmp(upper(b).encode_utf16())),
            (Value::Null, Value::Null) => None,
            _ => numbers(self, other).and_then(|(a, b)| a.partial_cmp(&b)),
        }
    }
}

/// Both sides as numbers, when the rules for mixed kinds end there.
fn numbers(a: &Value, b: &Value) -> Option<(f64, f64)> {
    (a.is_primitive() && b.is_primitive()).then(|| (a.to_number(), b.to_number()))
}

/// Upper case for comparison; dotless ı stays itself.
pub(super) fn upper(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_uppercase();
    }
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            'ı' => out.push(c),
            _ => out.extend(c.to_uppercase()),
        }
        out
    })
}
