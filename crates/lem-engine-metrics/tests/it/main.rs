//! The store as its owner sees it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod blocks;
mod crash;
mod disk_full;
mod limits;
mod model;
mod rules;
mod support;
