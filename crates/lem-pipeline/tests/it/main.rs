//! Pipelines as stories: real files, real processes, real git.

#![expect(clippy::unwrap_used, reason = "tests")]

mod jobs;
mod story;
