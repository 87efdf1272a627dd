//! Stories of the observe stage, over loopback: real targets, a real receiver, real files.
#![expect(clippy::unwrap_used, reason = "tests")]

mod faults;
mod lines;
mod restart;
mod story;
mod world;
