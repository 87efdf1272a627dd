//! The arrows back: from what went wrong to the change that caused it, and to what is done about it.
//!
//! In: facts of all stages (releases, routes, verdicts, alerts, incidents) and, through
//! [`lem_model::port::SymptomSource`], what the symptom looks like. Out: `attribution.*`, `action.*`,
//! `regression.marked`, `risk.raised`, `report.published`, and the requests `incident`, `rollback`, `quarantine` and
//! `revert`. DORA's five metrics and incident reports are folds over the same facts.
//!
//! Invariants, stated as absences: it imports no stage; it never acts twice on one incident; it never requests a
//! rollback across an irreversible migration, on stale data, or while another rollout of that service is in flight; it
//! never names a cause that took effect after the symptom began; it may always say that it does not know.

pub mod config;
pub mod events;
pub mod execute;

pub mod plan;
pub mod report;
pub mod state;

pub use config::{Config, RollbackPolicy};
pub use execute::{FeedbackError, FeedbackOptions, FeedbackService};

pub use state::LoopState;
