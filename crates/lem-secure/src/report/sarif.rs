//! SARIF 2.1.0, one run per scanner, the worst results first; what is cut is said in the run's notifications.

use super::{scanner_word, subject};
use crate::execute::Scan;
use lem_model::finding::{Finding, FindingSeverity, Scanner, Standing};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Results of one run that GitHub still takes.
pub const MAX_RESULTS: usize = 25_000;

/// The document.
pub fn sarif(scan: &Scan) -> Value {
    let scanners = [Scanner::Infrastructure, Scanner::Pipeline, Scanner::Vulnerability, Scanner::Secret];
    let runs: Vec<Value> = scanners.into_iter().map(|scanner| run(scan, scanner)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": runs,
    })
}

fn run(scan: &Scan, scanner: Scanner) -> Value {
    let all: Vec<&Finding> = scan.findings.iter().filter(|f| f.scanner == scanner).collect();
    let cut = all.len().saturating_sub(MAX_RESULTS);
    let mut rules: BTreeMap<&str, &Finding> = BTreeMap::new();
    for finding in &all {
        rules.entry(&finding.rule).or_insert(finding);
    }
    let places: BTreeMap<&str, usize> = rules.keys().enumerate().map(|(at, id)| (*id, at)).collect();
    let results: Vec<Value> = all.iter().take(MAX_RESULTS).map(|f| result(f, places[f.rule.as_str()])).collect();
    let mut notes: Vec<Value> = vec![];
    if cut > 0 {
        notes.push(note("error", &format!("{cut} milder results are left out; {MAX_RESULTS} are taken")));
    }
    if scanner == Scanner::Infrastructure {
        notes.extend(
            scan.diagnostics.iter().map(|d| note(if d.is_error() { "error" } else { "warning" }, &d.to_string())),
        );
        notes
            .extend(scan.unknown.iter().map(|u| note("note", &format!("{}: {}: unknown: {}", u.place, u.rule, u.why))));
    }
    json!({
        "tool": { "driver": {
            "name": format!("lem {}", scanner_word(scanner)),
            "version": env!("CARGO_PKG_VERSION"),
            "informationUri": "https://github.com/lemniscate/lemniscate",
            "rules": rules.values().map(|f| rule(f)).collect::<Vec<_>>(),
        }},
        "automationDetails": { "id": format!("lem/{}/", scanner_word(scanner)) },
        "columnKind": "unicodeCodePoints",
        "invocations": [{ "executionSuccessful": !scan.is_unreadable(), "toolExecutionNotifications": notes }],
        "results": results,
    })
}

fn note(level: &str, text: &str) -> Value {
    json!({ "level": level, "message": { "text": text } })
}

fn rule(finding: &Finding) -> Value {
    json!({
        "id": finding.rule,
        "shortDescription": { "text": finding.title },
        "help": { "text": finding.fix.clone().unwrap_or_else(|| finding.title.clone()) },
        "defaultConfiguration": { "level": level(finding.severity) },
        "properties": { "security-severity": score(finding.severity), "tags": tags(finding) },
    })
}

fn tags(finding: &Finding) -> Vec<String> {
    std::iter::once("security".to_owned()).chain(finding.aliases.iter().cloned()).collect()
}

fn result(finding: &Finding, rule: usize) -> Value {
    let mut region = json!({ "startLine": finding.place.line.max(1) });
    if finding.place.column > 0 && finding.place.line > 0 {
        region["startColumn"] = json!(finding.place.column);
    }
    if finding.end_line > finding.place.line {
        region["endLine"] = json!(finding.end_line);
    }
    let mut out = json!({
        "ruleId": finding.rule,
        "ruleIndex": rule,
        "level": level(finding.severity),
        "message": { "text": format!("{}: {}", subject(finding), finding.title) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&finding.place.file), "uriBaseId": "%SRCROOT%" },
            "region": region,
        }}],
        "partialFingerprints": { "lem/v1": finding.fingerprint },
        "properties": { "security-severity": score(finding.severity) },
    });
    if let Standing::Excepted { reason, approver, .. } = &finding.standing {
        let kind = if approver.is_some() { "external" } else { "inSource" };
        out["suppressions"] = json!([{ "kind": kind, "justification": reason }]);
    }
    out
}

/// A path as a relative reference (RFC 3986).
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn level(severity: FindingSeverity) -> &'static str {
    match severity {
        FindingSeverity::Critical | FindingSeverity::High => "error",
        FindingSeverity::Medium => "warning",
        FindingSeverity::Low | FindingSeverity::Info => "note",
    }
}

/// The middle of the band that GitHub shows under the same word.
fn score(severity: FindingSeverity) -> &'static str {
    match severity {
        FindingSeverity::Critical => "9.5",
        FindingSeverity::High => "8.0",
        FindingSeverity::Medium => "5.5",
        FindingSeverity::Low => "2.0",
        FindingSeverity::Info => "0.0",
    }
}
