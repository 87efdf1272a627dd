//! Cost, budgets, recommendations, pipelines.

use super::{AdviceStanding, Money, Unpriced};
use crate::dto::{State, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The page of the optimize stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OptimizeView {
    /// Edition of the price book.
    pub prices: String,
    /// Its age in days.
    pub prices_age_days: i64,
    /// Known monthly cost of everything.
    pub monthly: Option<Money>,
    /// The same before the newest estimates.
    pub monthly_before: Option<Money>,
    /// By service.
    pub by_service: Vec<CostRow>,
    /// By environment.
    pub by_environment: Vec<CostRow>,
    /// By team.
    pub by_team: Vec<CostRow>,
    /// What is not priced.
    pub unpriced: Vec<Unpriced>,
    /// Budgets.
    pub budgets: Vec<BudgetRow>,
    /// Recommendations, newest first.
    pub recommendations: Vec<RecommendationRow>,
    /// Pipelines.
    pub pipelines: Vec<PipelineCost>,
}

/// A row of a cost table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CostRow {
    /// Service, environment or team.
    pub name: String,
    /// Known monthly cost.
    pub monthly: Option<Money>,
    /// The same before.
    pub before: Option<Money>,
    /// Resources whose cost nobody knows.
    pub unpriced: u64,
    /// The change that moved it.
    pub moved: Option<MovedBy>,
}

/// The change that moved a cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MovedBy {
    /// In one sentence.
    pub sentence: String,
    /// Commit.
    pub sha: Option<String>,
    /// Event.
    pub seq: u64,
}

/// A budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BudgetRow {
    /// Name.
    pub budget: String,
    /// Environment.
    pub environment: String,
    /// Limit a month.
    pub limit: Money,
    /// Known estimate a month.
    pub estimate: Option<Money>,
    /// How it stands.
    pub state: State,
    /// The same in a sentence.
    pub sentence: String,
    /// Event that says so.
    pub seq: Option<u64>,
}

/// A recommendation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecommendationRow {
    /// Stable id.
    pub recommendation: String,
    /// rightsize, capacity, pipeline, price.
    pub kind: String,
    /// What it is about.
    pub target: String,
    /// Environment.
    pub environment: Option<String>,
    /// Service.
    pub service: Option<String>,
    /// Where it stands.
    pub standing: AdviceStanding,
    /// Why it stands so.
    pub standing_why: Option<String>,
    /// What to do.
    pub sentence: String,
    /// Evidence, one sentence each.
    pub evidence: Vec<String>,
    /// What may go wrong.
    pub risk: String,
    /// Change of the monthly cost, when it is known.
    pub delta: Option<Money>,
    /// Unified diff to the user's own file.
    pub patch: Option<String>,
    /// Incident or performance data behind it.
    pub cause: String,
    /// When.
    pub at: Time,
    /// Event.
    pub seq: u64,
}

/// What a pipeline takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PipelineCost {
    /// Workflow.
    pub workflow: String,
    /// Runs looked at.
    pub runs: u64,
    /// Median duration.
    pub median_ms: Option<u64>,
    /// Jobs of the critical path of the newest run.
    pub critical_path: Vec<String>,
    /// Slowest steps.
    pub slowest: Vec<SlowStep>,
}

/// A slow step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlowStep {
    /// Job.
    pub job: String,
    /// Step.
    pub step: String,
    /// Median duration.
    pub median_ms: u64,
    /// Its share of the run.
    pub share: f64,
}
