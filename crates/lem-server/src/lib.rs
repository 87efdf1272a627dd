//! The HTTP API and the web UI of the loop, and the protocols of Prometheus, Alertmanager and Loki.
//!
//! In: HTTP requests of people, of the UI and of the field's tools (CDEvents senders, Prometheus and Loki clients).
//! Out: views over the ledger, answers of the stages' engines, requests and events appended to the ledger.
//! Events of its own: none; what it appends are `*.requested` and notes in the name of a person, and events from outside.
//!
//! ```text
//! socket -> server -> guard (host, token, time, headers) -> router -> api | prom | alertmanager | loki | vault | ui
//! ```
//!
//! Invariants, stated as absences: it decides nothing about a change; it writes nothing without a token; it serves no
//! script from anywhere else; no answer invents a value that no event or engine gave.

mod alertmanager;
mod api;
mod app;
pub mod dto;
mod error;
mod form;
mod guard;
mod logs;
mod loki;
pub mod openapi;
pub mod port;
mod prom;
pub mod record;
mod router;
pub mod routes;
mod server;
mod subscriptions;
mod ui;
mod vault;
pub mod view;

pub use api::limits;
pub use app::{Audit, Hosts, Reading, STREAMS_MAX, ServerParts, Settings};
pub use error::{ApiError, ServerError};
pub use guard::REQUEST_TIMEOUT;
pub use openapi::openapi_json;
pub use record::Record;
pub use server::{CONNECTIONS_MAX, HEADERS_WITHIN, SHUTDOWN_WITHIN, Server, listen};
pub use subscriptions::SUBSCRIPTIONS_MAX;
