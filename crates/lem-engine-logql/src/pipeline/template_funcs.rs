//! Functions of templates.

use base64::Engine as _;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use regex::Regex;

use super::Row;
use super::template::Val;
use crate::limits::TEMPLATE_BYTES_MAX;
use crate::units;

/// A known function's name.
pub(super) type Func = &'static str;

const NAMES: [&str; 79] = [
    "__line__",
    "__timestamp__",
    "ToLower",
    "lower",
    "ToUpper",
    "upper",
    "Title",
    "title",
    "Trim",
    "trimAll",
    "trim",
    "TrimSpace",
    "TrimLeft",
    "TrimRight",
    "TrimPrefix",
    "trimPrefix",
    "TrimSuffix",
    "trimSuffix",
    "Replace",
    "replace",
    "substr",
    "trunc",
    "contains",
    "hasPrefix",
    "hasSuffix",
    "indent",
    "nindent",
    "repeat",
    "default",
    "coalesce",
    "regexReplaceAll",
    "regexReplaceAllLiteral",
    "count",
    "add",
    "sub",
    "mul",
    "div",
    "mod",
    "addf",
    "subf",
    "mulf",
    "divf",
    "max",
    "min",
    "maxf",
    "minf",
    "round",
    "ceil",
    "floor",
    "int",
    "float64",
    "printf",
    "print",
    "len",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "and",
    "or",
    "not",
    "bytes",
    "duration",
    "duration_seconds",
    "b64enc",
    "b64dec",
    "urlencode",
    "urldecode",
    "alignLeft",
    "alignRight",
    "unixEpoch",
    "unixEpochMillis",
    "unixEpochNanos",
    "nospace",
    "reverse",
    "quote",
    "squote",
];

pub(super) fn find(name: &str) -> Option<Func> {
    NAMES.into_iter().find(|n| *n == name)
}

pub(super) fn call(func: &str, args: &[Val], row: &Row<'_>) -> Result<Val, String> {
    let text = |at: usize| args.get(at).map(Val::text).ok_or_else(|| format!("{func} lacks argument {}", at + 1));
    let float = |at: usize| match args.get(at) {
        Some(value) => value.float(),
        None => Err(format!("{func} lacks argument {}", at + 1)),
    };
    let int = |at: usize| float(at).map(|f| f as i64);
    let value = match func {
        "__line__" => Val::Text(row.text().into_owned()),
        "__timestamp__" => Val::Text(timestamp(row.ts_ns)),
        "ToLower" | "lower" => Val::Text(text(0)?.to_lowercase()),
        "ToUpper" | "upper" => Val::Text(text(0)?.to_uppercase()),
        "Title" | "title" => Val::Text(title(&text(0)?)),
        "trim" | "TrimSpace" => Val::Text(text(0)?.trim().to_owned()),
        "Trim" => Val::Text(text(0)?.trim_matches(|c| text(1).is_ok_and(|set| set.contains(c))).to_owned()),
        "trimAll" => Val::Text(text(1)?.trim_matches(|c| text(0).is_ok_and(|set| set.contains(c))).to_owned()),
        "TrimLeft" => Val::Text(text(0)?.trim_start_matches(|c| text(1).is_ok_and(|set| set.contains(c))).to_owned()),
        "TrimRight" => Val::Text(text(0)?.trim_end_matches(|c| text(1).is_ok_and(|set| set.contains(c))).to_owned()),
        "TrimPrefix" => Val::Text(without_prefix(&text(0)?, &text(1)?)),
        "trimPrefix" => Val::Text(without_prefix(&text(1)?, &text(0)?)),
        "TrimSuffix" => Val::Text(without_suffix(&text(0)?, &text(1)?)),
        "trimSuffix" => Val::Text(without_suffix(&text(1)?, &text(0)?)),
        "Replace" => Val::Text(replace(&text(0)?, &text(1)?, &text(2)?, int(3)?)),
        "replace" => Val::Text(replace(&text(2)?, &text(0)?, &text(1)?, -1)),
        "substr" => Val::Text(substr(&text(2)?, int(0)?, int(1)?)),
        "trunc" => Val::Text(trunc(&text(1)?, int(0)?)),
        "contains" => Val::Bool(text(1)?.contains(&text(0)?)),
        "hasPrefix" => Val::Bool(text(1)?.starts_with(&text(0)?)),
        "hasSuffix" => Val::Bool(text(1)?.ends_with(&text(0)?)),
        "indent" => Val::Text(indent(&text(1)?, int(0)?)?),
        "nindent" => Val::Text(format!("\n{}", indent(&text(1)?, int(0)?)?)),
        "repeat" => Val::Text(repeat(&text(1)?, int(0)?)?),
        "default" => args.get(1).filter(|v| v.truth()).or(args.first()).cloned().unwrap_or(Val::Text(String::new())),
        "coalesce" => args.iter().find(|v| v.truth()).cloned().unwrap_or(Val::Text(String::new())),
        "regexReplaceAll" => Val::Text(regex(&text(0)?)?.replace_all(&text(1)?, text(2)?.as_str()).into_owned()),
        "regexReplaceAllLiteral" => {
            Val::Text(regex(&text(0)?)?.replace_all(&text(1)?, regex::NoExpand(&text(2)?)).into_owned())
        }
        "count" => Val::Int(regex(&text(0)?)?.find_iter(&text(1)?).count() as i64),
        "add" => Val::Int((0..args.len()).try_fold(0i64, |sum, at| Ok::<_, String>(sum.wrapping_add(int(at)?)))?),
        "sub" => Val::Int(int(0)?.wrapping_sub(int(1)?)),
        "mul" => Val::Int((0..args.len()).try_fold(1i64, |all, at| Ok::<_, String>(all.wrapping_mul(int(at)?)))?),
        "div" => Val::Int(int(0)?.checked_div(int(1)?).ok_or("division by zero")?),
        "mod" => Val::Int(int(0)?.checked_rem(int(1)?).ok_or("division by zero")?),
        "addf" => Val::Float((0..args.len()).try_fold(0.0, |sum, at| Ok::<_, String>(sum + float(at)?))?),
        "subf" => Val::Float((1..args.len()).try_fold(float(0)?, |left, at| Ok::<_, String>(left - float(at)?))?),
        "mulf" => Val::Float((0..args.len()).try_fold(1.0, |all, at| Ok::<_, String>(all * float(at)?))?),
        "divf" => Val::Float((1..args.len()).try_fold(float(0)?, |left, at| Ok::<_, String>(left / float(at)?))?),
        "max" => Val::Int((1..args.len()).try_fold(int(0)?, |m, at| Ok::<_, String>(m.max(int(at)?)))?),
        "min" => Val::Int((1..args.len()).try_fold(int(0)?, |m, at| Ok::<_, String>(m.min(int(at)?)))?),
        "maxf" => Val::Float((1..args.len()).try_fold(float(0)?, |m, at| Ok::<_, String>(m.max(float(at)?)))?),
        "minf" => Val::Float((1..args.len()).try_fold(float(0)?, |m, at| Ok::<_, String>(m.min(float(at)?)))?),
        "round" => {
            let scale = 10f64.powi(int(1).unwrap_or(0).clamp(0, 15) as i32);
            Val::Float((float(0)? * scale).round() / scale)
        }
        "ceil" => Val::Float(float(0)?.ceil()),
        "floor" => Val::Float(float(0)?.floor()),
        "int" => Val::Int(float(0).unwrap_or(0.0) as i64),
        "float64" => Val::Float(float(0).unwrap_or(0.0)),
        "printf" => Val::Text(printf(&text(0)?, args.get(1..).unwrap_or(&[]))?),
        "print" => Val::Text(args.iter().map(Val::text).collect()),
        "len" => Val::Int(text(0)?.len() as i64),
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => compare(func, args)?,
        "and" => args.iter().find(|v| !v.truth()).or(args.last()).cloned().unwrap_or(Val::Bool(true)),
        "or" => args.iter().find(|v| v.truth()).or(args.last()).cloned().unwrap_or(Val::Bool(false)),
        "not" => Val::Bool(!args.first().is_some_and(Val::truth)),
        "bytes" => Val::Float(units::bytes(&text(0)?).ok_or("no size")?),
        "duration" | "duration_seconds" => Val::Float(units::duration_ns(&text(0)?).ok_or("no duration")? / 1e9),
        "b64enc" => Val::Text(base64::engine::general_purpose::STANDARD.encode(text(0)?)),
        "b64dec" => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text(0)?).map_err(|e| e.to_string())?;
            Val::Text(String::from_utf8_lossy(&bytes).into_owned())
        }
        "urlencode" => Val::Text(utf8_percent_encode(&text(0)?, NON_ALPHANUMERIC).to_string()),
        "urldecode" => Val::Text(percent_decode_str(&text(0)?.replace('+', " ")).decode_utf8_lossy().into_owned()),
        "alignLeft" => Val::Text(align(&text(1)?, int(0)?, false)?),
        "alignRight" => Val::Text(align(&text(1)?, int(0)?, true)?),
        "unixEpoch" => Val::Int(row.ts_ns.div_euclid(1_000_000_000)),
        "unixEpochMillis" => Val::Int(row.ts_ns.div_euclid(1_000_000)),
        "unixEpochNanos" => Val::Int(row.ts_ns),
        "nospace" => Val::Text(text(0)?.split_whitespace().collect()),
        "reverse" => Val::Text(text(0)?.chars().rev().collect()),
        "quote" => Val::Text(format!("{:?}", text(0)?)),
        "squote" => Val::Text(format!("'{}'", text(0)?)),
        _ => return Err(format!("function {func} is not defined")),
    };
    Ok(value)
}

fn timestamp(ts_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(ts_ns)).map_or_else(|_| ts_ns.to_string(), |t| t.to_string())
}

fn title(text: &str) -> String {
    let mut start = true;
    let cap = |c: char| {
        let out: String = if start { c.to_uppercase().collect() } else { c.to_string() };
        start = c.is_whitespace();
        out
    };
    text.chars().map(cap).collect()
}

fn without_prefix(text: &str, prefix: &str) -> String {
    text.strip_prefix(prefix).unwrap_or(text).to_owned()
}

fn without_suffix(text: &str, suffix: &str) -> String {
    text.strip_suffix(suffix).unwrap_or(text).to_owned()
}

fn replace(text: &str, old: &str, new: &str, times: i64) -> String {
    match usize::try_from(times) {
        Ok(times) => text.replacen(old, new, times),
        Err(_) => text.replace(old, new),
    }
}

fn substr(text: &str, start: i64, end: i64) -> String {
    let len = text.chars().count() as i64;
    let start = start.clamp(0, len);
    let end = if end < 0 { len } else { end.min(len) };
    text.chars().skip(start as usize).take((end - start).max(0) as usize).collect()
}

fn trunc(text: &str, count: i64) -> String {
    let len = text.chars().count() as i64;
    if count >= 0 {
        text.chars().take(count as usize).collect()
    } else {
        text.chars().skip((len + count).max(0) as usize).collect()
    }
}

fn repeat(text: &str, times: i64) -> Result<String, String> {
    let times = times.max(0) as usize;
    let fits = text.len().checked_mul(times).is_some_and(|n| n <= TEMPLATE_BYTES_MAX);
    if fits { Ok(text.repeat(times)) } else { Err(format!("more than {TEMPLATE_BYTES_MAX} bytes")) }
}

fn indent(text: &str, spaces: i64) -> Result<String, String> {
    let pad = repeat(" ", spaces)?;
    Ok(text.split('\n').map(|line| format!("{pad}{line}")).collect::<Vec<_>>().join("\n"))
}

fn align(text: &str, width: i64, right: bool) -> Result<String, String> {
    let len = text.chars().count() as i64;
    if len >= width {
        return Ok(if right { trunc(text, -width.max(0)) } else { trunc(text, width.max(0)) });
    }
    let pad = repeat(" ", width - len)?;
    Ok(if right { pad + text } else { text.to_owned() + &pad })
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|e| e.to_string())
}

fn compare(func: &str, args: &[Val]) -> Result<Val, String> {
    let [a, b, ..] = args else { return Err(format!("{func} needs two values")) };
    let order = match (a, b) {
        (Val::Text(a), Val::Text(b)) => Some(a.cmp(b)),
        (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
        _ => a.float()?.partial_cmp(&b.float()?),
    };
    Ok(Val::Bool(order.is_some_and(|order| match func {
        "eq" => order.is_eq(),
        "ne" => order.is_ne(),
        "lt" => order.is_lt(),
        "le" => order.is_le(),
        "gt" => order.is_gt(),
        _ => order.is_ge(),
    })))
}

/// `%s %v %d %q %f %.2f %%` and widths.
fn printf(format: &str, args: &[Val]) -> Result<String, String> {
    let mut out = String::new();
    let mut args = args.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = String::new();
        while let Some(c) = chars.next_if(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | '0')) {
            spec.push(c);
        }
        let Some(verb) = chars.next() else { return Err("printf: % at the end".to_owned()) };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = args.next().ok_or("printf: too few values")?;
        let (width, precision) = spec.split_once('.').unwrap_or((&spec, ""));
        let text = match verb {
            's' | 'v' => value.text(),
            'd' => (value.float()? as i64).to_string(),
            'q' => format!("{:?}", value.text()),
            'f' => format!("{:.*}", precision.parse::<usize>().unwrap_or(6).min(64), value.float()?),
            _ => return Err(format!("printf: %{verb} is not supported")),
        };
        let width_number = width.trim_start_matches(['-', '+']).parse::<i64>().unwrap_or(0);
        let missing = width_number - text.chars().count() as i64;
        let zero = width.starts_with('0') && verb != 's';
        let pad = repeat(if zero { "0" } else { " " }, missing)?;
        if width.starts_with('-') {
            out.push_str(&text);
            out.push_str(&pad);
        } else {
            out.push_str(&pad);
            out.push_str(&text);
        }
    }
    Ok(out)
}
