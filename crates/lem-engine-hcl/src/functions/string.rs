//! Text.

mod format;

pub(super) use format::{format, formatlist};

use super::{Context, Fault, Outcome, number::whole};
use crate::value::{Entries, Type, Value};
use regex::{Captures, Regex};
use std::sync::Arc;
use unicode_segmentation::UnicodeSegmentation as _;

/// Largest compiled regular expression.
const MAX_REGEX_BYTES: usize = 4 << 20;

pub(super) fn text(args: &[Value], at: usize) -> &str {
    args.get(at).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn texts(args: &[Value], at: usize) -> Result<Vec<&str>, Fault> {
    let items = args.get(at).and_then(Value::items).unwrap_or_default();
    items.iter().map(|i| i.as_str().ok_or_else(|| Fault::from("a text in the list is null").at(at))).collect()
}

fn string(text: impl AsRef<str>) -> Outcome {
    Ok(Value::string(text))
}

pub(super) fn chomp(args: &[Value], _: &Context) -> Outcome {
    string(text(args, 0).trim_end_matches(['\n', '\r']))
}

pub(super) fn startswith(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::Bool(text(args, 0).starts_with(text(args, 1))))
}

pub(super) fn endswith(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::Bool(text(args, 0).ends_with(text(args, 1))))
}

pub(super) fn strcontains(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::Bool(text(args, 0).contains(text(args, 1))))
}

pub(super) fn indent(args: &[Value], _: &Context) -> Outcome {
    let spaces =
        usize::try_from(whole(args, 0)?).map_err(|_| Fault::from("a number of spaces is not negative").at(0))?;
    if spaces > 10_000 {
        return Err(Fault::from("at most 10000 spaces are possible").at(0));
    }
    string(text(args, 1).replace('\n', &format!("\n{}", " ".repeat(spaces))))
}

pub(super) fn join(args: &[Value], _: &Context) -> Outcome {
    let mut parts = vec![];
    for at in 1..args.len() {
        parts.extend(texts(args, at)?);
    }
    string(parts.join(text(args, 0)))
}

pub(super) fn split(args: &[Value], _: &Context) -> Outcome {
    let (separator, whole) = (text(args, 0), text(args, 1));
    if separator.is_empty() {
        return Ok(Value::strings(whole.chars().map(String::from)));
    }
    Ok(Value::strings(whole.split(separator)))
}

pub(super) fn lower(args: &[Value], _: &Context) -> Outcome {
    string(text(args, 0).to_lowercase())
}

pub(super) fn upper(args: &[Value], _: &Context) -> Outcome {
    string(text(args, 0).to_uppercase())
}

pub(super) fn title(args: &[Value], _: &Context) -> Outcome {
    let mut out = String::new();
    let mut before = ' ';
    for c in text(args, 0).chars() {
        let inside = before.is_alphanumeric() || before == '_' || !(before.is_ascii() || before.is_whitespace());
        if inside {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        before = c;
    }
    string(out)
}

pub(super) fn strrev(args: &[Value], _: &Context) -> Outcome {
    string(text(args, 0).graphemes(true).rev().collect::<String>())
}

/// Offsets and lengths count characters as people see them; a negative offset counts from the end, a negative length
/// means the rest.
pub(super) fn substr(args: &[Value], _: &Context) -> Outcome {
    let clusters: Vec<&str> = text(args, 0).graphemes(true).collect();
    let (offset, length) = (whole(args, 1)?, whole(args, 2)?);
    let count = clusters.len() as i64;
    let start = if offset < 0 { (count + offset).max(0) } else { offset.min(count) };
    let end = if length < 0 { count } else { start.saturating_add(length).min(count) };
    string(clusters[start as usize..end as usize].concat())
}

pub(super) fn trim(args: &[Value], _: &Context) -> Outcome {
    let cut: Vec<char> = text(args, 1).chars().collect();
    string(text(args, 0).trim_matches(cut.as_slice()))
}

pub(super) fn trimprefix(args: &[Value], _: &Context) -> Outcome {
    let whole = text(args, 0);
    string(whole.strip_prefix(text(args, 1)).unwrap_or(whole))
}

pub(super) fn trimsuffix(args: &[Value], _: &Context) -> Outcome {
    let whole = text(args, 0);
    string(whole.strip_suffix(text(args, 1)).unwrap_or(whole))
}

pub(super) fn trimspace(args: &[Value], _: &Context) -> Outcome {
    string(text(args, 0).trim())
}

fn compiled(pattern: &str, at: usize) -> Result<Regex, Fault> {
    let built = regex::RegexBuilder::new(pattern).size_limit(MAX_REGEX_BYTES).build();
    built.map_err(|error| Fault::from(format!("the pattern is not valid: {}", last_line(&error.to_string()))).at(at))
}

fn last_line(message: &str) -> String {
    message.lines().last().unwrap_or_default().trim().to_owned()
}

/// Between slashes the second argument is a regular expression.
pub(super) fn replace(args: &[Value], _: &Context) -> Outcome {
    let (whole, from, to) = (text(args, 0), text(args, 1), text(args, 2));
    match from.strip_prefix('/').and_then(|f| f.strip_suffix('/')).filter(|_| from.len() > 1) {
        Some(pattern) => string(compiled(pattern, 1)?.replace_all(whole, to)),
        None => string(whole.replace(from, to)),
    }
}

pub(super) fn regex(args: &[Value], _: &Context) -> Outcome {
    let regex = compiled(text(args, 0), 0)?;
    match regex.captures(text(args, 1)) {
        Some(captures) => matched(&regex, &captures),
        None => Err(Fault::from("the pattern does not match the text").at(1)),
    }
}

pub(super) fn regexall(args: &[Value], _: &Context) -> Outcome {
    let regex = compiled(text(args, 0), 0)?;
    let found: Vec<Value> =
        regex.captures_iter(text(args, 1)).map(|c| matched(&regex, &c)).collect::<Result<_, _>>()?;
    let element = found.first().map_or_else(|| result_type(&regex), Value::ty);
    Ok(Value::list(element, found))
}

fn result_type(regex: &Regex) -> Type {
    match names(regex) {
        Names::None => Type::String,
        Names::Unnamed(count) => Type::Tuple(vec![Type::String; count].into()),
        Names::Named(names) => Type::object(names.into_iter().map(|n| (Arc::from(n), Type::String)).collect()),
        Names::Mixed => Type::Any,
    }
}

enum Names<'r> {
    None,
    Unnamed(usize),
    Named(Vec<&'r str>),
    Mixed,
}

fn names(regex: &Regex) -> Names<'_> {
    let groups: Vec<Option<&str>> = regex.capture_names().skip(1).collect();
    let named: Vec<&str> = groups.iter().flatten().copied().collect();
    match (groups.len(), named.len()) {
        (0, _) => Names::None,
        (count, 0) => Names::Unnamed(count),
        (count, some) if count == some => Names::Named(named),
        _ => Names::Mixed,
    }
}

/// Without groups the match, with unnamed groups a tuple, with named ones an object. A group that took no part is null.
fn matched(regex: &Regex, captures: &Captures<'_>) -> Outcome {
    let group = |m: Option<regex::Match<'_>>| m.map_or(Value::Null(Type::String), |m| Value::string(m.as_str()));
    match names(regex) {
        Names::None => Ok(group(captures.get(0))),
        Names::Unnamed(_) => Ok(Value::tuple(captures.iter().skip(1).map(group).collect())),
        Names::Named(names) => {
            let entries: Entries = names.into_iter().map(|n| (Arc::from(n), group(captures.name(n)))).collect();
            Ok(Value::object(entries))
        }
        Names::Mixed => Err(Fault::from("a pattern has either named or unnamed groups, not both").at(0)),
    }
}
