//! Parameters and errors in Prometheus' own words.

use crate::form::{Form, rfc3339_ns, seconds_ns};
use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use lem_engine_promql::number::{parse_duration_ms, quote};
use lem_engine_promql::{Matcher, QueryError, parse_selector};
use serde_json::json;

/// An error as the API writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PromError {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl PromError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into() }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_data", message)
    }

    pub(crate) fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::bad(format!("invalid parameter {}: {why}", quote(name)))
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    pub(crate) fn timeout(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", message)
    }

    /// The part that answers is not there.
    pub(crate) fn absent(part: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "unavailable", format!("{part} is not set up in this server"))
    }
}

/// A client that is gone: what others log where we would answer it.
const CLIENT_GONE: u16 = 499;

impl From<QueryError> for PromError {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        match error {
            QueryError::Parse(_) | QueryError::BadParameters(_) => Self::parameter("query", message),
            QueryError::Execution(_) | QueryError::TooManySamples(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", message)
            }
            QueryError::TimedOut(_) => Self::timeout(message),
            QueryError::Canceled(_) => {
                let gone = StatusCode::from_u16(CLIENT_GONE).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
                Self::new(gone, "canceled", message)
            }
            QueryError::Storage(_) => Self::internal(message),
        }
    }
}

impl IntoResponse for PromError {
    fn into_response(self) -> Response {
        let body = json!({ "status": "error", "errorType": self.kind, "error": self.message });
        (self.status, Json(body)).into_response()
    }
}

/// Parameters of a request.
pub(crate) struct Asked(pub(crate) Form);

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = PromError;
    async fn from_request(request: Request, state: &S) -> Result<Self, PromError> {
        let read = Form::read(request, state).await;
        let failed = |unread: crate::form::Unread| PromError::new(unread.status, "bad_data", unread.why);
        read.map(Self).map_err(failed)
    }
}

fn time(text: &str) -> Option<i64> {
    seconds_ns(text).or_else(|| rfc3339_ns(text)).map(|ns| ns.div_euclid(1_000_000))
}

impl Asked {
    /// A time in milliseconds: seconds with a fraction, or RFC 3339.
    pub(crate) fn time(&self, name: &str) -> Result<Option<i64>, PromError> {
        self.0.get(name).map(|text| read_time(name, text)).transpose()
    }

    /// A time that has to be there.
    pub(crate) fn required_time(&self, name: &str) -> Result<i64, PromError> {
        read_time(name, self.0.get(name).unwrap_or_default())
    }

    /// A duration in milliseconds: seconds with a fraction, or `5m`.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<i64>, PromError> {
        self.0.get(name).map(|text| read_duration(name, text)).transpose()
    }

    /// A duration that has to be there.
    pub(crate) fn required_duration(&self, name: &str) -> Result<i64, PromError> {
        read_duration(name, self.0.get(name).unwrap_or_default())
    }

    /// How many at most; none when there is no limit.
    pub(crate) fn limit(&self, name: &str) -> Result<Option<usize>, PromError> {
        let Some(text) = self.0.get(name) else { return Ok(None) };
        match text.parse::<i64>() {
            Ok(limit) if limit >= 0 => Ok((limit > 0).then_some(limit as usize)),
            Ok(_) => Err(PromError::parameter(name, "limit must be non-negative")),
            Err(_) => Err(PromError::parameter(name, format!("cannot parse {} to a valid limit", quote(text)))),
        }
    }

    /// The selectors of `match[]`.
    pub(crate) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, PromError> {
        let one = |text: &str| parse_selector(text).map_err(|e| PromError::parameter("match[]", e));
        self.0.all("match[]").map(one).collect()
    }

    /// `start` and `end`, all time when absent.
    pub(crate) fn range(&self) -> Result<(i64, i64), PromError> {
        let start = self.time("start")?.unwrap_or(i64::MIN);
        let end = self.time("end")?.unwrap_or(i64::MAX);
        if end < start {
            return Err(PromError::parameter("end", "end timestamp must not be before start time"));
        }
        Ok((start, end))
    }
}

fn read_duration(name: &str, text: &str) -> Result<i64, PromError> {
    let wrong =
        |why: &str| PromError::parameter(name, format!("cannot parse {} to a valid duration{why}", quote(text)));
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = seconds * 1e3;
        return if ms.is_finite() && ms.abs() < 9.2e12 { Ok(ms as i64) } else { Err(wrong(". It overflows int64")) };
    }
    parse_duration_ms(text).map_err(|_| wrong(""))
}

fn read_time(name: &str, text: &str) -> Result<i64, PromError> {
    let wrong = || PromError::parameter(name, format!("cannot parse {} to a valid timestamp", quote(text)));
    time(text).ok_or_else(wrong)
}
