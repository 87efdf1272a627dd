//! What is judged and scraped, and what program this is.

use super::params::{Asked, PromError};
use crate::app::App;
use crate::port::{Rule, Watching};
use axum::Json;
use axum::extract::State;
use lem_engine_promql::number::quote;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The release of Prometheus whose API this is; clients choose their calls by it.
const SPOKEN: &str = "3.14.0";

type Answer = Result<Json<Value>, PromError>;

fn success(data: Value) -> Json<Value> {
    Json(json!({ "status": "success", "data": data }))
}

fn watching(app: &App) -> Result<&Arc<dyn Watching>, PromError> {
    app.parts.watching.as_ref().ok_or_else(|| PromError::absent("the evaluation of rules"))
}

pub(crate) async fn rules(State(app): State<App>, asked: Asked) -> Answer {
    let kind = asked.0.get("type").unwrap_or_default().to_lowercase();
    if !matches!(kind.as_str(), "" | "alert" | "record") {
        return Err(PromError::parameter("type", format!("not supported value {}", quote(&kind))));
    }
    let without_alerts = matches!(asked.0.get("exclude_alerts"), Some("1" | "t" | "T" | "true" | "TRUE" | "True"));
    let wanted = |name: &'static str| asked.0.all(name).map(str::to_owned).collect::<Vec<_>>();
    let (names, groups, files) = (wanted("rule_name[]"), wanted("rule_group[]"), wanted("file[]"));
    let among = |list: &[String], one: &str| list.is_empty() || list.iter().any(|name| name == one);
    let mut found = watching(&app)?.rules();
    found.retain(|group| among(&groups, &group.name) && among(&files, &group.file));
    for group in &mut found {
        group.rules.retain(|rule| match rule {
            Rule::Alerting { name, .. } => kind != "record" && among(&names, name),
            Rule::Recording { name, .. } => kind != "alert" && among(&names, name),
        });
        for rule in &mut group.rules {
            if let Rule::Alerting { alerts, .. } = rule
                && without_alerts
            {
                alerts.clear();
            }
        }
    }
    if !names.is_empty() || !kind.is_empty() {
        found.retain(|group| !group.rules.is_empty());
    }
    Ok(success(json!({ "groups": found })))
}

pub(crate) async fn alerts(State(app): State<App>) -> Answer {
    let rules = watching(&app)?.rules().into_iter().flat_map(|group| group.rules);
    let alerts = rules.filter_map(|rule| match rule {
        Rule::Alerting { alerts, .. } => Some(alerts),
        Rule::Recording { .. } => None,
    });
    Ok(success(json!({ "alerts": alerts.flatten().collect::<Vec<_>>() })))
}

pub(crate) async fn targets(State(app): State<App>, asked: Asked) -> Answer {
    let state = asked.0.get("state").unwrap_or("any").to_lowercase();
    let pool = asked.0.get("scrapePool");
    let mut targets = watching(&app)?.targets();
    targets.retain(|target| state != "dropped" && pool.is_none_or(|pool| pool == target.scrape_pool));
    Ok(success(json!({ "activeTargets": targets, "droppedTargets": [], "droppedTargetCounts": {} })))
}

pub(crate) async fn metadata(State(app): State<App>, asked: Asked) -> Answer {
    let most = asked.limit("limit")?.unwrap_or(usize::MAX);
    let each = asked.limit("limit_per_metric")?.unwrap_or(usize::MAX);
    let metric = asked.0.get("metric");
    let known = watching(&app)?.metadata().into_iter().filter(|(name, _)| metric.is_none_or(|metric| metric == name));
    let known: BTreeMap<_, Vec<_>> =
        known.take(most).map(|(name, all)| (name, all.into_iter().take(each).collect())).collect();
    Ok(success(json!(known)))
}

pub(crate) async fn buildinfo() -> Json<Value> {
    success(json!({
        "version": SPOKEN,
        "revision": format!("lemniscate-{}", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "features": {},
    }))
}
