//! The incident report, as Markdown and as HTML, and `lem why` as text.

use super::TimelineEntry;
use crate::plan::factor::seconds;
use crate::state::{Attribution, Incident, LoopState, Standing};
use lem_model::fact::RankedCause;
use lem_model::text::counted;
use std::fmt::Write as _;

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
    out += "\n## Lessons\n\nWhat went well, what went wrong, where we were lucky, and what we change:\n\n";
    let wanted = crate::plan::gap::wanted_for(state, incident);
    let _ = writeln!(out, "- [ ] {}", wanted.unwrap_or_else(|| "a test that would have caught it".into()));
    out
}

fn impact(out: &mut String, state: &LoopState, cause: Option<&RankedCause>) {
    let release = cause.and_then(|c| c.deployment.as_ref()).and_then(|d| state.releases.get(d));
    let Some((_, finished)) = release.and_then(|r| r.finished.as_ref()) else { return };
    if finished.exposed_requests > 0 {
        let _ = writeln!(
            out,
            "\n## Impact\n\nUp to the end of its rollout {} served {}, {} of them badly.",
            finished.version,
            counted(finished.exposed_requests, "request", "requests"),
            finished.exposed_bad
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
