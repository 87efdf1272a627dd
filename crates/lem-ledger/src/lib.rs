//! The spine of the loop: one append-only, tamper-evident event log that every stage writes to and every view is a
//! fold over.
//!
//! In: events of all stages ([`Recorder`]) and CDEvents from outside. Out: events in order ([`EventLog::read`],
//! [`Subscription`], [`project`]), signed checkpoints, proofs, audit packages. Events of its own: `payload.erased`.
//!
//! It keeps rows in SQLite or PostgreSQL behind one SQL text, hashes them into an RFC 6962 tree and signs the root.
//!
//! Invariants, stated as absences: nothing acknowledged is lost, no row changes once it is there (only payload and salt
//! may go, and an event says so), no two inconsistent trees are signed, no stage is known here.

pub mod audit;
mod checkpoint;
mod db;
mod error;
mod leaf;
mod ledger;
mod log;
pub mod project;
mod record;
mod sql;
mod subscription;
mod tiles;
mod tiling;
pub mod tree;
pub mod verify;
pub mod webhook;
pub mod wire;
mod writer;

pub use checkpoint::{DEFAULT_ORIGIN, PrivateKey, ProofFile, PublicKey, SignedCheckpoint};
pub use db::DbError;
pub use error::LedgerError;
pub use leaf::MAX_LEAF_BYTES;
pub use ledger::{Ledger, Options};
pub use log::{
    Appended, Consumer, Erasure, EventLog, Filter, InboxItem, Kept, MAX_BATCH, MAX_PAYLOAD_BYTES, MAX_READ, Proof,
    ProofOf,
};
pub use project::{Projection, View};
pub use record::{Ids, RandomIds, Recorder, SystemClock};
pub use subscription::{Feed, Subscription};
pub use verify::{Verdict, verify};
pub use writer::{CHECKPOINT_AFTER, CHECKPOINT_EVENTS};

/// Type of the event that says a payload was erased; its content has `seq`, `reason` and `by`.
pub const ERASED_TYPE: &str = "dev.cdeventsx.lem-payload.erased.0.1.0";
