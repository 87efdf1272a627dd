//! Tests of the stage: files, decisions, stories with fakes, and one rollout of real processes.
#![expect(clippy::unwrap_used, reason = "tests")]

mod argo;
mod conditions;
mod crash;
mod fake;
mod guards;
mod process;
mod real;
mod secrets;
mod settings;
mod story;
mod strategies;
mod windows;
