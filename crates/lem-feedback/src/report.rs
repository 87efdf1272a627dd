//! Documents for the teams: the incident report, as Markdown and as HTML, and `lem why` as text.

use crate::plan::factor::seconds;
use crate::state::{Attribution, Incident, LoopState, Standing};
use jiff::Timestamp;
use lem_model::fact::RankedCause;
use lem_model::{Event, IncidentId};
use std::fmt::Write as _;

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
    let alert = found.detected.alert.as_ref();
    let scope = found.scope().map(|s| format!("{}/{}", s.environment, s.service));
    let until = found.resolved.as_ref().map(|(at, _)| *at);
    let since = deployment.and_then(|d| state.releases.get(d)).map_or(found.at, |r| r.planned_at.min(found.at));
    let belongs = |e: &&Event| {
        e.subject == incident.as_str()
            || deployment.is_some_and(|d| e.subject == d.as_str())
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
        "regression.marked" => format!("commit {} marked: {}", short(text("sha")), text("sentence")),
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

fn weights(content: Option<&serde_json::Value>) -> String {
    let list = content.and_then(|c| c.get("weights")).and_then(|w| w.as_array()).cloned().unwrap_or_default();
    let part = |w: &serde_json::Value| format!("{} {} %", w["version"].as_str().unwrap_or("?"), w["weight"]);
    list.iter().map(part).collect::<Vec<_>>().join(", ")
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

/// The answer of `lem why`: the state in one sentence, ranked causes with factors and counter-evidence, what was done.
pub fn why(incident: &Incident) -> String {
    let mut out = format!("{} {}\n", incident.detected.incident, incident.detected.title);
    let _ = writeln!(out, "{}\n", status(incident));
    let attributions = incident.attribution.iter().chain(&incident.rejected);
    for attribution in attributions {
        let _ = writeln!(out, "{}", heading(attribution));
        for spot in &attribution.proposed.blind_spots {
            let _ = writeln!(out, "  not seen: {spot}");
        }
        if let Some(onset) = &attribution.proposed.onset {
            let _ = writeln!(out, "  began between {} and {}, read from {}", onset.from, onset.to, onset.query);
        }
        for (rank, cause) in attribution.proposed.causes.iter().enumerate() {
            cause_lines(&mut out, rank + 1, cause);
        }
        if let Some(settled) = &attribution.settled {
            let _ = writeln!(out, "  {settled}");
        }
        out.push('\n');
    }
    for (_, action) in &incident.actions {
        let _ = writeln!(out, "done: {}", action.sentence);
    }
    for (_, refusal) in &incident.refusals {
        let _ = writeln!(out, "not done: {}: {}", refusal.kind, refusal.why);
    }
    out
}

fn heading(attribution: &Attribution) -> String {
    match (attribution.standing, &attribution.abstained) {
        (Standing::Abstained, Some(why)) => format!("No cause named: {why}"),
        (Standing::Confirmed, _) => "Cause, confirmed:".into(),
        (Standing::Rejected, _) => "Named and rejected:".into(),
        _ => format!("Cause, {}:", attribution.proposed.level),
    }
}

fn cause_lines(out: &mut String, rank: usize, cause: &RankedCause) {
    let sha = cause.sha.as_ref().map_or(String::new(), |s| format!(" commit {s}"));
    let _ = writeln!(out, "  {rank}. {} ({:.2}){sha}", cause.name, cause.confidence);
    for factor in &cause.factors {
        let _ = writeln!(out, "     {:<16} {:>5.2}  {}", factor.name, factor.value, factor.sentence);
    }
    for against in &cause.against {
        let _ = writeln!(out, "     against: {against}");
    }
}

/// The state of an incident in one sentence.
pub fn status(incident: &Incident) -> String {
    let cause = incident.attribution.as_ref().filter(|a| a.standing != Standing::Abstained);
    let cause = cause.and_then(|a| a.proposed.causes.first()).map(|c| c.name.clone());
    let action = incident.actions.first().map(|(_, a)| a.sentence.clone());
    match (&incident.resolved, cause, action) {
        (Some((at, _)), Some(cause), _) => {
            let lasted = at.duration_since(incident.detected.since.unwrap_or(incident.at)).as_secs_f64();
            format!("Resolved after {}; caused by {cause}.", seconds(lasted))
        }
        (Some(_), None, _) => "Resolved; no recorded change explains it.".into(),
        (None, Some(cause), Some(action)) => format!("Open; probably caused by {cause}. {action}"),
        (None, Some(cause), None) => format!("Open; probably caused by {cause}."),
        (None, None, _) => "Open; no cause known yet.".into(),
    }
}

/// The report in Markdown: summary, impact, cause, detection, resolution, timeline, and room for what people add.
pub fn incident_markdown(state: &LoopState, incident: &Incident, timeline: &[TimelineEntry]) -> String {
    let d = &incident.detected;
    let mut out = format!("# {}: {}\n\n{}\n\n", d.incident, d.title, status(incident));
    let scope = incident.scope().map_or_else(String::new, |s| format!("{} in {}", s.service, s.environment));
    let _ = writeln!(out, "| | |\n|---|---|\n| severity | {} |\n| service | {scope} |", d.severity);
    let began = d.since.unwrap_or(incident.at);
    let _ = writeln!(out, "| began | {began} |\n| detected | {} |", incident.at);
    let _ = writeln!(out, "| detection took | {} |", seconds(incident.at.duration_since(began).as_secs_f64().max(0.0)));
    if let Some((at, _)) = &incident.resolved {
        let _ = writeln!(out, "| resolved | {at} |\n| lasted | {} |", seconds(at.duration_since(began).as_secs_f64()));
    }
    let cause = incident.attribution.as_ref().and_then(|a| a.proposed.causes.first().map(|c| (a, c)));
    impact(&mut out, state, cause.map(|(_, c)| c));
    out += "\n## Cause\n\n";
    match cause.filter(|(a, _)| a.standing != Standing::Abstained) {
        Some((attribution, cause)) => cause_section(&mut out, state, attribution, cause),
        None => out += "No recorded change explains this incident.\n",
    }
    out += "\n## Actions\n\n";
    for (at, action) in &incident.actions {
        let _ = writeln!(out, "- {at}: {}", action.sentence);
    }
    for (at, refusal) in &incident.refusals {
        let _ = writeln!(out, "- {at}: no automatic {}: {}", refusal.kind, refusal.why);
    }
    if incident.actions.is_empty() && incident.refusals.is_empty() {
        out += "None.\n";
    }
    out += "\n## Timeline\n\n| time | event | ledger |\n|---|---|---|\n";
    for entry in timeline {
        let _ = writeln!(out, "| {} | {} | {} |", entry.at, escape_cell(&entry.sentence), entry.seq);
    }
    out += "\n## Lessons\n\nWhat went well, what went wrong, where we were lucky, and what we change:\n\n- [ ] a test that would have caught it\n";
    out
}

fn impact(out: &mut String, state: &LoopState, cause: Option<&RankedCause>) {
    let release = cause.and_then(|c| c.deployment.as_ref()).and_then(|d| state.releases.get(d));
    let Some((_, finished)) = release.and_then(|r| r.finished.as_ref()) else { return };
    if finished.exposed_requests > 0 {
        let _ = writeln!(
            out,
            "\n## Impact\n\nUp to the end of its rollout {} served {} requests, {} of them badly.",
            finished.version, finished.exposed_requests, finished.exposed_bad
        );
    }
}

fn cause_section(out: &mut String, state: &LoopState, attribution: &Attribution, cause: &RankedCause) {
    let change = cause.sha.as_ref().and_then(|s| state.changes.get(s)).map(|(_, c)| c);
    let word = match attribution.standing {
        Standing::Confirmed => "confirmed by what followed the rollback",
        _ => attribution.proposed.level.as_str(),
    };
    let _ = writeln!(out, "{} ({word}, confidence {:.2}).", cause.sentence, cause.confidence);
    if let (Some(sha), Some(change)) = (&cause.sha, change) {
        let _ = writeln!(
            out,
            "\nCommit `{}` by {}: {}",
            sha,
            change.author,
            change.description.clone().unwrap_or_default()
        );
    }
    out.push_str("\n| factor | × | why |\n|---|---:|---|\n");
    for factor in &cause.factors {
        let _ = writeln!(out, "| {} | {:.2} | {} |", factor.name, factor.value, escape_cell(&factor.sentence));
    }
    if let Some(settled) = &attribution.settled {
        let _ = writeln!(out, "\n{settled}.");
    }
}

fn escape_cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// The same as one self-contained HTML page.
pub fn html(title: &str, markdown: &str) -> String {
    let mut body = String::new();
    let options = pulldown_cmark::Options::ENABLE_TABLES | pulldown_cmark::Options::ENABLE_TASKLISTS;
    // Text from commits and logs stays text: raw HTML is shown, not run.
    let events = pulldown_cmark::Parser::new_ext(markdown, options).map(|event| match event {
        pulldown_cmark::Event::Html(raw) | pulldown_cmark::Event::InlineHtml(raw) => pulldown_cmark::Event::Text(raw),
        other => other,
    });
    pulldown_cmark::html::push_html(&mut body, events);
    let mut escaped = String::new();
    let _ = pulldown_cmark_escape::escape_html(&mut escaped, title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{escaped}</title><style>:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}}\
         table{{border-collapse:collapse}}td,th{{border:1px solid;padding:.25rem .5rem;text-align:left}}code{{font-family:ui-monospace,monospace}}</style>\
         </head><body>\n{body}</body></html>\n"
    )
}
