//! `format` and `formatlist`: verbs with flags, width and precision.

use super::text;
use crate::functions::{Context, Fault, Outcome};
use crate::value::{Number, Type, Value, convert, json::encode_text};
use unicode_segmentation::UnicodeSegmentation as _;

/// Widest field and longest precision.
const MAX_WIDTH: usize = 10_000;

pub(in crate::functions) fn format(args: &[Value], _: &Context) -> Outcome {
    written(text(args, 0), &args[1..]).map(Value::string)
}

/// Each list gives one argument of each result; what is no list is the same in all.
pub(in crate::functions) fn formatlist(args: &[Value], _: &Context) -> Outcome {
    let lists: Vec<Option<&[Value]>> = args[1..].iter().map(Value::items).collect();
    let mut lengths = lists.iter().flatten().map(|l| l.len());
    let count = match lengths.next() {
        Some(first) if lengths.all(|l| l == first) => first,
        Some(_) => return Err("all lists must have the same length".into()),
        None => 1,
    };
    let one = |i: usize| {
        let row: Vec<Value> =
            lists.iter().zip(&args[1..]).map(|(l, a)| l.map_or_else(|| a.clone(), |l| l[i].clone())).collect();
        written(text(args, 0), &row)
    };
    Ok(Value::strings((0..count).map(one).collect::<Result<Vec<_>, _>>()?))
}

#[derive(Default)]
struct Verb {
    minus: bool,
    plus: bool,
    space: bool,
    zero: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

fn written(pattern: &str, args: &[Value]) -> Result<String, Fault> {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    let (mut next, mut indexed) = (0, false);
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut verb = Verb::default();
        while let Some(flag) = chars.next_if(|c| matches!(c, '-' | '+' | ' ' | '0' | '#')) {
            match flag {
                '-' => verb.minus = true,
                '+' => verb.plus = true,
                ' ' => verb.space = true,
                '0' => verb.zero = true,
                _ => verb.sharp = true,
            }
        }
        verb.width = digits(&mut chars)?;
        if chars.next_if_eq(&'.').is_some() {
            verb.precision = Some(digits(&mut chars)?.unwrap_or(0));
        }
        if chars.next_if_eq(&'[').is_some() {
            let at = digits(&mut chars)?.unwrap_or(0);
            if chars.next() != Some(']') || at == 0 {
                return Err(Fault::from("the pattern has a bad argument index").at(0));
            }
            (next, indexed) = (at - 1, true);
        }
        let Some(letter) = chars.next() else { return Err(Fault::from("the pattern ends inside a verb").at(0)) };
        if letter == '%' {
            out.push('%');
            continue;
        }
        let Some(arg) = args.get(next) else {
            return Err(Fault::from(format!("the pattern needs more than {} arguments", args.len())).at(0));
        };
        out.push_str(&one(letter, &verb, arg, next + 1)?);
        next += 1;
    }
    if next < args.len() && !indexed {
        return Err(Fault::from(format!("the pattern uses {next} of {} arguments", args.len())).at(next + 1));
    }
    Ok(out)
}

fn digits(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<usize>, Fault> {
    let mut number = None;
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        let value = number.unwrap_or(0) * 10 + digit.to_digit(10).unwrap_or(0) as usize;
        if value > MAX_WIDTH {
            return Err(Fault::from(format!("a width is at most {MAX_WIDTH}")).at(0));
        }
        number = Some(value);
    }
    Ok(number)
}

fn one(letter: char, verb: &Verb, arg: &Value, at: usize) -> Result<String, Fault> {
    let to = |ty: &Type| {
        let value = convert(arg, ty).map_err(|e| Fault { code: "type-mismatch", ..e.to_string().into() }.at(at))?;
        if value.is_null() { Err(Fault::from("null cannot be formatted by this verb").at(at)) } else { Ok(value) }
    };
    let number = || to(&Type::Number).map(|v| v.as_number().cloned().unwrap_or_else(|| Number::from(0)));
    let whole = || {
        let number = number()?;
        if number.is_whole() { Ok(number) } else { Err(Fault::from("a whole number is required").at(at)) }
    };
    match letter {
        'v' => plain(verb, arg),
        't' => Ok(pad(verb, &convert_text(&to(&Type::Bool)?))),
        's' => Ok(pad(verb, &cut(verb, &convert_text(&to(&Type::String)?)))),
        'q' => Ok(pad(verb, &encode_text(&Value::string(cut(verb, &convert_text(&to(&Type::String)?)))))),
        'd' => Ok(pad_number(verb, &whole()?.to_string())),
        'b' | 'o' | 'x' | 'X' => {
            let Some(whole) = whole()?.as_i64() else {
                return Err(Fault::from("the number is too large for this verb").at(at));
            };
            let sign = if whole < 0 { "-" } else { "" };
            let size = whole.unsigned_abs();
            Ok(pad_number(
                verb,
                &match letter {
                    'b' => format!("{sign}{size:b}"),
                    'o' => format!("{sign}{size:o}"),
                    'x' => format!("{sign}{}{size:x}", if verb.sharp { "0x" } else { "" }),
                    _ => format!("{sign}{}{size:X}", if verb.sharp { "0X" } else { "" }),
                },
            ))
        }
        'f' | 'F' => Ok(pad_number(verb, &format!("{:.*}", verb.precision.unwrap_or(6), number()?.to_f64()))),
        'e' | 'E' => {
            let text = exponent(number()?.to_f64(), verb.precision.unwrap_or(6));
            Ok(pad_number(verb, &if letter == 'E' { text.to_uppercase() } else { text }))
        }
        'g' | 'G' => Ok(pad_number(verb, &general(&number()?, verb.precision, letter))),
        other => Err(Fault::from(format!("there is no verb %{other}")).at(0)),
    }
}

fn plain(verb: &Verb, arg: &Value) -> Result<String, Fault> {
    Ok(match arg.revealed() {
        _ if verb.sharp => pad(verb, &encode_text(arg)),
        Value::Null(_) => pad(verb, "null"),
        Value::Number(n) => pad_number(verb, &general(n, verb.precision, 'g')),
        Value::Bool(_) | Value::String(_) => pad(verb, &cut(verb, &convert_text(arg))),
        _ => pad(verb, &encode_text(arg)),
    })
}

fn convert_text(value: &Value) -> String {
    convert(value, &Type::String).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn cut(verb: &Verb, text: &str) -> String {
    match verb.precision {
        Some(most) => text.graphemes(true).take(most).collect(),
        None => text.to_owned(),
    }
}

fn pad(verb: &Verb, text: &str) -> String {
    let missing = verb.width.unwrap_or(0).saturating_sub(text.graphemes(true).count());
    let fill = if verb.zero && !verb.minus { "0" } else { " " }.repeat(missing);
    if verb.minus { format!("{text}{fill}") } else { format!("{fill}{text}") }
}

fn pad_number(verb: &Verb, text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None if verb.plus => ("+", text),
        None if verb.space => (" ", text),
        None => ("", text),
    };
    let missing = verb.width.unwrap_or(0).saturating_sub(sign.len() + digits.len());
    if verb.minus {
        format!("{sign}{digits}{}", " ".repeat(missing))
    } else if verb.zero {
        format!("{sign}{}{digits}", "0".repeat(missing))
    } else {
        format!("{}{sign}{digits}", " ".repeat(missing))
    }
}

/// With at least two digits in the exponent.
fn exponent(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let number: i32 = exponent.parse().unwrap_or(0);
    format!("{mantissa}e{}{:02}", if number < 0 { '-' } else { '+' }, number.abs())
}

/// Short form: an exponent for very large and very small numbers.
fn general(number: &Number, precision: Option<usize>, letter: char) -> String {
    let value = number.to_f64();
    let size = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    let text = match precision {
        Some(digits) => {
            let digits = digits.max(1);
            if size < -4 || size >= digits as i32 {
                let text = exponent(value, digits - 1);
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "+00"));
                let mantissa = if mantissa.contains('.') {
                    mantissa.trim_end_matches('0').trim_end_matches('.')
                } else {
                    mantissa
                };
                format!("{mantissa}e{exponent}")
            } else {
                let text = format!("{value:.*}", (digits as i32 - 1 - size).max(0) as usize);
                if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
            }
        }
        None if !(-4..6).contains(&size) => scientific(number),
        None => number.to_string(),
    };
    if letter == 'G' { text.to_uppercase() } else { text }
}

/// One digit before the point and as many behind it as the number has.
fn scientific(number: &Number) -> String {
    let text = number.abs().to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = format!("{whole}{fraction}");
    let first = digits.find(|c| c != '0').unwrap_or(0);
    let exponent = whole.len() as i64 - 1 - first as i64;
    let digits = digits[first..].trim_end_matches('0');
    let (head, tail) = digits.split_at(digits.len().min(1));
    let point = if tail.is_empty() { "" } else { "." };
    let sign = if number.signum() < 0 { "-" } else { "" };
    let direction = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{head}{point}{tail}e{direction}{:02}", exponent.abs())
}
