//! Runs, their logs and archives.

use super::{KEEP_ALIVE, Params, rows, stream};
use crate::app::App;
use crate::dto;
use crate::error::ApiError;
use crate::view::run::{self, Which};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, header};
use lem_model::Digest;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use tokio_util::io::ReaderStream;

/// Lines of a page of a log.
const LINES: u64 = 1000;
/// Lines of a page at most.
pub(crate) const LINES_MAX: u64 = 10_000;

#[derive(Deserialize)]
pub(crate) struct Runs {
    limit: Option<usize>,
    branch: Option<String>,
    sha: Option<String>,
}

pub(crate) async fn list(State(app): State<App>, Params(q): Params<Runs>) -> Json<dto::RunsPage> {
    let which = Which { branch: q.branch, sha: q.sha };
    Json(app.record.read(|r| run::table(r, &which, rows(q.limit))))
}

pub(crate) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<dto::RunDetail>, ApiError> {
    let missing = || ApiError::missing("run", &id);
    let jobs = app.record.read(|r| r.runs.get(&id).map(|run| run.jobs_finished.keys().cloned().collect::<Vec<_>>()));
    let mut summaries = BTreeMap::new();
    if let Some(logs) = &app.parts.run_logs {
        for job in jobs.ok_or_else(missing)? {
            if let Some(summary) = logs.summary(&id, &job).await {
                summaries.insert(job, summary);
            }
        }
    }
    app.record.read(|r| run::detail(r, &id, &summaries)).map(Json).ok_or_else(missing)
}

#[derive(Deserialize)]
pub(crate) struct LogOf {
    #[serde(default)]
    from: u64,
    limit: Option<u64>,
}

pub(crate) async fn log(
    State(app): State<App>,
    Path((run, job)): Path<(String, String)>,
    Params(q): Params<LogOf>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let logs = app.parts.run_logs.clone().ok_or_else(|| ApiError::absent("the store of job logs"))?;
    let known = app.record.read(|r| r.runs.contains_key(&run));
    if !known {
        return Err(ApiError::missing("run", &run));
    }
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if accept.starts_with("text/plain") {
        return send_file(logs.file(&run, &job), "text/plain; charset=utf-8").await;
    }
    if !accept.starts_with("text/event-stream") {
        let page = logs.page(&run, &job, q.from, q.limit.unwrap_or(LINES).min(LINES_MAX)).await?;
        return Ok(Json(page).into_response());
    }
    let permit = stream(&app)?;
    let from = resume(&headers).map_or(q.from, |last| last + 1);
    let lines = logs.follow(&run, &job, from).await?;
    let closing = app.closing.clone();
    let events = lines.map(move |line| {
        let _held = &permit;
        match line {
            Ok(line) => Event::default().event("line").id(line.n.to_string()).json_data(&line),
            Err(error) => Ok(Event::default().event("error").data(error.to_string())),
        }
        .unwrap_or_else(|e| Event::default().event("error").data(e.to_string()))
    });
    let end = futures::stream::once(async { Event::default().event("end").data("{}") });
    let events = events.chain(end).take_until(closing.cancelled_owned()).map(Ok::<_, Infallible>);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// Where a client that lost a stream wants to go on.
pub(crate) fn resume(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.trim().parse().ok()
}

pub(crate) async fn artifact(State(app): State<App>, Path(digest): Path<String>) -> Result<Response, ApiError> {
    let store = app.parts.artifacts.as_ref().ok_or_else(|| ApiError::absent("the artifact store"))?;
    let hex = digest.strip_prefix("sha256:").unwrap_or(&digest);
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(ApiError::bad(format!("{digest:?} is no digest")).hint("write sha256: and 64 hexadecimal digits"));
    }
    let path = store.file(&Digest::new(format!("sha256:{}", hex.to_ascii_lowercase())))?;
    let mut response = send_file(path, "application/zip").await?;
    let name = format!("attachment; filename=\"{}.zip\"", &hex[..12]);
    if let Ok(name) = HeaderValue::from_str(&name) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

async fn send_file(path: PathBuf, kind: &'static str) -> Result<Response, ApiError> {
    let file = match tokio::fs::File::open(&path).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(ApiError::new(http::StatusCode::NOT_FOUND, "not-found", "there is no such file"));
        }
        Err(error) => return Err(ApiError::internal("opening a file", &error)),
    };
    let body = Body::from_stream(ReaderStream::new(file));
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}
