//! The spine of the loop: an append-only, tamper-evident log of everything that happened.
//!
//! In: [`lem_model::NewEvent`]s from every stage and from outside. Out: events in order ([`EventLog`],
//! [`Subscription`]), views folded from them ([`View`]), and proofs that nothing was changed. Every fact is one event;
//! every view is a fold over them.
//!
//! Invariants, stated as absences: no event is ever changed or reordered; nothing that was acknowledged is lost; no two
//! trees that contradict each other are ever signed; no projection writes.

mod error;
mod log;
mod memory;
mod project;
mod record;

pub use error::LedgerError;
pub use log::{Appended, EventLog, Fate, Filter, MAX_BATCH, MAX_PAYLOAD_BYTES, MAX_READ, Subscription};
pub use memory::MemoryLog;
pub use project::{Projection, View};
pub use record::Recorder;
