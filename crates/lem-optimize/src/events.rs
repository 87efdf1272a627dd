//! Facts this crate owns, and what it hears.

// owned facts
pub use lem_model::fact::{BudgetExceeded, CostEstimated, RecommendationCreated, RecommendationMoved};

// heard, from their owners
pub use lem_model::fact::{
    ApplyFinished, ChangeMerged, IncidentResolved, JobFinished, PlanFinished, RecommendationRequested, RunFinished,
    RunQueued, StepFinished,
};
