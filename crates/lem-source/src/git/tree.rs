//! The files of a commit: read one by one, written out, or checked out as a working copy.

use super::{GitError, Repository};
use lem_model::CommitSha;
use std::io;
use std::path::{Path, PathBuf};

impl Repository {
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

    /// Names of the files directly in a directory of a commit.
    pub fn list(&self, sha: &CommitSha, directory: &str) -> Result<Vec<String>, GitError> {
        let names = self.ask(&["ls-tree", "--name-only", "-z", sha.as_str(), &format!("{directory}/")])?;
        Ok(names.split('\0').filter(|n| !n.is_empty()).map(str::to_owned).collect())
    }

    /// Where its objects are, for working copies that share them.
    pub fn common_dir(&self) -> Result<PathBuf, GitError> {
        Ok(self.root.join(self.ask(&["rev-parse", "--git-common-dir"])?))
    }

    /// Makes a working copy of a commit. Objects are shared, so it costs what its files cost; hooks and templates of the
    /// user's do not run.
    pub fn checkout(&self, sha: &CommitSha, into: &Path) -> Result<(), GitError> {
        let objects = self.common_dir()?.join("objects");
        let copy = Self { root: into.to_owned() };
        self.ask(&["init", "--quiet", "--template=", &into.display().to_string()])?;
        let alternates = into.join(".git/objects/info");
        let wrap = |source| GitError::Copy { path: alternates.clone(), source };
        std::fs::create_dir_all(&alternates).map_err(wrap)?;
        std::fs::write(alternates.join("alternates"), format!("{}\n", objects.display())).map_err(wrap)?;
        let quiet = ["-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false"];
        let checkout = ["checkout", "--quiet", "--detach", "--force", sha.as_str()];
        copy.ask(&[&quiet[..], &checkout[..]].concat())?;
        Ok(())
    }

    /// Lays the changes of the work tree over a copy of its head: modified, added and untracked files; deleted ones go.
    pub fn overlay(&self, into: &Path) -> Result<usize, GitError> {
        let status = self.ask(&["status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all"])?;
        let changed = status.split('\0').filter_map(|entry| entry.get(3..)).filter(|path| !path.is_empty());
        let mut count = 0;
        for path in changed.filter(|path| !path.starts_with(".lem/")) {
            count += 1;
            copy(&self.root.join(path), &into.join(path))
                .map_err(|source| GitError::Copy { path: PathBuf::from(path), source })?;
        }
        Ok(count)
    }
}

/// A file, a link or nothing: what stands at `from` stands at `to` afterwards.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = match std::fs::symlink_metadata(from) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return remove(to),
        Err(e) => return Err(e),
    };
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent)?;
    }
    if metadata.is_symlink() {
        remove(to)?;
        return std::os::unix::fs::symlink(std::fs::read_link(from)?, to);
    }
    if metadata.is_dir() {
        return std::fs::create_dir_all(to); // an embedded repository: its own files are not ours
    }
    std::fs::copy(from, to).map(drop)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn tempname(beside: &Path, what: &str) -> PathBuf {
    let name = beside.file_name().map_or_else(|| "export".to_owned(), |n| n.to_string_lossy().into_owned());
    beside.with_file_name(format!(".{name}.{what}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use crate::git::tests::{git, repository};

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
    fn a_working_copy_shares_objects_and_takes_uncommitted_changes() {
        let (dir, repository) = repository();
        std::fs::write(dir.path().join("new.txt"), "new").unwrap();
        std::fs::write(dir.path().join("src/a.rs"), "changed").unwrap();
        std::os::unix::fs::symlink("new.txt", dir.path().join("link")).unwrap();
        let out = tempfile::tempdir().unwrap();
        let into = out.path().join("copy");
        std::fs::create_dir(&into).unwrap();
        let head = repository.commit("HEAD").unwrap();
        repository.checkout(&head, &into).unwrap();
        assert_eq!(std::fs::read_to_string(into.join("src/a.rs")).unwrap(), "1\n3\n4\n");
        assert_eq!(repository.list(&head, "src").unwrap(), ["src/a.rs"]);
        assert_eq!(repository.overlay(&into).unwrap(), 3);
        assert_eq!(std::fs::read_to_string(into.join("src/a.rs")).unwrap(), "changed");
        assert_eq!(std::fs::read_to_string(into.join("link")).unwrap(), "new");
        std::fs::remove_file(dir.path().join("src/a.rs")).unwrap();
        repository.overlay(&into).unwrap();
        assert!(!into.join("src/a.rs").exists(), "what is deleted here is deleted there");
        git(dir.path(), &["checkout", "--quiet", "src/a.rs"]);
    }
}
