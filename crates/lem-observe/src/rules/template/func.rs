//! Functions of templates: Go's own and Prometheus'.

use super::TemplateError;
use super::run::Context;
use super::value::{Sample, Value};
use lem_engine_promql::number::{format_g_precision, parse_duration_ms};
use std::cmp::Ordering;
use std::fmt::Write as _;

const KNOWN: &[&str] = &[
    "and",
    "or",
    "not",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "len",
    "index",
    "print",
    "println",
    "printf",
    "html",
    "urlquery",
    "js",
    "query",
    "first",
    "label",
    "value",
    "strvalue",
    "args",
    "reReplaceAll",
    "safeHtml",
    "match",
    "title",
    "toUpper",
    "toLower",
    "graphLink",
    "tableLink",
    "sortByLabel",
    "stripPort",
    "stripDomain",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "toTime",
    "toDuration",
    "now",
    "pathPrefix",
    "externalURL",
    "parseDuration",
    "urlQueryEscape",
];

pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

type Answer = Result<Value, TemplateError>;

fn failed<T>(name: &str, why: impl std::fmt::Display) -> Result<T, TemplateError> {
    Err(TemplateError::Run(format!("error calling {name}: {why}")))
}

pub(super) fn call(name: &str, args: Vec<Value>, context: &Context) -> Answer {
    match name {
        "and" => Ok(args.iter().find(|a| !a.is_true()).or(args.last()).cloned().unwrap_or(Value::Nil)),
        "or" => Ok(args.iter().find(|a| a.is_true()).or(args.last()).cloned().unwrap_or(Value::Nil)),
        "print" | "println" | "html" | "js" | "urlquery" => Ok(Value::Text(printed(name, &args))),
        "printf" => printf(&args),
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => compare(name, &args),
        "now" => Ok(Value::Float(context.now_ms as f64 / 1000.0)),
        "pathPrefix" => Ok(Value::Text(String::new())),
        "externalURL" => Ok(Value::Text(context.external_url.clone())),
        "args" => Ok(Value::Map(args.iter().enumerate().map(|(i, a)| (format!("arg{i}"), a.text())).collect())),
        "reReplaceAll" => three(name, args),
        "index" | "label" | "match" | "sortByLabel" => two(name, args),
        _ => match <[Value; 1]>::try_from(args) {
            Ok([arg]) => one(name, arg, context),
            Err(args) => failed(name, format!("wrong number of args: want 1 got {}", args.len())),
        },
    }
}

fn printed(name: &str, args: &[Value]) -> String {
    let texts: Vec<String> = args.iter().map(Value::text).collect();
    match name {
        "println" => texts.join(" ") + "\n",
        "html" => texts.concat().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;"),
        "urlquery" => escape(&texts.concat()),
        _ => texts.concat(),
    }
}

fn escape(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b' ');
    percent_encoding::utf8_percent_encode(text, KEPT).to_string().replace(' ', "+")
}

fn one(name: &str, arg: Value, context: &Context) -> Answer {
    let text = |f: fn(f64) -> String| match arg.number() {
        Ok(v) => Ok(Value::Text(f(v))),
        Err(why) => failed(name, why),
    };
    match name {
        "not" => Ok(Value::Bool(!arg.is_true())),
        "len" => match &arg {
            Value::Text(t) => Ok(Value::Int(t.len() as i64)),
            Value::List(l) => Ok(Value::Int(l.len() as i64)),
            Value::Map(m) => Ok(Value::Int(m.len() as i64)),
            _ => failed(name, "len of this type"),
        },
        "query" => match context.answers.get(&arg.text()) {
            Some(samples) => Ok(Value::List(samples.iter().cloned().map(Value::Sample).collect())),
            None => Err(TemplateError::Needs(arg.text())),
        },
        "first" => match arg {
            Value::List(mut list) if !list.is_empty() => Ok(list.swap_remove(0)),
            Value::List(_) => failed(name, "first() called on vector with no elements"),
            _ => failed(name, "not a vector"),
        },
        "value" => match arg {
            Value::Sample(Sample { value, .. }) => Ok(Value::Float(value)),
            _ => failed(name, "not a sample"),
        },
        "strvalue" => match arg {
            Value::Sample(s) => Ok(Value::Text(s.labels.get("__value__").cloned().unwrap_or_default())),
            _ => failed(name, "not a sample"),
        },
        "safeHtml" => Ok(Value::Text(arg.text())),
        "title" => Ok(Value::Text(title(&arg.text()))),
        "toUpper" => Ok(Value::Text(arg.text().to_uppercase())),
        "toLower" => Ok(Value::Text(arg.text().to_lowercase())),
        "graphLink" => Ok(Value::Text(format!("/graph?g0.expr={}&g0.tab=0", escape(&arg.text())))),
        "tableLink" => Ok(Value::Text(format!("/graph?g0.expr={}&g0.tab=1", escape(&arg.text())))),
        "stripPort" => Ok(Value::Text(strip_port(&arg.text()))),
        "stripDomain" => Ok(Value::Text(strip_domain(&arg.text()))),
        "humanize" => text(humanize),
        "humanize1024" => text(humanize1024),
        "humanizeDuration" => text(humanize_duration),
        "humanizePercentage" => text(|v| format!("{}%", format_g_precision(v * 100.0, 4))),
        "humanizeTimestamp" => text(humanize_timestamp),
        "toTime" => text(humanize_timestamp),
        "toDuration" => text(|v| format!("{v}s")),
        "parseDuration" => match parse_duration_ms(&arg.text()) {
            Ok(ms) => Ok(Value::Float(ms as f64 / 1000.0)),
            Err(why) => failed(name, why),
        },
        "urlQueryEscape" => Ok(Value::Text(escape(&arg.text()))),
        other => failed(other, "not a function of one argument"),
    }
}

fn two(name: &str, args: Vec<Value>) -> Answer {
    let Ok([a, b]) = <[Value; 2]>::try_from(args) else { return failed(name, "wrong number of args: want 2") };
    match (name, a, b) {
        ("index", Value::Map(map), key) => Ok(Value::Text(map.get(&key.text()).cloned().unwrap_or_default())),
        ("index", Value::List(list), Value::Int(at)) => match usize::try_from(at).ok().and_then(|at| list.get(at)) {
            Some(item) => Ok(item.clone()),
            None => failed(name, format!("index out of range: {at}")),
        },
        ("label", label, Value::Sample(sample)) => {
            Ok(Value::Text(sample.labels.get(&label.text()).cloned().unwrap_or_default()))
        }
        ("match", pattern, text) => match regex::Regex::new(&pattern.text()) {
            Ok(regex) => Ok(Value::Bool(regex.is_match(&text.text()))),
            Err(error) => failed(name, error),
        },
        ("sortByLabel", label, Value::List(mut list)) => {
            let key = |v: &Value| match v {
                Value::Sample(s) => s.labels.get(&label.text()).cloned().unwrap_or_default(),
                other => other.text(),
            };
            list.sort_by_key(key);
            Ok(Value::List(list))
        }
        _ => failed(name, "wrong type of argument"),
    }
}

fn three(name: &str, args: Vec<Value>) -> Answer {
    let Ok([pattern, replacement, text]) = <[Value; 3]>::try_from(args) else {
        return failed(name, "wrong number of args: want 3");
    };
    match regex::Regex::new(&pattern.text()) {
        Ok(regex) => Ok(Value::Text(regex.replace_all(&text.text(), replacement.text().as_str()).into_owned())),
        Err(error) => failed(name, error),
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn compare(name: &str, args: &[Value]) -> Answer {
    let [a, rest @ ..] = args else { return failed(name, "missing argument for comparison") };
    if rest.is_empty() {
        return failed(name, "missing argument for comparison");
    }
    if matches!((a, &rest[0]), (Value::Float(x), _) | (_, Value::Float(x)) if x.is_nan()) {
        return Ok(Value::Bool(name == "ne"));
    }
    if name == "eq" {
        let mut same = false;
        for b in rest {
            match order(a, b) {
                Some(found) => same |= found == Ordering::Equal,
                None => return failed(name, "incompatible types for comparison"),
            }
        }
        return Ok(Value::Bool(same));
    }
    let Some(found) = order(a, &rest[0]) else { return failed(name, "incompatible types for comparison") };
    Ok(Value::Bool(match name {
        "ne" => found != Ordering::Equal,
        "lt" => found == Ordering::Less,
        "le" => found != Ordering::Greater,
        "gt" => found == Ordering::Greater,
        _ => found != Ordering::Less,
    }))
}

/// Longest field width or precision of `printf`.
const MAX_WIDTH: usize = 200;

fn printf(args: &[Value]) -> Answer {
    let Some((format, args)) = args.split_first() else { return failed("printf", "missing format") };
    let format = format.text();
    let mut args = args.iter();
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = String::new();
        while let Some(c) = chars.next_if(|c| matches!(c, '-' | '+' | '0' | ' ' | '#')) {
            flags.push(c);
        }
        let mut digits = String::new();
        while let Some(c) = chars.next_if(|c| c.is_ascii_digit() || *c == '.') {
            digits.push(c);
        }
        let (width, precision) = digits.split_once('.').map_or((digits.as_str(), None), |(w, p)| (w, Some(p)));
        let width = width.parse::<usize>().unwrap_or(0).min(MAX_WIDTH);
        let precision = precision.map(|p| p.parse::<usize>().unwrap_or(0).min(MAX_WIDTH));
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(arg) = args.next() else {
            let _ = write!(out, "%!{verb}(MISSING)");
            continue;
        };
        let text = formatted(verb, arg, precision);
        let pad = width.saturating_sub(text.chars().count());
        if flags.contains('-') {
            out.push_str(&text);
            out.extend(std::iter::repeat_n(' ', pad));
        } else {
            let zero = flags.contains('0') && verb != 's' && verb != 'v';
            out.extend(std::iter::repeat_n(if zero { '0' } else { ' ' }, pad));
            out.push_str(&text);
        }
    }
    Ok(Value::Text(out))
}

fn formatted(verb: char, arg: &Value, precision: Option<usize>) -> String {
    match (verb, arg) {
        ('v', _) => arg.text(),
        ('s', Value::Text(t)) => precision.map_or_else(|| t.clone(), |p| t.chars().take(p).collect()),
        ('q', Value::Text(t)) => format!("{t:?}"),
        ('d', Value::Int(i)) => i.to_string(),
        ('x', Value::Int(i)) => format!("{i:x}"),
        ('t', Value::Bool(b)) => b.to_string(),
        ('f' | 'F', Value::Float(f)) => format!("{f:.*}", precision.unwrap_or(6)),
        ('g', Value::Float(f)) => precision.map_or_else(|| arg.text(), |p| format_g_precision(*f, p)),
        ('e', Value::Float(f)) => {
            let text = format!("{f:.*e}", precision.unwrap_or(6));
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |d| ('-', d));
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        (verb, _) => {
            let kind = match arg {
                Value::Int(_) => "int",
                Value::Float(_) => "float64",
                Value::Text(_) => "string",
                Value::Bool(_) => "bool",
                _ => "value",
            };
            format!("%!{verb}({kind}={})", arg.text())
        }
    }
}

fn title(text: &str) -> String {
    let mut out = String::new();
    let mut first = true;
    for c in text.chars() {
        if first {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        first = c.is_whitespace();
    }
    out
}

fn strip_port(text: &str) -> String {
    if let Some((host, port)) = text.rsplit_once(':')
        && port.bytes().all(|b| b.is_ascii_digit())
        && (!host.contains(':') || host.starts_with('['))
    {
        return host.trim_start_matches('[').trim_end_matches(']').to_owned();
    }
    text.to_owned()
}

fn strip_domain(text: &str) -> String {
    let host = strip_port(text);
    if host.parse::<std::net::IpAddr>().is_ok() {
        return text.to_owned();
    }
    let port = &text[host.len().min(text.len())..];
    format!("{}{}", host.split('.').next().unwrap_or_default(), if host.len() < text.len() { port } else { "" })
}

fn g4(v: f64) -> String {
    format_g_precision(v, 4)
}

const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

fn small(mut v: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for p in SMALL {
        if v.abs() >= 1.0 {
            break;
        }
        prefix = p;
        v *= 1000.0;
    }
    (v, prefix)
}

fn large(mut v: f64, base: f64, prefixes: [&'static str; 8]) -> (f64, &'static str) {
    let mut prefix = "";
    for p in prefixes {
        if v.abs() < base {
            break;
        }
        prefix = p;
        v /= base;
    }
    (v, prefix)
}

fn humanize(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return g4(v);
    }
    let (v, prefix) =
        if v.abs() >= 1.0 { large(v, 1000.0, ["k", "M", "G", "T", "P", "E", "Z", "Y"]) } else { small(v) };
    format!("{}{prefix}", g4(v))
}

fn humanize1024(v: f64) -> String {
    if v.abs() <= 1.0 || !v.is_finite() {
        return g4(v);
    }
    let (v, prefix) = large(v, 1024.0, ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]);
    format!("{}{prefix}", g4(v))
}

fn humanize_duration(v: f64) -> String {
    if !v.is_finite() {
        return g4(v);
    }
    if v == 0.0 {
        return format!("{}s", g4(v));
    }
    if v.abs() < 1.0 {
        let (v, prefix) = small(v);
        return format!("{}{prefix}s", g4(v));
    }
    let (sign, v) = if v < 0.0 { ("-", -v) } else { ("", v) };
    let whole = v as i64;
    let (s, m, h, d) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    match (d, h, m) {
        (0, 0, 0) => format!("{sign}{}s", g4(v)),
        (0, 0, m) => format!("{sign}{m}m {s}s"),
        (0, h, m) => format!("{sign}{h}h {m}m {s}s"),
        (d, h, m) => format!("{sign}{d}d {h}h {m}m {s}s"),
    }
}

fn humanize_timestamp(v: f64) -> String {
    if !v.is_finite() {
        return g4(v);
    }
    match jiff::Timestamp::from_millisecond((v * 1000.0) as i64) {
        Ok(time) => {
            let text = time.strftime("%Y-%m-%d %H:%M:%S%.f").to_string();
            format!("{text} +0000 UTC")
        }
        Err(_) => g4(v),
    }
}

#[cfg(test)]
mod tests {
    use super::super::render;
    use super::*;

    fn context() -> Context {
        let sample = Sample { labels: [("instance".to_owned(), "a:9".to_owned())].into(), value: 5.0 };
        Context {
            labels: [
                ("service".to_owned(), "shop".to_owned()),
                ("instance".to_owned(), "web.example.com:80".to_owned()),
            ]
            .into(),
            value: 0.1234,
            answers: [("up".to_owned(), vec![sample]), ("none".to_owned(), vec![])].into(),
            ..Context::default()
        }
    }

    #[test]
    fn templates_render() {
        let check = |text: &str, expect: &str| {
            assert_eq!(render(text, &context()).unwrap_or_else(|e| e.to_string()), expect, "{text}");
        };
        check("{{ $labels.service }} at {{ $value }}", "shop at 0.1234");
        check("{{ .Labels.service }}:{{.Value}}", "shop:0.1234");
        check("{{ $labels.missing }}|", "|");
        check("{{ $value | humanizePercentage }}", "12.34%");
        check("{{ humanize 1234567.0 }} {{ humanize 0.00002 }}", "1.235M 20u");
        check("{{ humanize1024 2048 }}", "2ki");
        check(
            "{{ humanizeDuration 3725 }} {{ humanizeDuration 0.5 }} {{ 59.5 | humanizeDuration }}",
            "1h 2m 5s 500ms 59.5s",
        );
        check("{{ humanizeTimestamp 1435065584.128 }}", "2015-06-23 13:19:44.128 +0000 UTC");
        check("{{ printf \"%.2f %s %5d|%-4s|%%\" $value \"x\" 42 \"ab\" }}", "0.12 x    42|ab  |%");
        check("{{ if gt $value 0.1 }}high{{ else if eq $value 0.0 }}zero{{ else }}low{{ end }}", "high");
        check("{{ range query \"up\" }}{{ .Labels.instance }}={{ .Value }} {{ end }}", "a:9=5 ");
        check("{{ query \"up\" | first | value }} {{ query \"up\" | first | label \"instance\" }}", "5 a:9");
        check("{{ range query \"none\" }}x{{ else }}nothing{{ end }}", "nothing");
        check("{{ with query \"up\" }}{{ . | first | value | humanize }}{{ end }}", "5");
        check("{{ with $x := $labels.service }}{{ $x | toUpper }}{{ end }}", "SHOP");
        check("a {{- /* note */ -}} b", "ab");
        check("a {{- $value -}} b", "a0.1234b");
        check("{{ $x := 3 }}{{ $x }}", "3");
        check("{{ reReplaceAll \"(.*):.*\" \"$1\" $labels.instance }}", "web.example.com");
        check("{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }}", "web.example.com web:80");
        check("{{ range $i, $e := query \"up\" }}{{ $i }}{{ $e.Value }}{{ end }}", "05");
        check("{{ title \"a bad day\" }}", "A Bad Day");
        check("{{ query \"none\" | first }}", "error calling first: first() called on vector with no elements");
        check("{{ nope }}", "function \"nope\" not defined");
        check("{{ $nope }}", "undefined variable \"$nope\"");
        check("{{ if true }}", "unexpected EOF");
        check("{{ $value", "unclosed action");
        check("{{ template \"x\" }}", "{{template}} is not supported");
        assert_eq!(render("{{ query \"other\" }}", &context()), Err(TemplateError::Needs("other".into())));
    }

    #[test]
    fn limits() {
        let deep = "{{ if true }}".repeat(super::super::MAX_DEPTH + 2);
        assert!(render(&deep, &context()).is_err());
        let long = "{{1}}".repeat(super::super::MAX_TEMPLATE_BYTES / 4);
        assert!(render(&long, &context()).is_err());
    }
}
