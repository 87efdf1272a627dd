//! The tree that a change starts from, for `--new-only`.

use crate::error::SecureError;
use lem_model::CommitSha;
use lem_source::git::Repository;
use std::process::{Command, Stdio};

/// The commit where `base` and the checked out one parted.
pub fn merge_base(repository: &Repository, base: &str) -> Result<CommitSha, SecureError> {
    let wrong = || SecureError::NoBase { base: base.to_owned() };
    let base = repository.resolve(base)?.ok_or_else(wrong)?;
    let output = Command::new("git")
        .arg("-C")
        .arg(repository.root())
        .args(["merge-base", base.as_str(), "HEAD"])
        .stdin(Stdio::null())
        .output()
        .map_err(lem_source::git::GitError::Missing)?;
    let sha = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && !sha.is_empty() { Ok(sha.into()) } else { Err(wrong()) }
}

/// Writes a commit's tree into a temporary directory, which is gone when it is dropped.
pub fn tree_of(repository: &Repository, sha: &CommitSha) -> Result<tempfile::TempDir, SecureError> {
    let wrong = |source| SecureError::File { path: std::env::temp_dir(), source };
    let directory = tempfile::tempdir().map_err(wrong)?;
    let into = directory.path().join("tree");
    std::fs::create_dir(&into).map_err(wrong)?;
    repository.export(sha, &into)?;
    Ok(directory)
}
