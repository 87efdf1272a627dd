//! Box 3 of the workflow, deploy: releases roll out progressively, are judged, promoted or rolled back.
//!
//! In: artifacts of successful runs, strategy files in Argo Rollouts' keys, promotion windows in Kargo's, requests of
//! people and policies. Out: running versions behind the router, verdicts with their evidence, rollbacks, release notes.
//! Facts and requests: see [`events`].
//!
//! ```text
//! ledger -> state (fold) -> plan (decide) -> facts -> ledger
//!                              |  ^
//!                              v  | world: instances, table, counts, measurements
//!                           execute -> engine: Target (child processes), Router, metrics, logs
//! ```
//!
//! What it must never do:
//! - act before the fact that leads to the deed is in the ledger;
//! - remember anything that matters anywhere but in the ledger;
//! - take missing data for success, or let a freeze stop a rollback;
//! - deploy a quarantined digest, or take back what cannot be taken back.

pub mod config;
pub mod engine;
pub mod events;
pub mod evidence;
pub mod execute;
pub mod import;
pub mod model;
pub mod plan;
pub mod promotion;
pub mod ratio;
pub mod report;
pub mod state;
pub mod view;

mod error;
pub mod journal;
mod service;

pub use error::DeployError;
pub use service::{DeployService, Options};
pub use view::RolloutsView;
