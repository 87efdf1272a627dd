//! Documents: a scan as text, JSON, SARIF and JUnit, and the security team's report. Equal input gives equal bytes.

mod junit;
mod sarif;
mod team;

pub use junit::junit;
pub use sarif::{MAX_RESULTS, sarif};
pub use team::security_report;

use crate::execute::Scan;
use crate::gate::short;
use jiff::civil::Date;
use lem_model::finding::{Finding, FindingSeverity, Scanner, Standing, Subject};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Unknown values that are listed for people; more are counted.
const MAX_UNKNOWN_LINES: usize = 20;

/// What a finding is about, in one word or address.
pub fn subject(finding: &Finding) -> String {
    match &finding.subject {
        Subject::Resource { address } => address.clone(),
        Subject::Package { purl, .. } => purl.clone(),
        Subject::File { path } => path.clone(),
        Subject::History { commit, path } => format!("{path} in commit {}", commit.get(..8).unwrap_or(commit)),
    }
}

fn scanner_word(scanner: Scanner) -> &'static str {
    match scanner {
        Scanner::Infrastructure => "infrastructure",
        Scanner::Pipeline => "pipeline",
        Scanner::Vulnerability => "vulnerability",
        Scanner::Secret => "secret",
    }
}

/// For people: open findings, what is set aside, what is unknown, and how old the advisories are.
pub fn text(scan: &Scan, threshold: FindingSeverity, today: Date) -> String {
    let mut out = String::new();
    for finding in scan.findings.iter().filter(|f| f.is_open()) {
        let unscored = if finding.unscored { " (unscored)" } else { "" };
        let _ = writeln!(
            out,
            "{:<8} {}  {}  {}{unscored}",
            finding.severity,
            finding.rule,
            finding.place,
            subject(finding)
        );
        let _ = writeln!(out, "         {}", finding.title);
        if let Some(fix) = &finding.fix {
            let _ = writeln!(out, "         fix: {fix}");
        }
        let _ = writeln!(out, "         fingerprint {}{}", finding.fingerprint, owned(finding));
    }
    excepted(&mut out, scan);
    for unknown in scan.unknown.iter().take(MAX_UNKNOWN_LINES) {
        let _ = writeln!(out, "unknown  {}  {}  {}: {}", unknown.rule, unknown.place, unknown.subject, unknown.why);
    }
    if scan.unknown.len() > MAX_UNKNOWN_LINES {
        let _ = writeln!(out, "unknown  and {} more; --format json lists them", scan.unknown.len() - MAX_UNKNOWN_LINES);
    }
    let _ = writeln!(out, "{}", summary(scan, threshold));
    let _ = writeln!(out, "{}", advisories(scan, today));
    out
}

fn owned(finding: &Finding) -> String {
    finding.owner.as_ref().map_or_else(String::new, |owner| format!(", owned by {owner}"))
}

fn excepted(out: &mut String, scan: &Scan) {
    for finding in scan.findings.iter().filter(|f| !f.is_open()) {
        if let Standing::Excepted { reason, approver, expires } = &finding.standing {
            let by = approver.as_ref().map_or_else(String::new, |a| format!(", approved by {a}"));
            let until = expires.map_or_else(String::new, |d| format!(", until {d}"));
            let _ = writeln!(out, "excepted {}  {}  {reason}{by}{until}", short(finding), finding.place);
        }
    }
}

/// One line: how many of each severity.
pub fn summary(scan: &Scan, threshold: FindingSeverity) -> String {
    use FindingSeverity::{Critical, High, Info, Low, Medium};
    let open: Vec<&Finding> = scan.findings.iter().filter(|f| f.is_open()).collect();
    let count = |s| open.iter().filter(|f| f.severity == s).count();
    let parts: Vec<String> = [Critical, High, Medium, Low, Info]
        .into_iter()
        .filter_map(|s| Some(count(s)).filter(|n| *n > 0).map(|n| format!("{n} {s}")))
        .collect();
    let what = if parts.is_empty() { "none".to_owned() } else { parts.join(", ") };
    format!(
        "{} files, {} open findings ({what}), {} excepted, {} unknown; {} at {threshold} or above",
        scan.files,
        open.len(),
        scan.findings.len() - open.len(),
        scan.unknown.len(),
        scan.open(threshold).count(),
    )
}

/// One line: of which day the advisories are, and what they do not cover.
pub fn advisories(scan: &Scan, today: Date) -> String {
    let known: Vec<String> = scan
        .advisories
        .iter()
        .filter_map(|(e, day)| day.map(|d| format!("{} of {d} ({} days old)", e.word(), (today - d).get_days())))
        .collect();
    let missing: Vec<&str> = scan.advisories.iter().filter(|(_, d)| d.is_none()).map(|(e, _)| e.word()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    if missing.is_empty() {
        return format!("advisories: {known}");
    }
    format!(
        "advisories: {known}; no data for {}: packages of these are not judged (lem advisories import)",
        missing.join(", ")
    )
}

/// For programs.
pub fn json(scan: &Scan) -> Value {
    let unknown: Vec<Value> = scan
        .unknown
        .iter()
        .map(|u| json!({ "rule": u.rule, "subject": u.subject, "place": u.place, "why": u.why }))
        .collect();
    let days: serde_json::Map<String, Value> =
        scan.advisories.iter().map(|(e, day)| (e.word().to_owned(), json!(day.map(|d| d.to_string())))).collect();
    json!({
        "schema": "lem.scan/1",
        "input": scan.input,
        "rules": scan.rules,
        "files": scan.files,
        "advisories": days,
        "findings": scan.findings,
        "unknown": unknown,
        "diagnostics": scan.diagnostics,
    })
}
