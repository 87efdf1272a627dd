//! Commits as they reach a watched branch. Owner: the watcher in `lem`.

use super::{Ref, facts};
use crate::id::CommitSha;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One file of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFile {
    /// Path in the repository.
    pub path: String,
    /// Lines added; `None` for a binary file.
    pub added: Option<u32>,
    /// Lines removed; `None` for a binary file.
    pub removed: Option<u32>,
}

facts! {
    /// A commit reached a watched branch.
    ChangeMerged = "dev.cdevents.change.merged.0.3.0", content ["repository"],
    subject |s| s.sha.to_string(), chain |c| Some(c.sha.to_string()),
    {
        /// First line of the message.
        description: Option<String>,
        /// The repository.
        repository: Option<Ref>,
        /// Commit.
        #[serde(alias = "subjectId")]
        sha: CommitSha,
        /// First parent, for diffs.
        #[serde(default)]
        parent: Option<CommitSha>,
        /// Branch it reached.
        #[serde(default)]
        branch: String,
        /// `Name <mail>` of the author.
        #[serde(default)]
        author: String,
        /// Whole message.
        #[serde(default)]
        message: String,
        /// When it was committed.
        #[serde(default)]
        committed_at: Option<Timestamp>,
        /// Files it touches, at most [`MAX_FILES`].
        #[serde(default)]
        files: Vec<ChangedFile>,
        /// How many more files it touches than are listed.
        #[serde(default)]
        files_omitted: u32,
    }
}

/// Files listed in a [`ChangeMerged`].
pub const MAX_FILES: usize = 500;
