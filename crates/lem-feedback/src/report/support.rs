//! For support: a status page and words for customers. Nothing here names a commit, a version, an author, an alert or
//! anything that was logged: every sentence is built from a state, a service's name and a time.

use super::{bounded, moment};
use crate::state::{Incident, LoopState, Standing};
use jiff::Timestamp;
use lem_model::port::Scope;
use lem_model::{Event, Section, Seq, Team, TeamReport};
use std::collections::BTreeSet;

/// What a status page says of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Investigating,
    Identified,
    Monitoring,
    Resolved,
    Reviewed,
}

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Stage::Investigating => "investigating",
            Stage::Identified => "identified",
            Stage::Monitoring => "monitoring",
            Stage::Resolved => "resolved",
            Stage::Reviewed => "postmortem",
        }
    }

    fn sentence(self, service: &str) -> String {
        match self {
            Stage::Investigating => format!("Some requests to {service} fail or are slow. We are looking into it."),
            Stage::Identified => format!("We know why some requests to {service} fail, and are putting it right."),
            Stage::Monitoring => format!("A correction for {service} is in place. We are watching that it holds."),
            Stage::Resolved => format!("{service} works as it should again."),
            Stage::Reviewed => format!("We have written down what happened to {service} and what we change."),
        }
    }
}

/// The report.
pub fn support(state: &LoopState, events: &[Event], now: Timestamp) -> TeamReport {
    let mut incidents: Vec<&Incident> = state.incidents.values().filter(|i| i.scope().is_some()).collect();
    incidents.sort_by_key(|i| std::cmp::Reverse(i.at));
    TeamReport::new(Team::Support, "Support: status, customer timeline, replies", now)
        .with(status_now(state, &incidents))
        .with(summary(&incidents, events))
        .with(timeline(&incidents, events))
        .with(replies(&incidents, events))
}

/// What happened to an incident in the words of a status page, with the event behind each step.
fn stages(incident: &Incident, events: &[Event]) -> Vec<(Stage, Timestamp, Seq)> {
    let mine = |e: &&Event| e.subject == incident.detected.incident.as_str();
    let mut found: Vec<(Stage, Timestamp, Seq)> = vec![];
    for event in events.iter().filter(mine) {
        let stage = match event.kind.short() {
            "incident.detected" => Stage::Investigating,
            "attribution.proposed" => Stage::Identified,
            "action.taken" => Stage::Monitoring,
            "incident.resolved" => Stage::Resolved,
            "report.published" => Stage::Reviewed,
            _ => continue,
        };
        // A page only goes forward: a cause that is found afterwards is no news for customers.
        if found.last().is_none_or(|(last, ..)| *last < stage) {
            found.push((stage, event.time_occurred, event.seq));
        }
    }
    found
}

fn current(incident: &Incident, events: &[Event]) -> Stage {
    stages(incident, events).last().map_or(Stage::Investigating, |(stage, ..)| *stage)
}

fn service(incident: &Incident) -> String {
    incident.scope().map_or_else(|| "the service".into(), |s| s.service.to_string())
}

/// Severity as a status page says it.
fn impact(incident: &Incident) -> &'static str {
    match incident.detected.severity.as_str() {
        "SEV1" => "critical",
        "SEV2" => "major",
        "SEV3" => "minor",
        "SEV4" => "none",
        _ => "unknown",
    }
}

fn status_now(state: &LoopState, incidents: &[&Incident]) -> Section {
    let mut table = Section::new("Status now", &["Service", "Environment", "Status", "Since"]);
    let scopes: BTreeSet<Scope> = state.releases.values().map(crate::state::Release::scope).collect();
    for scope in scopes {
        let open = incidents.iter().find(|i| i.resolved.is_none() && i.scope().as_ref() == Some(&scope));
        let (status, since, event) = match open {
            Some(incident) => {
                let began = incident.detected.since.unwrap_or(incident.at);
                (format!("disturbed, impact {}", impact(incident)), moment(began), incident.events.first().copied())
            }
            None => {
                let last = incidents.iter().filter(|i| i.scope().as_ref() == Some(&scope));
                let last = last.filter_map(|i| i.resolved.as_ref().map(|(at, _)| (*at, i))).max_by_key(|(at, _)| *at);
                let since = last.map_or_else(|| "no incident on record".into(), |(at, _)| moment(at));
                ("operational".to_owned(), since, last.and_then(|(_, i)| i.events.last().copied()))
            }
        };
        table.row([scope.service.to_string(), scope.environment.to_string(), status, since], event);
    }
    table
}

fn summary(incidents: &[&Incident], events: &[Event]) -> Section {
    let columns = ["Incident", "Service", "Environment", "Status", "Impact", "Began", "Resolved", "Customers affected"];
    let mut table = Section::new("Incidents", &columns)
        .noted("which customers were affected is unknown: requests carry no customer");
    for incident in incidents {
        let scope = incident.scope();
        let cells = [
            incident.detected.incident.to_string(),
            service(incident),
            scope.map_or_else(String::new, |s| s.environment.to_string()),
            current(incident, events).word().to_owned(),
            impact(incident).to_owned(),
            moment(incident.detected.since.unwrap_or(incident.at)),
            incident.resolved.as_ref().map_or_else(|| "open".into(), |(at, _)| moment(*at)),
            "unknown".to_owned(),
        ];
        table.row(cells, incident.events.first().copied());
    }
    bounded(table)
}

fn timeline(incidents: &[&Incident], events: &[Event]) -> Section {
    let mut table = Section::new("Customer timeline", &["Incident", "Time", "Status", "Text"]);
    for incident in incidents {
        for (stage, at, seq) in stages(incident, events) {
            let id = incident.detected.incident.to_string();
            let text = stage.sentence(&service(incident));
            table.row([id, moment(at), stage.word().to_owned(), text], Some(seq));
        }
    }
    bounded(table)
}

fn replies(incidents: &[&Incident], events: &[Event]) -> Section {
    let mut table = Section::new("Reply to customers", &["Incident", "Text"]);
    for incident in incidents {
        table.row(
            [incident.detected.incident.to_string(), reply(incident, events)],
            stages(incident, events).last().map(|(.., seq)| *seq),
        );
    }
    bounded(table)
}

fn reply(incident: &Incident, events: &[Event]) -> String {
    let (service, began) = (service(incident), moment(incident.detected.since.unwrap_or(incident.at)));
    let opening = format!("Thank you for telling us. From {began} on, some requests to {service} failed.");
    match (&incident.resolved, current(incident, events)) {
        (Some((at, _)), _) => {
            let mended = is_mended(incident);
            let how = if mended { " after a change on our side was taken back" } else { "" };
            format!("{opening} Since {} it works as it should again{how}. We are sorry for the trouble.", moment(*at))
        }
        (None, Stage::Monitoring) => {
            format!(
                "{opening} A correction is in place and we are watching that it holds. We are sorry for the trouble."
            )
        }
        (None, Stage::Identified) => {
            format!("{opening} We know why and are putting it right. We are sorry for the trouble.")
        }
        (None, _) => format!("{opening} We are looking into it and will write again. We are sorry for the trouble."),
    }
}

/// Whether taking a change back is proved to have helped.
fn is_mended(incident: &Incident) -> bool {
    incident.attribution.as_ref().is_some_and(|a| a.standing == Standing::Confirmed)
}
