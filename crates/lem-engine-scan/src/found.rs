//! What scanners say, before anybody decides what it means.

use lem_model::finding::{FindingSeverity, Scanner, Subject};
use lem_model::{Diagnostic, Place};

/// What makes a finding the same finding after the file around it moved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// `resource`, `package`, `file`.
    pub kind: &'static str,
    /// Resource address, purl and lockfile, path.
    pub key: String,
    /// What else tells two findings of one rule on one subject apart. Never a line number, never a secret.
    pub discriminator: String,
}

/// A comment or annotation by which the file itself sets a finding aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The comment's own words, if it has any.
    pub reason: Option<String>,
    /// Last day it holds.
    pub expires: Option<jiff::civil::Date>,
}

/// One result of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Rule or advisory.
    pub rule: String,
    /// Other names of the same.
    pub aliases: Vec<String>,
    /// Scanner.
    pub scanner: Scanner,
    /// How bad.
    pub severity: FindingSeverity,
    /// Whether nobody scored it.
    pub unscored: bool,
    /// One sentence that says what is wrong.
    pub title: String,
    /// Subject.
    pub subject: Subject,
    /// Where.
    pub place: Place,
    /// Last line of the stretch.
    pub end_line: u32,
    /// What to do.
    pub fix: Option<String>,
    /// Where more is said.
    pub references: Vec<String>,
    /// For the fingerprint.
    pub identity: Identity,
    /// Set aside by the file itself.
    pub skipped: Option<Skipped>,
}

impl Found {
    /// Whether a rule id written by somebody means this rule.
    pub fn is_called(&self, id: &str) -> bool {
        self.rule.eq_ignore_ascii_case(id) || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(id))
    }
}

/// Something a rule could not judge: neither clean nor wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unknown {
    /// Rule, or ecosystem.
    pub rule: String,
    /// Resource address, package or file.
    pub subject: String,
    /// Where.
    pub place: Place,
    /// Why, naming the variable or the version that is missing.
    pub why: String,
}

/// Everything a scanner said about its input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Findings.
    pub found: Vec<Found>,
    /// What could not be judged.
    pub unknown: Vec<Unknown>,
    /// What is wrong with the files themselves.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Adds what another scanner said.
    pub fn merge(&mut self, other: Self) {
        self.found.extend(other.found);
        self.unknown.extend(other.unknown);
        self.diagnostics.extend(other.diagnostics);
    }
}
