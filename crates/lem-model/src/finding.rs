//! Findings of the secure stage: one shape for every scanner.

use crate::diagnostic::Place;
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How bad a finding is. Lower is milder, so thresholds compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingSeverity {
    /// Worth knowing.
    Info,
    /// Small.
    Low,
    /// Should be mended.
    Medium,
    /// Must be mended soon.
    High,
    /// Must be mended now.
    Critical,
}

impl FindingSeverity {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for FindingSeverity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Which scanner found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scanner {
    /// Infrastructure rules over the resource graph, Dockerfiles included.
    Infrastructure,
    /// Rules about pipeline files.
    Pipeline,
    /// Vulnerable packages.
    Vulnerability,
    /// Secrets in files and history.
    Secret,
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Subject {
    /// A resource of the graph.
    Resource {
        /// Its address.
        address: String,
    },
    /// A package of a lockfile.
    Package {
        /// Package URL.
        purl: String,
        /// Lockfile, or purl of the artifact whose bill of materials named it.
        from: String,
    },
    /// A stretch of a file.
    File {
        /// Path.
        path: String,
    },
    /// A stretch of a file in an old commit.
    History {
        /// Commit.
        commit: String,
        /// Path.
        path: String,
    },
}

/// Where a finding stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum Standing {
    /// Open.
    Open,
    /// Covered by an exception or a skip comment.
    Excepted {
        /// Its reason.
        reason: String,
        /// Who approved it; a skip comment has the file's history instead.
        approver: Option<String>,
        /// Last day it holds.
        expires: Option<Date>,
    },
}

/// One finding. Never holds a secret's value, not even in part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Stable over moves in the file: 32 hexadecimal digits.
    pub fingerprint: String,
    /// Rule or advisory: `LEM-AWS-0001`, `RUSTSEC-2020-0121`.
    pub rule: String,
    /// Other names of the same: `CKV_AWS_20`, `CVE-...`.
    pub aliases: Vec<String>,
    /// Scanner.
    pub scanner: Scanner,
    /// How bad.
    pub severity: FindingSeverity,
    /// Whether the severity stands for a score nobody gave.
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
    /// Who should, by CODEOWNERS.
    pub owner: Option<String>,
    /// Open or excepted.
    pub standing: Standing,
    /// Where more is said.
    pub references: Vec<String>,
}

impl Finding {
    /// Whether nothing covers it.
    pub fn is_open(&self) -> bool {
        self.standing == Standing::Open
    }
}

/// Somebody accepted a finding for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exception {
    /// Fingerprint of the finding, or its rule with a subject prefix.
    pub covers: String,
    /// Who asked for it.
    pub owner: String,
    /// Who approved it; somebody else.
    pub approver: String,
    /// Why.
    pub reason: String,
    /// Last day it holds.
    pub expires: Date,
    /// When it was granted.
    pub granted_at: Option<Timestamp>,
}
