//! Provision, secure, optimize, and the reports of the teams.

use super::Params;
use crate::app::App;
use crate::dto::{self, ReportFile, ReportRow, ReportSection, TeamReportView};
use crate::error::ApiError;
use crate::port::{Costs, Surroundings};
use crate::view;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use lem_model::report::{Team, TeamReport};
use serde::Deserialize;
use std::sync::Arc;

fn surroundings(app: &App) -> Result<Arc<dyn Surroundings>, ApiError> {
    app.parts.surroundings.clone().ok_or_else(|| ApiError::absent("provision, optimize and the reports"))
}

pub(crate) async fn provision(State(app): State<App>) -> Result<Json<dto::ProvisionView>, ApiError> {
    let infrastructure = match &app.parts.surroundings {
        Some(surroundings) => surroundings.infrastructure().await?,
        None => vec![],
    };
    Ok(Json(app.record.read(|r| view::provision::provision(r, &infrastructure))))
}

pub(crate) async fn secure(State(app): State<App>) -> Json<dto::SecureView> {
    let now = app.parts.clock.now();
    Json(app.record.read(|r| view::secure::secure(r, now)))
}

pub(crate) async fn optimize(State(app): State<App>) -> Result<Json<dto::OptimizeView>, ApiError> {
    let costs = match &app.parts.surroundings {
        Some(surroundings) => surroundings.costs().await?,
        None => Costs::default(),
    };
    Ok(Json(app.record.read(|r| view::optimize::optimize(r, costs))))
}

#[derive(Deserialize)]
pub(crate) struct Form {
    format: Option<String>,
}

/// A report as the page shows it, or as a file.
pub(crate) async fn report(
    State(app): State<App>,
    Path(team): Path<String>,
    Params(form): Params<Form>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let team: Team = team.parse().map_err(|_| ApiError::missing("report", &team))?;
    let report = surroundings(&app)?.report(team).await?;
    let accept = headers.get(header::ACCEPT).and_then(|a| a.to_str().ok()).unwrap_or_default();
    let format = form.format.as_deref().unwrap_or(if accept.starts_with("text/csv") { "csv" } else { "json" });
    Ok(match format {
        "json" => Json(page(&report)).into_response(),
        "md" => file(&report, "md", "text/markdown; charset=utf-8", report.markdown()),
        "html" => file(&report, "html", "text/html; charset=utf-8", report.html()),
        "csv" => file(&report, "csv", "text/csv; charset=utf-8", report.csv()),
        other => return Err(ApiError::bad(format!("there is no format {other:?}")).hint("json, md, html or csv")),
    })
}

fn file(report: &TeamReport, ending: &str, kind: &'static str, text: String) -> Response {
    let name = format!("inline; filename=\"{}-report.{ending}\"", report.team.name());
    (StatusCode::OK, [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)], text)
        .into_response()
}

fn page(report: &TeamReport) -> TeamReportView {
    let team = report.team.name();
    TeamReportView {
        team: team.to_owned(),
        title: report.title.clone(),
        generated_at: report.generated_at.into(),
        sections: report
            .sections
            .iter()
            .map(|section| ReportSection {
                title: section.title.clone(),
                columns: section.columns.clone(),
                rows: section.rows.iter().map(|r| ReportRow { cells: r.cells.clone(), event: r.event }).collect(),
                note: section.note.clone(),
            })
            .collect(),
        files: ["md", "html", "csv", "json"]
            .map(|ending| ReportFile {
                name: format!("{team}-report.{ending}"),
                href: format!("/api/v1/reports/{team}?format={ending}"),
            })
            .into(),
    }
}
