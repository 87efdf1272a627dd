//! YAML in and out.

use super::{Fault, Outcome, encoding};
use crate::value::{Entries, Value, json::encode_text};
use lem_engine_yaml::{DuplicateKeys, MergeKeys, Node, Options, Resolved, Style, parse};
use std::sync::Arc;

/// One document under the core schema.
pub(super) fn decode(text: &str) -> Outcome {
    let options = Options { duplicate_keys: DuplicateKeys::Refuse, merge_keys: MergeKeys::Apply };
    let (documents, diagnostics) = parse(text, "yaml", options);
    if let Some(error) = diagnostics.iter().find(|d| d.is_error()) {
        let message = format!("this is not YAML: line {}: {}", error.place.line, error.message);
        return Err(message.into());
    }
    match documents.as_slice() {
        [] => Ok(Value::null()),
        [one] => node(one),
        _ => Err("one document is required, not several".into()),
    }
}

fn node(tree: &Node) -> Outcome {
    if let Some(items) = tree.items() {
        return Ok(Value::tuple(items.iter().map(node).collect::<Result<_, _>>()?));
    }
    if let Some(pairs) = tree.entries() {
        let mut entries = Entries::new();
        for pair in pairs {
            let key = pair.key.text().ok_or_else(|| Fault::from("a key must be a scalar"))?;
            entries.insert(Arc::from(key), node(&pair.value)?);
        }
        return Ok(Value::object(entries));
    }
    let Some(scalar) = tree.scalar() else { return Ok(Value::null()) };
    match tree.tag.as_deref().map(|t| t.rsplit([':', '!']).next().unwrap_or(t)) {
        None | Some("" | "null" | "bool" | "int" | "float") => {}
        Some("str") => return Ok(Value::string(&scalar.text)),
        Some(other) => return Err(format!("the tag \"{other}\" is not supported").into()),
    }
    if scalar.style == Style::Plain
        && let Some(value) = older(&scalar.text)
    {
        return Ok(value);
    }
    match scalar.resolve() {
        Resolved::Null => Ok(Value::null()),
        Resolved::Bool(value) => Ok(Value::Bool(value)),
        Resolved::Text(text) => Ok(Value::string(text)),
        Resolved::Int(value) => Ok(Value::int(value)),
        Resolved::Float(value) => encoding::number(&scalar.text)
            .or_else(|| crate::value::Number::from_f64(value).ok().map(Value::Number))
            .ok_or_else(|| "a number is not finite".into()),
    }
}

/// What plain scalars mean beyond the core schema: the words and dates of YAML 1.1.
fn older(text: &str) -> Option<Value> {
    match text {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Some(Value::Bool(true)),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Some(Value::Bool(false)),
        _ => {}
    }
    let date: jiff::civil::Date = text.parse().ok().filter(|_| text.len() == 10)?;
    Some(Value::string(format!("{date}T00:00:00Z")))
}

/// Block style with every text and key in quotes, texts of several lines as literals.
pub(super) fn encode(value: &Value) -> String {
    let mut out = String::new();
    write(value, 0, &mut out);
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

fn write(value: &Value, depth: usize, out: &mut String) {
    let margin = "  ".repeat(depth);
    match value {
        Value::List(_, items) | Value::Set(_, items) | Value::Tuple(items) if !items.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { &margin });
                out.push_str("- ");
                write(item, depth + 1, out);
                end_line(out);
            }
        }
        Value::Map(_, entries) | Value::Object(entries) if !entries.is_empty() => {
            for (i, (key, item)) in entries.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { &margin });
                out.push_str(&quoted(key));
                out.push(':');
                entry(item, depth, out);
                end_line(out);
            }
        }
        Value::List(..) | Value::Set(..) | Value::Tuple(_) => out.push_str("[]"),
        Value::Map(..) | Value::Object(_) => out.push_str("{}"),
        Value::String(text) if text.contains('\n') => literal(text, depth, out),
        Value::String(text) => out.push_str(&quoted(text)),
        Value::Sensitive(inner) => write(inner, depth, out),
        other => out.push_str(&encode_text(other)),
    }
}

/// Lists stand at the margin of their key, maps one step in.
fn entry(item: &Value, depth: usize, out: &mut String) {
    let filled = item.children().next().is_some();
    if filled && item.entries().is_some() {
        out.push('\n');
        out.push_str(&"  ".repeat(depth + 1));
        write(item, depth + 1, out);
    } else if filled {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
        write(item, depth, out);
    } else {
        out.push(' ');
        write(item, depth + 1, out);
    }
}

fn end_line(out: &mut String) {
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

fn literal(text: &str, depth: usize, out: &mut String) {
    let margin = "  ".repeat(depth.max(1));
    let body = text.trim_end_matches('\n');
    let ends = text.len() - body.len();
    if body.is_empty() || body.starts_with([' ', '\n']) || text.chars().any(|c| c.is_control() && c != '\n') {
        out.push_str(&quoted(text));
        return;
    }
    out.push_str(match ends {
        0 => "|-\n",
        1 => "|\n",
        _ => "|+\n",
    });
    for line in body.split('\n') {
        if !line.is_empty() {
            out.push_str(&margin);
            out.push_str(line);
        }
        out.push('\n');
    }
    for _ in 1..ends {
        out.push('\n');
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
