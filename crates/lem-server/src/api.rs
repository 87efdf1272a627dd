//! Handlers of our own API. They read the views, append requests, and do nothing else.

pub(crate) mod events;
pub(crate) mod incidents;
pub(crate) mod ledger;
pub(crate) mod observe;
pub(crate) mod overview;
pub(crate) mod program;
pub(crate) mod requests;
pub(crate) mod runs;
pub(crate) mod stages;
pub(crate) mod webhooks;

/// How much at once; whoever comes too much is told so.
pub mod limits {
    pub use super::events::RECEIVING_MAX;
    pub use super::ledger::WHOLE_READS_MAX;
    pub use super::{ROWS_MAX, TEXT_MAX};
    pub use crate::logs::QUERIES_MAX;
    pub use crate::loki::{PUSH_BODY_MAX, PUSH_LINES_MAX, PUSH_RAW_MAX};
}

use crate::app::App;
use crate::dto::Accepted;
use crate::error::ApiError;
use crate::port::PartError;
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use http::StatusCode;
use http::request::Parts;
use lem_model::{Actor, Fact};
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Rows of a page when the client does not say.
pub(crate) const ROWS: usize = 50;
/// Rows of a page at most.
pub const ROWS_MAX: usize = 1000;
/// Bytes of a reason or note.
pub const TEXT_MAX: usize = 4000;
/// How long an answer waits for the page to show what was just written.
const OWN_WRITES: Duration = Duration::from_secs(2);
/// Time between two keep-alive comments of a stream.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Query parameters; what does not fit is a problem.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(value) = Query::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// A JSON body; what does not fit is a problem.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let Json(value) = Json::from_request(request, state).await?;
        Ok(Self(value))
    }
}

/// Answer of a request.
pub(crate) type Asked = Result<(StatusCode, Json<Accepted>), ApiError>;

pub(crate) fn rows(limit: Option<usize>) -> usize {
    limit.unwrap_or(ROWS).min(ROWS_MAX)
}

/// Whoever has the token is the operator of this server.
pub(crate) fn person() -> Actor {
    Actor::from("person:operator")
}

/// A text a person has to give.
pub(crate) fn text(what: &str, text: String) -> Result<String, ApiError> {
    match text.trim().len() {
        0 => Err(ApiError::bad(format!("{what} is empty")).hint("say why in a few words; it stands in the ledger")),
        len if len > TEXT_MAX => Err(ApiError::bad(format!("{what} has {len} bytes, the limit is {TEXT_MAX}"))),
        _ => Ok(text),
    }
}

/// Appends a request and waits shortly until the pages show it.
pub(crate) async fn ask<F: Fact>(app: &App, fact: &F) -> Asked {
    let appended = app.recorder.record(fact).await?;
    let shown = async {
        app.record.wait_for(appended.seq).await;
        app.parts.feedback.wait_for(appended.seq).await;
    };
    // The request stands even when a page lags behind.
    let _late = tokio::time::timeout(OWN_WRITES, shown).await;
    Ok((StatusCode::ACCEPTED, Json(Accepted { accepted: true, seq: appended.seq, subject: fact.subject() })))
}

/// A place among the live streams.
pub(crate) fn stream(app: &App) -> Result<OwnedSemaphorePermit, ApiError> {
    app.streams.clone().try_acquire_owned().map_err(|_| {
        let detail = format!("{} live streams are open, which is the limit", crate::app::STREAMS_MAX);
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", detail).retry_after_s(10)
    })
}

impl From<PartError> for ApiError {
    fn from(error: PartError) -> Self {
        match &error {
            PartError::Missing(_) => Self::new(StatusCode::NOT_FOUND, "not-found", error.to_string()),
            PartError::Failed(_) => Self::internal("asking a part of the loop", &error),
        }
    }
}
