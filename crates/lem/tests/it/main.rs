//! The program as people use it: every test runs the real binary.
#![expect(clippy::unwrap_used, reason = "tests")]

mod cli;
mod clients;
mod demo;
mod generated;
mod repository;
mod up;
