//! What happened, as sentences: every event of the ledger, and the story of one incident.

use crate::state::LoopState;
use jiff::Timestamp;
use lem_model::{Event, IncidentId};

/// One line of a timeline: when, what, and the event that says so.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// What, as a sentence.
    pub sentence: String,
    /// Event.
    pub seq: u64,
}

/// The events that tell an incident's story, in order: its own, those of the suspected release, and what stands between
/// the onset and the end in the same scope.
pub fn timeline(state: &LoopState, incident: &IncidentId, events: &[Event]) -> Vec<TimelineEntry> {
    let Some(found) = state.incidents.get(incident) else { return vec![] };
    let cause = found.attribution.as_ref().and_then(|a| a.proposed.causes.first());
    let deployment = cause.and_then(|c| c.deployment.as_ref()).or(found.detected.deployment.as_ref());
    let sha = cause.and_then(|c| c.sha.as_ref());
    let apply = cause.and_then(|c| c.apply.as_ref());
    let alert = found.detected.alert.as_ref();
    let scope = found.scope().map(|s| format!("{}/{}", s.environment, s.service));
    let until = found.resolved.as_ref().map(|(at, _)| *at);
    let since = deployment.and_then(|d| state.releases.get(d)).map_or(found.at, |r| r.planned_at.min(found.at));
    let belongs = |e: &&Event| {
        e.subject == incident.as_str()
            || deployment.is_some_and(|d| e.subject == d.as_str())
            || apply.is_some_and(|a| e.subject == a.as_str())
            || alert.is_some_and(|a| e.subject == a.as_str())
            || sha.is_some_and(|s| e.kind.short() == "change.merged" && e.subject == s.as_str())
            || scope.as_ref().is_some_and(|s| {
                e.subject == *s && e.time_occurred >= since && until.is_none_or(|u| e.time_occurred <= u)
            })
    };
    let mut entries: Vec<TimelineEntry> = events
        .iter()
        .filter(belongs)
        .filter(|e| !matches!(e.kind.short(), "evidence.recorded"))
        .map(|e| TimelineEntry { at: e.time_occurred, sentence: sentence(e), seq: e.seq })
        .collect();
    entries.sort_by_key(|e| (e.at, e.seq));
    entries
}

/// An event as a plain sentence, for timelines and the live tail of the ledger.
pub fn sentence(event: &Event) -> String {
    let content = event.content();
    let custom = event.payload.get("customData");
    let text = |key: &str| -> String {
        let value = [custom, content].into_iter().flatten().find_map(|part| part.get(key));
        match value {
            Some(serde_json::Value::String(s)) => s.clone(),
            Some(serde_json::Value::Object(o)) => o.get("id").and_then(|v| v.as_str()).unwrap_or_default().to_owned(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    };
    let short = |sha: String| sha.get(..8).map_or(sha.clone(), str::to_owned);
    match event.kind.short() {
        "change.merged" => format!("commit {} by {}: {}", short(text("sha")), text("author"), text("description")),
        "pipelinerun.queued" => format!("run of {} queued for {}", text("pipelineName"), short(text("sha"))),
        "pipelinerun.started" => format!("run of {} started", text("pipelineName")),
        "pipelinerun.finished" => format!("run of {} ended: {}", text("pipelineName"), text("outcome")),
        "taskrun.started" => format!("job {} started", text("taskName")),
        "taskrun.finished" => format!("job {} ended: {}", text("taskName"), text("outcome")),
        "testsuiterun.finished" => {
            format!("tests {}: {} passed, {} failed", text("suite"), text("passed"), text("failed"))
        }
        "artifact.packaged" => {
            format!("artifact {} stored as {}", text("name"), text("digest").get(..19).unwrap_or_default())
        }
        "release.planned" => format!(
            "release of {} {} to {} planned, {}",
            text("service"),
            text("version"),
            text("environment"),
            text("strategy")
        ),
        "rollout.started" => {
            format!("rollout of {} {} to {} started", text("service"), text("version"), text("environment"))
        }
        "rollout.stepfinished" => format!("step done: {}", text("step")),
        "rollout.held" => format!("rollout holds: {}", text("why")),
        "rollout.paused" => format!("rollout paused by {}: {}", text("by"), text("why")),
        "rollout.resumed" => format!("rollout resumed by {}", text("by")),
        "rollout.aborted" => format!("rollout turned back: {}", text("why")),
        "rollout.finished" => format!("rollout of {} ended: {} ({})", text("version"), text("outcome"), text("why")),
        "routes.applied" => format!("traffic: {}", weights(content)),
        "verdict.reached" => text("sentence"),
        "service.deployed" => format!("{} {} runs in {}", text("service"), text("version"), text("environment")),
        "service.upgraded" => format!("{} {} took over in {}", text("service"), text("version"), text("environment")),
        "service.rolledback" => format!("{} went back to {}: {}", text("service"), text("version"), text("why")),
        "alert.fired" => format!("alert {} fires: {}", text("rule"), annotation(content)),
        "alert.resolved" => format!("alert {} resolved", text("rule")),
        "incident.detected" => format!("incident: {}", text("description")),
        "incident.resolved" => format!("incident resolved: {}", text("description")),
        "incidentnote.added" => format!("{} by {}: {}", text("kind"), text("by"), text("text")),
        "attribution.proposed" => format!("{} cause: {}", text("level"), first_cause(content)),
        "attribution.abstained" => format!("no cause named: {}", text("why")),
        "attribution.confirmed" | "attribution.rejected" => {
            format!("cause {}: {}", event.kind.short().rsplit('.').next().unwrap_or_default(), text("sentence"))
        }
        "action.taken" => text("sentence"),
        "action.refused" => format!("no automatic {}: {}", text("kind"), text("why")),
        "artifact.quarantined" => format!("artifact of {} quarantined: {}", text("version"), text("why")),
        "plan.finished" => format!("plan of {} for {}: {}", text("root"), text("environment"), counts(content)),
        "apply.started" => format!("apply of {} in {} started", text("root"), text("environment")),
        "apply.finished" => format!("apply of {} in {} ended: {}", text("root"), text("environment"), counts(content)),
        "drift.checked" => match listed(content, "changes") {
            0 => format!("no drift in {} of {}", text("root"), text("environment")),
            n => format!("{n} objects of {} in {} are not as applied", text("root"), text("environment")),
        },
        "infrachange.requested" => format!("change of {} asked for: {}", text("environment"), text("description")),
        "scan.finished" => format!("scan of {}: {}", short(text("sha")), findings(content)),
        "exception.granted" => format!("a finding is accepted for a time by {}", text("by")),
        "gate.decided" => format!("gate of {}: {} ({})", text("gate"), text("answer"), list(content, "reasons")),
        "attestation.recorded" => format!("signed statement about {}: {}", text("artifact"), text("predicate")),
        "secret.changed" => format!("secret {} {} by {}", text("secret"), text("action"), text("by")),
        "lease.issued" => format!("secret {} lent to {}", text("secret"), text("to")),
        "lease.revoked" => format!("lease ended: {}", text("why")),
        "cost.estimated" => format!(
            "{} costs {} a month, was {}",
            text("environment"),
            money(content, "after"),
            money(content, "before")
        ),
        "budget.exceeded" => format!(
            "budget {} is exceeded: {} of {}",
            text("budget"),
            money(content, "estimate"),
            money(content, "limit")
        ),
        "recommendation.created" => format!("advice on {}: {}", text("target"), text("sentence")),
        "recommendation.moved" => format!("advice {} is {}: {}", text("recommendation"), text("standing"), text("why")),
        "drift.requested" => format!("check for drift in {} asked for: {}", text("environment"), text("reason")),
        "recommendation.requested" => format!("advice on {} asked for: {}", text("target"), text("reason")),
        "testgap.raised" => format!("missing test: {}", text("wanted")),
        "regression.marked" => format!("commit {} marked: {}", short(text("sha")), text("sentence")),
        "evidence.recorded" => {
            format!("evidence about {}: {}", release_of(&text("deployment")), evidence(content, custom))
        }
        "judge.started" => format!("the judge of {} begins", release_of(&text("deployment"))),
        "deploy.requested" => format!(
            "{} {} is to go to {}, asked for by {}",
            text("service"),
            text("version"),
            text("environment"),
            text("by")
        ),
        "releasenotes.published" => format!("release notes of {} {} written", text("service"), text("version")),
        "incident.requested" => format!("incident asked for: {}", text("title")),
        "incident.reported" => format!("incident {} is written down", text("incident")),
        "rollback.requested" => {
            format!("rollback of {} asked for by {}: {}", text("service"), text("by"), text("reason"))
        }
        "rollback.refused" => format!("rollback of {} refused: {}", text("service"), text("why")),
        "deploy.refused" => format!("deployment of {} refused: {}", text("version"), text("why")),
        "notification.sent" => format!("{} told: {}", text("receiver"), text("reason")),
        "notification.failed" => format!("{} could not be told: {}", text("receiver"), text("error")),
        "report.published" => format!("{} report published", text("kind")),
        "log.patternfirstseen" => format!("new log pattern in {}: {}", text("version"), text("template")),
        "instance.started" => format!("instance of {} {} started", text("service"), text("version")),
        "instance.exited" => format!("instance of {} {} ended: {}", text("service"), text("version"), text("status")),
        other => format!("{other} ({})", event.subject),
    }
}

/// `shop 1.2.0`, of a deployment's id `shop-production-1.2.0-3b5117`; the id when it is another one.
fn release_of(deployment: &str) -> String {
    let mut parts = deployment.split('-');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(service), Some(_), Some(version), Some(_), None) => format!("{service} {version}"),
        _ => deployment.to_owned(),
    }
}

/// What the judge's first signal counted in an interval.
fn evidence(content: Option<&serde_json::Value>, custom: Option<&serde_json::Value>) -> String {
    let counts = [custom, content].into_iter().flatten().find_map(|part| part.get("counts")?.get(0).cloned());
    let Some(first) = counts else { return "nothing was counted".to_owned() };
    let of = |key: &str| first[key].as_u64().unwrap_or_default();
    format!(
        "new version {} bad of {}, stable version {} bad of {}",
        of("canaryBad"),
        of("canary"),
        of("stableBad"),
        of("stable")
    )
}

fn weights(content: Option<&serde_json::Value>) -> String {
    let list = content.and_then(|c| c.get("weights")).and_then(|w| w.as_array()).cloned().unwrap_or_default();
    let part = |w: &serde_json::Value| format!("{} {} %", w["version"].as_str().unwrap_or("?"), w["weight"]);
    list.iter().map(part).collect::<Vec<_>>().join(", ")
}

fn listed(content: Option<&serde_json::Value>, key: &str) -> usize {
    content.and_then(|c| c.get(key)).and_then(|l| l.as_array()).map_or(0, Vec::len)
}

fn list(content: Option<&serde_json::Value>, key: &str) -> String {
    let all = content.and_then(|c| c.get(key)).and_then(|l| l.as_array()).cloned().unwrap_or_default();
    all.iter().filter_map(|v| v.as_str()).collect::<Vec<_>>().join("; ")
}

/// `2 to create, 1 to update`, in the words a plan has for what it does.
fn counts(content: Option<&serde_json::Value>) -> String {
    let of =
        |key: &str| content.and_then(|c| c.get("counts")).and_then(|c| c.get(key)).and_then(serde_json::Value::as_u64);
    let parts: Vec<String> = ["create", "update", "replace", "delete"]
        .into_iter()
        .filter_map(|key| of(key).filter(|n| *n > 0).map(|n| format!("{n} {key}")))
        .collect();
    if parts.is_empty() { "no changes".to_owned() } else { parts.join(", ") }
}

fn findings(content: Option<&serde_json::Value>) -> String {
    let all = content.and_then(|c| c.get("findings")).and_then(|l| l.as_array()).cloned().unwrap_or_default();
    let open: Vec<_> = all.iter().filter(|f| f["standing"]["state"] == "open").collect();
    let of = |severity: &str| open.iter().filter(|f| f["severity"] == severity).count();
    format!("{} open findings, {} critical and {} high", open.len(), of("critical"), of("high"))
}

fn money(content: Option<&serde_json::Value>, key: &str) -> String {
    let found = content
        .and_then(|c| c.get(key))
        .and_then(|m| serde_json::from_value::<lem_model::money::Money>(m.clone()).ok());
    found.map_or_else(|| "unknown".to_owned(), |m| m.to_string())
}

fn annotation(content: Option<&serde_json::Value>) -> String {
    let annotations = content.and_then(|c| c.get("annotations"));
    let pick = |key: &str| annotations.and_then(|a| a.get(key)).and_then(|v| v.as_str()).map(str::to_owned);
    pick("summary").or_else(|| pick("description")).unwrap_or_default()
}

fn first_cause(content: Option<&serde_json::Value>) -> String {
    let first = content.and_then(|c| c.get("causes")).and_then(|c| c.get(0)).and_then(|c| c.get("sentence"));
    first.and_then(|s| s.as_str()).unwrap_or_default().to_owned()
}
