//! Exceptions: who may accept a finding, for how long, and what it covers.

use jiff::ToSpan;
use jiff::civil::Date;
use lem_engine_scan::Found;
use lem_model::finding::{Exception, Subject};

/// Longest time a finding may be accepted for.
pub const MAX_DAYS: i32 = 90;

/// What an exception says it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covered<'a> {
    /// One finding.
    Fingerprint(&'a str),
    /// A rule, on subjects that begin so.
    Rule {
        /// Rule or alias.
        rule: &'a str,
        /// Beginning of an address, a purl or a path; empty for all.
        subject: &'a str,
    },
}

impl<'a> Covered<'a> {
    /// Reads the text: 32 hexadecimal digits, or a rule and perhaps the beginning of a subject.
    pub fn read(text: &'a str) -> Self {
        if text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Self::Fingerprint(text);
        }
        let (rule, subject) = text.split_once(' ').unwrap_or((text, ""));
        Self::Rule { rule, subject: subject.trim() }
    }
}

/// Whether an exception's text covers a finding.
pub fn covers(text: &str, found: &Found, fingerprint: &str) -> bool {
    match Covered::read(text) {
        Covered::Fingerprint(print) => print == fingerprint,
        Covered::Rule { rule, subject } => found.is_called(rule) && subject_starts(found, subject),
    }
}

fn subject_starts(found: &Found, subject: &str) -> bool {
    let name = match &found.subject {
        Subject::Resource { address } => address,
        Subject::Package { purl, .. } => purl,
        Subject::File { path } | Subject::History { path, .. } => path,
    };
    name.starts_with(subject) || found.place.file.starts_with(subject)
}

/// What is wrong with an exception; `Ok(false)` when it was in order once and is past.
pub fn check(exception: &Exception, today: Date) -> Result<bool, String> {
    let same = exception.owner.trim().eq_ignore_ascii_case(exception.approver.trim());
    if exception.owner.trim().is_empty() || exception.approver.trim().is_empty() {
        return Err("an exception needs an owner and an approver".into());
    }
    if same {
        return Err(format!("{} cannot approve their own exception", exception.owner));
    }
    if exception.reason.trim().is_empty() {
        return Err("an exception needs a reason".into());
    }
    let from = exception.granted_at.map_or(today, super::day_of);
    let latest = from.checked_add(MAX_DAYS.days()).unwrap_or(Date::MAX);
    if exception.expires > latest {
        return Err(format!("an exception holds for {MAX_DAYS} days at most: until {latest} at the latest"));
    }
    Ok(exception.expires >= today)
}
