//! The server as its clients see it: every test speaks HTTP to a real server on loopback.
#![expect(clippy::unwrap_used, reason = "tests")]

mod access;
mod client;
mod events;
mod ledger;
mod live;
mod loki;
mod openapi;
mod prometheus;
mod requests;
mod routes;
mod webhooks;
