//! Home, changes, search, doctor.

use super::{Params, rows};
use crate::app::App;
use crate::dto::{self, State as How};
use crate::error::ApiError;
use crate::view;
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

pub(crate) async fn home(State(app): State<App>) -> Json<dto::LoopHome> {
    let now = app.parts.clock.now();
    let costs = app.costs();
    let home =
        |r: &_| app.parts.feedback.read(|s| view::home::home(r, s, &app.settings.repository, costs.as_ref(), now));
    Json(app.record.read(home))
}

#[derive(Deserialize)]
pub(crate) struct Changes {
    limit: Option<usize>,
    before: Option<u64>,
}

pub(crate) async fn changes(State(app): State<App>, Params(q): Params<Changes>) -> Json<Vec<dto::ChangeRow>> {
    Json(app.record.read(|r| view::change::table(r, q.before, rows(q.limit))))
}

pub(crate) async fn change(
    State(app): State<App>,
    Path(sha): Path<String>,
) -> Result<Json<dto::ChangeThread>, ApiError> {
    let thread = app.record.read(|r| app.parts.feedback.read(|s| view::change::thread(r, s, &sha)));
    thread.map(Json).ok_or_else(|| ApiError::missing("change", &sha))
}

#[derive(Deserialize)]
pub(crate) struct Search {
    #[serde(default)]
    q: String,
}

pub(crate) async fn search(State(app): State<App>, Params(q): Params<Search>) -> Json<Vec<dto::Hit>> {
    Json(app.record.read(|r| app.parts.feedback.read(|s| view::search::search(r, s, &q.q))))
}

pub(crate) async fn doctor(State(app): State<App>) -> Json<Vec<dto::Check>> {
    let mut checks = vec![ledger(&app).await];
    let parts = &app.parts;
    for (check, there) in [
        ("audit", parts.audit.is_some()),
        ("metrics", parts.metrics.is_some()),
        ("rules and targets", parts.watching.is_some()),
        ("logs", parts.logs.is_some()),
        ("job logs", parts.run_logs.is_some()),
        ("artifacts", parts.artifacts.is_some()),
        ("dashboards", parts.dashboards.is_some()),
    ] {
        let (state, word) = if there { (How::Ok, "is") } else { (How::Unknown, "is not") };
        let sentence = format!("{check} {word} connected to this server");
        checks.push(dto::Check { check: check.into(), state, sentence, fix: None });
    }
    if let Some(more) = &parts.doctor {
        checks.extend(more.checks().await);
    }
    Json(checks)
}

async fn ledger(app: &App) -> dto::Check {
    let (state, sentence, fix) = match app.parts.log.size().await {
        Ok(size) => (How::Ok, format!("the ledger answers and has {size} events"), None),
        Err(error) => (How::Bad, error.to_string(), Some("look at the ledger's database".to_owned())),
    };
    dto::Check { check: "ledger".into(), state, sentence, fix }
}
