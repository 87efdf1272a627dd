//! Webhooks.

use super::Body;
use crate::app::App;
use crate::dto::{Subscription, SubscriptionRequest};
use crate::error::ApiError;
use crate::subscriptions::{SUBSCRIPTIONS_MAX, consumer};
use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use lem_ledger::Filter;
use url::Url;

/// Bytes of an address.
const URL_MAX: usize = 2000;
/// Types of one filter.
const TYPES_MAX: usize = 100;

pub(crate) async fn list(State(app): State<App>) -> Json<Vec<Subscription>> {
    Json(app.subscriptions.list())
}

pub(crate) async fn add(
    State(app): State<App>,
    Body(body): Body<SubscriptionRequest>,
) -> Result<Json<Subscription>, ApiError> {
    if body.url.len() > URL_MAX || body.filter.types.len() > TYPES_MAX {
        return Err(ApiError::bad(format!("an address has at most {URL_MAX} bytes, a filter {TYPES_MAX} types")));
    }
    let url = Url::parse(&body.url).map_err(|e| ApiError::bad(format!("{:?} is no address: {e}", body.url)))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(ApiError::bad(format!("{url} cannot be posted to")).hint("http and https can"));
    }
    let subscription = Subscription {
        id: uuid::Uuid::now_v7().to_string(),
        url: body.url,
        filter: body.filter,
        since: app.parts.clock.now().into(),
    };
    from_now_on(&app, &subscription.id).await?;
    let added = app.subscriptions.add(subscription.clone());
    if added.map_err(|e| ApiError::internal("keeping a webhook", &e))? {
        return Ok(Json(subscription));
    }
    let detail = format!("{SUBSCRIPTIONS_MAX} webhooks are there, which is the limit");
    Err(ApiError::conflict(detail).hint("remove one first"))
}

/// Puts the cursor of a new webhook behind what is in the ledger already.
async fn from_now_on(app: &App, id: &str) -> Result<(), ApiError> {
    if let Some(last) = app.parts.log.size().await?.checked_sub(1) {
        app.parts.log.subscribe(&consumer(id), Filter::all()).await?.ack(last).await?;
    }
    Ok(())
}

pub(crate) async fn remove(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let removed = app.subscriptions.remove(&id).map_err(|e| ApiError::internal("removing a webhook", &e))?;
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::missing("webhook", &id)) }
}
