//! For product: what is new in each environment, how it did, and when nothing may go out.

use super::{bounded, facts, moment, percent};
use crate::plan::factor::seconds;
use crate::state::{LoopState, Release};
use jiff::Timestamp;
use lem_model::fact::{ChangeMerged, FreezeEnded, FreezeStarted};
use lem_model::{CommitSha, Event, Section, Team, TeamReport};
use std::collections::BTreeMap;

/// Commits of one release that are listed.
const MAX_COMMITS: usize = 100;

/// The report.
pub fn product(state: &LoopState, events: &[Event], now: Timestamp) -> TeamReport {
    TeamReport::new(Team::Product, "Product: what is new, how it did, when nothing goes out", now)
        .with(notes(state))
        .with(impact(state))
        .with(freezes(events, now))
}

fn newest_first(state: &LoopState) -> Vec<&Release> {
    let mut releases: Vec<&Release> = state.releases.values().filter(|r| r.started_at.is_some()).collect();
    releases.sort_by_key(|r| std::cmp::Reverse(r.seq));
    releases
}

/// Commits of a release that its predecessor did not have, newest first, as far as the ledger knows them.
fn shipped<'a>(state: &'a LoopState, release: &'a Release) -> Vec<&'a ChangeMerged> {
    let mut found = vec![];
    let mut next: Option<&CommitSha> = Some(&release.plan.sha);
    while let Some(sha) = next.filter(|sha| Some(*sha) != release.plan.previous_sha.as_ref()) {
        let Some((_, change)) = state.changes.get(sha) else { break };
        found.push(change);
        next = change.parent.as_ref().filter(|_| found.len() < MAX_COMMITS);
    }
    found
}

/// `feat(cart)!: subject` as kind and subject; anything else is a change.
fn kind(subject: &str) -> (&'static str, &str) {
    let Some((prefix, rest)) = subject.split_once(':') else { return ("change", subject) };
    let word = prefix.split(['(', '!']).next().unwrap_or(prefix);
    let kind = match word {
        "feat" => "new",
        "fix" => "fixed",
        "perf" => "faster",
        "revert" => "taken back",
        "docs" | "chore" | "ci" | "build" | "test" | "style" | "refactor" => "internal",
        _ => return ("change", subject),
    };
    (if prefix.ends_with('!') { "breaking" } else { kind }, rest.trim())
}

fn outcome(release: &Release) -> String {
    match (&release.removed, release.promoted_at, &release.finished) {
        (Some(_), Some(_), _) => "taken back after it was out".into(),
        (Some(_), None, _) => "stopped on its way".into(),
        (None, Some(_), _) => "out".into(),
        (None, None, Some(_)) => "did not go out".into(),
        (None, None, None) => "on its way".into(),
    }
}

fn notes(state: &LoopState) -> Section {
    let columns = ["Environment", "Service", "Version", "Planned", "Kind", "Change", "Outcome"];
    let mut table = Section::new("Release notes by environment", &columns)
        .noted("each release against the one before it in the same environment");
    let mut releases = newest_first(state);
    releases.sort_by(|a, b| a.plan.environment.cmp(&b.plan.environment));
    for release in releases {
        let plan = &release.plan;
        for change in shipped(state, release) {
            let (kind, subject) = kind(change.description.as_deref().unwrap_or_default());
            let cells = [
                plan.environment.to_string(),
                plan.service.to_string(),
                plan.version.to_string(),
                moment(release.planned_at),
                kind.to_owned(),
                subject.to_owned(),
                outcome(release),
            ];
            table.row(cells, Some(release.seq));
        }
    }
    bounded(table)
}

fn impact(state: &LoopState) -> Section {
    let columns =
        ["Environment", "Service", "Version", "Outcome", "Requests", "Failed", "Incident", "Back to normal after"];
    let mut table = Section::new("Observed impact", &columns)
        .noted("requests are those the new version answered until its rollout ended");
    for release in newest_first(state) {
        let caused = state.incidents.values().find(|i| {
            let cause = i.attribution.as_ref().and_then(|a| a.named());
            cause.is_some_and(|c| c.deployment.as_ref() == Some(&release.plan.deployment))
        });
        let lasted = caused.and_then(|i| {
            let (resolved, _) = i.resolved.as_ref()?;
            Some(resolved.duration_since(i.detected.since.unwrap_or(i.at)).as_secs_f64().max(0.0))
        });
        let finished = release.finished.as_ref().map(|(_, f)| (f.exposed_requests, f.exposed_bad));
        let (requests, failed) = finished.map_or_else(
            || ("unknown".to_owned(), "unknown".to_owned()),
            |(all, bad)| (all.to_string(), format!("{bad} ({})", percent(bad, all))),
        );
        let cells = [
            release.plan.environment.to_string(),
            release.plan.service.to_string(),
            release.plan.version.to_string(),
            outcome(release),
            requests,
            failed,
            caused.map_or_else(|| "none".into(), |i| i.detected.incident.to_string()),
            match (caused, lasted) {
                (None, _) => String::new(),
                (Some(_), Some(s)) => seconds(s),
                (Some(_), None) => "still open".into(),
            },
        ];
        table.row(cells, Some(release.seq));
    }
    bounded(table)
}

fn freezes(events: &[Event], now: Timestamp) -> Section {
    let mut table = Section::new("Freezes", &["Scope", "From", "Until", "Why", "By", "State"])
        .noted("nothing is promoted while its scope is frozen; going back is always possible");
    let mut ended: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    for (event, end) in facts::<FreezeEnded>(events) {
        ended.entry(end.scope).or_default().push(event.time_occurred);
    }
    for (event, freeze) in facts::<FreezeStarted>(events).rev() {
        let from = event.time_occurred;
        let lifted = ended.get(&freeze.scope).and_then(|times| times.iter().find(|at| **at >= from));
        let over = lifted.is_some() || freeze.until.is_some_and(|until| until <= now);
        let until = lifted.copied().or(freeze.until);
        let cells = [
            freeze.scope.clone(),
            moment(from),
            until.map_or_else(|| "lifted by a person".into(), moment),
            freeze.reason.clone(),
            freeze.by.to_string(),
            if over { "over".into() } else { "in force".to_owned() },
        ];
        table.row(cells, Some(event.seq));
    }
    bounded(table)
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn conventional_commits_in_plain_words() {
        for (subject, expect) in [
            ("feat: carts", ("new", "carts")),
            ("fix(cart)!: totals", ("breaking", "totals")),
            ("perf: faster", ("faster", "faster")),
            ("Merge: a thing", ("change", "Merge: a thing")),
            ("tidy up", ("change", "tidy up")),
        ] {
            assert_eq!(kind(subject), expect);
        }
    }
}
