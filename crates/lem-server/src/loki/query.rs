//! Queries, and what there is to query.

use super::answer;
use super::params::{Asked, LokiError};
use crate::app::App;
use crate::logs::{self, When, ask, beside};
use axum::Json;
use axum::extract::{Path, State};
use lem_engine_logql::{RangeParams, stream_labels};
use lem_engine_logs::{Direction, LabelRange};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Instant;

/// Lines of an answer when the client does not say.
pub(crate) const LINES: usize = 100;
/// Lines of an answer at most.
pub(crate) const LINES_MAX: usize = 5000;
const HOUR_NS: i64 = 3_600_000_000_000;
/// Range of queries without a start.
pub(crate) const QUERY_RANGE_NS: i64 = HOUR_NS;
/// Range of labels and series without a start.
const CATALOG_RANGE_NS: i64 = 6 * HOUR_NS;
/// Steps of a range when the client does not say.
const STEPS: i64 = 250;
const SECOND_NS: i64 = 1_000_000_000;

type Answer = Result<Json<Value>, LokiError>;

fn query(asked: &Asked) -> Result<&str, LokiError> {
    asked.0.get("query").ok_or_else(|| LokiError::bad("parse error : syntax error: unexpected $end: there is no query"))
}

fn direction(asked: &Asked) -> Result<Direction, LokiError> {
    match asked.0.get("direction").map(str::to_ascii_lowercase).as_deref() {
        None | Some("backward") => Ok(Direction::Backward),
        Some("forward") => Ok(Direction::Forward),
        Some(other) => Err(LokiError::bad(format!("invalid direction '{other}'"))),
    }
}

pub(crate) async fn instant(State(app): State<App>, asked: Asked) -> Answer {
    let now = || i64::try_from(app.parts.clock.now().as_nanosecond()).unwrap_or(i64::MAX);
    let at = asked.time("time")?.unwrap_or_else(now);
    let started = Instant::now();
    let result = ask(&app, query(&asked)?, When::At(at)).await?;
    Ok(Json(answer::query(&result, started.elapsed())))
}

pub(crate) async fn range(State(app): State<App>, asked: Asked) -> Answer {
    let (start_ns, end_ns) = asked.range(&app, QUERY_RANGE_NS)?;
    let even = ((end_ns - start_ns) / STEPS / SECOND_NS).max(1) * SECOND_NS;
    let step_ns = asked.duration("step")?.unwrap_or(even);
    if step_ns <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(LokiError::bad(why));
    }
    let params = RangeParams {
        limit: asked.count("limit", LINES, LINES_MAX)?,
        direction: direction(&asked)?,
        interval_ns: asked.duration("interval")?.unwrap_or(0),
        ..RangeParams::new(start_ns, end_ns, step_ns)
    };
    let started = Instant::now();
    let result = ask(&app, query(&asked)?, When::Over(params)).await?;
    Ok(Json(answer::query(&result, started.elapsed())))
}

/// What a catalogue question is about: the range, and the streams of `query`.
fn catalog(app: &App, asked: &Asked) -> Result<LabelRange, LokiError> {
    let (start, end) = asked.range(app, CATALOG_RANGE_NS)?;
    // The end of a catalogue question is part of it; the store's is not.
    Ok(LabelRange::new(logs::matchers(asked.0.get("query"))?, start, end.saturating_add(1)))
}

pub(crate) async fn labels(State(app): State<App>, asked: Asked) -> Answer {
    let (store, range) = (logs::store(&app)?, catalog(&app, &asked)?);
    let names = beside(&app, move || store.labels(&range)).await?;
    Ok(Json(json!({ "status": "success", "data": names })))
}

pub(crate) async fn values(State(app): State<App>, Path(name): Path<String>, asked: Asked) -> Answer {
    let (store, range) = (logs::store(&app)?, catalog(&app, &asked)?);
    let values = beside(&app, move || store.label_values(&name, &range)).await?;
    Ok(Json(json!({ "status": "success", "data": values })))
}

pub(crate) async fn series(State(app): State<App>, asked: Asked) -> Answer {
    let (start, end) = asked.range(&app, CATALOG_RANGE_NS)?;
    let selectors: Vec<&str> = asked.0.all("match[]").chain(asked.0.all("match")).collect();
    if selectors.is_empty() {
        return Err(LokiError::bad("0 matcher groups supplied"));
    }
    let store = logs::store(&app)?;
    let range = |text: &&str| Ok(LabelRange::new(logs::matchers(Some(text))?, start, end.saturating_add(1)));
    let ranges = selectors.iter().map(range).collect::<Result<Vec<_>, LokiError>>()?;
    let found = beside(&app, move || {
        let streams = ranges.iter().flat_map(|range| store.series(range));
        streams.map(|stream| stream_labels(&stream)).collect::<BTreeSet<_>>()
    });
    Ok(Json(json!({ "status": "success", "data": found.await? })))
}

pub(crate) async fn stats(State(app): State<App>, asked: Asked) -> Answer {
    let (store, range) = (logs::store(&app)?, catalog(&app, &asked)?);
    let (stats, _) = beside(&app, move || store.stats(&range)).await?;
    let (streams, chunks, entries, bytes) = (stats.streams, stats.chunks, stats.entries, stats.bytes);
    Ok(Json(json!({ "streams": streams, "chunks": chunks, "entries": entries, "bytes": bytes })))
}

/// The release of Loki whose API this is; clients choose their calls by it.
const SPOKEN: &str = "3.5.0";

pub(crate) async fn buildinfo() -> Json<Value> {
    let revision = format!("lemniscate-{}", env!("CARGO_PKG_VERSION"));
    Json(json!({
        "version": SPOKEN, "revision": revision, "branch": "", "buildUser": "", "buildDate": "", "goVersion": "",
    }))
}
