//! Stage 4 of the workflow, OBSERVE: metrics, logs, alerts, incidents.
//!
//! In: Prometheus, rule, Alertmanager and dashboard files; expositions of targets, of the router and of processes; lines
//! of processes and pushed ones; facts about instances and rollouts; the request `incident.requested`. Out: answers to PromQL and LogQL,
//! notifications, and the ports [`lem_model::port::MetricQuery`], [`lem_model::port::HealthSource`] and
//! [`lem_model::port::SymptomSource`]. Facts appended: see [`events`].
//!
//! Invariants, stated as absences: no sample and no line ever enters the ledger; no rule error resolves an alert; no
//! missing data is health; nothing here decides about a release.

pub mod config;
pub mod dash;
pub mod engine;
pub mod error;
pub mod events;
pub mod execute;
pub mod incident;
mod ledger;
pub mod logs;
pub mod notify;
pub mod own;
pub mod patterns;
pub mod plan;
pub mod push;
pub mod rules;
pub mod scrape;
mod service;
pub mod silence;
pub mod symptom;

pub use error::ObserveError;
pub use ledger::{MAX_WAITING, Scribe};
pub use notify::{AlertGroup, AlertStatus, GroupedAlert};
pub use patterns::{DiffFinding, PatternReport, PatternVersion, ReleaseDiff};
pub use push::{PushEntry, PushError, PushStream, Pushed};
pub use service::{ObserveOptions, ObserveService};
pub use silence::{NewSilence, Silence, SilenceError, SilenceState};
