//! Incidents, their reports, DORA.

use super::{Asked, Body, Params, ask, person, rows, text};
use crate::app::App;
use crate::dto::{self, IncidentState, Judgement, NoteKind};
use crate::error::ApiError;
use crate::view::incident;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header;
use jiff::SignedDuration;
use lem_feedback::plan::dora::dora;
use lem_feedback::report;
use lem_feedback::state::Standing;
use lem_model::IncidentId;
use lem_model::fact::{AttributionConfirmed, AttributionRejected, IncidentNoted, IncidentResolved};
use lem_model::port::Window;
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Incidents {
    state: Option<String>,
    limit: Option<usize>,
}

pub(crate) async fn list(
    State(app): State<App>,
    Params(q): Params<Incidents>,
) -> Result<Json<Vec<dto::IncidentRow>>, ApiError> {
    let words = q.state.iter().flat_map(|s| s.split(',')).filter(|s| !s.is_empty());
    let read = |word: &str| {
        serde_json::from_value::<IncidentState>(word.into()).map_err(|_| {
            ApiError::bad(format!("{word:?} is no state")).hint("open, acknowledged, mitigated, resolved or closed")
        })
    };
    let states = words.map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(app.record.read(|r| app.parts.feedback.read(|s| incident::table(r, s, &states, rows(q.limit))))))
}

async fn timeline(app: &App, id: &str) -> Result<Vec<report::TimelineEntry>, ApiError> {
    let told = lem_feedback::execute::timeline(&app.parts.log, &app.parts.feedback, &id.into()).await;
    told.map_err(|e| ApiError::internal("reading the timeline of an incident", &e))
}

pub(crate) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<dto::IncidentDetail>, ApiError> {
    let told = timeline(&app, &id).await?;
    let found = app.record.read(|r| app.parts.feedback.read(|s| incident::detail(r, s, &id, told)));
    found.map(Json).ok_or_else(|| ApiError::missing("incident", &id))
}

#[derive(Deserialize)]
pub(crate) struct Format {
    format: Option<String>,
}

pub(crate) async fn report(
    State(app): State<App>,
    Path(id): Path<String>,
    Params(q): Params<Format>,
) -> Result<Response, ApiError> {
    let key = IncidentId::from(id.as_str());
    let title = app.parts.feedback.read(|s| s.incidents.get(&key).map(|i| i.detected.title.clone()));
    let title = title.ok_or_else(|| ApiError::missing("incident", &id))?;
    let published = match &app.parts.reports {
        Some(reports) => reports.published(&id).await,
        None => None,
    };
    let markdown = match published {
        Some(markdown) => markdown,
        None => {
            let told = timeline(&app, &id).await?;
            let draft =
                app.parts.feedback.read(|s| s.incidents.get(&key).map(|i| report::incident_markdown(s, i, &told)));
            draft.ok_or_else(|| ApiError::missing("incident", &id))?
        }
    };
    match q.format.as_deref() {
        None | Some("md") => Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], markdown).into_response()),
        Some("html") => {
            let html = report::html(&title, &markdown);
            Ok(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response())
        }
        Some(other) => Err(ApiError::bad(format!("{other:?} is no format of a report")).hint("md or html")),
    }
}

pub(crate) async fn why(State(app): State<App>, Path(id): Path<String>) -> Result<String, ApiError> {
    let found = app.parts.feedback.read(|s| s.incidents.get(&IncidentId::from(id.as_str())).map(report::why));
    found.ok_or_else(|| ApiError::missing("incident", &id))
}

pub(crate) async fn note(State(app): State<App>, Path(id): Path<String>, Body(body): Body<dto::NoteRequest>) -> Asked {
    let words = text("the text", body.text)?;
    let key = IncidentId::from(id.as_str());
    let found = app.parts.feedback.read(|s| s.incidents.get(&key).map(|i| (i.detected.clone(), i.resolved.is_some())));
    let (detected, over) = found.ok_or_else(|| ApiError::missing("incident", &id))?;
    let kind = match body.kind {
        NoteKind::Acknowledged => "acknowledged",
        NoteKind::Mitigated => "mitigated",
        NoteKind::Note => "note",
        NoteKind::Closed if !over => {
            return Err(ApiError::conflict("an open incident cannot be closed").hint("resolve it first"));
        }
        NoteKind::Closed => "closed",
        NoteKind::Resolved if over => return Err(ApiError::conflict(format!("incident {id} is over"))),
        NoteKind::Resolved => {
            let fact = IncidentResolved {
                incident: key,
                description: Some(words),
                environment: detected.environment,
                service: detected.service,
                by: person(),
            };
            return ask(&app, &fact).await;
        }
    };
    ask(&app, &IncidentNoted { incident: key, kind: kind.into(), text: words, by: person() }).await
}

pub(crate) async fn settle(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(body): Body<dto::AttributionRequest>,
) -> Asked {
    let sentence = text("the text", body.text)?;
    let incident = IncidentId::from(id.as_str());
    let found = app.parts.feedback.read(|s| s.incidents.get(&incident).map(|i| i.attribution.clone()));
    let attribution = found.ok_or_else(|| ApiError::missing("incident", &id))?;
    let named = attribution.filter(|a| matches!(a.standing, Standing::Proposed | Standing::Confirmed));
    let Some((named, cause)) = named.and_then(|a| a.proposed.causes.first().cloned().map(|c| (a, c))) else {
        return Err(ApiError::conflict(format!("incident {id} names no cause to confirm or reject")));
    };
    let (attribution, sha, deployment, kind) = (named.proposed.attribution, cause.sha, cause.deployment, cause.kind);
    let by = person();
    match body.verdict {
        Judgement::Confirm if named.standing == Standing::Confirmed => {
            Err(ApiError::conflict("the cause is confirmed already"))
        }
        Judgement::Confirm => {
            ask(&app, &AttributionConfirmed { attribution, incident, sha, deployment, kind, sentence, by }).await
        }
        Judgement::Reject => {
            ask(&app, &AttributionRejected { attribution, incident, sha, deployment, kind, sentence, by }).await
        }
    }
}

/// Days a DORA window has at most.
const DAYS_MAX: u32 = 3660;

#[derive(Deserialize)]
pub(crate) struct Over {
    environment: Option<String>,
    days: Option<u32>,
}

pub(crate) async fn metrics(State(app): State<App>, Params(q): Params<Over>) -> Result<Json<dto::Dora>, ApiError> {
    let days = q.days.unwrap_or(30);
    if days == 0 || days > DAYS_MAX {
        return Err(ApiError::bad(format!("{days} days; 1 to {DAYS_MAX} are possible")));
    }
    let to = app.parts.clock.now();
    let from = to.checked_sub(SignedDuration::from_hours(i64::from(days) * 24)).unwrap_or(jiff::Timestamp::MIN);
    let environment = q.environment.unwrap_or_else(|| "production".into()).into();
    let found = app.parts.feedback.read(|s| dora(s, &environment, Window { from, to }));
    Ok(Json(incident::dora_of(found)))
}
