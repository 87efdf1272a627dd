//! The program as people use it: every test runs the real binary.
#![expect(clippy::unwrap_used, reason = "tests")]

mod cli;
mod clients;
mod cost;
mod demo;
mod gate;
mod generated;
mod init;
mod mail;
mod observe;
mod provision;
mod report;
mod repository;
mod scan;
mod secrets;
mod up;
mod vault;
