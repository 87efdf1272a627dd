//! The security team's report: findings on what runs now come first.

use super::subject;
use crate::events::ScanFinished;
use crate::state::{Recorded, SecureState};
use jiff::Timestamp;
use lem_model::finding::{Finding, FindingSeverity, Standing};
use lem_model::report::{Section, Team, TeamReport};

/// Rows of one table; more are counted in its note.
const MAX_ROWS: usize = 100;

/// The report, as the ledger stands.
pub fn security_report(state: &SecureState, now: Timestamp) -> TeamReport {
    TeamReport::new(Team::Security, "Security", now)
        .with(running(state))
        .with(open(state))
        .with(excepted(state))
        .with(origins(state))
        .with(gates(state))
        .with(unknown(state))
}

fn grave(scan: &Recorded<ScanFinished>) -> Vec<&Finding> {
    scan.fact.findings.iter().filter(|f| f.is_open() && f.severity >= FindingSeverity::Medium).collect()
}

fn running(state: &SecureState) -> Section {
    let columns = ["Severity", "Service", "Environment", "Version", "Rule", "What", "Owner", "Fix"];
    let mut section = Section::new("Findings on what runs now", &columns);
    let mut rows = vec![];
    let mut unscanned = vec![];
    for ((environment, service), running) in &state.running {
        let Some(scan) = running.sha.as_ref().and_then(|sha| state.scans.get(sha)) else {
            unscanned.push(format!("{service} {} in {environment}", running.version));
            continue;
        };
        for finding in grave(scan) {
            rows.push((finding, service, environment, running, scan.event));
        }
    }
    rows.sort_by(|a, b| {
        b.0.severity.cmp(&a.0.severity).then_with(|| (a.1, a.2, &a.0.rule).cmp(&(b.1, b.2, &b.0.rule)))
    });
    let more = rows.len().saturating_sub(MAX_ROWS);
    for (finding, service, environment, running, event) in rows.into_iter().take(MAX_ROWS) {
        let cells = [
            finding.severity.word().to_owned(),
            service.to_string(),
            environment.to_string(),
            running.version.to_string(),
            finding.rule.clone(),
            finding.title.clone(),
            finding.owner.clone().unwrap_or_default(),
            finding.fix.clone().unwrap_or_default(),
        ];
        section.row(cells, Some(event));
    }
    let mut note = "Medium and above, of the scan of the commit that runs.".to_owned();
    if !unscanned.is_empty() {
        note += &format!(" Not scanned, so nothing is known: {}.", unscanned.join(", "));
    }
    section.noted(note + &cut(more))
}

fn cut(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" {more} more are not shown.") }
}

fn open(state: &SecureState) -> Section {
    let mut section =
        Section::new("Open findings of the latest change", &["Severity", "Rule", "Place", "Subject", "What", "Owner"]);
    let Some(scan) = state.latest_scan() else { return section.noted("No change has been scanned yet.") };
    let all: Vec<&Finding> = scan.fact.findings.iter().filter(|f| f.is_open()).collect();
    for finding in all.iter().take(MAX_ROWS) {
        let cells = [
            finding.severity.word().to_owned(),
            finding.rule.clone(),
            finding.place.to_string(),
            subject(finding),
            finding.title.clone(),
            finding.owner.clone().unwrap_or_default(),
        ];
        section.row(cells, Some(scan.event));
    }
    let sha = scan.fact.sha.as_ref().map(|s| s.short().to_owned()).unwrap_or_default();
    let more = all.len().saturating_sub(MAX_ROWS) + scan.fact.findings_omitted as usize;
    section.noted(format!("Commit {sha}, advisories of {}.", scan.fact.advisories_date) + &cut(more))
}

fn excepted(state: &SecureState) -> Section {
    let mut section = Section::new("Accepted for a time", &["Rule", "Subject", "Reason", "Approved by", "Until"]);
    if let Some(scan) = state.latest_scan() {
        for finding in &scan.fact.findings {
            let Standing::Excepted { reason, approver, expires } = &finding.standing else { continue };
            let until = expires.map_or_else(|| "no end".to_owned(), |d| d.to_string());
            let by = approver.clone().unwrap_or_else(|| "a comment in the file".into());
            section.row([finding.rule.clone(), subject(finding), reason.clone(), by, until], Some(scan.event));
        }
    }
    section
}

fn origins(state: &SecureState) -> Section {
    let mut section = Section::new(
        "Where artifacts come from",
        &["Artifact", "Commit", "Components", "Bill of materials", "Provenance", "Signed by"],
    );
    let mut artifacts: Vec<_> = state.artifacts.values().collect();
    artifacts.sort_by_key(|a| std::cmp::Reverse(a.event));
    for artifact in artifacts.into_iter().take(MAX_ROWS) {
        let signed = state.attestations.get(&artifact.fact.digest);
        let of = |predicate: &str| signed.into_iter().flatten().find(|a| a.fact.predicate == predicate);
        let (bill, origin) = (of(lem_engine_scan::sbom::PREDICATE), of(crate::attest::PROVENANCE));
        let yes = |known: bool| if known { "recorded" } else { "missing" }.to_owned();
        let cells = [
            artifact.fact.purl.clone(),
            artifact.fact.sha.short().to_owned(),
            bill.and_then(|b| b.fact.components).map_or_else(|| "unknown".to_owned(), |n| n.to_string()),
            yes(bill.is_some()),
            yes(origin.is_some()),
            origin.map(|o| o.fact.key.clone()).unwrap_or_default(),
        ];
        section.row(cells, Some(origin.map_or(artifact.event, |o| o.event)));
    }
    section
}

fn gates(state: &SecureState) -> Section {
    let mut section = Section::new("What the gate said", &["When", "Gate", "Environment", "Subject", "Answer", "Why"]);
    for gate in state.gates.iter().rev().take(MAX_ROWS) {
        let cells = [
            gate.at.to_string(),
            gate.fact.gate.clone(),
            gate.fact.environment.as_ref().map(ToString::to_string).unwrap_or_default(),
            gate.fact.subject.clone(),
            gate.fact.answer.clone(),
            gate.fact.reasons.join("; "),
        ];
        section.row(cells, Some(gate.event));
    }
    section
}

fn unknown(state: &SecureState) -> Section {
    let mut section = Section::new("What is not known", &["Commit", "Values that could not be judged"]);
    for scan in state.latest_scan().into_iter().filter(|s| s.fact.unknown > 0) {
        let sha = scan.fact.sha.as_ref().map(|s| s.short().to_owned()).unwrap_or_default();
        section.row([sha, scan.fact.unknown.to_string()], Some(scan.event));
    }
    section.noted("Unknown is neither clean nor wrong; lem scan lists each with its reason.")
}
