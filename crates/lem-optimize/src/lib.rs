//! Stage 6 of the loop: what every change, service, team and environment costs, where performance is lost, and what to
//! do about it, as a patch to the user's own file.
//!
//! In: resource graphs and plans through [`lem_model::port::ResourceGraphs`], metrics through
//! [`lem_model::port::MetricQuery`], facts of pipelines, price rows, bills in FOCUS form. Out: the cost of a plan
//! ([`lem_model::port::PriceSource`]), allocation, right-sizing, FOCUS rows, and the facts `cost.estimated`,
//! `budget.exceeded`, `recommendation.created` and `recommendation.moved`. Hears `plan.finished`,
//! `pipelinerun.finished` and `recommendation.requested`.
//!
//! Invariants, stated as absences: it imports no stage; money is never a binary fraction; a price, usage or cause that is
//! not known is listed as unknown and never counted as zero; a recommendation is never applied without being asked for;
//! claimed, applied and verified savings are never added together.

pub mod config;
pub mod engine;
pub mod events;
pub mod execute;
pub mod focus;
pub mod infracost;
pub mod patch;
pub mod plan;
pub mod price;
pub mod report;
pub mod state;
pub mod text;

pub use config::Config;
pub use execute::{OptimizeError, OptimizeOptions, OptimizeService, Pricer};
pub use state::OptimizeState;
