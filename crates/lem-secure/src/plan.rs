//! Decisions: pure functions over values. Time and policy are arguments.

mod exception;
mod fingerprint;
mod gate;

pub use exception::{Covered, MAX_DAYS, check, covers};
pub use fingerprint::fingerprint;
pub use gate::{Question, Scanned, Verdict, decide};

use jiff::civil::Date;
use lem_engine_scan::{Found, Skipped};
use lem_model::finding::{Exception, Finding, Standing, Subject};
use std::collections::{BTreeMap, HashSet};

/// The day of a time, in UTC.
pub fn day_of(time: jiff::Timestamp) -> Date {
    jiff::tz::TimeZone::UTC.to_datetime(time).date()
}

/// Findings from what scanners found: fingerprinted, each once, with exceptions and skips applied, in order.
pub fn findings(
    found: Vec<Found>,
    exceptions: &[Exception],
    owner: impl Fn(&str) -> Option<String>,
    today: Date,
) -> Vec<Finding> {
    let mut by_print: BTreeMap<String, Finding> = BTreeMap::new();
    for found in found {
        let finding = finding(found, exceptions, &owner, today);
        match by_print.get_mut(&finding.fingerprint) {
            None => {
                by_print.insert(finding.fingerprint.clone(), finding);
            }
            // The same secret in the tree and in history is one finding; the tree says where it is now.
            Some(kept) => {
                let (mut kept_one, other) = match kept.subject {
                    Subject::History { .. } => (finding, kept.clone()),
                    _ => (kept.clone(), finding),
                };
                kept_one.references.extend(other.references.into_iter().filter(|r| r.starts_with("added by")));
                kept_one.references.dedup();
                *kept = kept_one;
            }
        }
    }
    let mut all: Vec<Finding> = by_print.into_values().collect();
    all.sort_by(order);
    all
}

/// Worst first; of equals those that can be mended, then by place and rule.
pub fn order(a: &Finding, b: &Finding) -> std::cmp::Ordering {
    let mendable = |f: &Finding| f.fix.as_deref().is_some_and(|fix| !fix.starts_with("no version"));
    (b.is_open(), b.severity, mendable(b))
        .cmp(&(a.is_open(), a.severity, mendable(a)))
        .then_with(|| (&a.place, &a.rule, &a.fingerprint).cmp(&(&b.place, &b.rule, &b.fingerprint)))
}

/// Findings that another set of findings, of the base, does not have.
pub fn only_new(findings: Vec<Finding>, base: &[Finding]) -> Vec<Finding> {
    let known: HashSet<&str> = base.iter().map(|f| f.fingerprint.as_str()).collect();
    findings.into_iter().filter(|f| !known.contains(f.fingerprint.as_str())).collect()
}

fn finding(found: Found, exceptions: &[Exception], owner: &impl Fn(&str) -> Option<String>, today: Date) -> Finding {
    let fingerprint = fingerprint(&found);
    let standing = standing(&found, &fingerprint, exceptions, today);
    Finding {
        fingerprint,
        owner: owner(&found.place.file),
        standing,
        rule: found.rule,
        aliases: found.aliases,
        scanner: found.scanner,
        severity: found.severity,
        unscored: found.unscored,
        title: found.title,
        subject: found.subject,
        place: found.place,
        end_line: found.end_line,
        fix: found.fix,
        references: found.references,
    }
}

fn standing(found: &Found, fingerprint: &str, exceptions: &[Exception], today: Date) -> Standing {
    if let Some(exception) = exceptions.iter().find(|e| e.expires >= today && covers(&e.covers, found, fingerprint)) {
        return Standing::Excepted {
            reason: exception.reason.clone(),
            approver: Some(exception.approver.clone()),
            expires: Some(exception.expires),
        };
    }
    match &found.skipped {
        Some(Skipped { expires: Some(day), .. }) if *day < today => Standing::Open,
        Some(Skipped { reason, expires }) => Standing::Excepted {
            reason: reason.clone().unwrap_or_else(|| "skipped in the file, without a reason".into()),
            approver: None,
            expires: *expires,
        },
        None => Standing::Open,
    }
}
