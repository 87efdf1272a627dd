//! The log store under stage 4, observe: a library of its own that knows no stage.
//!
//! In: records (time, stream labels, line bytes, structured metadata). Out: ordered scans, live tail, label catalogue,
//! pattern counts per release, and the verdict of a release log diff. No ledger events: the stage that adapts this
//! engine turns [`MaintainReport`] and [`DiffVerdict`] into facts.
//!
//! What the store promises:
//! - [`LogStore::append`] returns `Ok` only after the records are fsynced; nothing acknowledged is lost by a kill.
//! - Memory for lines not yet in parts never passes `Options::memory_budget_bytes`; beyond it appends are refused.
//! - A damaged part costs its own lines only, and every query that misses them says so.
//!
//! What it must never do: change a byte of a line, prune a block that holds a match, or answer from a column whose
//! checksum is wrong.
//!
//! ```text
//! append -> WAL (fsync) -> head (memory) -> flush -> part (blocks per stream) -> merge -> retention
//!                      \-> patterns, tail
//! ```
//!
//! Lock order: maintenance, then WAL, then state, then patterns.

mod block;
mod bloom;
mod catalog;
mod codec;
mod columns;
mod diff;
mod error;
mod files;
mod head;
pub mod limits;
mod maintain;
mod manifest;
mod matcher;
mod merge;
mod open;
mod options;
mod part;
mod pattern;
mod query;
mod record;
mod scan;
mod severity;
mod store;
mod tail;
mod token;
mod wal;

pub use catalog::{LabelRange, Stats, Volume};
pub use diff::{
    DiffConfig, DiffVerdict, Finding, OtherSignal, PatternFacts, PatternWindow, SeenBefore, Window, judge_diff,
};
pub use error::{ItemError, QueryError, Refused, StoreError, Warning};
pub use maintain::{EraseReport, MaintainReport};
pub use manifest::PartInfo;
pub use matcher::{BadMatcher, MatchOp, Matcher};
pub use open::OpenReport;
pub use options::{Clock, DiskHook, Maintenance, NoHook, Options, WriteKind};
pub use pattern::{FirstSeen, PatternId, PatternInfo};
pub use query::{Direction, Literal, LiteralKind, Predicate, ScanLine, ScanPlan, ScanResult, ScanStats};
pub use record::{Fields, Labels, LogRecord, Severity, StreamKey, TraceId};
pub use severity::detect as detect_severity;
pub use store::{Ack, LogStore, PatternCount, PatternSamples, StoreHealth};
pub use tail::{Tail, TailEvent};
