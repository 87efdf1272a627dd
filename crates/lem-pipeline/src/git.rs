//! Git, through the program people have: what a commit is, what changed, and a copy of it to work in.

use lem_model::CommitSha;
use std::path::{Path, PathBuf};
use std::process::Command;
use thiserror::Error;

/// Changed files that are looked at for path filters; beyond it the filters match.
pub const MAX_CHANGED: usize = 3_000;

/// Why git did not answer.
#[derive(Debug, Error)]
pub enum GitError {
    /// The program is not there.
    #[error("git cannot be started")]
    Start(#[source] std::io::Error),
    /// The program refused.
    #[error("git {what} in {directory}: {said}")]
    Refused {
        /// Arguments.
        what: String,
        /// Where.
        directory: String,
        /// What it said.
        said: String,
    },
    /// A file could not be copied.
    #[error("copying {path}")]
    Copy {
        /// File.
        path: String,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    root: PathBuf,
}

/// Runs git without the user's hooks and templates; its output without the last newline.
fn git(directory: &Path, arguments: &[&str]) -> Result<String, GitError> {
    let output = Command::new("git")
        .args(["-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", "-c", "safe.directory=*"])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .map_err(GitError::Start)?;
    if !output.status.success() {
        return Err(GitError::Refused {
            what: arguments.join(" "),
            directory: directory.display().to_string(),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.strip_suffix('\n').map_or(text.clone(), str::to_owned))
}

impl Repository {
    /// The repository a directory belongs to.
    pub fn find(directory: &Path) -> Result<Self, GitError> {
        let root = git(directory, &["rev-parse", "--show-toplevel"])?;
        Ok(Self { root: PathBuf::from(root) })
    }

    /// A repository by its root.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Its root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where its objects are, for checkouts that share them.
    pub fn common_dir(&self) -> Result<PathBuf, GitError> {
        let dir = git(&self.root, &["rev-parse", "--git-common-dir"])?;
        Ok(self.root.join(dir))
    }

    /// The same for views of the file system, where a missing one is no error.
    pub fn common_dir_if_known(&self) -> Option<PathBuf> {
        let plain = self.root.join(".git");
        if plain.is_dir() { Some(plain) } else { self.common_dir().ok() }
    }

    /// The commit a name stands for.
    pub fn resolve(&self, name: &str) -> Result<CommitSha, GitError> {
        git(&self.root, &["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")])
            .map(CommitSha::from)
    }

    /// The branch that is checked out, if one is.
    pub fn branch(&self) -> Option<String> {
        git(&self.root, &["symbolic-ref", "--quiet", "--short", "HEAD"]).ok()
    }

    /// The message of a commit.
    pub fn message(&self, sha: &CommitSha) -> Result<String, GitError> {
        git(&self.root, &["log", "-1", "--format=%B", sha.as_str()])
    }

    /// Its first parent.
    pub fn parent(&self, sha: &CommitSha) -> Option<CommitSha> {
        self.resolve(&format!("{sha}^")).ok()
    }

    /// Name of the author of a commit.
    pub fn author(&self, sha: &CommitSha) -> Result<String, GitError> {
        git(&self.root, &["log", "-1", "--format=%an", sha.as_str()])
    }

    /// Files that differ between two commits; `None` when there are more than [`MAX_CHANGED`].
    pub fn changed(&self, from: &CommitSha, to: &CommitSha) -> Result<Option<Vec<String>>, GitError> {
        let names = git(&self.root, &["diff", "--name-only", "--no-renames", "-z", from.as_str(), to.as_str()])?;
        let names: Vec<String> = names.split('\0').filter(|n| !n.is_empty()).map(str::to_owned).collect();
        Ok((names.len() <= MAX_CHANGED).then_some(names))
    }

    /// `owner/name` from the remote, else `local/` and the name of the directory.
    pub fn name(&self) -> String {
        let remote = git(&self.root, &["config", "--get", "remote.origin.url"]).ok();
        let from_remote = remote.as_deref().and_then(|url| {
            let path = url.trim_end_matches('/').trim_end_matches(".git");
            let mut parts = path.rsplit(['/', ':']).filter(|p| !p.is_empty());
            let (name, owner) = (parts.next()?, parts.next()?);
            path.contains("://").then_some(()).or_else(|| path.contains('@').then_some(()))?;
            Some(format!("{owner}/{name}"))
        });
        let directory = self.root.file_name().map_or("repository".into(), |n| n.to_string_lossy().into_owned());
        from_remote.unwrap_or_else(|| format!("local/{directory}"))
    }

    /// The text of a file in a commit; `None` when it is not there.
    pub fn file(&self, sha: &CommitSha, path: &str) -> Option<String> {
        git(&self.root, &["cat-file", "blob", &format!("{sha}:{path}")]).ok()
    }

    /// Names of the files directly in a directory of a commit.
    pub fn list(&self, sha: &CommitSha, directory: &str) -> Result<Vec<String>, GitError> {
        let names = git(&self.root, &["ls-tree", "--name-only", "-z", sha.as_str(), &format!("{directory}/")])?;
        Ok(names.split('\0').filter(|n| !n.is_empty()).map(str::to_owned).collect())
    }

    /// Makes a working copy of a commit. Objects are shared, so it costs what its files cost.
    pub fn checkout(&self, sha: &CommitSha, into: &Path) -> Result<(), GitError> {
        let target = into.display().to_string();
        let objects = self.common_dir()?;
        git(&self.root, &["init", "--quiet", "--template=", &target])?;
        let alternates = into.join(".git/objects/info");
        let io = |source| GitError::Copy { path: alternates.display().to_string(), source };
        std::fs::create_dir_all(&alternates).map_err(io)?;
        std::fs::write(alternates.join("alternates"), format!("{}\n", objects.join("objects").display()))
            .map_err(io)?;
        git(into, &["checkout", "--quiet", "--detach", "--force", sha.as_str()])?;
        Ok(())
    }

    /// Lays the changes of the working tree over a copy of HEAD: modified, added and untracked files; deleted ones go.
    pub fn overlay(&self, into: &Path) -> Result<usize, GitError> {
        let status = git(&self.root, &["status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all"])?;
        let mut count = 0;
        for entry in status.split('\0').filter(|e| e.len() > 3) {
            let path = &entry[3..];
            if path.starts_with(".lem/") {
                continue;
            }
            count += 1;
            let (from, to) = (self.root.join(path), into.join(path));
            copy(&from, &to).map_err(|source| GitError::Copy { path: path.to_owned(), source })?;
        }
        Ok(count)
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let metadata = match std::fs::symlink_metadata(from) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return match std::fs::remove_file(to) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            };
        }
        Err(e) => return Err(e),
    };
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent)?;
    }
    if metadata.is_symlink() {
        let _ = std::fs::remove_file(to);
        return std::os::unix::fs::symlink(std::fs::read_link(from)?, to);
    }
    if metadata.is_dir() {
        return std::fs::create_dir_all(to); // an embedded repository: its own files are not ours
    }
    std::fs::copy(from, to).map(|_| ())
}
