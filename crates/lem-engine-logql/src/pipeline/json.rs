//! The json and unpack parsers.

use std::borrow::Cow;

use serde_json::Value;

use super::{Row, sanitise};
use crate::limits;

/// One step of a path such as `a.b[0]["c d"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Key(String),
    Index(usize),
}

pub(super) fn parse_path(path: &str) -> Result<Vec<Segment>, String> {
    let mut out = Vec::new();
    let mut rest = path;
    let bad = || format!("bad json path {path:?}");
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix("[\"") {
            let end = inner.find("\"]").ok_or_else(bad)?;
            out.push(Segment::Key(inner[..end].to_owned()));
            rest = &inner[end + 2..];
        } else if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').ok_or_else(bad)?;
            out.push(Segment::Index(inner[..end].parse().map_err(|_| bad())?));
            rest = &inner[end + 1..];
        } else {
            let name = if out.is_empty() { rest } else { rest.strip_prefix('.').ok_or_else(bad)? };
            let end = name.find(['.', '[']).unwrap_or(name.len());
            if end == 0 {
                return Err(bad());
            }
            out.push(Segment::Key(name[..end].to_owned()));
            rest = &name[end..];
        }
    }
    if out.is_empty() { Err(bad()) } else { Ok(out) }
}

pub(super) fn run(row: &mut Row<'_>, paths: &[(String, Vec<Segment>)]) {
    let value = match serde_json::from_slice::<Value>(&row.line) {
        Ok(value @ Value::Object(_)) => value,
        Ok(_) => return row.fail("JSONParserErr", "the line is no JSON object"),
        Err(error) => return row.fail("JSONParserErr", error.to_string()),
    };
    let mut done = Vec::new();
    if paths.is_empty() {
        flatten(row, "", &value, &mut done, 0);
        return;
    }
    for (name, path) in paths {
        let found = path.iter().try_fold(&value, |at, segment| match segment {
            Segment::Key(key) => at.get(key),
            Segment::Index(index) => at.get(index),
        });
        if let Some(found) = found {
            let text = scalar(found).unwrap_or_else(|| found.to_string());
            row.extract(name, text, &mut done);
        }
    }
}

/// Nested objects join their keys with `_`; arrays are skipped.
fn flatten(row: &mut Row<'_>, prefix: &str, value: &Value, done: &mut Vec<String>, depth: usize) {
    let Value::Object(map) = value else { return };
    for (key, value) in map {
        let name = if prefix.is_empty() { sanitise(key) } else { format!("{prefix}_{}", clean(key)) };
        match value {
            Value::Object(_) if depth < limits::JSON_DEPTH_MAX => flatten(row, &name, value, done, depth + 1),
            Value::Object(_) | Value::Array(_) => {}
            other => row.extract(&name, scalar(other).unwrap_or_default(), done),
        }
    }
}

/// Inside a name a digit may come first.
fn clean(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(n) => Some(n.to_string()),
        Value::String(s) => Some(s.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Undoes the `pack` stage of a collector: `_entry` is the line, everything else a label.
pub(super) fn unpack(row: &mut Row<'_>) {
    let map = match serde_json::from_slice::<Value>(&row.line) {
        Ok(Value::Object(map)) => map,
        Ok(_) => return row.fail("JSONParserErr", "the line is no JSON object"),
        Err(error) => return row.fail("JSONParserErr", error.to_string()),
    };
    let mut done = Vec::new();
    for (key, value) in &map {
        let Value::String(text) = value else { continue };
        if key == "_entry" {
            row.line = Cow::Owned(text.clone().into_bytes());
        } else {
            row.extract(&sanitise(key), text.clone(), &mut done);
        }
    }
}
