//! Times, written as RFC 3339. `timestamp()` is unknown until an apply, `plantimestamp()` is not.

use super::string::text;
use super::{Context, Fault, Outcome};
use crate::value::{Type, Value};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// A time as clocks of its offset show it.
struct Clock {
    instant: Timestamp,
    offset: Offset,
    civil: DateTime,
}

impl Clock {
    fn new(instant: Timestamp, offset: Offset) -> Self {
        Self { instant, offset, civil: offset.to_datetime(instant) }
    }
}

fn parse(args: &[Value], at: usize) -> Result<Clock, Fault> {
    let text = text(args, at);
    let fault = || Fault::from("this is no time such as 2006-01-02T15:04:05Z").at(at);
    let strict = text.len() >= 20 && text.as_bytes()[10] == b'T' && !text.contains('[');
    let instant: Timestamp = text.parse().ok().filter(|_| strict).ok_or_else(fault)?;
    let tail = text.get(text.len() - 6..).unwrap_or_default();
    let offset = match tail.as_bytes() {
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let hours: i32 = tail[1..3].parse().map_err(|_| fault())?;
            let minutes: i32 = tail[4..6].parse().map_err(|_| fault())?;
            let seconds = (hours * 60 + minutes) * 60;
            Offset::from_seconds(if *sign == b'-' { -seconds } else { seconds }).map_err(|_| fault())?
        }
        _ if text.ends_with('Z') => Offset::UTC,
        _ => return Err(fault()),
    };
    Ok(Clock::new(instant, offset))
}

fn offset(time: &Clock, colon: &str, utc: &str) -> String {
    let seconds = time.offset.seconds();
    if seconds == 0 && !utc.is_empty() {
        return utc.to_owned();
    }
    let minutes = seconds.abs() / 60;
    format!("{}{:02}{colon}{:02}", if seconds < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
}

fn rfc3339(time: &Clock) -> String {
    format!("{}{}", time.civil.strftime("%Y-%m-%dT%H:%M:%S"), offset(time, ":", "Z"))
}

pub(super) fn timestamp(_: &[Value], context: &Context) -> Outcome {
    if !context.applying {
        return Ok(Value::unknown(Type::String, "timestamp() has a value when it is applied"));
    }
    plantimestamp(&[], context)
}

pub(super) fn plantimestamp(_: &[Value], context: &Context) -> Outcome {
    Ok(Value::string(rfc3339(&Clock::new(context.now, Offset::UTC))))
}

pub(super) fn timecmp(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::int(parse(args, 0)?.instant.cmp(&parse(args, 1)?.instant) as i64))
}

pub(super) fn timeadd(args: &[Value], _: &Context) -> Outcome {
    let time = parse(args, 0)?;
    let nanos = duration(text(args, 1)).ok_or_else(|| Fault::from("this is no duration such as 1h30m").at(1))?;
    let far = || Fault::from("the result is too far away").at(1);
    let span = jiff::SignedDuration::from_nanos(i64::try_from(nanos).map_err(|_| far())?);
    Ok(Value::string(rfc3339(&Clock::new(time.instant.checked_add(span).map_err(|_| far())?, time.offset))))
}

/// Numbers with units from `ns` to `h`, one after another, with an optional sign.
fn duration(text: &str) -> Option<i128> {
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0_i128;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let nanos: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() || whole.len() > 18 || fraction.len() > 18 {
            return None;
        }
        let number = |t: &str| if t.is_empty() { Some(0) } else { t.parse::<i128>().ok() };
        total += number(whole)? * nanos + number(fraction)? * nanos / 10_i128.pow(fraction.len() as u32);
        rest = next;
    }
    (!text.is_empty() && !text.ends_with(['+', '-'])).then_some(sign * total)
}

pub(super) fn formatdate(args: &[Value], _: &Context) -> Outcome {
    let time = parse(args, 1)?;
    let mut out = String::new();
    let mut rest = text(args, 0);
    while let Some(c) = rest.chars().next() {
        if c == '\'' {
            rest = quoted(&rest[1..], &mut out).ok_or_else(|| Fault::from("a quote is not closed").at(0))?;
        } else if c.is_ascii_alphabetic() {
            let end = rest.find(|other| other != c).unwrap_or(rest.len());
            let (token, after) = rest.split_at(end);
            let text = field(token, &time);
            out.push_str(&text.ok_or_else(|| Fault::from(format!("there is no field \"{token}\"")).at(0))?);
            rest = after;
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    Ok(Value::string(out))
}

/// Text up to the closing quote; two quotes are one.
fn quoted<'t>(mut rest: &'t str, out: &mut String) -> Option<&'t str> {
    loop {
        let end = rest.find('\'')?;
        out.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                out.push('\'');
                rest = after;
            }
            None => return Some(rest),
        }
    }
}

fn field(token: &str, time: &Clock) -> Option<String> {
    let show = |pattern: &str| time.civil.strftime(pattern).to_string();
    Some(match token {
        "YYYY" => format!("{:04}", time.civil.year()),
        "YY" => format!("{:02}", time.civil.year() % 100),
        "MMMM" => show("%B"),
        "MMM" => show("%b"),
        "MM" => show("%m"),
        "M" => time.civil.month().to_string(),
        "DD" => show("%d"),
        "D" => time.civil.day().to_string(),
        "EEEE" => show("%A"),
        "EEE" => show("%a"),
        "hh" => show("%H"),
        "h" => time.civil.hour().to_string(),
        "HH" => show("%I"),
        "H" => show("%I").trim_start_matches('0').to_owned(),
        "AA" => if time.civil.hour() < 12 { "AM" } else { "PM" }.to_owned(),
        "aa" => if time.civil.hour() < 12 { "am" } else { "pm" }.to_owned(),
        "mm" => show("%M"),
        "m" => time.civil.minute().to_string(),
        "ss" => show("%S"),
        "s" => time.civil.second().to_string(),
        "ZZZZZ" => offset(time, ":", ""),
        "ZZZZ" => offset(time, "", ""),
        "ZZZ" => offset(time, "", "UTC"),
        "Z" => offset(time, ":", "Z"),
        _ => return None,
    })
}
