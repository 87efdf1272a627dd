//! Dashboards, and logs as the UI reads them.

use super::{KEEP_ALIVE, Params, stream};
use crate::app::App;
use crate::dto;
use crate::error::ApiError;
use crate::logs::{self, Follow, Unanswered, When, beside};
use crate::view::log;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use lem_engine_logql::{RangeParams, Value};
use lem_engine_logs::{Direction, LabelRange, Matcher};
use serde::Deserialize;

/// Lines of an answer when the client does not say.
const LINES: usize = 100;
/// Lines of an answer at most.
pub(crate) const LINES_MAX: usize = 5000;
/// Range when the client does not say.
const RANGE: SignedDuration = SignedDuration::from_hours(1);
/// Bars of a histogram, about.
const BARS: i64 = 60;
/// Label by which processes and senders name their service.
const SERVICE: &str = "service_name";

pub(crate) async fn dashboards(State(app): State<App>) -> Result<Json<Vec<dto::DashboardRow>>, ApiError> {
    let dashboards = app.parts.dashboards.as_ref().ok_or_else(|| ApiError::absent("the import of dashboards"))?;
    Ok(Json(dashboards.list()))
}

pub(crate) async fn dashboard(
    State(app): State<App>,
    Path(uid): Path<String>,
) -> Result<Json<dto::Dashboard>, ApiError> {
    let dashboards = app.parts.dashboards.as_ref().ok_or_else(|| ApiError::absent("the import of dashboards"))?;
    dashboards.get(&uid).map(Json).ok_or_else(|| ApiError::missing("dashboard", &uid))
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    query: String,
    start: Option<dto::Time>,
    end: Option<dto::Time>,
    limit: Option<usize>,
    direction: Option<String>,
    service: Option<String>,
}

fn nanoseconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

impl Asked {
    /// Nanoseconds of start and end.
    fn range(&self, app: &App) -> Result<(i64, i64), ApiError> {
        let end = self.end.map_or_else(|| app.parts.clock.now(), |t| t.0);
        let start = self.start.map_or_else(|| end.checked_sub(RANGE).unwrap_or(Timestamp::MIN), |t| t.0);
        if end < start {
            return Err(ApiError::bad(format!("the range ends at {end}, before it starts at {start}")));
        }
        Ok((nanoseconds(start), nanoseconds(end)))
    }

    fn query(&self) -> Result<&str, ApiError> {
        let hint = "select streams: {service_name=\"shop\"}";
        if self.query.trim().is_empty() { Err(ApiError::bad("there is no query").hint(hint)) } else { Ok(&self.query) }
    }
}

pub(crate) async fn lines(State(app): State<App>, Params(q): Params<Asked>) -> Result<Json<dto::LogLines>, ApiError> {
    let (start, end) = q.range(&app)?;
    let direction = match q.direction.as_deref() {
        None | Some("backward") => Direction::Backward,
        Some("forward") => Direction::Forward,
        Some(other) => return Err(ApiError::bad(format!("{other:?} is no direction")).hint("backward or forward")),
    };
    let mut params = RangeParams::new(start, end, 1);
    params.limit = q.limit.unwrap_or(LINES).min(LINES_MAX);
    params.direction = direction;
    let _log_query = logs::selector(q.query()?)?;
    match logs::ask(&app, q.query()?, When::Over(params)).await?.value {
        Value::Streams(streams) => Ok(Json(dto::LogLines { lines: log::lines(streams, direction) })),
        _ => Err(ApiError::bad("the query gives numbers, not lines")),
    }
}

pub(crate) async fn tail(State(app): State<App>, Params(q): Params<Asked>) -> Result<Response, ApiError> {
    let permit = stream(&app)?;
    let follow = Follow::start(&app, q.query()?)?;
    let lines = futures::stream::unfold((follow, permit), |(mut follow, permit)| async move {
        let came = follow.next().await?;
        let message = match came {
            Ok(came) => {
                let lines = dto::LogLines { lines: log::lines(came.streams, Direction::Forward) };
                Event::default().event("lines").json_data(&lines)
            }
            Err(error) => Ok(Event::default().event("error").data(error.to_string())),
        };
        Some((message, (follow, permit)))
    });
    let lines = lines.take_until(app.closing.clone().cancelled_owned());
    Ok(Sse::new(lines).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// Widths of bars that people read easily, in seconds.
const WIDTHS_S: [i64; 16] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 10_800, 43_200, 86_400];

/// The narrowest width that gives about [`BARS`] bars.
fn width_s(span_ns: i64) -> i64 {
    let least = span_ns / 1_000_000_000 / BARS;
    let days = |s: i64| (s / 86_400 + 1) * 86_400;
    WIDTHS_S.into_iter().find(|width| *width >= least).unwrap_or_else(|| days(least))
}

pub(crate) async fn histogram(
    State(app): State<App>,
    Params(q): Params<Asked>,
) -> Result<Json<dto::LogHistogram>, ApiError> {
    let (start, end) = q.range(&app)?;
    let query = q.query()?;
    let _log_query = logs::selector(query)?;
    let width_s = width_s(end - start);
    let width = width_s * 1_000_000_000;
    // A line that a stage could not read is a line all the same; a metric of it would be refused.
    let counted =
        format!("sum by (detected_level) (count_over_time({query} | drop __error__, __error_details__ [{width_s}s]))");
    // A window holds what came after its start, up to its end; bars are known by their start.
    let first = start.div_euclid(width) * width;
    let last = end.saturating_sub(1).div_euclid(width) * width;
    let params = RangeParams::new(first + width, last + width, width);
    let Value::Matrix(series) = logs::ask(&app, &counted, When::Over(params)).await?.value else {
        return Err(ApiError::bad("the query gives no counts"));
    };
    Ok(Json(log::histogram(&series, first, last, width)))
}

pub(crate) async fn patterns(
    State(app): State<App>,
    Params(q): Params<Asked>,
) -> Result<Json<Vec<dto::LogPattern>>, ApiError> {
    let (start, end) = q.range(&app)?;
    let store = logs::store(&app)?;
    let matchers = q.service.iter().map(|service| Matcher::equal(SERVICE, service)).collect();
    let range = LabelRange::new(matchers, start, end);
    let (counts, warnings) = beside(&app, move || store.patterns(&range)).await?;
    for warning in warnings {
        tracing::warn!(%warning, "patterns are not complete");
    }
    Ok(Json(log::patterns(counts)))
}

impl From<Unanswered> for ApiError {
    fn from(error: Unanswered) -> Self {
        match &error {
            Unanswered::Absent => Self::absent("the log store"),
            Unanswered::Parse(_) => Self::new(StatusCode::BAD_REQUEST, "bad-query", error.to_string()),
            Unanswered::Eval(_) | Unanswered::Wrong(_) => Self::bad(error.to_string()),
            Unanswered::TimedOut => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", error.to_string()).retry_after_s(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_round_widths() {
        for (span_s, width) in [(60, 1), (3600, 60), (6 * 3600, 600), (7 * 86_400, 10_800), (90 * 86_400, 172_800)] {
            assert_eq!(width_s(span_s * 1_000_000_000), width, "{span_s} s");
        }
    }
}
