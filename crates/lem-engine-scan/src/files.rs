//! The files of a tree: what git would track, within limits.
//!
//! In: a directory. Out: relative paths in order, and the bytes of each on request. What is ignored by `.gitignore` is
//! left out; what cannot be read is said, never dropped.

use ignore::WalkBuilder;
use lem_model::{Diagnostic, Place};
use std::path::{Path, PathBuf};

/// Most files of one tree.
pub const MAX_FILES: usize = 200_000;
/// Largest file that is read.
pub const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;
/// Directories that hold what other tools put there.
const FOREIGN: [&str; 6] = [".git", ".lem", "node_modules", ".terraform", ".venv", "__pycache__"];

/// The files below a directory.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    root: PathBuf,
    /// Paths relative to the root with `/`, in order.
    pub paths: Vec<String>,
    /// What could not be looked at.
    pub diagnostics: Vec<Diagnostic>,
}

impl Tree {
    /// Lists the files of a directory, or the one file a path names.
    pub fn list(root: &Path) -> Self {
        Self::list_at_most(root, MAX_FILES)
    }

    fn list_at_most(root: &Path, most: usize) -> Self {
        if root.is_file() {
            let name = root.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let root = root.parent().map_or_else(PathBuf::new, Path::to_path_buf);
            return Self { root, paths: vec![name], diagnostics: vec![] };
        }
        let mut tree = Self { root: root.to_owned(), ..Self::default() };
        let mut builder = WalkBuilder::new(root);
        builder.hidden(false).require_git(false).follow_links(false);
        builder.filter_entry(|entry| {
            let directory = entry.file_type().is_some_and(|t| t.is_dir());
            !(directory && entry.depth() > 0 && FOREIGN.iter().any(|name| entry.file_name() == *name))
        });
        for entry in builder.build() {
            match entry {
                Ok(entry) if entry.file_type().is_some_and(|t| t.is_file()) => {
                    if tree.paths.len() == most {
                        let message = format!("the tree has more than {most} files; the rest is not scanned");
                        tree.diagnostics.push(Diagnostic::error("too-many-files", message, Place::file(".")));
                        break;
                    }
                    let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
                    tree.paths.push(path.to_string_lossy().replace('\\', "/"));
                }
                Ok(_) => {}
                Err(error) => tree.diagnostics.push(unreadable(".", &error.to_string())),
            }
        }
        tree.paths.sort();
        tree
    }

    /// Where the paths begin.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The bytes of a file; a diagnostic when it cannot be read or is too large.
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>, Diagnostic> {
        let full = self.root.join(path);
        let size = std::fs::metadata(&full).map_err(|e| unreadable(path, &e.to_string()))?.len();
        if size > MAX_FILE_BYTES {
            let message = format!("file has {size} bytes; at most {MAX_FILE_BYTES} are scanned");
            return Err(Diagnostic::warning("file-too-large", message, Place::file(path)));
        }
        std::fs::read(&full).map_err(|e| unreadable(path, &e.to_string()))
    }

    /// The text of a file, without a byte order mark; a diagnostic when it is none.
    pub fn text(&self, path: &str) -> Result<String, Diagnostic> {
        let text = String::from_utf8(self.bytes(path)?).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..good].iter().filter(|b| **b == b'\n').count();
            Diagnostic::error("not-utf8", "not UTF-8 text from here on", Place::new(path, line as u32, 0))
        })?;
        Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
    }
}

fn unreadable(path: &str, why: &str) -> Diagnostic {
    Diagnostic::error("file-unreadable", format!("cannot be read: {why}"), Place::file(path))
        .with_hint("nothing is known about this file; grant read access or ignore it in .gitignore")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn ignored_and_foreign_files_are_left_out_and_the_limit_is_said() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a.tf", "b/c.yml", "node_modules/x/package.json", ".github/workflows/ci.yml", "out/big"] {
            std::fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(path), "x").unwrap();
        }
        std::fs::write(dir.path().join(".gitignore"), "out/\n").unwrap();
        let tree = Tree::list(dir.path());
        assert_eq!(tree.paths, [".github/workflows/ci.yml", ".gitignore", "a.tf", "b/c.yml"]);
        let tree = Tree::list_at_most(dir.path(), 2);
        assert_eq!((tree.paths.len(), tree.diagnostics[0].code.as_str()), (2, "too-many-files"));
        assert_eq!(Tree::list(&dir.path().join("a.tf")).paths, ["a.tf"]);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), b"ok\n\xff").unwrap();
        std::fs::write(dir.path().join("bom"), b"\xef\xbb\xbfx").unwrap();
        let tree = Tree::list(dir.path());
        assert_eq!(tree.text("a").unwrap_err().place.line, 2);
        assert_eq!(tree.text("bom").unwrap(), "x");
        assert_eq!(tree.bytes("gone").unwrap_err().code, "file-unreadable");
    }
}
