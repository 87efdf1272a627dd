//! Stage 5. Owner: `lem-secure`. No fact ever holds a secret's value.

use super::facts;
use crate::finding::{Exception, Finding};
use crate::id::{Actor, CommitSha, Digest, EnvironmentName};
use jiff::Timestamp;

facts! {
    /// A scan ended; with its findings, at most [`MAX_FINDINGS`], the worst first.
    ScanFinished = "dev.cdeventsx.lem-scan.finished.0.1.0", content [],
    subject |s| s.scan.clone(), chain |c| c.sha.as_ref().map(ToString::to_string),
    {
        /// Scan.
        scan: String,
        /// Digest of what was scanned: tree or artifact.
        input: Digest,
        /// Digest of the rules.
        rules: Digest,
        /// Day of the advisory data.
        advisories_date: String,
        /// Findings.
        findings: Vec<Finding>,
        /// How many more there are.
        findings_omitted: u32,
        /// Values that rules could not judge.
        unknown: u32,
        /// Commit, when the tree is at one.
        sha: Option<CommitSha>,
        /// Who asked.
        by: Actor,
    }
    /// A finding was accepted for a time.
    ExceptionGranted = "dev.cdeventsx.lem-exception.granted.0.1.0", content [],
    subject |s| s.exception.covers.clone(), chain |_c| None,
    {
        /// Exception.
        exception: Exception,
        /// Who recorded it.
        by: Actor,
    }
    /// A policy gate answered.
    GateDecided = "dev.cdeventsx.lem-gate.decided.0.1.0", content [],
    subject |s| s.subject.clone(), chain |c| c.sha.as_ref().map(ToString::to_string),
    {
        /// deploy, pipeline or provision.
        gate: String,
        /// Artifact digest, plan digest or run.
        subject: String,
        /// Environment, when one is meant.
        environment: Option<EnvironmentName>,
        /// allow, deny or unknown.
        answer: String,
        /// Reasons, one sentence each.
        reasons: Vec<String>,
        /// Commit.
        sha: Option<CommitSha>,
    }
    /// A bill of materials or a signed statement about an artifact was recorded.
    AttestationRecorded = "dev.cdeventsx.lem-attestation.recorded.0.1.0", content [],
    subject |s| s.artifact.to_string(), chain |c| c.sha.as_ref().map(ToString::to_string),
    {
        /// Artifact it is about.
        artifact: Digest,
        /// `https://slsa.dev/provenance/v1`, `https://cyclonedx.org/bom`.
        predicate: String,
        /// Digest of the document, which is stored under it.
        document: Digest,
        /// Id of the key that signed it.
        key: String,
        /// Components named, for a bill of materials.
        components: Option<u32>,
        /// Commit.
        sha: Option<CommitSha>,
    }
    /// A secret was given out as a lease.
    LeaseIssued = "dev.cdeventsx.lem-lease.issued.0.1.0", content [],
    subject |s| s.lease.clone(), chain |_c| None,
    {
        /// Lease.
        lease: String,
        /// Path and version of the secret, never its value.
        secret: String,
        /// Job attempt or service instance it is bound to.
        to: String,
        /// Until when.
        expires: Timestamp,
    }
    /// A lease ended.
    LeaseRevoked = "dev.cdeventsx.lem-lease.revoked.0.1.0", content [],
    subject |s| s.lease.clone(), chain |_c| None,
    {
        /// Lease.
        lease: String,
        /// Why.
        why: String,
    }
    /// A secret was written or deleted.
    SecretChanged = "dev.cdeventsx.lem-secret.changed.0.1.0", content [],
    subject |s| s.secret.clone(), chain |_c| None,
    {
        /// Path, never the value.
        secret: String,
        /// written, deleted, destroyed.
        action: String,
        /// Version.
        version: u64,
        /// Who.
        by: Actor,
    }
}

/// Findings listed in a scan fact.
pub const MAX_FINDINGS: usize = 500;
