//! The fixed words of the stages' answers.

use lem_model::finding::{FindingSeverity, Scanner as Scanned};
use lem_model::resource::{Language as Written, ResourceAction as Planned};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How bad a finding is, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
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

impl From<FindingSeverity> for Severity {
    fn from(severity: FindingSeverity) -> Self {
        match severity {
            FindingSeverity::Info => Self::Info,
            FindingSeverity::Low => Self::Low,
            FindingSeverity::Medium => Self::Medium,
            FindingSeverity::High => Self::High,
            FindingSeverity::Critical => Self::Critical,
        }
    }
}

/// Which scanner found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scanner {
    /// Rules over infrastructure and Dockerfiles.
    Infrastructure,
    /// Rules about pipeline files.
    Pipeline,
    /// Vulnerable packages.
    Vulnerability,
    /// Secrets in files and history.
    Secret,
}

impl From<Scanned> for Scanner {
    fn from(scanner: Scanned) -> Self {
        match scanner {
            Scanned::Infrastructure => Self::Infrastructure,
            Scanned::Pipeline => Self::Pipeline,
            Scanned::Vulnerability => Self::Vulnerability,
            Scanned::Secret => Self::Secret,
        }
    }
}

/// Whether a finding is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FindingStanding {
    /// Somebody has to act.
    Open,
    /// Accepted for a time.
    Excepted,
}

/// What a policy gate answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GateAnswer {
    /// It may go on.
    Allow,
    /// It may not.
    Deny,
    /// It could not be judged, or was not asked.
    Unknown,
}

impl From<&str> for GateAnswer {
    fn from(word: &str) -> Self {
        match word {
            "allow" => Self::Allow,
            "deny" => Self::Deny,
            _ => Self::Unknown,
        }
    }
}

/// The language of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Terraform or `OpenTofu`.
    Terraform,
    /// AWS `CloudFormation`.
    CloudFormation,
    /// Kubernetes manifests.
    Kubernetes,
}

impl From<Written> for Language {
    fn from(language: Written) -> Self {
        match language {
            Written::Terraform => Self::Terraform,
            Written::CloudFormation => Self::CloudFormation,
            Written::Kubernetes => Self::Kubernetes,
        }
    }
}

/// What a plan does to a resource, in Terraform's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResourceAction {
    /// Nothing.
    NoOp,
    /// Made.
    Create,
    /// Read: a data source.
    Read,
    /// Changed in place.
    Update,
    /// Destroyed and made again, in this order.
    DeleteCreate,
    /// Made and then the old one destroyed.
    CreateDelete,
    /// Destroyed.
    Delete,
    /// No longer managed, and left alone.
    Forget,
}

impl From<Planned> for ResourceAction {
    fn from(action: Planned) -> Self {
        match action {
            Planned::NoOp => Self::NoOp,
            Planned::Create => Self::Create,
            Planned::Read => Self::Read,
            Planned::Update => Self::Update,
            Planned::DeleteCreate => Self::DeleteCreate,
            Planned::CreateDelete => Self::CreateDelete,
            Planned::Delete => Self::Delete,
            Planned::Forget => Self::Forget,
        }
    }
}

/// Where a recommendation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdviceStanding {
    /// Nobody has decided about it.
    Created,
    /// Somebody was asked to decide.
    Proposed,
    /// Done, and not yet measured.
    Applied,
    /// Its effect was measured.
    Verified,
    /// Its effect could not be told.
    Inconclusive,
    /// It was taken back.
    Reverted,
    /// Somebody does not want it.
    Dismissed,
    /// Nobody decided in time.
    Expired,
    /// Another recommendation took its place.
    Superseded,
    /// A word of another version.
    Unknown,
}

impl From<&str> for AdviceStanding {
    fn from(word: &str) -> Self {
        match word {
            "created" => Self::Created,
            "proposed" => Self::Proposed,
            "applied" => Self::Applied,
            "verified" => Self::Verified,
            "inconclusive" => Self::Inconclusive,
            "reverted" => Self::Reverted,
            "dismissed" => Self::Dismissed,
            "expired" => Self::Expired,
            "superseded" => Self::Superseded,
            _ => Self::Unknown,
        }
    }
}
