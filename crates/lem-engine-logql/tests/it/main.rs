//! LogQL from outside.
#![expect(clippy::unwrap_used, reason = "tests")]

mod evaluate;
mod syntax;
mod world;
