//! LogQL from outside.
#![expect(clippy::unwrap_used, reason = "tests")]

mod evaluate;
mod store;
mod syntax;
mod world;
