//! Values as JSON: text that is exact to the byte, the trees of plan and state files, and back.
//!
//! Limit: a tree (`serde_json::Value`) holds numbers as 64-bit integers or floats, so a longer one loses digits there;
//! [`encode_text`] loses none.

use super::{Number, Type, Value};
use serde_json::{Map, Value as Json, json};
use std::fmt::Write as _;
use std::sync::Arc;

/// A value as the fields of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// What is known: unknown attributes are left out, unknown list members are null. Sensitive values are in clear.
    pub value: Json,
    /// The same shape with `true` where something is unknown (`after_unknown`).
    pub unknown: Json,
    /// The same shape with `true` where something is sensitive (`after_sensitive`).
    pub sensitive: Json,
}

/// A value as the fields of a plan.
pub fn encode(value: &Value) -> Encoded {
    Encoded {
        value: to_json(value),
        unknown: shape(value, &|v| matches!(v, Value::Unknown(_))).unwrap_or(Json::Bool(false)),
        sensitive: shape(value, &|v| matches!(v, Value::Sensitive(_))).unwrap_or(Json::Bool(false)),
    }
}

/// What is known of a value; marks are dropped, so the result must not be shown unasked.
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Unknown(_) | Value::Null(_) => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Number(n) => number_json(n),
        Value::String(text) => Json::String(text.to_string()),
        Value::List(_, items) | Value::Set(_, items) | Value::Tuple(items) => {
            Json::Array(items.iter().map(to_json).collect())
        }
        Value::Map(_, entries) | Value::Object(entries) => {
            let known = entries.iter().filter(|(_, v)| !v.is_unknown());
            Json::Object(known.map(|(k, v)| (k.to_string(), to_json(v))).collect())
        }
        Value::Sensitive(inner) => to_json(inner),
    }
}

fn number_json(number: &Number) -> Json {
    if let Some(small) = number.as_i64() {
        return Json::Number(small.into());
    }
    let text = number.to_string();
    text.parse::<u64>().map(|n| Json::Number(n.into())).unwrap_or_else(|_| {
        serde_json::Number::from_f64(number.to_f64()).map_or_else(|| Json::String(text), Json::Number)
    })
}

/// `true` where `hit` says so, containers around it; `None` when nothing is hit.
fn shape(value: &Value, hit: &dyn Fn(&Value) -> bool) -> Option<Json> {
    if hit(value) {
        return Some(Json::Bool(true));
    }
    match value {
        Value::Sensitive(inner) => shape(inner, hit),
        Value::List(_, items) | Value::Set(_, items) | Value::Tuple(items) => {
            Some(Json::Array(items.iter().map(|v| shape(v, hit).unwrap_or(Json::Bool(false))).collect()))
        }
        Value::Map(_, entries) | Value::Object(entries) => {
            let inner = entries.iter().filter_map(|(k, v)| Some((k.to_string(), shape(v, hit)?)));
            Some(Json::Object(inner.collect()))
        }
        _ => None,
    }
}

/// Paths to everything sensitive, as `sensitive_attributes` of a state file lists them.
pub fn sensitive_paths(value: &Value) -> Json {
    let mut paths = vec![];
    collect_paths(value, &mut vec![], &mut paths);
    Json::Array(paths)
}

fn collect_paths(value: &Value, path: &mut Vec<Json>, paths: &mut Vec<Json>) {
    if let Value::Sensitive(_) = value {
        paths.push(Json::Array(path.clone()));
        return;
    }
    let mut descend = |step: Json, child: &Value| {
        path.push(step);
        collect_paths(child, path, paths);
        path.pop();
    };
    match value {
        Value::List(_, items) | Value::Tuple(items) => {
            for (i, item) in items.iter().enumerate() {
                descend(json!({"type": "index", "value": {"value": i, "type": "number"}}), item);
            }
        }
        Value::Map(_, entries) => {
            for (name, item) in entries.iter() {
                descend(json!({"type": "index", "value": {"value": &**name, "type": "string"}}), item);
            }
        }
        Value::Object(entries) => {
            for (name, item) in entries.iter() {
                descend(json!({"type": "get_attr", "value": &**name}), item);
            }
        }
        _ => {}
    }
}

/// Marks what the paths of a state file name; a path that leads nowhere is ignored.
pub fn mark_paths(value: Value, paths: &Json) -> Value {
    let all = paths.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(Json::as_array).fold(value, |value, path| mark_path(&value, path))
}

fn mark_path(value: &Value, path: &[Json]) -> Value {
    let Some((step, rest)) = path.split_first() else { return value.clone().sensitive() };
    let key = if step["type"] == "get_attr" { &step["value"] } else { &step["value"]["value"] };
    let change = |items: &[Value]| -> Vec<Value> {
        let index = key.as_u64().map(|i| i as usize);
        items.iter().enumerate().map(|(i, v)| if Some(i) == index { mark_path(v, rest) } else { v.clone() }).collect()
    };
    let change_entries = |entries: &super::Entries| {
        let name = key.as_str();
        let pairs = entries.iter();
        pairs.map(|(k, v)| (Arc::clone(k), if Some(&**k) == name { mark_path(v, rest) } else { v.clone() })).collect()
    };
    match value {
        Value::List(ty, items) => Value::list(ty.clone(), change(items)),
        Value::Tuple(items) => Value::tuple(change(items)),
        Value::Map(ty, entries) => Value::map(ty.clone(), change_entries(entries)),
        Value::Object(entries) => Value::object(change_entries(entries)),
        other => other.clone(),
    }
}

/// The value a JSON tree stands for by itself: objects and tuples.
pub fn implied(json: &Json) -> Value {
    match json {
        Json::Null => Value::null(),
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => Number::parse(&n.to_string()).map_or_else(|_| Value::null(), Value::Number),
        Json::String(text) => Value::string(text),
        Json::Array(items) => Value::tuple(items.iter().map(implied).collect()),
        Json::Object(entries) => {
            Value::object(entries.iter().map(|(k, v)| (Arc::from(k.as_str()), implied(v))).collect())
        }
    }
}

/// The value of a type that a JSON tree stands for, as in state files.
pub fn decode(json: &Json, ty: &Type) -> Result<Value, super::convert::ConvertError> {
    super::convert(&implied(json), ty)
}

/// As `jsonencode` writes it: no spaces, keys in byte order, `<`, `>`, `&` and the line separators escaped. Everything
/// in the value must be known; what is not becomes null.
pub fn encode_text(value: &Value) -> String {
    let mut out = String::new();
    write_text(value, &mut out);
    out
}

fn write_text(value: &Value, out: &mut String) {
    match value {
        Value::Unknown(_) | Value::Null(_) => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => {
            let _ = write!(out, "{n}");
        }
        Value::String(text) => quote(text, out),
        Value::List(_, items) | Value::Set(_, items) | Value::Tuple(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_text(item, out);
            }
            out.push(']');
        }
        Value::Map(_, entries) | Value::Object(entries) => {
            out.push('{');
            for (i, (key, item)) in entries.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                quote(key, out);
                out.push(':');
                write_text(item, out);
            }
            out.push('}');
        }
        Value::Sensitive(inner) => write_text(inner, out),
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// An empty object, for fields that have nothing to say.
pub fn empty() -> Json {
    Json::Object(Map::new())
}
