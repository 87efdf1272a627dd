//! When an incident opens and when it is over.

use crate::events::{AlertFired, IncidentDetected, IncidentRequested};
use jiff::Timestamp;
use lem_model::fact::Ref;
use lem_model::{AlertId, DeploymentId, Digest, IncidentId};
use std::collections::{BTreeMap, BTreeSet};

/// An open incident as far as opening and closing need it.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// Service and environment, as labels say them.
    pub scope: (String, String),
    /// Alerts that belong to it and still fire.
    pub alerts: BTreeSet<AlertId>,
    /// Rollout it is about, if it was asked for.
    pub deployment: Option<DeploymentId>,
    /// When it was detected.
    pub at: Timestamp,
    /// As it was detected, for its resolution.
    pub detected: IncidentDetected,
}

/// Open incidents, and which rollouts have ended.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// Open ones.
    pub open: BTreeMap<IncidentId, Open>,
    /// All ids ever used.
    pub known: BTreeSet<IncidentId>,
    /// Rollouts that ended.
    pub ended: BTreeSet<DeploymentId>,
    /// Alerts that fire, with what they said.
    pub firing: BTreeMap<AlertId, (Timestamp, AlertFired)>,
}

/// Whether an alert is worth an incident: somebody is paged for it, or its rule says so.
pub fn opens(alert: &AlertFired) -> bool {
    matches!(alert.severity.as_str(), "page" | "critical") || alert.labels.get("incident").is_some_and(|v| v == "true")
}

fn scope(alert: &AlertFired) -> (String, String) {
    let text = |value: Option<String>| value.filter(|v| !v.is_empty()).unwrap_or_else(|| "unknown".to_owned());
    (text(alert.service.as_ref().map(ToString::to_string)), text(alert.environment.as_ref().map(ToString::to_string)))
}

/// The incident an alert opens; `None` when it joins an open one or is not worth one.
pub fn on_fired(book: &Book, alert: &AlertFired, at: Timestamp) -> Option<IncidentDetected> {
    let scope = scope(alert);
    if !opens(alert) || book.open.values().any(|o| o.scope == scope && !o.alerts.is_empty()) {
        return None;
    }
    let digest = Digest::of(format!("{}@{}", alert.alert, alert.active_at).as_bytes());
    let summary = ["summary", "description"].iter().find_map(|k| alert.annotations.get(*k)).cloned();
    let incident = IncidentId::new(format!("INC-{}", digest.hex()[..6].to_uppercase()));
    if book.known.contains(&incident) {
        return None;
    }
    Some(IncidentDetected {
        incident,
        description: Some(summary.unwrap_or_else(|| format!("{} fires in {}", alert.rule, scope.1))),
        environment: Ref::to(scope.1),
        service: Some(Ref::to(scope.0)),
        artifact_id: None,
        title: alert.rule.clone(),
        severity: if alert.severity == "critical" { "SEV1" } else { "SEV2" }.into(),
        alert: Some(alert.alert.clone()),
        deployment: None,
        since: Some(alert.active_at.min(at)),
    })
}

/// The incident somebody asked for; `None` when it is known already.
pub fn on_requested(book: &Book, request: &IncidentRequested) -> Option<IncidentDetected> {
    if book.known.contains(&request.incident) {
        return None;
    }
    Some(IncidentDetected {
        incident: request.incident.clone(),
        description: Some(request.description.clone()),
        environment: Ref::to(request.environment.as_str()),
        service: Some(Ref::to(request.service.as_str())),
        artifact_id: None,
        title: request.title.clone(),
        severity: request.severity.clone(),
        alert: None,
        deployment: request.deployment.clone(),
        since: Some(request.since),
    })
}

/// Why an open incident is over, if it is: none of its alerts fires, and the rollout it is about has ended.
pub fn over(book: &Book, open: &Open) -> Option<String> {
    if !open.alerts.is_empty() {
        return None;
    }
    let fires_here = book.firing.values().any(|(_, a)| opens(a) && scope(a) == open.scope);
    match (&open.deployment, fires_here) {
        (_, true) => None,
        (Some(deployment), false) => {
            book.ended.contains(deployment).then(|| "the release is off traffic and no alert fires".to_owned())
        }
        (None, false) => open.detected.alert.is_some().then(|| "no alert of it fires any more".to_owned()),
    }
}
