//! A secret store that speaks the Vault HTTP API: barrier, seal, tokens, policies, key-value versions 1 and 2, cubbyhole,
//! AppRole and userpass login, response wrapping, leases, audit.
//!
//! In: [`Request`]s as Vault's clients make them, already taken off the wire. Out: [`Response`]s, and files that hold
//! nothing readable. Shapes and statuses follow Vault's public API documentation at the level of version 1.14.
//!
//! Invariants, stated as absences: no value and no token reaches a disk in the clear; no secret leaves before its audit
//! record is durable; no decision is taken from a path before it is normalised; no network, no clock and no log line of
//! its own.

mod acl;
mod audit;
mod auth;
mod barrier;
mod core;
mod error;
mod kv;
mod lease;
pub mod limits;
mod mount;
mod policy;
mod request;
mod route;
mod store;
mod token;
mod wrap;

pub use crate::core::{Listener, Options, Vault};
pub use audit::AuditRecord;
pub use error::VaultError;
pub use lease::{Lease, Leased};
pub use request::{Method, Request, Response, seconds};

/// Version we answer to clients that ask: the level of the API, which they parse as semantic version.
pub const API_LEVEL: &str = "1.14.8";
