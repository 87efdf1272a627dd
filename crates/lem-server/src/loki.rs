//! The HTTP API of Loki, so that its clients (promtail, logcli, Grafana, libraries) write to and read from the log store
//! as they are. Errors are plain text, as there.

mod answer;
mod params;
mod push;
mod query;
mod tail;

use crate::app::App;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
pub use push::{PUSH_BODY_MAX, PUSH_LINES_MAX, PUSH_RAW_MAX};

/// Its routes.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/loki/api/v1/push", post(push::push).layer(DefaultBodyLimit::max(PUSH_BODY_MAX)))
        .route("/loki/api/v1/query", get(query::instant).post(query::instant))
        .route("/loki/api/v1/query_range", get(query::range).post(query::range))
        .route("/loki/api/v1/labels", get(query::labels).post(query::labels))
        .route("/loki/api/v1/label", get(query::labels).post(query::labels))
        .route("/loki/api/v1/label/{name}/values", get(query::values))
        .route("/loki/api/v1/series", get(query::series).post(query::series))
        .route("/loki/api/v1/index/stats", get(query::stats))
        .route("/loki/api/v1/status/buildinfo", get(query::buildinfo))
        .route("/loki/api/v1/tail", get(tail::tail))
}
