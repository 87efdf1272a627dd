//! Numbers as the reference implementation writes and adds them.

/// Bit pattern of the staleness marker. Compare bits, never values.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;
/// Bit pattern of an ordinary not-a-number.
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// The staleness marker. Inside the evaluator it also marks "no point here".
pub const STALE: f64 = f64::from_bits(STALE_NAN_BITS);

/// Whether `v` is the staleness marker.
pub fn is_stale(v: f64) -> bool {
    v.to_bits() == STALE_NAN_BITS
}

/// One step of compensated (Kahan-Neumaier) summation: adds `inc` to `sum` with compensation `c`.
pub fn kahan_inc(inc: f64, sum: f64, c: f64) -> (f64, f64) {
    let t = sum + inc;
    let c = if t.is_infinite() {
        0.0
    } else if sum.abs() >= inc.abs() {
        c + ((sum - t) + inc)
    } else {
        c + ((inc - t) + sum)
    };
    (t, c)
}

fn special(v: f64) -> Option<&'static str> {
    if v.is_nan() {
        Some("NaN")
    } else if v == f64::INFINITY {
        Some("+Inf")
    } else if v == f64::NEG_INFINITY {
        Some("-Inf")
    } else {
        None
    }
}

/// Shortest decimal without exponent (`strconv 'f', -1`).
pub fn format_plain(v: f64) -> String {
    special(v).map_or_else(|| format!("{v}"), str::to_owned)
}

fn exponent_form(v: f64) -> String {
    let text = format!("{v:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// Sample values in JSON: exponent when |v| < 1e-6 or ≥ 1e21.
pub fn format_sample(v: f64) -> String {
    if let Some(text) = special(v) {
        return text.to_owned();
    }
    let abs = v.abs();
    if abs != 0.0 && !(1e-6..1e21).contains(&abs) { exponent_form(v) } else { format!("{v}") }
}

/// The `%g` form used in messages and histogram texts: exponent below 1e-4 or from 1e6 on.
pub fn format_g(v: f64) -> String {
    if let Some(text) = special(v) {
        return text.to_owned();
    }
    if v == 0.0 {
        return if v.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let sci = format!("{v:e}");
    let exponent: i32 = sci.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    if !(-4..6).contains(&exponent) { exponent_form(v) } else { format!("{v}") }
}

/// `%.<precision>g`: at most `precision` significant digits, no trailing zeros.
pub fn format_g_precision(v: f64, precision: usize) -> String {
    if let Some(text) = special(v) {
        return text.to_owned();
    }
    if v == 0.0 {
        return "0".to_owned();
    }
    let sci = format!("{:.*e}", precision.saturating_sub(1), v);
    let (mantissa, exponent) = sci.split_once('e').unwrap_or((&sci, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |s: &str| {
        if s.contains('.') { s.trim_end_matches('0').trim_end_matches('.').to_owned() } else { s.to_owned() }
    };
    if exponent < -4 || exponent >= precision as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trim(mantissa), exponent.abs())
    } else {
        let decimals = (precision as i32 - 1 - exponent).max(0) as usize;
        trim(&format!("{v:.decimals$}"))
    }
}

/// OpenMetrics form of a float label value: `1` is written `1.0`.
pub fn format_open_metrics(v: f64) -> String {
    let text = format_g(v);
    if special(v).is_some() || text.contains(['e', '.']) { text } else { format!("{text}.0") }
}

/// Reads a float the way the reference does, including `Inf`, `NaN`, hexadecimal and octal integers.
pub fn parse_float(text: &str) -> Option<f64> {
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let clean: String = body.chars().filter(|c| *c != '_').collect();
    let lower = clean.to_ascii_lowercase();
    let value = match lower.as_str() {
        "inf" | "infinity" => f64::INFINITY,
        "nan" => f64::from_bits(NORMAL_NAN_BITS),
        hex if hex.starts_with("0x") => u64::from_str_radix(&hex[2..], 16).ok()? as f64,
        octal if octal.len() > 1 && octal.starts_with('0') && octal.bytes().all(|b| (b'0'..=b'7').contains(&b)) => {
            u64::from_str_radix(octal, 8).ok()? as f64
        }
        other => {
            let first = *other.as_bytes().first()?;
            if !(first.is_ascii_digit() || first == b'.') {
                return None;
            }
            other.parse().ok()?
        }
    };
    Some(if negative { -value } else { value })
}

/// Go-style quoting (`%q`) of bytes that are usually, but not always, UTF-8.
pub fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_quoted(&mut out, c);
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

/// Go-style quoting (`%q`) of text.
pub fn quote(text: &str) -> String {
    quote_bytes(text.as_bytes())
}

fn push_quoted(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\u{b}' => out.push_str("\\v"),
        c if (c as u32) < 0x20 || c as u32 == 0x7f => {
            out.push_str(&format!("\\x{:02x}", c as u32));
        }
        c => out.push(c),
    }
}

/// A duration in milliseconds in its shortest unit form, for example `1h30m`.
pub fn format_duration(ms: i64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    const UNITS: [(i64, &str, bool); 7] = [
        (365 * 86_400_000, "y", true),
        (7 * 86_400_000, "w", true),
        (86_400_000, "d", false),
        (3_600_000, "h", false),
        (60_000, "m", false),
        (1000, "s", false),
        (1, "ms", false),
    ];
    let mut left = ms.abs();
    let mut out = String::new();
    for (size, unit, exact) in UNITS {
        if exact && left % size != 0 {
            continue;
        }
        if left >= size {
            out.push_str(&format!("{}{unit}", left / size));
            left %= size;
        }
    }
    out
}

/// Reads a duration such as `1h30m` into milliseconds; `0` needs no unit.
pub fn parse_duration_ms(text: &str) -> Result<i64, String> {
    if text == "0" {
        return Ok(0);
    }
    if text.is_empty() {
        return Err("empty duration string".to_owned());
    }
    let bad = || format!("not a valid duration string: {}", quote(text));
    const UNITS: [(&str, i64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let mut rest = text;
    let mut next_unit = 0;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(bad());
        }
        let number: i64 = rest[..digits].parse().map_err(|_| "duration out of range".to_owned())?;
        rest = &rest[digits..];
        let unit_len = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = &rest[..unit_len];
        rest = &rest[unit_len..];
        let index = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(bad)?;
        if index < next_unit {
            return Err(bad());
        }
        next_unit = index + 1;
        total = number
            .checked_mul(UNITS[index].1)
            .and_then(|ms| total.checked_add(ms))
            .filter(|ms| *ms <= i64::MAX / 1_000_000)
            .ok_or_else(|| "duration out of range".to_owned())?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_upstream_writes_them() {
        let cases = [
            (1e-7, "1e-07"),
            (0.000_001, "0.000001"),
            (1e21, "1e+21"),
            (1e20, "100000000000000000000"),
            (-0.0, "-0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (0.1, "0.1"),
        ];
        for (value, text) in cases {
            assert_eq!(format_sample(value), text);
        }
        assert_eq!(format_g_precision(0.012_345, 2), "0.012");
        assert_eq!(format_open_metrics(1.0), "1.0");
    }

    #[test]
    fn durations_round_trip() {
        for text in ["1h30m", "5m", "1d", "1w", "250ms", "1y", "2m30s"] {
            let ms = parse_duration_ms(text).expect("valid");
            assert_eq!(format_duration(ms), text);
        }
        assert_eq!(parse_duration_ms("5x").expect_err("no such unit"), "not a valid duration string: \"5x\"");
    }

    #[test]
    fn compensated_sum_keeps_small_addends() {
        let (mut sum, mut c) = (0.0, 0.0);
        for v in [1.0, 1e100, 1.0, -1e100] {
            (sum, c) = kahan_inc(v, sum, c);
        }
        assert_eq!(sum + c, 2.0);
    }
}
