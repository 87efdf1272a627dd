//! Facts this stage says and requests it hears.

// owned facts
pub use lem_model::fact::{ApplyFinished, ApplyStarted, DriftChecked, PlanFinished};
// heard
pub use lem_model::fact::{DriftRequested, InfraChangeRequested};

/// Source of this stage's events.
pub const SOURCE: &str = "/lem/provision";
/// Who acts when nobody asked: the engine.
pub const ENGINE: &str = "engine:provision";
