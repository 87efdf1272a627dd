//! Lines as they come, over a WebSocket.

use super::answer;
use super::params::{Asked, LokiError};
use super::query::{LINES, LINES_MAX, QUERY_RANGE_NS};
use crate::app::App;
use crate::form::Form;
use crate::logs::{Follow, Unanswered, When, ask};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use lem_engine_logql::{RangeParams, StreamResult, Value};
use lem_engine_logs::Direction;
use serde_json::json;
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Time between two pings, so that what is between keeps the connection.
const PING: Duration = Duration::from_secs(15);
/// How long the other side may take for one frame.
const SEND_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn tail(State(app): State<App>, request: Request) -> Result<Response, LokiError> {
    let (mut parts, _) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &app).await;
    let upgrade = upgrade.map_err(|e| LokiError::new(e.status(), e.body_text()))?;
    let asked = Request::from_parts(parts, axum::body::Body::empty());
    let asked = Form::read(asked, &app).await.map(Asked);
    let asked = asked.map_err(|unread| LokiError::new(unread.status, unread.why))?;
    let query = asked.0.get("query").ok_or_else(|| LokiError::bad("there is no query"))?.to_owned();
    let limit = asked.count("limit", LINES, LINES_MAX)?;
    let (start, _) = asked.range(&app, QUERY_RANGE_NS)?;
    let place = app.streams.clone().try_acquire_owned();
    let place = place.map_err(|_| LokiError::new(StatusCode::TOO_MANY_REQUESTS, "too many live streams are open"))?;
    let follow = Follow::start(&app, &query)?;
    Ok(upgrade.on_upgrade(move |socket| async move {
        if let Err(error) = serve(app, socket, follow, &query, start, limit, place).await {
            tracing::debug!(%error, "a live tail ended");
        }
    }))
}

/// What was there before, without anything twice, then what comes.
async fn serve(
    app: App,
    mut socket: WebSocket,
    mut follow: Follow,
    query: &str,
    start: i64,
    limit: usize,
    _place: OwnedSemaphorePermit,
) -> Result<(), String> {
    let now = i64::try_from(app.parts.clock.now().as_nanosecond()).unwrap_or(i64::MAX);
    let mut params = RangeParams::new(start.min(now), now.saturating_add(1), 1);
    (params.limit, params.direction) = (limit, Direction::Backward);
    let mut sent: HashSet<(i64, Bytes)> = HashSet::new();
    if let Value::Streams(mut before) = ask(&app, query, When::Over(params)).await.map_err(|e| e.to_string())?.value {
        for stream in &mut before {
            stream.entries.reverse();
            sent.extend(stream.entries.iter().map(|entry| (entry.ts_ns, entry.line.clone())));
        }
        if !before.is_empty() {
            send(&mut socket, frame(&before)).await?;
        }
    }
    let mut ping = tokio::time::interval(PING);
    loop {
        let came = tokio::select! {
            () = app.closing.cancelled() => break,
            _ = ping.tick() => {
                send(&mut socket, Message::Ping(Bytes::new())).await?;
                continue;
            }
            heard = socket.recv() => match heard {
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(error.to_string()),
            },
            came = follow.next() => came,
        };
        let Some(came) = came else { break };
        let mut came = came.map_err(|e: Unanswered| e.to_string())?;
        if !sent.is_empty() {
            for stream in &mut came.streams {
                stream.entries.retain(|entry| !sent.remove(&(entry.ts_ns, entry.line.clone())));
            }
            came.streams.retain(|stream| !stream.entries.is_empty());
        }
        if came.dropped > 0 {
            tracing::warn!(lines = came.dropped, "a live tail is too slow; lines were left out");
        }
        if !came.streams.is_empty() {
            send(&mut socket, frame(&came.streams)).await?;
        }
    }
    send(&mut socket, Message::Close(None)).await
}

fn frame(streams: &[StreamResult]) -> Message {
    Message::Text(json!({ "streams": answer::streams(streams) }).to_string().into())
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), String> {
    match tokio::time::timeout(SEND_WITHIN, socket.send(message)).await {
        Ok(sent) => sent.map_err(|e| e.to_string()),
        Err(_) => Err(format!("the client took nothing for {} s", SEND_WITHIN.as_secs())),
    }
}
