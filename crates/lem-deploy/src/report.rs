//! Documents for the teams: release notes from conventional commits, and the record of a deployment.

use crate::events::{RolloutOutcome, VerdictReached};
use crate::model::human_ms;
use crate::state::{Commit, Ended, State};
use git_conventional::Commit as Conventional;
use lem_model::CommitSha;
use lem_model::fact::ReleasePlanned;
use std::fmt::Write as _;

/// Commits in one set of notes; more are counted.
pub const COMMITS_MAX: usize = 200;

/// Sections in their order: commit type, heading.
const SECTIONS: [(&str, &str); 4] = [("feat", "New"), ("fix", "Fixed"), ("perf", "Faster"), ("revert", "Taken back")];

/// Commits of a release that are not in the one before, newest first.
pub fn commits<'a>(state: &'a State, sha: &CommitSha, previous: Option<&CommitSha>) -> Vec<(CommitSha, &'a Commit)> {
    let mut found = vec![];
    let mut next = Some(sha.clone());
    while let Some(sha) = next.filter(|sha| Some(sha) != previous) {
        let Some(commit) = state.commits.get(&sha) else { break };
        next = commit.parent.clone();
        found.push((sha, commit));
        if found.len() > COMMITS_MAX || previous.is_none() {
            break;
        }
    }
    found
}

/// Release notes in Markdown.
pub fn notes(state: &State, planned: &ReleasePlanned) -> String {
    let commits = commits(state, &planned.sha, planned.previous_sha.as_ref());
    let mut text = format!("# {} {}\n\n", planned.service, planned.version);
    let _ = match &planned.previous {
        Some(previous) => writeln!(text, "In {}, after {previous}.", planned.environment),
        None => writeln!(text, "First release in {}.", planned.environment),
    };
    let parsed: Vec<(CommitSha, Line)> = commits.iter().map(|(sha, c)| (sha.clone(), line(&c.message))).collect();
    section(&mut text, "Breaking", &parsed, |l| l.breaking.is_some());
    for (kind, heading) in SECTIONS {
        section(&mut text, heading, &parsed, |l| l.kind == kind);
    }
    section(&mut text, "Other", &parsed, |l| SECTIONS.iter().all(|(kind, _)| l.kind != *kind));
    if commits.len() > COMMITS_MAX {
        let _ = writeln!(text, "\nMore than {COMMITS_MAX} commits; the older ones are not listed.");
    } else if commits.is_empty() {
        text.push_str("\nThe commits of this release are not known here.\n");
    }
    text
}

/// A commit as a line of notes.
struct Line {
    kind: String,
    scope: Option<String>,
    description: String,
    breaking: Option<String>,
}

fn line(message: &str) -> Line {
    match Conventional::parse(message.trim_end()) {
        Ok(commit) => Line {
            kind: commit.type_().as_str().to_lowercase(),
            scope: commit.scope().map(|s| s.to_string()),
            description: commit.description().to_owned(),
            breaking: commit.breaking_description().filter(|_| commit.breaking()).map(str::to_owned),
        },
        // Not every commit follows the convention; its first line still says something.
        Err(_) => Line {
            kind: String::new(),
            scope: None,
            description: message.lines().next().unwrap_or_default().to_owned(),
            breaking: None,
        },
    }
}

fn section(text: &mut String, heading: &str, lines: &[(CommitSha, Line)], takes: impl Fn(&Line) -> bool) {
    let mine: Vec<_> = lines.iter().take(COMMITS_MAX).filter(|(_, line)| takes(line)).collect();
    if mine.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n## {heading}\n");
    for (sha, line) in mine {
        let scope = line.scope.as_ref().map_or_else(String::new, |s| format!("**{s}**: "));
        let what = line.breaking.as_ref().filter(|_| heading == "Breaking").unwrap_or(&line.description);
        let _ = writeln!(text, "- {scope}{what} ({})", sha.short());
    }
}

/// The record of an ended deployment in Markdown.
pub fn record(ended: &Ended) -> String {
    let (planned, finished) = (&ended.planned, &ended.finished);
    let outcome = match finished.outcome {
        RolloutOutcome::Promoted => "promoted",
        RolloutOutcome::RolledBack => "rolled back",
        RolloutOutcome::Superseded => "superseded",
        RolloutOutcome::Failed => "failed",
    };
    let mut text = format!("# {} {} in {}: {outcome}\n\n", planned.service, planned.version, planned.environment);
    let _ = writeln!(text, "- why: {}", finished.why);
    let _ = writeln!(text, "- ended: {} after {}", ended.at, human_ms(finished.duration_ms));
    let _ = writeln!(text, "- commit: {}", planned.sha);
    let _ = writeln!(text, "- artifact: {}", planned.digest);
    let _ = writeln!(text, "- asked for by: {}", planned.by);
    let _ =
        writeln!(text, "- exposure: {} requests, {} of them failed", finished.exposed_requests, finished.exposed_bad);
    if let Some(verdict) = &ended.verdict {
        evidence(&mut text, verdict);
    }
    text.push_str("\n## Plan\n\n");
    for (at, step) in planned.steps.iter().enumerate() {
        let _ = writeln!(text, "{}. {step}", at + 1);
    }
    let _ = match &planned.rollback_to {
        Some(version) => writeln!(text, "\nA rollback would have led to {version}."),
        None => writeln!(text, "\nThere was nothing to roll back to."),
    };
    text
}

fn evidence(text: &mut String, verdict: &VerdictReached) {
    let _ = writeln!(text, "\n## Verdict\n\n{}\n", verdict.sentence);
    if verdict.ln_threshold > 0.0 {
        let _ = writeln!(
            text,
            "Judge {}: e-value {:.1}, needed {:.1} (natural logarithms {:.3} and {:.3}).\n",
            verdict.judge,
            verdict.ln_e.exp(),
            verdict.ln_threshold.exp(),
            verdict.ln_e,
            verdict.ln_threshold
        );
    }
    for signal in &verdict.signals {
        let _ = writeln!(text, "- {} ({:.0} % of the evidence)", signal.sentence, signal.share * 100.0);
    }
}
