//! What jobs said: raw bytes, an index of lines, and structured records beside them.
//!
//! A job's log is three files: `JOB.log` (masked lines, each ended by a newline), `JOB.idx` (16 bytes per line: where it
//! starts and when it was read, both little-endian) and `JOB.ndjson` (one [`Record`] per line: steps, groups,
//! annotations). With the index any page of a long log opens at once.

mod book;
mod writer;

pub use book::{Follower, LogBook, LogPage};
pub use writer::JobLog;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest line that is kept in one piece; a longer one is split, nothing is dropped.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;
/// Lines of one page.
pub const MAX_PAGE_LINES: u64 = 10_000;

/// Why a log could not be written or read.
#[derive(Debug, Error)]
pub enum LogError {
    /// There is no such log (yet).
    #[error("no log of job {job} in run {run}")]
    Missing {
        /// Run.
        run: String,
        /// Job.
        job: String,
    },
    /// The disk said no.
    #[error("log {path}")]
    Io {
        /// File.
        path: String,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Number, from 0.
    pub number: u64,
    /// When it was read, in milliseconds since 1970.
    pub time_ms: u64,
    /// The line without its newline; bytes that are no text are replaced.
    pub text: String,
}

/// How much an annotation matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For the record.
    Debug,
    /// To know.
    Notice,
    /// To look at.
    Warning,
    /// To mend.
    Error,
}

/// Where an annotation points.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// File, relative to the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// First line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_line: Option<u32>,
    /// First column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Last column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_column: Option<u32>,
    /// Title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// Something a log says in structure. `line` is the number of the line it stands before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Record {
    /// A step begins.
    Step {
        /// Line.
        line: u64,
        /// When, in milliseconds since 1970.
        time_ms: u64,
        /// Index of the step, from 0.
        index: u32,
        /// Name.
        name: String,
    },
    /// A step has ended.
    StepEnd {
        /// Line.
        line: u64,
        /// When, in milliseconds since 1970.
        time_ms: u64,
        /// Index of the step.
        index: u32,
        /// success, failure, cancelled or skipped.
        conclusion: String,
    },
    /// A group of lines begins.
    Group {
        /// Line.
        line: u64,
        /// Title.
        title: String,
    },
    /// The group has ended.
    GroupEnd {
        /// Line.
        line: u64,
    },
    /// Something to show to people.
    Annotation {
        /// Line.
        line: u64,
        /// Index of the step.
        index: u32,
        /// How much it matters.
        level: Level,
        /// What it says.
        message: String,
        /// Where it points.
        target: Target,
    },
    /// Markdown a step wrote for the page of the run.
    Summary {
        /// Index of the step.
        index: u32,
        /// The text.
        markdown: String,
    },
}

/// A file name for any text: what is not plain is written as `%XX`; what is too long ends in its digest.
pub(crate) fn file_name(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut name = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            b'.' if !name.is_empty() => name.push('.'),
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    if name.len() > LONGEST {
        let digest = lem_model::Digest::of(text.as_bytes());
        name.truncate(LONGEST - 17);
        name.push('~');
        name.push_str(&digest.hex()[..16]);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_key_makes_a_file_name_of_its_own() {
        assert_eq!(file_name("build"), "build");
        assert_eq!(file_name("test (1.80, linux)"), "test%20%281.80%2C%20linux%29");
        assert_eq!(file_name("../x"), "%2E.%2Fx");
        assert_eq!(file_name(&"x".repeat(500)).len(), 120);
        assert_ne!(file_name(&"x".repeat(500)), file_name(&"x".repeat(501)));
    }
}
