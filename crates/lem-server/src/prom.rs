//! The HTTP API of Prometheus, so that its clients (promtool, Grafana, libraries) read the metric store as they are.
//!
//! Shapes, status codes and wording follow Prometheus 3: `{"status":"success","data":...}`, errors with `errorType`.

mod answer;
mod params;
mod query;
mod status;

use crate::app::App;
use axum::Router;
use axum::routing::get;

/// Its routes below a prefix.
pub(crate) fn routes(prefix: &str) -> Router<App> {
    Router::new().nest(
        prefix,
        Router::new()
            .route("/query", get(query::instant).post(query::instant))
            .route("/query_range", get(query::range).post(query::range))
            .route("/query_exemplars", get(query::exemplars).post(query::exemplars))
            .route("/format_query", get(query::format).post(query::format))
            .route("/parse_query", get(query::tree).post(query::tree))
            .route("/series", get(query::series).post(query::series))
            .route("/labels", get(query::labels).post(query::labels))
            .route("/label/{name}/values", get(query::values))
            .route("/rules", get(status::rules))
            .route("/alerts", get(status::alerts))
            .route("/targets", get(status::targets))
            .route("/metadata", get(status::metadata))
            .route("/status/buildinfo", get(status::buildinfo)),
    )
}
