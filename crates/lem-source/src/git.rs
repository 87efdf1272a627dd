//! What git says about a repository, asked through the `git` program, so that worktrees, partial clones and the user's
//! own configuration behave exactly as the user knows them (docs/adr/0004).

use jiff::Timestamp;
use lem_model::fact::{ChangeMerged, ChangedFile, MAX_FILES, Ref};
use lem_model::{CommitSha, FactError};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use thiserror::Error;

/// Why git could not answer.
#[derive(Debug, Error)]
pub enum GitError {
    /// The program is not there.
    #[error("cannot run git; install it with your system's package manager")]
    Missing(#[source] std::io::Error),
    /// It answered with an error.
    #[error("git {command} in {directory}: {message}")]
    Failed {
        /// What was asked.
        command: String,
        /// Where.
        directory: PathBuf,
        /// First line of its complaint.
        message: String,
    },
    /// It answered something we do not understand.
    #[error("git {command} answered {answer:?}, which we do not understand")]
    Strange {
        /// What was asked.
        command: String,
        /// What came back.
        answer: String,
    },
    /// A change does not fit a fact.
    #[error(transparent)]
    Fact(#[from] FactError),
}

/// A repository on disk.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
}

impl Repository {
    /// The repository a directory is in.
    pub fn discover(directory: &Path) -> Result<Self, GitError> {
        let probe = Self { root: directory.to_owned() };
        let top = probe.ask(&["rev-parse", "--show-toplevel"])?;
        Ok(Self { root: PathBuf::from(top) })
    }

    /// Top of the work tree.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The commit a name stands for; `None` when there is no such commit (an empty repository has no `HEAD`).
    pub fn resolve(&self, name: &str) -> Result<Option<CommitSha>, GitError> {
        let output =
            self.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")])?;
        Ok(output.status.success().then(|| CommitSha::from(text(&output.stdout))))
    }

    /// The branch that is checked out; `None` when the head is detached.
    pub fn branch(&self) -> Result<Option<String>, GitError> {
        let output = self.run(&["symbolic-ref", "--quiet", "--short", "HEAD"])?;
        Ok(output.status.success().then(|| text(&output.stdout)))
    }

    /// Whether tracked files differ from the head commit or untracked ones stand beside them.
    pub fn is_dirty(&self) -> Result<bool, GitError> {
        Ok(!self.ask(&["status", "--porcelain"])?.is_empty())
    }

    /// Commits on `to` that are not on `from`, oldest first, first parents only, at most `limit` newest ones.
    pub fn commits(&self, from: Option<&CommitSha>, to: &CommitSha, limit: usize) -> Result<Vec<CommitSha>, GitError> {
        let range = from.map_or_else(|| to.to_string(), |from| format!("{from}..{to}"));
        let max = format!("--max-count={limit}");
        let listed = self.ask(&["rev-list", "--first-parent", &max, &range])?;
        let mut commits: Vec<_> = listed.lines().map(CommitSha::from).collect();
        commits.reverse();
        Ok(commits)
    }

    /// All commits between two, merges and their branches included, newest first: what a release contains.
    pub fn contained(
        &self,
        from: Option<&CommitSha>,
        to: &CommitSha,
        limit: usize,
    ) -> Result<Vec<CommitSha>, GitError> {
        let range = from.map_or_else(|| to.to_string(), |from| format!("{from}..{to}"));
        let max = format!("--max-count={limit}");
        Ok(self.ask(&["rev-list", &max, &range])?.lines().map(CommitSha::from).collect())
    }

    /// A commit as the fact that it reached `branch`.
    pub fn change(&self, sha: &CommitSha, branch: &str) -> Result<ChangeMerged, GitError> {
        // %x00 parts the fields, so that no message can be mistaken for one of them.
        let format = "--format=%H%x00%P%x00%an <%ae>%x00%cI%x00%s%x00%B";
        let shown = self.ask(&["show", "--no-patch", "--no-show-signature", format, sha.as_str()])?;
        let fields: Vec<&str> = shown.split('\0').collect();
        let [hash, parents, author, date, subject, message] = fields[..] else {
            return Err(GitError::Strange { command: "show".into(), answer: shown });
        };
        let parent = parents.split_whitespace().next().map(CommitSha::from);
        let (files, files_omitted) = self.files(sha, parent.as_ref())?;
        Ok(ChangeMerged {
            description: Some(subject.to_owned()),
            repository: Some(Ref::to(self.name())),
            sha: CommitSha::from(hash),
            parent,
            branch: branch.to_owned(),
            author: author.to_owned(),
            message: message.trim_end().to_owned(),
            committed_at: date.parse::<Timestamp>().ok(),
            files,
            files_omitted,
        })
    }

    /// Patch of a commit against its first parent, at most `limit` bytes.
    pub fn patch(&self, sha: &CommitSha, limit: usize) -> Result<String, GitError> {
        let mut patch = self.ask(&["show", "--format=", "--no-color", "--first-parent", sha.as_str()])?;
        if patch.len() > limit {
            let cut = (0..=limit).rev().find(|at| patch.is_char_boundary(*at)).unwrap_or(0);
            patch.truncate(cut);
        }
        Ok(patch)
    }

    /// A file as it was at a commit; `None` when it did not exist.
    pub fn file_at(&self, sha: &CommitSha, path: &str) -> Result<Option<String>, GitError> {
        let output = self.run(&["show", &format!("{sha}:{path}")])?;
        Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// Writes the tree of a commit into an empty directory, without touching the work tree or the index.
    pub fn export(&self, sha: &CommitSha, into: &Path) -> Result<(), GitError> {
        let index = tempname(into, "index");
        let work_tree = format!("--work-tree={}", into.display());
        let output = self
            .command(&[&work_tree, "read-tree", sha.as_str()])
            .env("GIT_INDEX_FILE", &index)
            .output()
            .map_err(GitError::Missing)?;
        self.checked("read-tree", output)?;
        let prefix = format!("--prefix={}/", into.display());
        let output = self
            .command(&["checkout-index", "--all", "--force", &prefix])
            .env("GIT_INDEX_FILE", &index)
            .output()
            .map_err(GitError::Missing);
        let removed = std::fs::remove_file(&index);
        self.checked("checkout-index", output?)?;
        removed.map_err(GitError::Missing)
    }

    /// `host/path` of the origin, or the directory's name.
    pub fn name(&self) -> String {
        let origin = self.ask(&["config", "--get", "remote.origin.url"]).unwrap_or_default();
        let trimmed = origin.trim_end_matches('/').trim_end_matches(".git");
        let path = trimmed.split_once("://").map_or(trimmed, |(_, rest)| rest).replace(':', "/");
        let path = path.split_once('@').map_or(path.clone(), |(_, rest)| rest.to_owned());
        if path.is_empty() || path.starts_with('/') {
            self.root.file_name().map_or_else(|| "repository".to_owned(), |n| n.to_string_lossy().into_owned())
        } else {
            path
        }
    }

    fn files(&self, sha: &CommitSha, parent: Option<&CommitSha>) -> Result<(Vec<ChangedFile>, u32), GitError> {
        let listed = match parent {
            Some(parent) => self.ask(&["diff", "--numstat", "-z", "--no-renames", parent.as_str(), sha.as_str()])?,
            None => self.ask(&[
                "diff-tree",
                "--numstat",
                "-z",
                "--no-renames",
                "--root",
                "--no-commit-id",
                "-r",
                sha.as_str(),
            ])?,
        };
        let all: Vec<_> = listed.split('\0').filter_map(changed_file).collect();
        let omitted = all.len().saturating_sub(MAX_FILES) as u32;
        Ok((all.into_iter().take(MAX_FILES).collect(), omitted))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.root).args(arguments).stdin(Stdio::null());
        // A hook or another git process may have set these for a repository that is not ours.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
            command.env_remove(name);
        }
        command.env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C");
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<Output, GitError> {
        self.command(arguments).output().map_err(GitError::Missing)
    }

    fn ask(&self, arguments: &[&str]) -> Result<String, GitError> {
        let output = self.run(arguments)?;
        self.checked(arguments.first().copied().unwrap_or_default(), output)
    }

    fn checked(&self, command: &str, output: Output) -> Result<String, GitError> {
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        let message = complaint.lines().next().unwrap_or("no message").trim_start_matches("fatal: ").to_owned();
        Err(GitError::Failed { command: command.to_owned(), directory: self.root.clone(), message })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\n').to_owned()
}

fn changed_file(line: &str) -> Option<ChangedFile> {
    let mut parts = line.trim_start_matches('\n').splitn(3, '\t');
    let (added, removed, path) = (parts.next()?, parts.next()?, parts.next()?);
    Some(ChangedFile { path: path.to_owned(), added: added.parse().ok(), removed: removed.parse().ok() })
}

fn tempname(beside: &Path, what: &str) -> PathBuf {
    let name = beside.file_name().map_or_else(|| "export".to_owned(), |n| n.to_string_lossy().into_owned());
    beside.with_file_name(format!(".{name}.{what}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn git(root: &Path, arguments: &[&str]) {
        let output = Command::new("git").arg("-C").arg(root).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn repository() -> (tempfile::TempDir, Repository) {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "-q", "-b", "main"]);
        git(dir.path(), &["config", "user.name", "Ann"]);
        git(dir.path(), &["config", "user.email", "ann@example.com"]);
        std::fs::create_dir(dir.path().join("src")).unwrap();
        std::fs::write(dir.path().join("src/a.rs"), "1\n2\n").unwrap();
        git(dir.path(), &["add", "."]);
        git(dir.path(), &["commit", "-qm", "feat: one\n\nbody"]);
        std::fs::write(dir.path().join("src/a.rs"), "1\n3\n4\n").unwrap();
        git(dir.path(), &["commit", "-qam", "fix: two"]);
        let repository = Repository::discover(&dir.path().join("src")).unwrap();
        (dir, repository)
    }

    #[test]
    fn a_commit_becomes_a_change() {
        let (_dir, repository) = repository();
        let head = repository.resolve("HEAD").unwrap().unwrap();
        let commits = repository.commits(None, &head, 10).unwrap();
        assert_eq!(commits.len(), 2);
        assert_eq!(repository.commits(Some(&commits[0]), &head, 10).unwrap(), std::slice::from_ref(&head));
        let first = repository.change(&commits[0], "main").unwrap();
        assert_eq!((first.parent, first.message.as_str()), (None, "feat: one\n\nbody"));
        assert_eq!(first.files[0].path, "src/a.rs");
        let second = repository.change(&head, "main").unwrap();
        assert_eq!(second.author, "Ann <ann@example.com>");
        assert_eq!(second.files, [ChangedFile { path: "src/a.rs".into(), added: Some(2), removed: Some(1) }]);
        assert!(second.committed_at.is_some());
    }

    #[test]
    fn a_commit_can_be_exported_without_touching_the_work_tree() {
        let (dir, repository) = repository();
        let first = repository.commits(None, &repository.resolve("HEAD").unwrap().unwrap(), 10).unwrap()[0].clone();
        let out = tempfile::tempdir().unwrap();
        let into = out.path().join("tree");
        std::fs::create_dir(&into).unwrap();
        repository.export(&first, &into).unwrap();
        assert_eq!(std::fs::read_to_string(into.join("src/a.rs")).unwrap(), "1\n2\n");
        assert_eq!(std::fs::read_to_string(dir.path().join("src/a.rs")).unwrap(), "1\n3\n4\n");
        assert!(!repository.is_dirty().unwrap());
        assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 1, "no index is left behind");
    }

    #[test]
    fn what_is_not_there_is_none_or_a_message() {
        let (_dir, repository) = repository();
        assert_eq!(repository.resolve("no-such-branch").unwrap(), None);
        assert_eq!(repository.branch().unwrap().as_deref(), Some("main"));
        let elsewhere = tempfile::tempdir().unwrap();
        let error = Repository::discover(elsewhere.path()).unwrap_err().to_string();
        assert!(error.contains("not a git repository"), "{error}");
    }
}
