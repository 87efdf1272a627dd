//! The words of the loop: nouns, typed ids, facts and ports.
//!
//! Every crate speaks this vocabulary and nothing below it. Facts and requests ([`fact`]) are the only way one stage
//! reaches another; where an answer is needed at once, the small traits of [`port`] carry the question.
//!
//! Invariants, stated as absences: no IO, no clock, no random source, no knowledge of a database, a wire or a stage.

pub mod diagnostic;
pub mod event;
pub mod fact;
pub mod finding;
pub mod id;
pub mod money;
pub mod port;
pub mod report;
pub mod resource;
pub mod text;
pub mod time;

pub use diagnostic::{Diagnostic, Place, Severity};
pub use event::{Event, EventId, EventType, NewEvent, Seq};
pub use fact::{Fact, FactError};
pub use id::*;
pub use report::{Section, Team, TeamReport};
pub use time::Clock;
