//! Fakes, seeded clock and ids, conformance suites, the whole loop in memory. For tests only; nothing that ships
//! depends on it.

mod conformance;
mod memory;
mod seeded;

pub use conformance::{ledger_conformance, sample_event, sample_events};
pub use memory::MemoryLog;
pub use seeded::{SeededClock, SeededIds};
