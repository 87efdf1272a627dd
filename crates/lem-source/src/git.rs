//! What git says about a repository, asked through the `git` program, so that worktrees, partial clones and the user's
//! own configuration behave exactly as the user knows them (docs/adr/0004).

mod tree;

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
    /// A file could not be copied.
    #[error("cannot copy {path}")]
    Copy {
        /// File.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// A change does not fit a fact.
    #[error(transparent)]
    Fact(#[from] FactError),
}

/// Changed files of a commit that are listed one by one; with more, whoever asks must take any file as changed.
pub const MAX_CHANGED: usize = 3_000;

/// A repository on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
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

    /// The commit a name stands for, which must exist.
    pub fn commit(&self, name: &str) -> Result<CommitSha, GitError> {
        self.resolve(name)?.ok_or_else(|| GitError::Failed {
            command: "rev-parse".into(),
            directory: self.root.clone(),
            message: format!("there is no commit {name}"),
        })
    }

    /// Its first parent; `None` for a first commit.
    pub fn parent(&self, sha: &CommitSha) -> Result<Option<CommitSha>, GitError> {
        self.resolve(&format!("{sha}^"))
    }

    /// The whole message of a commit.
    pub fn message(&self, sha: &CommitSha) -> Result<String, GitError> {
        self.ask(&["log", "-1", "--format=%B", sha.as_str()])
    }

    /// Name of the author of a commit.
    pub fn author(&self, sha: &CommitSha) -> Result<String, GitError> {
        self.ask(&["log", "-1", "--format=%an", sha.as_str()])
    }

    /// Files that differ between two commits; `None` when there are more than [`MAX_CHANGED`].
    pub fn changed(&self, from: &CommitSha, to: &CommitSha) -> Result<Option<Vec<String>>, GitError> {
        let listed = self.ask(&["diff", "--name-only", "--no-renames", "-z", from.as_str(), to.as_str()])?;
        let names: Vec<String> = listed.split('\0').filter(|n| !n.is_empty()).map(str::to_owned).collect();
        Ok((names.len() <= MAX_CHANGED).then_some(names))
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

    /// `owner/name` of the origin, as forges call a repository; without one `local/` and the directory's name.
    pub fn slug(&self) -> String {
        let name = self.name();
        let mut parts = name.rsplit('/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(last), Some(owner), Some(_host)) => format!("{owner}/{last}"),
            _ => format!("local/{}", name.rsplit('/').next().unwrap_or(&name)),
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
        command.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
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

#[cfg(test)]
pub(crate) mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    pub(crate) fn git(root: &Path, arguments: &[&str]) {
        let output = Command::new("git").arg("-C").arg(root).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn repository() -> (tempfile::TempDir, Repository) {
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
    fn what_is_not_there_is_none_or_a_message() {
        let (_dir, repository) = repository();
        assert_eq!(repository.resolve("no-such-branch").unwrap(), None);
        assert_eq!(repository.branch().unwrap().as_deref(), Some("main"));
        let elsewhere = tempfile::tempdir().unwrap();
        let error = Repository::discover(elsewhere.path()).unwrap_err().to_string();
        assert!(error.contains("not a git repository"), "{error}");
    }

    #[test]
    fn what_a_run_asks_about_a_commit() {
        let (dir, repository) = repository();
        let head = repository.commit("HEAD").unwrap();
        let first = repository.parent(&head).unwrap().unwrap();
        assert_eq!(repository.parent(&first).unwrap(), None);
        assert_eq!(repository.message(&first).unwrap(), "feat: one\n\nbody");
        assert_eq!(repository.author(&head).unwrap(), "Ann");
        assert_eq!(repository.changed(&first, &head).unwrap(), Some(vec!["src/a.rs".to_owned()]));
        assert!(repository.commit("nowhere").unwrap_err().to_string().contains("there is no commit nowhere"));
        assert!(repository.slug().starts_with("local/"), "{}", repository.slug());
        for (url, slug) in [
            ("git@example.com:shop/web.git", "shop/web"),
            ("https://example.com/shop/web", "shop/web"),
            ("ssh://git@example.com/group/shop/web.git", "shop/web"),
        ] {
            git(dir.path(), &["config", "remote.origin.url", url]);
            assert_eq!(repository.slug(), slug, "{url}");
        }
    }
}
