//! For quality assurance: runs, tests that fail or cannot make up their mind, defects that escaped, tests that are
//! missing.

use super::{bounded, facts, moment, percent};
use crate::events::*;
use crate::plan::factor::seconds;
use crate::state::{Incident, LoopState, Standing};
use jiff::Timestamp;
use lem_model::fact::{Outcome, RankedCause, RunFinished, TestSuiteFinished};
use lem_model::{CommitSha, Event, Section, Seq, Team, TeamReport};
use std::collections::BTreeMap;

/// The report.
pub fn qa(state: &LoopState, events: &[Event], now: Timestamp) -> TeamReport {
    let suites: Vec<(&Event, TestSuiteFinished)> = facts(events).collect();
    TeamReport::new(Team::Qa, "Quality: runs, tests, escaped defects, missing tests", now)
        .with(runs(events, &suites))
        .with(failing(&suites))
        .with(flaky(&suites))
        .with(escaped(state, &suites))
        .with(gaps(events))
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Cancel => "cancelled",
        Outcome::Error => "error",
    }
}

fn tests_of(suites: &[(&Event, TestSuiteFinished)], is: impl Fn(&TestSuiteFinished) -> bool) -> String {
    let mut counted = suites.iter().filter(|(_, s)| is(s)).peekable();
    if counted.peek().is_none() {
        return "no results read".into();
    }
    let add = |(passed, failed, skipped), (_, s): &(&Event, TestSuiteFinished)| {
        (passed + u64::from(s.passed), failed + u64::from(s.failed), skipped + u64::from(s.skipped))
    };
    let (passed, failed, skipped) = counted.fold((0_u64, 0_u64, 0_u64), add);
    format!("{passed} passed, {failed} failed, {skipped} skipped")
}

fn runs(events: &[Event], suites: &[(&Event, TestSuiteFinished)]) -> Section {
    let mut table = Section::new("Runs", &["Run", "Pipeline", "Branch", "Commit", "Outcome", "Took", "Tests", "Ended"]);
    for (event, run) in facts::<RunFinished>(events).rev() {
        let cells = [
            run.run.to_string(),
            run.pipeline_name.clone(),
            run.branch.clone(),
            run.sha.short().to_owned(),
            word(run.outcome).to_owned(),
            format!("{:.1} s", run.duration_ms as f64 / 1e3),
            tests_of(suites, |s| s.run == run.run),
            moment(event.time_occurred),
        ];
        table.row(cells, Some(event.seq));
    }
    bounded(table)
}

/// Suites by name in the order of the ledger: each one's history.
fn by_suite<'a>(
    suites: &'a [(&'a Event, TestSuiteFinished)],
) -> BTreeMap<(&'a str, &'a str), Vec<&'a (&'a Event, TestSuiteFinished)>> {
    let mut history: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in suites {
        history.entry((entry.1.job.as_str(), entry.1.suite.as_str())).or_default().push(entry);
    }
    history
}

fn failing(suites: &[(&Event, TestSuiteFinished)]) -> Section {
    let mut table = Section::new("Failing tests", &["Test", "Message", "Commit", "Fails since", "Last passed on"])
        .noted("tests that failed in the last run of their suite");
    for history in by_suite(suites).into_values() {
        let Some((last, rest)) = history.split_last() else { continue };
        for failed in &last.1.failures {
            let fails = |s: &TestSuiteFinished| s.failures.iter().any(|f| f.name == failed.name);
            let passed = rest.iter().rev().find(|(_, s)| !fails(s));
            let since = history.iter().rev().take_while(|(_, s)| fails(s)).last().unwrap_or(last);
            let cells = [
                failed.name.clone(),
                failed.message.clone(),
                last.1.sha.short().to_owned(),
                moment(since.0.time_occurred),
                passed.map_or_else(|| "never seen to pass".into(), |(_, s)| s.sha.short().to_owned()),
            ];
            table.row(cells, Some(since.0.seq));
        }
    }
    bounded(table)
}

/// A test that failed and did not fail on the same commit.
fn flaky(suites: &[(&Event, TestSuiteFinished)]) -> Section {
    let mut table = Section::new("Flaky tests", &["Test", "Failed", "Of runs", "Commit"])
        .noted("tests that failed in one run of a commit and not in another run of the same commit");
    for history in by_suite(suites).into_values() {
        let mut commits: BTreeMap<&CommitSha, Vec<&(&Event, TestSuiteFinished)>> = BTreeMap::new();
        for entry in history {
            commits.entry(&entry.1.sha).or_default().push(entry);
        }
        for (sha, runs) in commits {
            let mut failures: BTreeMap<&str, (usize, Seq)> = BTreeMap::new();
            for (event, suite) in runs.iter().copied() {
                for failed in &suite.failures {
                    let found = failures.entry(failed.name.as_str()).or_insert((0, event.seq));
                    *found = (found.0 + 1, event.seq);
                }
            }
            for (name, (times, seq)) in failures.into_iter().filter(|(_, (times, _))| *times < runs.len()) {
                let cells = [name.to_owned(), times.to_string(), runs.len().to_string(), sha.short().to_owned()];
                table.row(cells, Some(seq));
            }
        }
    }
    bounded(table)
}

/// The named cause of an incident that is settled or likely.
fn cause(incident: &Incident) -> Option<(&'static str, &RankedCause)> {
    let attribution = incident.attribution.as_ref()?;
    let word = match attribution.standing {
        Standing::Confirmed => "confirmed",
        Standing::Proposed if attribution.proposed.level == "likely" => "likely",
        Standing::Proposed | Standing::Abstained | Standing::Rejected => return None,
    };
    Some((word, attribution.proposed.causes.first()?))
}

fn escaped(state: &LoopState, suites: &[(&Event, TestSuiteFinished)]) -> Section {
    let columns =
        ["Incident", "What", "Commit", "Cause", "Found by", "Found after", "Requests that failed", "Its tests"];
    let mut table = Section::new("Escaped defects", &columns)
        .noted("defects that passed their tests; a canary's catch reached part of the traffic only");
    let mut incidents: Vec<&Incident> = state.incidents.values().collect();
    incidents.sort_by_key(|i| std::cmp::Reverse(i.at));
    for incident in incidents {
        let Some((standing, cause)) = cause(incident) else { continue };
        let release = cause.deployment.as_ref().and_then(|d| state.releases.get(d));
        let found_by = if incident.detected.deployment.is_some() { "its canary" } else { "an alert" };
        let exposed = release.and_then(|r| r.weights.iter().find(|(_, w)| *w > 0)).map(|(at, _)| *at);
        let after = exposed
            .map_or_else(|| "unknown".into(), |at| seconds(incident.at.duration_since(at).as_secs_f64().max(0.0)));
        let finished = release.and_then(|r| r.finished.as_ref());
        let failed = finished.map_or_else(
            || "unknown".into(),
            |(_, f)| {
                format!("{} of {} ({})", f.exposed_bad, f.exposed_requests, percent(f.exposed_bad, f.exposed_requests))
            },
        );
        let tests = cause.sha.as_ref().map_or_else(|| "none".into(), |sha| tests_of(suites, |s| s.sha == *sha));
        let cells = [
            incident.detected.incident.to_string(),
            incident.detected.title.clone(),
            cause.sha.as_ref().map_or_else(String::new, |s| s.short().to_owned()),
            format!("{} ({standing})", cause.name),
            found_by.to_owned(),
            after,
            failed,
            tests,
        ];
        table.row(cells, incident.attribution.as_ref().map(|a| a.seq));
    }
    bounded(table)
}

fn gaps(events: &[Event]) -> Section {
    let mut table = Section::new("Missing tests", &["Incident", "Wanted", "Paths", "Commit", "Raised"]);
    for (event, gap) in facts::<TestGapRaised>(events).rev() {
        let cells = [
            gap.incident.to_string(),
            gap.wanted,
            gap.paths.join(", "),
            gap.sha.map_or_else(String::new, |s| s.short().to_owned()),
            moment(event.time_occurred),
        ];
        table.row(cells, Some(event.seq));
    }
    bounded(table)
}
