//! Stage 6. Owner: `lem-optimize`.

use super::facts;
use crate::id::{Actor, CommitSha, Digest, EnvironmentName, ServiceName};
use crate::money::Money;
use serde::{Deserialize, Serialize};

/// A resource whose cost nobody knows, and why. Never zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnknownCost {
    /// Resource.
    pub address: String,
    /// Why: no row for its type, no price for its key, an attribute not known.
    pub reason: String,
}

/// Known monthly cost of one resource before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceCost {
    /// Resource.
    pub address: String,
    /// Before; `None` when it did not exist or is unknown.
    pub before: Option<Money>,
    /// After; `None` when it will not exist or is unknown.
    pub after: Option<Money>,
}

facts! {
    /// The cost of a plan was worked out.
    CostEstimated = "dev.cdeventsx.lem-cost.estimated.0.1.0", content [],
    subject |s| s.plan.to_string(), chain |c| c.sha.as_ref().map(ToString::to_string),
    {
        /// Digest of the plan; of the files when there was none.
        plan: Digest,
        /// Environment.
        environment: EnvironmentName,
        /// Known monthly cost before.
        before: Money,
        /// Known monthly cost after.
        after: Money,
        /// Per resource.
        resources: Vec<ResourceCost>,
        /// What is not priced.
        unknown: Vec<UnknownCost>,
        /// Edition of the price book.
        prices: String,
        /// Commit.
        sha: Option<CommitSha>,
    }
    /// An estimate goes over a budget.
    BudgetExceeded = "dev.cdeventsx.lem-budget.exceeded.0.1.0", content [],
    subject |s| s.budget.clone(), chain |c| c.sha.as_ref().map(ToString::to_string),
    {
        /// Budget's name.
        budget: String,
        /// Environment.
        environment: EnvironmentName,
        /// Limit a month.
        limit: Money,
        /// Known estimate a month.
        estimate: Money,
        /// Plan.
        plan: Digest,
        /// Commit.
        sha: Option<CommitSha>,
    }
    /// Something can be made cheaper, faster or safer.
    RecommendationCreated = "dev.cdeventsx.lem-recommendation.created.0.1.0", content [],
    subject |s| s.recommendation.clone(), chain |_c| None,
    {
        /// Stable id: the same advice about the same thing is the same recommendation.
        recommendation: String,
        /// rightsize, capacity, pipeline, price.
        kind: String,
        /// What it is about: service, resource address or workflow job.
        target: String,
        /// Environment.
        environment: Option<EnvironmentName>,
        /// Service.
        service: Option<ServiceName>,
        /// What to do, as a sentence with numbers.
        sentence: String,
        /// Evidence, one sentence each.
        evidence: Vec<String>,
        /// Change of the monthly cost, when it is known.
        monthly_delta: Option<Money>,
        /// Unified diff to the user's own file, when one place can be named.
        patch: Option<String>,
        /// What may go wrong.
        risk: String,
        /// Incident or performance data behind it.
        cause: String,
    }
    /// A recommendation changed its standing: proposed, applied, verified, inconclusive, reverted, dismissed, expired,
    /// superseded.
    RecommendationMoved = "dev.cdeventsx.lem-recommendation.moved.0.1.0", content [],
    subject |s| s.recommendation.clone(), chain |_c| None,
    {
        /// Recommendation.
        recommendation: String,
        /// New standing.
        standing: String,
        /// Why.
        why: String,
        /// Who.
        by: Actor,
    }
    /// Asks for advice, after an incident of memory or capacity.
    RecommendationRequested = "dev.cdeventsx.lem-recommendation.requested.0.1.0", content [],
    subject |s| s.target.clone(), chain |_c| None,
    {
        /// Service or resource.
        target: String,
        /// Environment.
        environment: EnvironmentName,
        /// Why.
        reason: String,
        /// Incident.
        incident: Option<crate::id::IncidentId>,
        /// Who asks.
        by: Actor,
    }
}
