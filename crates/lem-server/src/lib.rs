//! The HTTP API and the web UI of the loop.
//!
//! In: HTTP requests of people, of the UI and of the field's tools (CDEvents senders, Prometheus and Loki clients).
//! Out: views over the ledger, answers of the stages' engines, requests and events appended to the ledger.
//! Events of its own: none; what it appends are `*.requested` and notes in the name of a person, and events from outside.
//!
//! Invariants, stated as absences: it decides nothing about a change; it writes nothing without a token; it serves no
//! script from anywhere else; no answer invents a value that no event or engine gave.

pub mod dto;
mod error;
pub mod openapi;
pub mod port;
pub mod record;
pub mod routes;
pub mod view;

pub use error::{ApiError, ServerError};
pub use openapi::openapi_json;
pub use record::Record;
