//! Numbers as the formats write them, which is as Go does.

/// The value of every NaN read from a text.
const ORDINARY_NAN: u64 = 0x7ff8_0000_0000_0001;

/// Reads a sample value. Every spelling of NaN gives the same bits, so that a text cannot write a staleness marker.
pub fn parse_value(text: &str) -> Option<f64> {
    // Rust and Go agree on decimal numbers, `inf`, `infinity` and `nan` in any case.
    let value: f64 = text.parse().ok()?;
    Some(if value.is_nan() { f64::from_bits(ORDINARY_NAN) } else { value })
}

/// Milliseconds out of the seconds of OpenMetrics.
pub(super) fn parse_seconds(text: &str) -> Option<i64> {
    let seconds: f64 = text.parse().ok()?;
    let ms = (seconds * 1000.0).round();
    (ms.abs() < 9.0e18).then_some(ms as i64)
}

/// The form of `le` and `quantile` label values: `1` is `1.0`.
pub fn format_label_float(value: f64) -> String {
    let text = format_value(value);
    if value.is_finite() && !text.contains(['.', 'e']) { text + ".0" } else { text }
}

/// From this power of ten on, and below the other, Go's shortest form has an exponent.
const EXPONENTS: std::ops::Range<i32> = -4..6;

/// The shortest decimal that reads back the same, as Go's `strconv.FormatFloat(v, 'g', -1, 64)` writes it.
pub fn format_value(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("the e format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    if value == 0.0 || EXPONENTS.contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn table() {
        let check = |value: f64, plain: &str, label: &str| {
            assert_eq!((format_value(value), format_label_float(value)), (plain.to_owned(), label.to_owned()));
        };
        check(0.0, "0", "0.0");
        check(-0.0, "-0", "-0.0");
        check(1.0, "1", "1.0");
        check(0.25, "0.25", "0.25");
        check(1e-5, "1e-05", "1e-05");
        check(0.0001, "0.0001", "0.0001");
        check(100_000.0, "100000", "100000.0");
        check(1e6, "1e+06", "1e+06");
        check(123_456_789.0, "1.23456789e+08", "1.23456789e+08");
        check(1.5e300, "1.5e+300", "1.5e+300");
        check(f64::INFINITY, "+Inf", "+Inf");
        check(f64::NEG_INFINITY, "-Inf", "-Inf");
        check(f64::NAN, "NaN", "NaN");
    }

    proptest! {
        #[test]
        fn values_read_back(value: f64) {
            let back = parse_value(&format_value(value)).map(f64::to_bits);
            prop_assert_eq!(back, Some(if value.is_nan() { ORDINARY_NAN } else { value.to_bits() }));
        }
    }
}
