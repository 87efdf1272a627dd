//! Calendar functions, in UTC.

use jiff::civil::DateTime;
use jiff::tz::Offset;

/// The calendar function of a name, if it is one.
pub(super) fn date_function(name: &str) -> Option<fn(DateTime) -> f64> {
    Some(match name {
        "minute" => |d| f64::from(d.minute()),
        "hour" => |d| f64::from(d.hour()),
        "day_of_month" => |d| f64::from(d.day()),
        "day_of_week" => |d| f64::from(d.weekday().to_sunday_zero_offset()),
        "day_of_year" => |d| f64::from(d.day_of_year()),
        "days_in_month" => |d| f64::from(d.days_in_month()),
        "month" => |d| f64::from(d.month()),
        "year" => |d| f64::from(d.year()),
        _ => return None,
    })
}

/// Applies a calendar function to seconds since the epoch; outside the calendar it is not a number.
pub(super) fn at_seconds(seconds: f64, f: fn(DateTime) -> f64) -> f64 {
    if !seconds.is_finite() {
        return f64::NAN;
    }
    jiff::Timestamp::from_second(seconds as i64).map_or(f64::NAN, |t| f(Offset::UTC.to_datetime(t)))
}
