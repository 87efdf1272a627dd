//! The program as people use it: every test runs the real binary.
#![expect(clippy::unwrap_used, reason = "tests")]

mod cli;
mod clients;
mod cost;
mod demo;
mod generated;
mod init;
mod provision;
mod report;
mod repository;
mod scan;
mod up;
