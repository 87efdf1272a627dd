//! Series notation: `name{label="value"} 1+2x10 _x3 stale {{schema:0 count:3 buckets:[1 2]}}x2`.

use std::sync::Arc;

use crate::histogram::{Buckets, CounterReset, FloatHistogram};
use crate::labels::Labels;
use crate::number::{STALE, parse_float};
use crate::parse::parse_metric;

/// A place in a sequence.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    Omitted,
    Float(f64),
    Hist(Arc<FloatHistogram>),
}

/// Most values one line may expand to.
const MAX_VALUES: usize = 1_000_000;

/// A line: labels and values.
pub(super) fn parse_series(line: &str) -> Result<(Labels, Vec<Slot>), String> {
    let end = metric_end(line);
    let labels = parse_metric(&line[..end]).map_err(|e| e.to_string())?;
    let mut slots = Vec::new();
    let mut rest = line[end..].trim_start();
    while !rest.is_empty() {
        let (token, after) = split_value(rest);
        expand(token, &mut slots).map_err(|m| format!("{m} in {line:?}"))?;
        if slots.len() > MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values in {line:?}"));
        }
        rest = after.trim_start();
    }
    Ok((labels, slots))
}

/// Where the name and its labels end.
fn metric_end(line: &str) -> usize {
    let mut quote: Option<char> = None;
    let mut escaped = false;
    let mut depth = 0;
    for (i, c) in line.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(q) => match c {
                '\\' if q != '`' => escaped = true,
                c if c == q => quote = None,
                _ => {}
            },
            None => match c {
                '"' | '\'' | '`' => quote = Some(c),
                '{' => depth += 1,
                '}' => {
                    depth -= 1;
                    if depth == 0 {
                        return i + 1;
                    }
                }
                c if c.is_whitespace() && depth == 0 => {
                    // Space may stand between the name and its braces.
                    let next = line[i..].trim_start();
                    if next.starts_with('{') && !next.starts_with("{{") {
                        continue;
                    }
                    return i;
                }
                _ => {}
            },
        }
    }
    line.len()
}

/// One value token; histograms hold spaces.
fn split_value(text: &str) -> (&str, &str) {
    let mut depth = 0usize;
    for (i, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            c if c.is_whitespace() && depth == 0 => return text.split_at(i),
            _ => {}
        }
    }
    (text, "")
}

fn expand(token: &str, out: &mut Vec<Slot>) -> Result<(), String> {
    if token.starts_with("{{") {
        return expand_histogram(token, out);
    }
    let (value, times) = split_times(token)?;
    if value == "_" {
        let n = times.unwrap_or(1);
        out.extend(std::iter::repeat_n(Slot::Omitted, n));
        return Ok(());
    }
    // A sign after the first character begins the increment, unless it belongs to an exponent.
    let at = value.char_indices().skip(1).find(|(i, c)| matches!(c, '+' | '-') && !value[..*i].ends_with(['e', 'E']));
    let (base, increment) = match at {
        Some((i, _)) => (float(&value[..i])?, Some(float(&value[i..])?)),
        None => (float(value)?, None),
    };
    let mut current = base;
    for i in 0..=times.unwrap_or(0) {
        if i > 0 {
            current += increment.unwrap_or(0.0);
        }
        out.push(Slot::Float(current));
    }
    Ok(())
}

fn split_times(token: &str) -> Result<(&str, Option<usize>), String> {
    match token.rsplit_once('x') {
        Some((value, times)) => {
            let times: usize = times.parse().map_err(|_| format!("invalid repetition in {token:?}"))?;
            if times > MAX_VALUES {
                return Err(format!("more than {MAX_VALUES} values"));
            }
            Ok((value, Some(times)))
        }
        None => Ok((token, None)),
    }
}

fn float(text: &str) -> Result<f64, String> {
    if text == "stale" {
        return Ok(STALE);
    }
    parse_float(text).ok_or_else(|| format!("invalid number {text:?}"))
}

fn expand_histogram(token: &str, out: &mut Vec<Slot>) -> Result<(), String> {
    let close = token.find("}}").ok_or("histogram without end")?;
    let base = histogram(&token[2..close])?;
    let rest = &token[close + 2..];
    if rest.is_empty() {
        out.push(Slot::Hist(Arc::new(base)));
        return Ok(());
    }
    let (operator, increment, rest) = match rest.as_bytes()[0] {
        b'x' => (None, None, rest),
        sign @ (b'+' | b'-') => {
            let close = rest.find("}}").ok_or("histogram without end")?;
            let inner = rest.get(3..close).ok_or("histogram without start")?;
            (Some(sign), Some(histogram(inner)?), &rest[close + 2..])
        }
        _ => return Err(format!("unexpected {rest:?} after histogram")),
    };
    let times = match rest.strip_prefix('x') {
        Some(times) => times
            .parse::<usize>()
            .ok()
            .filter(|n| *n <= MAX_VALUES)
            .ok_or_else(|| format!("invalid repetition {times:?}"))?,
        None => 0,
    };
    let mut current = base;
    for i in 0..=times {
        if i > 0
            && let Some(increment) = &increment
        {
            let combined = if operator == Some(b'+') { current.add(increment) } else { current.sub(increment) };
            combined.map_err(|e| e.to_string())?;
        }
        out.push(Slot::Hist(Arc::new(current.clone())));
    }
    Ok(())
}

fn histogram(text: &str) -> Result<FloatHistogram, String> {
    let mut h = FloatHistogram::default();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':').ok_or_else(|| format!("missing ':' in histogram {text:?}"))?;
        let (value, after) = if let Some(list) = after.strip_prefix('[') {
            list.split_once(']').ok_or("list without end")?
        } else {
            after.split_once(char::is_whitespace).unwrap_or((after, ""))
        };
        set_field(&mut h, key.trim(), value)?;
        rest = after.trim();
    }
    if h.positive.counts.is_empty() {
        h.positive.offset = 0;
    }
    Ok(h)
}

fn set_field(h: &mut FloatHistogram, key: &str, value: &str) -> Result<(), String> {
    let list = || -> Result<Vec<f64>, String> { value.split_whitespace().map(float).collect() };
    let int = || -> Result<i32, String> { value.parse().map_err(|_| format!("invalid number {value:?} in histogram")) };
    match key {
        "schema" => h.schema = int()?,
        "sum" => h.sum = float(value)?,
        "count" => h.count = float(value)?,
        "z_bucket" => h.zero_count = float(value)?,
        "z_bucket_w" => h.zero_threshold = float(value)?,
        "custom_values" => h.custom_bounds = list()?,
        "buckets" => set_counts(&mut h.positive, list()?),
        "n_buckets" => set_counts(&mut h.negative, list()?),
        "offset" => h.positive.offset = int()?,
        "n_offset" => h.negative.offset = int()?,
        "counter_reset_hint" => {
            h.counter_reset = match value {
                "unknown" => CounterReset::Unknown,
                "reset" => CounterReset::Reset,
                "not_reset" => CounterReset::NotReset,
                "gauge" => CounterReset::Gauge,
                _ => return Err(format!("unknown counter reset hint {value:?}")),
            };
        }
        _ => return Err(format!("bad histogram descriptor found: {key:?}")),
    }
    Ok(())
}

fn set_counts(side: &mut Buckets, counts: Vec<f64>) {
    side.counts = counts;
}
