//! Stage 5 of the workflow, SECURE: may this pass, and can it be proved afterwards.
//!
//! In: a directory or a merged change, evaluated infrastructure through [`lem_model::port::ResourceGraphs`], advisories,
//! exceptions. Out: findings with stable fingerprints, gate verdicts through [`lem_model::port::PolicyGate`], bills of
//! materials and signed provenance, SARIF, JUnit, JSON and text, the security team's report. Facts: see [`events`].
//!
//! [`plan`] decides: fingerprints, exceptions, order, what is new, the gate. [`execute`] scans. [`service`] listens to
//! the ledger; [`gate`] answers other stages from what the ledger holds.
//!
//! Invariants, stated as absences: scanning needs no network and no account; no fact, report or log holds a secret's
//! value; unknown is never clean; an exception without a second person, a reason and an end is none.

pub mod attest;
pub mod base;
pub mod config;
pub mod download;
pub mod engine;
pub mod error;
pub mod events;
pub mod execute;
pub mod gate;
pub mod imports;
pub mod owners;
pub mod plan;
pub mod report;
pub mod service;
pub mod state;

pub use config::{GateMode, Policy};
pub use error::SecureError;
pub use execute::{Scan, ScanOptions, scan};
pub use gate::Gate;
pub use service::{SecureOptions, SecureService};
pub use state::SecureState;
