//! Infrastructure: environments, resources, plans, drift, documents.

use super::{FilePlace, GateAnswer, Language, Money, ResourceAction, Severity, Unpriced};
use crate::dto::{State, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The page of the provision stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionView {
    /// Environments of every root.
    pub environments: Vec<InfraEnvironment>,
    /// Their resources, in order of address.
    pub resources: Vec<InfraResource>,
    /// Resources beyond those listed.
    pub resources_omitted: u64,
    /// The newest plan of each environment, newest first.
    pub plans: Vec<InfraPlan>,
    /// The last drift check of each environment.
    pub drift: Vec<DriftCheck>,
    /// Infrastructure documentation, one per root.
    pub docs: Vec<InfraDoc>,
}

/// An environment of a root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfraEnvironment {
    /// dev, staging, production.
    pub environment: String,
    /// Folder of the configuration.
    pub root: String,
    /// Language of its files.
    pub language: Language,
    /// native or terraform.
    pub engine: String,
    /// How it is.
    pub state: State,
    /// The same in a word.
    pub word: String,
    /// The same in a sentence.
    pub sentence: String,
    /// Resources its files describe.
    pub resources: u64,
    /// When it was applied last.
    pub applied_at: Option<Time>,
    /// Commit that was applied.
    pub applied_sha: Option<String>,
    /// Event of the apply.
    pub applied_seq: Option<u64>,
    /// Known monthly cost.
    pub monthly: Option<Money>,
    /// Resources whose cost nobody knows.
    pub unpriced: u64,
}

/// A resource instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfraResource {
    /// Environment; empty where its folder has none.
    pub environment: String,
    /// Folder of the configuration.
    pub root: String,
    /// Address.
    pub address: String,
    /// Type.
    pub kind: String,
    /// Provider.
    pub provider: String,
    /// Region, where one is known.
    pub region: Option<String>,
    /// Whether it is only read.
    pub data: bool,
    /// How it is.
    pub state: State,
    /// The same in a word.
    pub word: String,
    /// Where it is written.
    pub place: FilePlace,
    /// What it refers to.
    pub depends_on: Vec<String>,
    /// As they may be shown: what is sensitive or unknown says so.
    pub attributes: Vec<ShownAttribute>,
    /// Known monthly cost.
    pub monthly: Option<Money>,
    /// Why there is none.
    pub unpriced_why: Option<String>,
    /// Open findings on it.
    pub findings: u64,
}

/// An attribute as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownAttribute {
    /// Name.
    pub name: String,
    /// Value, `(sensitive)` or `(unknown)`.
    pub value: String,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfraPlan {
    /// Digest.
    pub plan: String,
    /// Environment.
    pub environment: String,
    /// Folder of the configuration.
    pub root: String,
    /// native or terraform.
    pub engine: String,
    /// When it was made.
    pub at: Time,
    /// Event of the plan.
    pub seq: u64,
    /// Who asked.
    pub by: String,
    /// Commit.
    pub sha: Option<String>,
    /// What became of it.
    pub state: PlanState,
    /// Counts.
    pub counts: PlanCounts,
    /// What changes.
    pub changes: Vec<PlanChange>,
    /// Changes beyond those listed.
    pub changes_omitted: u64,
    /// Known monthly cost before.
    pub before: Option<Money>,
    /// Known monthly cost after.
    pub after: Option<Money>,
    /// What is not priced.
    pub unpriced: Vec<Unpriced>,
    /// What the policy gate says of it.
    pub gate: GateState,
}

/// What became of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlanState {
    /// Nothing yet.
    Proposed,
    /// It was applied.
    Applied,
    /// Its apply failed.
    Failed,
    /// The gate refused it.
    Refused,
    /// A newer plan or apply took its place.
    Stale,
}

/// Counts of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanCounts {
    /// Made.
    pub create: u32,
    /// Changed in place.
    pub update: u32,
    /// Destroyed and made again.
    pub replace: u32,
    /// Destroyed.
    pub delete: u32,
    /// Unchanged.
    pub unchanged: u32,
}

impl From<lem_model::fact::PlanCounts> for PlanCounts {
    fn from(c: lem_model::fact::PlanCounts) -> Self {
        Self { create: c.create, update: c.update, replace: c.replace, delete: c.delete, unchanged: c.unchanged }
    }
}

/// A change of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanChange {
    /// Address.
    pub address: String,
    /// Type.
    pub kind: String,
    /// What happens to it.
    pub action: ResourceAction,
    /// Where it is written.
    pub place: FilePlace,
    /// Why it is replaced, when it is.
    pub why: Option<String>,
    /// Attributes that differ.
    pub attributes: Vec<ChangedAttribute>,
    /// Known monthly cost before.
    pub before: Option<Money>,
    /// Known monthly cost after.
    pub after: Option<Money>,
    /// Why there is none.
    pub unpriced_why: Option<String>,
    /// Open findings on it.
    pub policy: Vec<PolicyNote>,
}

/// An attribute before and after; the ledger holds its name alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedAttribute {
    /// Name.
    pub name: String,
    /// Before, as it may be shown.
    pub before: Option<String>,
    /// After, as it may be shown.
    pub after: Option<String>,
}

/// A finding beside a line of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyNote {
    /// Rule.
    pub rule: String,
    /// How bad.
    pub severity: Severity,
    /// What is wrong.
    pub title: String,
}

/// What a policy gate answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateState {
    /// Answer.
    pub answer: GateAnswer,
    /// Reasons, one sentence each.
    pub reasons: Vec<String>,
    /// Event that says so.
    pub seq: Option<u64>,
}

/// A drift check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DriftCheck {
    /// Environment.
    pub environment: String,
    /// Folder of the configuration.
    pub root: String,
    /// When.
    pub at: Time,
    /// Event.
    pub seq: u64,
    /// What differs.
    pub changes: Vec<PlanChange>,
}

/// Documentation of a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InfraDoc {
    /// Folder of the configuration.
    pub root: String,
    /// Title.
    pub title: String,
    /// Markdown.
    pub text: String,
}
