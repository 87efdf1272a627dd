//! The server as its clients see it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod openapi;
