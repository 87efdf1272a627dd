//! Functions. Names ignore case.

use super::MAX_RESULT_BYTES;
use super::context::{Context, Status};
use super::format::format;
use super::number::shortest;
use super::value::{Value, upper};

/// Fewest and most arguments of the functions that are legal everywhere.
pub(super) fn arity(name: &str) -> Option<(usize, usize)> {
    Some(match name.to_ascii_lowercase().as_str() {
        "case" => (3, usize::MAX),
        "contains" | "startswith" | "endswith" => (2, 2),
        "format" => (1, 255),
        "join" => (1, 2),
        "tojson" | "fromjson" => (1, 1),
        _ => return None,
    })
}

pub(super) fn call(name: &str, args: &[Value], context: &Context) -> Result<Value, String> {
    let status = context.status;
    Ok(match name.to_ascii_lowercase().as_str() {
        "case" => case(args)?,
        "contains" => Value::Bool(contains(&args[0], &args[1])),
        "startswith" => affix(args, |text, part| text.starts_with(part)),
        "endswith" => affix(args, |text, part| text.ends_with(part)),
        "format" => format(&args[0].to_text(), &args[1..])?.into(),
        "join" => join(&args[0], args.get(1))?.into(),
        "tojson" => to_json(&args[0])?.into(),
        "fromjson" => from_json(&args[0].to_text())?,
        "always" => Value::Bool(true),
        "success" => Value::Bool(status == Status::Success),
        "failure" => Value::Bool(status == Status::Failure),
        "cancelled" => Value::Bool(status == Status::Cancelled),
        "hashfiles" => {
            let patterns: Vec<String> = args.iter().map(Value::to_text).collect();
            context.host.hash_files(&patterns)?.into()
        }
        other => return Err(format!("Unrecognized function: '{other}'")),
    })
}

fn case(args: &[Value]) -> Result<Value, String> {
    let (default, pairs) = args.split_last().expect("the parser asks for at least three");
    for pair in pairs.chunks(2) {
        match &pair[0] {
            Value::Bool(true) => return Ok(pair[1].clone()),
            Value::Bool(false) => {}
            _ => return Err("case predicate must evaluate to a boolean value".to_owned()),
        }
    }
    Ok(default.clone())
}

fn contains(haystack: &Value, needle: &Value) -> bool {
    if let Some(items) = haystack.items() {
        return items.iter().any(|item| item.loosely_equals(needle));
    }
    let both = haystack.is_primitive() && needle.is_primitive();
    both && upper(&haystack.to_text()).contains(&upper(&needle.to_text()))
}

fn affix(args: &[Value], test: fn(&str, &str) -> bool) -> Value {
    let both = args[0].is_primitive() && args[1].is_primitive();
    Value::Bool(both && test(&upper(&args[0].to_text()), &upper(&args[1].to_text())))
}

fn join(value: &Value, separator: Option<&Value>) -> Result<String, String> {
    let Some(items) = value.items() else {
        return Ok(if value.is_primitive() { value.to_text() } else { String::new() });
    };
    let separator = separator.filter(|s| s.is_primitive()).map_or_else(|| ",".to_owned(), Value::to_text);
    let mut out = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(&separator);
        }
        out.push_str(&item.to_text());
        if out.len() > MAX_RESULT_BYTES {
            return Err(format!("join gives more than {MAX_RESULT_BYTES} bytes"));
        }
    }
    Ok(out)
}

fn from_json(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Err("empty input".to_owned());
    }
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("Error parsing JSON when evaluating fromJson: {error}"))?;
    Ok(Value::from_json(&json))
}

fn to_json(value: &Value) -> Result<String, String> {
    let mut out = String::new();
    write_json(value, 0, &mut out)?;
    Ok(out)
}

/// Two spaces a level, as ECMAScript's JSON.stringify writes it; numbers JSON cannot hold are null.
fn write_json(value: &Value, depth: usize, out: &mut String) -> Result<(), String> {
    if out.len() > MAX_RESULT_BYTES {
        return Err(format!("toJSON gives more than {MAX_RESULT_BYTES} bytes"));
    }
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) if number.is_finite() => out.push_str(&shortest(*number)),
        Value::Number(_) => out.push_str("null"),
        Value::String(text) => out.push_str(&serde_json::Value::from(&**text).to_string()),
        Value::Array(items) | Value::Filtered(items) if items.is_empty() => out.push_str("[]"),
        Value::Array(items) | Value::Filtered(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                line(index, depth + 1, out);
                write_json(item, depth + 1, out)?;
            }
            close(depth, ']', out);
        }
        Value::Object(object) if object.is_empty() => out.push_str("{}"),
        Value::Object(object) => {
            out.push('{');
            for (index, (key, item)) in object.iter().enumerate() {
                line(index, depth + 1, out);
                out.push_str(&serde_json::Value::from(key).to_string());
                out.push_str(": ");
                write_json(item, depth + 1, out)?;
            }
            close(depth, '}', out);
        }
    }
    Ok(())
}

fn line(index: usize, depth: usize, out: &mut String) {
    out.push_str(if index > 0 { ",\n" } else { "\n" });
    out.push_str(&"  ".repeat(depth));
}

fn close(depth: usize, bracket: char, out: &mut String) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
    out.push(bracket);
}
