//! Does what a plan says: starts jobs as the machine asks for them, and tells what happens.

mod console;
mod env;
mod job;
mod run;
mod shared;

pub use console::{Console, LineSink, MAX_ANNOTATIONS, Said, system_ms};
pub use env::find_program;
pub use job::JobLimits;
pub(crate) use run::RunContext;
pub use run::{Engine, RunOutcome};
pub use shared::{RunShared, StoredArtifact, Tree};
