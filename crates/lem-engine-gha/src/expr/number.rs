//! Numbers to text and back, as ECMAScript does it: where the runner prints an extreme number differently, the
//! language service is followed, and only here.

/// At most 15 decimals, no trailing zeros, zero of either sign as `0` (ECMA-262, Number.prototype.toFixed and
/// Number::toString).
pub fn number_to_text(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() || value.abs() >= 1e21 {
        return shortest(value);
    }
    let rounded = to_fixed_15(value.abs());
    if rounded == 0.0 { "0".to_owned() } else { shortest(rounded.copysign(value)) }
}

/// Rounded half away from zero at the 15th decimal, on the exact value.
fn to_fixed_15(value: f64) -> f64 {
    let exact = format!("{value:.60}");
    let dot = exact.find('.').expect("a fixed format with decimals has a point");
    let (kept, rest) = exact.split_at(dot + 16);
    let down: f64 = kept.parse().expect("digits and a point are a number");
    if rest.as_bytes()[0] < b'5' {
        return down;
    }
    let mut digits: Vec<u8> = kept.bytes().collect();
    for digit in digits.iter_mut().rev() {
        match digit {
            b'.' => {}
            b'9' => *digit = b'0',
            _ => {
                *digit += 1;
                return parse(&digits);
            }
        }
    }
    digits.insert(0, b'1');
    parse(&digits)
}

fn parse(digits: &[u8]) -> f64 {
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).expect("digits and a point are a number")
}

/// The shortest digits that give the same number back, with an exponent from 1e21 up and below 1e-6.
pub(crate) fn shortest(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
            _ => text,
        };
    }
    if value == 0.0 { "0".to_owned() } else { format!("{value}") }
}

/// Trimmed; empty is 0; decimal with sign and exponent, lower-case `0x` and `0o`, `Infinity`; else NaN.
pub fn text_to_number(text: &str) -> f64 {
    // U+FEFF is white space to ECMAScript.
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if text.is_empty() {
        return 0.0;
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    match text {
        "Infinity" | "+Infinity" => return f64::INFINITY,
        "-Infinity" => return f64::NEG_INFINITY,
        _ => {}
    }
    let shape = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    if shape { text.parse().unwrap_or(f64::NAN) } else { f64::NAN }
}

fn radix(digits: &str, base: u32) -> f64 {
    if digits.is_empty() {
        return f64::NAN;
    }
    let step = |sum: f64, c: char| Some(sum * f64::from(base) + f64::from(c.to_digit(base)?));
    digits.chars().try_fold(0.0, step).unwrap_or(f64::NAN)
}
