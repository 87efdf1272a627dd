//! For engineering: what runs where, what is open and why, and what to fix first.

use super::{bounded, facts, moment};
use crate::events::*;
use crate::state::{Attribution, Incident, LoopState, Release, Standing};
use jiff::Timestamp;
use lem_model::fact::{Outcome, RunFinished};
use lem_model::{CommitSha, Event, Section, Seq, Team, TeamReport};
use std::collections::{BTreeMap, BTreeSet};

/// Causes shown per open incident.
const CAUSES: usize = 3;

/// The report.
pub fn engineering(state: &LoopState, events: &[Event], now: Timestamp) -> TeamReport {
    TeamReport::new(Team::Engineering, "Engineering: what runs, what is open, what to fix first", now)
        .with(what_is_where(state, events))
        .with(open_incidents(state, now))
        .with(ranked_causes(state))
        .with(fix_order(state, events))
}

fn what_is_where(state: &LoopState, events: &[Event]) -> Section {
    let columns = ["Service", "Environment", "Version", "Traffic", "Since", "Commit", "Change"];
    let mut table = Section::new("What is where", &columns);
    let mut serving: Vec<(&Release, Timestamp, u32)> =
        state.releases.values().filter_map(|r| r.weights.last().map(|(at, w)| (r, *at, *w))).collect();
    serving.retain(|(_, _, weight)| *weight > 0);
    serving.sort_by_key(|(r, at, _)| (r.scope(), std::cmp::Reverse(*at)));
    for (release, at, weight) in serving {
        let plan = &release.plan;
        let place = format!("{}/{}", plan.environment, plan.service);
        let routed = events.iter().rev().find(|e| e.kind.short() == "routes.applied" && e.subject == place);
        let change = state.changes.get(&plan.sha).and_then(|(_, c)| c.description.clone()).unwrap_or_default();
        let cells = [
            plan.service.to_string(),
            plan.environment.to_string(),
            plan.version.to_string(),
            format!("{weight} %"),
            moment(at),
            plan.sha.short().to_owned(),
            change,
        ];
        table.row(cells, Some(routed.map_or(release.seq, |e| e.seq)));
    }
    table
}

fn open(state: &LoopState) -> Vec<&Incident> {
    let mut open: Vec<&Incident> = state.incidents.values().filter(|i| i.resolved.is_none()).collect();
    open.sort_by(|a, b| a.detected.severity.cmp(&b.detected.severity).then(a.at.cmp(&b.at)));
    open
}

fn open_incidents(state: &LoopState, now: Timestamp) -> Section {
    let columns = ["Incident", "Severity", "What", "Service", "Environment", "Open for", "Standing"];
    let mut table = Section::new("Open incidents", &columns);
    for incident in open(state) {
        let detected = &incident.detected;
        let began = detected.since.unwrap_or(incident.at);
        let lasting = crate::plan::factor::seconds(now.duration_since(began).as_secs_f64().max(0.0));
        let cells = [
            detected.incident.to_string(),
            detected.severity.clone(),
            detected.title.clone(),
            detected.service.as_ref().map_or_else(|| "unknown".into(), |s| s.id.clone()),
            detected.environment.id.clone(),
            lasting,
            super::status(incident),
        ];
        table.row(cells, incident.events.first().copied());
    }
    table
}

fn ranked_causes(state: &LoopState) -> Section {
    let columns = ["Incident", "Rank", "Cause", "Confidence", "Commit", "Why", "Against"];
    let mut table = Section::new("Ranked causes of open incidents", &columns);
    for incident in open(state) {
        let Some(attribution) = &incident.attribution else { continue };
        for (at, cause) in attribution.proposed.causes.iter().take(CAUSES).enumerate() {
            let cells = [
                incident.detected.incident.to_string(),
                (at + 1).to_string(),
                cause.name.clone(),
                confidence(attribution, cause.confidence),
                cause.sha.as_ref().map_or_else(String::new, |s| s.short().to_owned()),
                cause.sentence.clone(),
                cause.against.join("; "),
            ];
            table.row(cells, Some(attribution.seq));
        }
    }
    table
}

fn confidence(attribution: &Attribution, value: f64) -> String {
    match attribution.standing {
        Standing::Abstained => format!("{value:.2}, not named"),
        Standing::Confirmed => format!("{value:.2}, confirmed"),
        Standing::Proposed | Standing::Rejected => format!("{value:.2}, {}", attribution.proposed.level),
    }
}

/// One thing to fix; the order of the variants is the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    Open,
    TakenOff,
    Broken,
    Untested,
}

impl Urgency {
    fn words(self) -> &'static str {
        match self {
            Urgency::Open => "customers notice it now",
            Urgency::TakenOff => "taken off traffic, not fixed yet",
            Urgency::Broken => "the last run failed",
            Urgency::Untested => "no test would catch it again",
        }
    }
}

struct Fix {
    urgency: Urgency,
    severity: String,
    what: String,
    sha: Option<CommitSha>,
    event: Option<Seq>,
}

fn fix_order(state: &LoopState, events: &[Event]) -> Section {
    let mut fixes: Vec<Fix> = open(state).into_iter().map(open_fix).collect();
    fixes.extend(taken_off(state, events));
    fixes.extend(broken(events));
    fixes.extend(untested(state, events));
    fixes.sort_by(|a, b| (a.urgency, &a.severity, b.event).cmp(&(b.urgency, &b.severity, a.event)));
    let mut table = Section::new("Fix order", &["Place", "What", "Why", "Commit"]).noted(
        "open incidents first, then what was taken off and not fixed, failing runs, missing tests; findings of \
                security have their own report",
    );
    for (at, fix) in fixes.into_iter().enumerate() {
        let commit = fix.sha.map_or_else(String::new, |s| s.short().to_owned());
        table.row([(at + 1).to_string(), fix.what, fix.urgency.words().to_owned(), commit], fix.event);
    }
    bounded(table)
}

fn open_fix(incident: &Incident) -> Fix {
    let cause = incident.attribution.as_ref().filter(|a| a.standing != Standing::Abstained);
    let cause = cause.and_then(|a| a.proposed.causes.first());
    Fix {
        urgency: Urgency::Open,
        severity: incident.detected.severity.clone(),
        what: format!("{}: {}", incident.detected.incident, incident.detected.title),
        sha: cause.and_then(|c| c.sha.clone()),
        event: incident.events.first().copied(),
    }
}

/// Quarantined commits after which nothing of the same service was promoted.
fn taken_off(state: &LoopState, events: &[Event]) -> Vec<Fix> {
    let repaired = |q: &ArtifactQuarantined, at: Timestamp| {
        let later = state.releases.values().filter(|r| r.plan.service == q.service && r.planned_at > at);
        later.into_iter().any(|r| r.promoted_at.is_some() && r.removed.is_none())
    };
    let mut seen: BTreeSet<CommitSha> = BTreeSet::new();
    facts::<ArtifactQuarantined>(events)
        .filter(|(event, q)| !repaired(q, event.time_occurred) && seen.insert(q.sha.clone()))
        .map(|(event, q)| Fix {
            urgency: Urgency::TakenOff,
            severity: String::new(),
            what: format!("{} {}: {}", q.service, q.version, q.why),
            sha: Some(q.sha),
            event: Some(event.seq),
        })
        .collect()
}

/// Pipelines whose last run on a branch failed.
fn broken(events: &[Event]) -> Vec<Fix> {
    let mut last: BTreeMap<(String, String), (Seq, RunFinished)> = BTreeMap::new();
    for (event, run) in facts::<RunFinished>(events) {
        last.insert((run.branch.clone(), run.pipeline_name.clone()), (event.seq, run));
    }
    let failed = last.into_values().filter(|(_, run)| run.outcome != Outcome::Success);
    failed
        .map(|(seq, run)| Fix {
            urgency: Urgency::Broken,
            severity: String::new(),
            what: format!("run of {} on {}", run.pipeline_name, run.branch),
            sha: Some(run.sha),
            event: Some(seq),
        })
        .collect()
}

fn untested(state: &LoopState, events: &[Event]) -> Vec<Fix> {
    let gaps = facts::<TestGapRaised>(events).filter(|(_, gap)| state.incidents.contains_key(&gap.incident));
    gaps.map(|(event, gap)| Fix {
        urgency: Urgency::Untested,
        severity: String::new(),
        what: gap.wanted,
        sha: gap.sha,
        event: Some(event.seq),
    })
    .collect()
}
