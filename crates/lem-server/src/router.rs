//! Which handler answers which route, and what stands before them all.

use crate::api::{events, incidents, ledger, observe, overview, program, requests, runs, stages, webhooks};
use crate::app::App;
use crate::error::ApiError;
use crate::routes::Verb::{self, Delete, Get, Post};
use crate::{alertmanager, guard, loki, prom, ui, vault};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, delete, get, post};
use http::StatusCode;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

/// Bytes of a body, where a route does not take more.
pub(crate) const BODY_MAX: usize = 1 << 20;

/// Handlers of our own API; a test holds them against [`crate::routes::ROUTES`].
fn handlers() -> Vec<(Verb, &'static str, MethodRouter<App>)> {
    vec![
        (Get, "/api/v1/loop", get(overview::home)),
        (Get, "/api/v1/changes", get(overview::changes)),
        (Get, "/api/v1/changes/{sha}", get(overview::change)),
        (Get, "/api/v1/search", get(overview::search)),
        (Get, "/api/v1/doctor", get(overview::doctor)),
        (Get, "/api/v1/runs", get(runs::list)),
        (Post, "/api/v1/runs", post(requests::run)),
        (Get, "/api/v1/runs/{run}", get(runs::one)),
        (Post, "/api/v1/runs/{run}/cancel", post(requests::cancel)),
        (Get, "/api/v1/runs/{run}/jobs/{job}/log", get(runs::log)),
        (Get, "/api/v1/artifacts/{digest}", get(runs::artifact)),
        (Get, "/api/v1/services", get(requests::services)),
        (Post, "/api/v1/services/{service}/environments/{environment}/rollback", post(requests::rollback)),
        (Post, "/api/v1/deployments", post(requests::deploy)),
        (Get, "/api/v1/rollouts", get(requests::rollouts)),
        (Get, "/api/v1/rollouts/{deployment}", get(requests::rollout)),
        (Post, "/api/v1/rollouts/{deployment}/{action}", post(requests::act)),
        (Get, "/api/v1/freezes", get(requests::freezes)),
        (Post, "/api/v1/freezes", post(requests::freeze)),
        (Delete, "/api/v1/freezes", delete(requests::unfreeze)),
        (Get, "/api/v1/incidents", get(incidents::list)),
        (Get, "/api/v1/incidents/{incident}", get(incidents::one)),
        (Get, "/api/v1/incidents/{incident}/report", get(incidents::report)),
        (Get, "/api/v1/incidents/{incident}/why", get(incidents::why)),
        (Post, "/api/v1/incidents/{incident}/notes", post(incidents::note)),
        (Post, "/api/v1/incidents/{incident}/attribution", post(incidents::settle)),
        (Get, "/api/v1/dora", get(incidents::metrics)),
        (Get, "/api/v1/events", get(events::list)),
        (Post, "/api/v1/events", post(events::receive).layer(DefaultBodyLimit::max(events::BODY_MAX))),
        (Get, "/api/v1/events/{seq}", get(ledger::event)),
        (Get, "/api/v1/events/{seq}/proof", get(ledger::proof)),
        (Get, "/api/v1/ledger", get(ledger::info)),
        (Post, "/api/v1/ledger/verify", post(ledger::verify)),
        (Post, "/api/v1/ledger/checkpoint", post(ledger::checkpoint)),
        (Get, "/api/v1/ledger/export", get(ledger::export)),
        (Get, "/api/v1/subscriptions", get(webhooks::list)),
        (Post, "/api/v1/subscriptions", post(webhooks::add)),
        (Delete, "/api/v1/subscriptions/{id}", delete(webhooks::remove)),
        (Get, "/api/v1/dashboards", get(observe::dashboards)),
        (Get, "/api/v1/dashboards/{uid}", get(observe::dashboard)),
        (Get, "/api/v1/logs", get(observe::lines)),
        (Get, "/api/v1/logs/tail", get(observe::tail)),
        (Get, "/api/v1/logs/histogram", get(observe::histogram)),
        (Get, "/api/v1/logs/patterns", get(observe::patterns)),
        (Get, "/api/v1/provision", get(stages::provision)),
        (Get, "/api/v1/secure", get(stages::secure)),
        (Get, "/api/v1/optimize", get(stages::optimize)),
        (Get, "/api/v1/reports/{team}", get(stages::report)),
        (Get, "/api/v1/openapi.json", get(program::openapi)),
        (Get, "/healthz", get(program::health)),
        (Get, "/readyz", get(program::ready)),
        (Get, "/metrics", get(program::metrics)),
    ]
}

/// Everything on the one port.
pub(crate) fn router(app: App) -> Router {
    let own = handlers().into_iter().fold(Router::new(), |router, (_, path, handler)| router.route(path, handler));
    let aliases = Router::new().route("/-/healthy", get(program::health)).route("/-/ready", get(program::ready));
    own.merge(aliases)
        .merge(prom::routes("/api/v1"))
        .merge(prom::routes("/prometheus/api/v1"))
        .merge(alertmanager::routes())
        .merge(loki::routes())
        .method_not_allowed_fallback(not_allowed)
        .fallback(ui::serve)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(CompressionLayer::new())
        .layer(from_fn(guard::time_out))
        .layer(from_fn_with_state(app.clone(), guard::authenticate))
        // The secret store has tokens and policies of its own, and takes no other.
        .merge(vault::routes())
        .layer(from_fn_with_state(app.clone(), guard::check_host))
        .layer(CatchPanicLayer::custom(guard::panicked))
        .layer(from_fn_with_state(app.clone(), guard::harden))
        .with_state(app)
}

async fn not_allowed(request: Request) -> ApiError {
    let detail = format!("{} takes no {}", request.uri().path(), request.method());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::ROUTES;

    #[test]
    fn what_is_served_is_listed_and_what_is_listed_is_served() {
        let served: Vec<String> = handlers().iter().map(|(verb, path, _)| format!("{verb:?} {path}")).collect();
        let listed: Vec<String> = ROUTES.iter().map(|route| format!("{:?} {}", route.verb, route.path)).collect();
        let (mut one, mut other) = (served.clone(), listed);
        one.sort();
        other.sort();
        assert_eq!(one, other);
        one.dedup();
        assert_eq!(one.len(), served.len(), "no route stands twice");
    }
}
