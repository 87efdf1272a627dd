//! Pipelines as stories: real files, real processes, real git.

#![expect(clippy::unwrap_used, reason = "tests")]

mod files;
mod jobs;
mod output;
mod plans;
mod processes;
mod serving;
mod story;
