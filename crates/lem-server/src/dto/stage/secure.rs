//! Findings, exceptions, secrets by name, attestations, gates, controls.

use super::{FilePlace, FindingStanding, GateAnswer, Scanner, Severity};
use crate::dto::{State, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The page of the secure stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecureView {
    /// The newest scan.
    pub scan: Option<ScanInfo>,
    /// What runs now first, then by severity.
    pub findings: Vec<FindingRow>,
    /// Findings beyond those listed.
    pub findings_omitted: u64,
    /// Accepted findings.
    pub exceptions: Vec<ExceptionRow>,
    /// Secrets, by name and lease.
    pub secrets: Vec<SecretRow>,
    /// Bills of materials and signed statements.
    pub boms: Vec<BomRow>,
    /// Answers of the gates, newest first.
    pub gates: Vec<GateRow>,
    /// Controls with their evidence.
    pub controls: Vec<ControlRow>,
}

/// A scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScanInfo {
    /// When.
    pub at: Time,
    /// Event.
    pub seq: u64,
    /// Commit.
    pub sha: Option<String>,
    /// Day of the advisory data.
    pub advisories_date: String,
    /// Its age in days.
    pub advisories_age_days: i64,
    /// Digest of the rules that were applied.
    pub rules: String,
    /// Values that rules could not judge.
    pub unknown: u32,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingRow {
    /// Stable id.
    pub fingerprint: String,
    /// Rule or advisory.
    pub rule: String,
    /// Other names of the same.
    pub aliases: Vec<String>,
    /// Which scanner found it.
    pub scanner: Scanner,
    /// How bad it is.
    pub severity: Severity,
    /// Whether the severity stands for a score nobody gave.
    pub unscored: bool,
    /// What is wrong.
    pub title: String,
    /// Resource address, package URL or path, with the commit for history.
    pub subject: String,
    /// Where.
    pub place: FilePlace,
    /// What to do.
    pub fix: Option<String>,
    /// Who should.
    pub owner: Option<String>,
    /// Where it runs now.
    pub running: Vec<RunningAt>,
    /// Whether it is open.
    pub standing: FindingStanding,
    /// When it was seen first.
    pub first_seen_at: Time,
    /// Event of the scan that found it.
    pub seq: u64,
    /// Where more is said.
    pub references: Vec<String>,
}

/// A version that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunningAt {
    /// Service.
    pub service: String,
    /// Environment.
    pub environment: String,
    /// Version.
    pub version: String,
}

/// An accepted finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExceptionRow {
    /// Fingerprint, or rule with a subject prefix.
    pub covers: String,
    /// What the finding says.
    pub title: String,
    /// Who asked.
    pub owner: String,
    /// Who approved.
    pub approver: Option<String>,
    /// Why.
    pub reason: String,
    /// Last day.
    pub expires: Option<String>,
    /// Whether that day is over.
    pub expired: bool,
    /// Event, when it was granted by one.
    pub seq: Option<u64>,
}

/// A secret, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRow {
    /// Path.
    pub path: String,
    /// Newest version.
    pub version: u64,
    /// When it changed last; absent when no event says so.
    pub changed_at: Option<Time>,
    /// Who changed it.
    pub by: Option<String>,
    /// Event of the change.
    pub seq: Option<u64>,
    /// Who holds it.
    pub leases: Vec<LeaseRow>,
}

/// A lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LeaseRow {
    /// Lease.
    pub lease: String,
    /// Job attempt or instance.
    pub to: String,
    /// Until when.
    pub expires: Time,
}

/// A bill of materials or a signed statement about an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BomRow {
    /// Digest of the artifact.
    pub artifact: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Components named.
    pub components: Option<u32>,
    /// Predicate types that are recorded.
    pub attestations: Vec<String>,
    /// Key that signed.
    pub key: Option<String>,
    /// Where the bill of materials is.
    pub href: Option<String>,
    /// Newest event.
    pub seq: u64,
    /// Whether it runs.
    pub running: bool,
}

/// An answer of a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GateRow {
    /// deploy, pipeline or provision.
    pub gate: String,
    /// What was asked about.
    pub subject: String,
    /// Environment.
    pub environment: Option<String>,
    /// Answer.
    pub answer: GateAnswer,
    /// Reasons.
    pub reasons: Vec<String>,
    /// When.
    pub at: Time,
    /// Event.
    pub seq: u64,
}

/// A control with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ControlRow {
    /// Its short name.
    pub control: String,
    /// What it asks for.
    pub title: String,
    /// How it stands.
    pub state: State,
    /// The same in a sentence.
    pub sentence: String,
    /// Events that say so.
    pub seqs: Vec<u64>,
}
