//! What a person asks of the stages. Every request goes to the ledger; its owner decides.

use super::{Asked, Body, Params, ask, person, rows, text};
use crate::app::App;
use crate::dto::{self, RolloutAction};
use crate::error::ApiError;
use crate::view::deploy;
use axum::Json;
use axum::extract::{Path, State};
use lem_model::DeploymentId;
use lem_model::fact::{
    AbortRequested, DeployRequested, FreezeRequested, PauseRequested, PipelineCancelRequested, PipelineRequested,
    PromoteRequested, ResumeRequested, RetryRequested, RollbackRequested, UnfreezeRequested,
};
use serde::Deserialize;

/// Inputs of one run.
pub(crate) const INPUTS_MAX: usize = 25;

fn fresh() -> String {
    uuid::Uuid::now_v7().to_string()
}

pub(crate) async fn run(State(app): State<App>, Body(body): Body<dto::RunRequest>) -> Asked {
    if body.inputs.len() > INPUTS_MAX {
        return Err(ApiError::bad(format!("{} inputs, the limit is {INPUTS_MAX}", body.inputs.len())));
    }
    let branch = body.branch.unwrap_or_else(|| app.settings.repository.branch.clone());
    let newest = || {
        app.record.read(|r| r.changes.values().rev().find(|c| c.fact.branch == branch).map(|c| c.fact.sha.to_string()))
    };
    let sha = match body.sha {
        Some(sha) if sha.len() == 40 && sha.bytes().all(|b| b.is_ascii_hexdigit()) => sha.to_ascii_lowercase(),
        Some(sha) => return Err(ApiError::bad(format!("{sha:?} is no full commit id")).hint("give all 40 digits")),
        None => {
            newest().ok_or_else(|| ApiError::conflict(format!("no commit of {branch} is known")).hint("give `sha`"))?
        }
    };
    let fact = PipelineRequested {
        run: fresh().into(),
        file: body.file,
        sha: sha.into(),
        branch,
        event: body.event.unwrap_or_else(|| "workflow_dispatch".into()),
        inputs: body.inputs.into_iter().collect(),
        by: person(),
    };
    ask(&app, &fact).await
}

pub(crate) async fn cancel(State(app): State<App>, Path(run): Path<String>, Body(body): Body<dto::Reason>) -> Asked {
    let reason = text("the reason", body.reason)?;
    let over = app.record.read(|r| r.runs.get(&run).map(|run| run.finished.is_some()));
    match over {
        None => Err(ApiError::missing("run", &run)),
        Some(true) => Err(ApiError::conflict(format!("run {run} has ended"))),
        Some(false) => ask(&app, &PipelineCancelRequested { run: run.into(), reason, by: person() }).await,
    }
}

pub(crate) async fn services(State(app): State<App>) -> Json<Vec<dto::Service>> {
    let now = app.parts.clock.now();
    Json(app.record.read(|r| app.parts.feedback.read(|s| deploy::services(r, s, now))))
}

#[derive(Deserialize)]
pub(crate) struct Rollouts {
    service: Option<String>,
    environment: Option<String>,
    limit: Option<usize>,
}

pub(crate) async fn rollouts(State(app): State<App>, Params(q): Params<Rollouts>) -> Json<Vec<dto::Rollout>> {
    let same = |want: &Option<String>, have: &str| want.as_deref().is_none_or(|want| want == have);
    Json(app.record.read(|r| {
        let all = r.rollouts.values().rev();
        let mine = all.filter(|x| {
            let plan = &x.planned.fact;
            same(&q.service, plan.service.as_str()) && same(&q.environment, plan.environment.as_str())
        });
        mine.take(rows(q.limit)).map(|x| deploy::rollout(r, x)).collect()
    }))
}

pub(crate) async fn rollout(State(app): State<App>, Path(id): Path<String>) -> Result<Json<dto::Rollout>, ApiError> {
    let found = app.record.read(|r| r.rollouts.get(&id).map(|x| deploy::rollout(r, x)));
    found.map(Json).ok_or_else(|| ApiError::missing("rollout", &id))
}

pub(crate) async fn act(
    State(app): State<App>,
    Path((id, action)): Path<(String, String)>,
    Body(body): Body<dto::RolloutRequest>,
) -> Asked {
    let action: RolloutAction = serde_json::from_value(action.clone().into())
        .map_err(|_| ApiError::missing("action", &action).hint("promote, abort, retry, pause or resume"))?;
    let reason = text("the reason", body.reason)?;
    let over = app.record.read(|r| r.rollouts.get(&id).map(|x| x.finished.is_some()));
    match over {
        None => return Err(ApiError::missing("rollout", &id)),
        Some(true) if action != RolloutAction::Retry => {
            return Err(ApiError::conflict(format!("rollout {id} has ended")));
        }
        Some(_) => {}
    }
    let (deployment, by) = (DeploymentId::from(id), person());
    match action {
        RolloutAction::Promote => ask(&app, &PromoteRequested { deployment, full: body.full, reason, by }).await,
        RolloutAction::Abort => ask(&app, &AbortRequested { deployment, reason, by }).await,
        RolloutAction::Retry => ask(&app, &RetryRequested { deployment, reason, by }).await,
        RolloutAction::Pause => ask(&app, &PauseRequested { deployment, reason, by }).await,
        RolloutAction::Resume => ask(&app, &ResumeRequested { deployment, reason, by }).await,
    }
}

pub(crate) async fn rollback(
    State(app): State<App>,
    Path((service, environment)): Path<(String, String)>,
    Body(body): Body<dto::RollbackRequest>,
) -> Asked {
    let reason = text("the reason", body.reason)?;
    if !app.record.read(|r| r.places.contains_key(&(service.clone(), environment.clone()))) {
        return Err(ApiError::missing("service in that environment", &format!("{environment}/{service}")));
    }
    let fact = RollbackRequested {
        service: service.into(),
        environment: environment.into(),
        from: None,
        to: body.to.map(Into::into),
        reason,
        incident: None,
        by: person(),
    };
    ask(&app, &fact).await
}

/// Versions are the first digits of the commit.
const VERSION_DIGITS: usize = 8;

pub(crate) async fn deploy(State(app): State<App>, Body(body): Body<dto::DeployRequest>) -> Asked {
    let reason = body.reason.map(|reason| text("the reason", reason)).transpose()?;
    if body.sha.is_none() && body.digest.is_none() {
        return Err(ApiError::bad("neither `sha` nor `digest` says what to deploy"));
    }
    let found = app.record.read(|r| {
        let fits = |a: &&lem_model::fact::ArtifactPackaged| {
            body.sha.as_ref().is_none_or(|sha| sha.len() >= 4 && a.sha.as_str().starts_with(sha.as_str()))
                && body.digest.as_ref().is_none_or(|digest| a.digest.as_str() == digest)
        };
        let all = r.runs.values().rev().flat_map(|run| run.artifacts.iter()).filter(fits);
        let (named, others): (Vec<_>, Vec<_>) = all.partition(|a| a.name == body.service);
        // An artifact of the service's name is meant; without one there must be no choice.
        let only = if others.len() == 1 { others.first().copied() } else { None };
        named.first().copied().or(only).map(|a| (a.sha.clone(), a.digest.clone()))
    });
    let Some((sha, digest)) = found else {
        let what = body.sha.or(body.digest).unwrap_or_default();
        return Err(ApiError::missing("artifact of", &what).hint("GET /api/v1/runs shows what was built"));
    };
    let fact = DeployRequested {
        deployment: fresh().into(),
        service: body.service.into(),
        environment: body.environment.into(),
        version: sha.as_str().get(..VERSION_DIGITS).unwrap_or(sha.as_str()).into(),
        sha,
        digest,
        by: person(),
        reason,
    };
    ask(&app, &fact).await
}

pub(crate) async fn freezes(State(app): State<App>) -> Json<Vec<dto::Freeze>> {
    let now = app.parts.clock.now();
    Json(app.record.read(|r| deploy::freezes(r, now)))
}

fn scope(scope: String) -> Result<String, ApiError> {
    match scope.as_str() {
        "" => Err(ApiError::bad("the scope is empty").hint("`*`, a service, or `environment/service`")),
        _ => Ok(scope),
    }
}

pub(crate) async fn freeze(State(app): State<App>, Body(body): Body<dto::FreezeRequest>) -> Asked {
    let reason = text("the reason", body.reason)?;
    let until = body.until.map(|t| t.0);
    if until.is_some_and(|until| until <= app.parts.clock.now()) {
        return Err(ApiError::bad("`until` is in the past"));
    }
    ask(&app, &FreezeRequested { scope: scope(body.scope)?, until, reason, by: person() }).await
}

pub(crate) async fn unfreeze(State(app): State<App>, Body(body): Body<dto::FreezeRequest>) -> Asked {
    let reason = text("the reason", body.reason)?;
    let scope = scope(body.scope)?;
    if !app.record.read(|r| r.freezes.contains_key(&scope)) {
        return Err(ApiError::missing("freeze of", &scope));
    }
    ask(&app, &UnfreezeRequested { scope, reason, by: person() }).await
}
