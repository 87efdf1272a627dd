//! Durations and byte sizes as Go prints and reads them.

/// Nanoseconds of `1h30m`, `1.5s`, `-2ms`; days, weeks and years as Prometheus counts them.
pub(crate) fn duration_ns(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0.0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let unit_len = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        total += number * unit_ns(unit)?;
        rest = after;
    }
    Some(sign * total)
}

fn unit_ns(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        "d" => 86_400e9,
        "w" => 7.0 * 86_400e9,
        "y" => 365.0 * 86_400e9,
        _ => return None,
    })
}

/// Bytes of `10KB`, `1.5 MiB`, `42`.
pub(crate) fn bytes(text: &str) -> Option<f64> {
    let (number, unit) = split_number(text.trim())?;
    let unit = unit.trim().trim_end_matches(',').to_ascii_lowercase();
    let power = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" if unit.is_empty() || unit == "b" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        "e" => 6,
        _ => return None,
    };
    let base: f64 = if unit.contains('i') { 1024.0 } else { 1000.0 };
    Some(number * base.powi(power))
}

fn split_number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number = text[..end].parse().ok()?;
    Some((number, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        for (text, expect) in [
            ("1h30m", Some(5400e9)),
            ("1.5s", Some(1.5e9)),
            ("-2ms", Some(-2e6)),
            ("3µs", Some(3e3)),
            ("1d", Some(86_400e9)),
            ("0", Some(0.0)),
            ("", None),
            ("5", None),
            ("5x", None),
        ] {
            assert_eq!(duration_ns(text), expect, "{text}");
        }
        for (text, expect) in [
            ("42", Some(42.0)),
            ("10KB", Some(10_000.0)),
            ("1.5 MiB", Some(1_572_864.0)),
            ("3B", Some(3.0)),
            ("2kib", Some(2048.0)),
            ("5m3", None),
            ("x", None),
        ] {
            assert_eq!(bytes(text), expect, "{text}");
        }
    }
}
