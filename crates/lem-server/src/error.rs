//! What can go wrong, as RFC 9457 problems for clients and as errors for the caller of [`crate::Server`].

use crate::dto::{Problem, Received};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use lem_ledger::LedgerError;
use lem_model::text::with_causes;
use thiserror::Error;

/// Why the server could not be set up or go on.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// Address.
        address: std::net::SocketAddr,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// The listener is gone.
    #[error("cannot accept connections")]
    Accept(#[source] std::io::Error),
    /// The file of the webhooks.
    #[error("cannot use {path}")]
    Subscriptions {
        /// File.
        path: String,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
}

/// A problem on its way to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError(Box<Said>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    status: StatusCode,
    code: &'static str,
    detail: String,
    hint: Option<String>,
    retry_after_s: Option<u64>,
    pointer: Option<String>,
    received: Option<Vec<Received>>,
}

impl ApiError {
    /// A problem.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Said { status, code, detail, hint: None, retry_after_s: None, pointer: None, received: None }))
    }

    /// What the client sent does not fit.
    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    /// There is no such thing.
    pub fn missing(what: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", format!("there is no {what} {id:?}"))
    }

    /// This server was started without the part that answers.
    pub fn absent(part: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "not-set-up", format!("{part} is not set up in this server"))
    }

    /// It does not fit what is there now.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// More than a limit allows.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    /// Our own fault; the cause goes to the log, not to the client.
    pub fn internal(doing: &str, error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %with_causes(error), "failed while {doing}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("failed while {doing}; the log says more"))
    }

    /// With something to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Says when to try again.
    pub fn retry_after_s(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Says where in the body it is wrong, as an RFC 6901 pointer.
    pub fn pointer(mut self, pointer: impl Into<String>) -> Self {
        self.0.pointer = Some(pointer.into());
        self
    }

    /// Says what became of each event.
    pub fn received(mut self, received: Vec<Received>) -> Self {
        self.0.received = Some(received);
        self
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What happened.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let said = *self.0;
        let problem = Problem {
            kind: "about:blank".into(),
            title: said.status.canonical_reason().unwrap_or("Problem").into(),
            status: said.status.as_u16(),
            detail: said.detail,
            code: said.code.into(),
            hint: said.hint,
            pointer: said.pointer,
            received: said.received,
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (said.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if said.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"lem\""));
        }
        if let Some(seconds) = said.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Seconds after which a client may try again when the ledger is not there.
const LEDGER_RETRY_S: u64 = 5;

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        match &error {
            LedgerError::Full { .. }
            | LedgerError::Gone { .. }
            | LedgerError::Closed
            | LedgerError::ReadOnly { .. }
            | LedgerError::Database { .. } => {
                tracing::error!(error = %with_causes(&error), "the ledger does not take or give events");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "ledger-unavailable", error.to_string())
                    .retry_after_s(LEDGER_RETRY_S)
            }
            LedgerError::TooMuch { .. } => Self::too_large(error.to_string()),
            LedgerError::Invalid { .. } => Self::bad(error.to_string()),
            LedgerError::NoSuchEvent { .. } => Self::new(StatusCode::NOT_FOUND, "not-found", error.to_string()),
            _ => Self::internal("using the ledger", &error),
        }
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(rejection.body_text()),
            status => Self::new(status, "bad-body", rejection.body_text()),
        }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), "bad-query", rejection.body_text())
    }
}
