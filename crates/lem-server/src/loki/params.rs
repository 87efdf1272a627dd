//! Parameters and errors in Loki's own words.

use crate::app::App;
use crate::form::{Form, rfc3339_ns, seconds_ns};
use crate::logs::Unanswered;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use lem_engine_promql::number::parse_duration_ms;

/// An error as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LokiError {
    pub(crate) status: StatusCode,
    pub(crate) why: String,
    pub(crate) retry_after_s: Option<u64>,
}

impl LokiError {
    pub(crate) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into(), retry_after_s: None }
    }

    pub(crate) fn bad(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    pub(crate) fn retry_after_s(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }
}

impl IntoResponse for LokiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, format!("{}\n", self.why)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Unanswered> for LokiError {
    fn from(error: Unanswered) -> Self {
        let why = error.to_string();
        match error {
            Unanswered::Absent => Self::new(StatusCode::NOT_IMPLEMENTED, why),
            Unanswered::Parse(_) | Unanswered::Eval(_) | Unanswered::Wrong(_) => Self::bad(why),
            Unanswered::TimedOut => Self::new(StatusCode::GATEWAY_TIMEOUT, why),
        }
    }
}

/// Parameters of a request.
pub(crate) struct Asked(pub(crate) Form);

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = LokiError;
    async fn from_request(request: Request, state: &S) -> Result<Self, LokiError> {
        Form::read(request, state).await.map(Self).map_err(|unread| LokiError::new(unread.status, unread.why))
    }
}

/// Digits of a time from which on it counts nanoseconds rather than seconds.
const NANOSECOND_DIGITS: usize = 11;
const SECOND_NS: i64 = 1_000_000_000;

/// Whole nanoseconds, whole or fractional seconds, or RFC 3339.
fn time_ns(text: &str) -> Option<i64> {
    if let Ok(whole) = text.parse::<i64>() {
        let digits = text.trim_start_matches('-').len();
        return if digits >= NANOSECOND_DIGITS { Some(whole) } else { whole.checked_mul(SECOND_NS) };
    }
    seconds_ns(text).or_else(|| rfc3339_ns(text))
}

fn duration_ns(text: &str) -> Option<i64> {
    match text.parse::<f64>() {
        Ok(seconds) => (seconds.is_finite() && seconds.abs() < 9e9).then_some((seconds * 1e9) as i64),
        Err(_) => parse_duration_ms(text).ok()?.checked_mul(1_000_000),
    }
}

impl Asked {
    /// A time in nanoseconds.
    pub(crate) fn time(&self, name: &str) -> Result<Option<i64>, LokiError> {
        let read = |text: &str| {
            time_ns(text)
                .ok_or_else(|| LokiError::bad(format!("could not parse '{name}' parameter: {text:?} is no time")))
        };
        self.0.get(name).map(read).transpose()
    }

    /// A duration in nanoseconds: seconds with a fraction, or `5m`.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<i64>, LokiError> {
        let read = |text: &str| {
            duration_ns(text)
                .ok_or_else(|| LokiError::bad(format!("could not parse '{name}' parameter: {text:?} is no duration")))
        };
        self.0.get(name).map(read).transpose()
    }

    /// A count, at least 1 and at most `most`.
    pub(crate) fn count(&self, name: &str, default: usize, most: usize) -> Result<usize, LokiError> {
        let Some(text) = self.0.get(name) else { return Ok(default) };
        match text.parse::<usize>() {
            Ok(count) if (1..=most).contains(&count) => Ok(count),
            Ok(count) if count > most => {
                Err(LokiError::bad(format!("max entries limit per query exceeded, {name} > max ({count} > {most})")))
            }
            _ => Err(LokiError::bad(format!("{name} must be a positive value"))),
        }
    }

    /// `start` and `end` in nanoseconds; `since` or `default_ns` before the end when there is no start.
    pub(crate) fn range(&self, app: &App, default_ns: i64) -> Result<(i64, i64), LokiError> {
        let now = i64::try_from(app.parts.clock.now().as_nanosecond()).unwrap_or(i64::MAX);
        let end = self.time("end")?.unwrap_or(now);
        let before = self.duration("since")?.unwrap_or(default_ns);
        let start = self.time("start")?.unwrap_or_else(|| end.saturating_sub(before));
        if end < start {
            return Err(LokiError::bad("end timestamp must not be before or equal to start time"));
        }
        Ok((start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_the_three_forms() {
        for (text, ns) in [
            ("1700000000", Some(1_700_000_000_000_000_000)),
            ("1700000000.5", Some(1_700_000_000_500_000_000)),
            ("1700000000000000001", Some(1_700_000_000_000_000_001)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000_000_000_000)),
            ("soon", None),
        ] {
            assert_eq!(time_ns(text), ns, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, ns) in
            [("15", Some(15 * SECOND_NS)), ("0.5", Some(SECOND_NS / 2)), ("5m", Some(300 * SECOND_NS)), ("x", None)]
        {
            assert_eq!(duration_ns(text), ns, "{text}");
        }
    }
}
