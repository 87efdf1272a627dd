//! Events out, as pages, as lines and live; events in, as CloudEvents.

use super::{KEEP_ALIVE, Params, rows, stream};
use crate::app::App;
use crate::dto::{EventFate, EventsPage, Received};
use crate::error::ApiError;
use crate::view::event::row;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use http::{HeaderMap, StatusCode, header};
use lem_ledger::wire::{self, WireError};
use lem_ledger::{EventLog, Filter, Kept, LedgerError};
use lem_model::{Event, Seq};
use serde::Deserialize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::OwnedSemaphorePermit;

/// Bytes of one request, as the wire format has it.
pub(crate) const BODY_MAX: usize = wire::MAX_BODY_BYTES;
/// Requests with events at work at a time; more are told to come again.
pub const RECEIVING_MAX: usize = 64;
/// Events read at once for a stream.
const AHEAD: u32 = 256;
/// Seconds after which a refused sender may try again.
const RETRY_S: u64 = 1;

#[derive(Deserialize)]
pub(crate) struct Which {
    from: Option<Seq>,
    limit: Option<usize>,
    #[serde(rename = "type")]
    kind: Option<String>,
    subject: Option<String>,
    chain: Option<String>,
}

impl Which {
    fn filter(&self) -> Filter {
        let types = self.kind.iter().flat_map(|t| t.split(',')).map(str::trim).filter(|t| !t.is_empty());
        let (subject, chain) = (self.subject.clone(), self.chain.clone());
        Filter { types: types.map(str::to_owned).collect(), subject, chain, ..Filter::all() }
    }
}

pub(crate) async fn list(
    State(app): State<App>,
    Params(which): Params<Which>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if accept.starts_with("text/event-stream") {
        return live(&app, &which, &headers);
    }
    if accept.starts_with("application/x-ndjson") {
        return lines(&app, &which).await;
    }
    page(&app, &which).await.map(IntoResponse::into_response)
}

async fn page(app: &App, which: &Which) -> Result<Json<EventsPage>, ApiError> {
    let (from, limit) = (which.from.unwrap_or(0), rows(which.limit));
    // Asked for before reading: what is appended in between belongs to the next page.
    let size = app.parts.log.size().await?;
    let events = app.parts.log.read(from, &which.filter(), limit as u32).await?;
    let last = events.last().map(|event| event.seq + 1);
    let next = if events.len() == limit { last } else { last.max(Some(size)) };
    Ok(Json(EventsPage { events: events.iter().map(row).collect(), next: next.unwrap_or(from).max(from) }))
}

/// Where a stream stands.
struct Reader {
    log: Arc<dyn EventLog>,
    filter: Filter,
    next: Seq,
    ahead: VecDeque<Event>,
    /// Events still wanted.
    left: u64,
    /// Keeps the place among the streams.
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    fn new(app: &App, which: &Which, next: Seq) -> Result<Self, ApiError> {
        let left = which.limit.map_or(u64::MAX, |limit| limit as u64);
        let (log, permit) = (Arc::clone(&app.parts.log), stream(app)?);
        Ok(Self { log, filter: which.filter(), next, ahead: VecDeque::new(), left, _permit: permit })
    }

    /// The next event below `size`, if there is one.
    async fn next(&mut self, size: Seq) -> Result<Option<Event>, LedgerError> {
        if self.left == 0 {
            return Ok(None);
        }
        if self.ahead.is_empty() && self.next < size {
            let events = self.log.read(self.next, &self.filter, AHEAD).await?;
            let last = events.last().map(|event| event.seq + 1);
            self.next = if events.len() == AHEAD as usize { last } else { last.max(Some(size)) }.unwrap_or(size);
            self.ahead = events.into();
        }
        let event = self.ahead.pop_front();
        self.left -= u64::from(event.is_some());
        Ok(event)
    }
}

/// All events there are now, one JSON document per line.
async fn lines(app: &App, which: &Which) -> Result<Response, ApiError> {
    let size = app.parts.log.size().await?;
    let reader = Reader::new(app, which, which.from.unwrap_or(0))?;
    let events = futures::stream::try_unfold(reader, move |mut reader| async move {
        Ok::<_, LedgerError>(reader.next(size).await?.map(|event| (event, reader)))
    });
    let body = events.map_err(std::io::Error::other).and_then(|event| async move {
        let mut line = serde_json::to_vec(&row(&event))?;
        line.push(b'\n');
        Ok(Bytes::from(line))
    });
    let body = body.take_until(app.closing.clone().cancelled_owned());
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(body)).into_response())
}

/// Events from one on, and those to come. Without `from` and `Last-Event-ID`, only those to come.
fn live(app: &App, which: &Which, headers: &HeaderMap) -> Result<Response, ApiError> {
    let last = super::runs::resume(headers).map(|last| last.saturating_add(1));
    let from = last.or(which.from).unwrap_or_else(|| app.record.seen());
    let reader = Reader::new(app, which, from)?;
    let messages = follow(app.clone(), reader).map(|event| {
        let event = event?;
        Message::default().id(event.seq.to_string()).json_data(row(&event)).map_err(std::io::Error::other)
    });
    let messages = messages.take_until(app.closing.clone().cancelled_owned());
    Ok(Sse::new(messages).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// An event goes out once the pages show it, so that whoever asks again on hearing of it sees it.
fn follow(app: App, reader: Reader) -> impl Stream<Item = Result<Event, std::io::Error>> {
    futures::stream::try_unfold((app, reader), |(app, mut reader)| async move {
        loop {
            if reader.left == 0 {
                return Ok(None);
            }
            match reader.next(app.record.seen()).await.map_err(std::io::Error::other)? {
                Some(event) => return Ok(Some((event, (app, reader)))),
                None => app.record.wait_for(reader.next).await,
            }
        }
    })
}

/// Takes CloudEvents: 202 when one is new, 200 when all were there before, 409 when another one of the same source and
/// id was there before.
pub(crate) async fn receive(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let body = body?;
    let Ok(_working) = app.receiving.clone().try_acquire_owned() else {
        let detail = format!("{RECEIVING_MAX} requests with events are at work, which is the limit");
        return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail).retry_after_s(RETRY_S));
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let events = wire::parse_request(header, &body)?;
    let appended = app.parts.log.append(events).await?;
    app.counters.events.fetch_add(appended.len() as u64, Relaxed);
    let fate = |kept| match kept {
        Kept::New => EventFate::New,
        Kept::Duplicate => EventFate::Duplicate,
        Kept::Conflict => EventFate::Conflict,
    };
    let received: Vec<_> = appended.iter().map(|a| Received { seq: a.seq, fate: fate(a.kept) }).collect();
    let any = |fate| received.iter().filter(|r| r.fate == fate).count();
    match (any(EventFate::Conflict), any(EventFate::New)) {
        (0, 0) => Ok((StatusCode::OK, Json(received)).into_response()),
        (0, _) => Ok((StatusCode::ACCEPTED, Json(received)).into_response()),
        (conflicts, _) => {
            let detail = format!(
                "{conflicts} of {} events say something else than what was kept under their source and id",
                received.len()
            );
            let problem = ApiError::conflict(detail).hint("what came is in the inbox; send corrections under a new id");
            Err(problem.received(received))
        }
    }
}

impl From<WireError> for ApiError {
    fn from(error: WireError) -> Self {
        match &error {
            WireError::TooLarge { .. } => Self::too_large(error.to_string()),
            WireError::Field { pointer, .. } => {
                let pointer = pointer.clone();
                Self::new(StatusCode::BAD_REQUEST, "bad-event", error.to_string()).pointer(pointer)
            }
            WireError::Json { .. } | WireError::Header { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "bad-event", error.to_string())
            }
        }
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(rejection.body_text()),
            status => Self::new(status, "bad-body", rejection.body_text()),
        }
    }
}
