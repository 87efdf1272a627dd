//! Which files patterns name, by the rules of `@actions/glob`: `*`, `?`, `[...]`, `**`, `!` excludes, `#` comments,
//! `~` is HOME, and a directory stands for everything in it.

use globset::{GlobBuilder, GlobMatcher};
use std::path::{Component, Path, PathBuf};
use thiserror::Error;
use walkdir::WalkDir;

/// Patterns of one list.
pub const MAX_PATTERNS: usize = 1_000;
/// Files looked at for one list.
pub const MAX_VISITED: usize = 1_000_000;

/// Why patterns name nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SelectError {
    /// A pattern that is none.
    #[error("pattern \"{pattern}\": {why}")]
    Pattern {
        /// Pattern.
        pattern: String,
        /// Cause.
        why: String,
    },
    /// Too many patterns.
    #[error("{count} patterns; at most {MAX_PATTERNS} are allowed")]
    TooManyPatterns {
        /// How many.
        count: usize,
    },
    /// Too many files to look at.
    #[error("more than {MAX_VISITED} files to look at; narrow the patterns")]
    TooManyFiles,
}

/// Whether files and directories whose names begin with a dot are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// They are.
    Include,
    /// They are not.
    Exclude,
}

/// What patterns select.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Selection {
    /// Files, sorted, without duplicates.
    pub files: Vec<PathBuf>,
    /// Where each pattern's search began, in order.
    pub roots: Vec<PathBuf>,
}

impl Selection {
    /// The directory below which the files are named in an artifact: the nearest that is above all searches; the
    /// directory of the file when only one file was searched for.
    pub fn common_root(&self) -> PathBuf {
        if let ([root], [file]) = (self.roots.as_slice(), self.files.as_slice())
            && root == file
        {
            return file.parent().unwrap_or(root).to_owned();
        }
        let mut common: Option<PathBuf> = None;
        for root in &self.roots {
            common = Some(match common {
                None => root.clone(),
                Some(so_far) => {
                    let shared = so_far.components().zip(root.components()).take_while(|(a, b)| a == b);
                    shared.map(|(a, _)| a).collect()
                }
            });
        }
        common.unwrap_or_default()
    }
}

struct Pattern {
    include: bool,
    root: PathBuf,
    itself: GlobMatcher,
    below: GlobMatcher,
}

/// Files that the lines of `patterns` name, seen from `directory`.
pub fn select(patterns: &str, directory: &Path, home: &Path, hidden: Hidden) -> Result<Selection, SelectError> {
    let lines: Vec<_> = patterns.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    if lines.len() > MAX_PATTERNS {
        return Err(SelectError::TooManyPatterns { count: lines.len() });
    }
    let patterns = lines.iter().map(|line| pattern(line, directory, home)).collect::<Result<Vec<_>, _>>()?;
    let mut selection = Selection::default();
    for pattern in patterns.iter().filter(|p| p.include) {
        selection.roots.push(pattern.root.clone());
    }
    let mut visited = 0;
    for root in outermost(&selection.roots) {
        for entry in WalkDir::new(&root).follow_links(false).into_iter().filter_map(Result::ok) {
            visited += 1;
            if visited > MAX_VISITED {
                return Err(SelectError::TooManyFiles);
            }
            if is_file(entry.path())
                && chosen(entry.path(), &patterns)
                && (hidden == Hidden::Include || !dotted(entry.path(), directory))
            {
                selection.files.push(entry.into_path());
            }
        }
    }
    selection.files.sort();
    selection.files.dedup();
    Ok(selection)
}

/// Links count as what they lead to.
fn is_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_file())
}

fn chosen(path: &Path, patterns: &[Pattern]) -> bool {
    patterns.iter().fold(false, |so_far, pattern| {
        let hit = pattern.itself.is_match(path) || pattern.below.is_match(path);
        if hit { pattern.include } else { so_far }
    })
}

fn dotted(path: &Path, directory: &Path) -> bool {
    let below = path.strip_prefix(directory).unwrap_or(path);
    below.components().any(|c| matches!(c, Component::Normal(name) if name.as_encoded_bytes().starts_with(b".")))
}

/// Searching a directory also searches what is in it.
fn outermost(roots: &[PathBuf]) -> Vec<PathBuf> {
    let mut sorted = roots.to_vec();
    sorted.sort();
    let mut outer: Vec<PathBuf> = vec![];
    for root in sorted {
        if !outer.iter().any(|o| root.starts_with(o)) {
            outer.push(root);
        }
    }
    outer
}

fn pattern(line: &str, directory: &Path, home: &Path) -> Result<Pattern, SelectError> {
    let bangs = line.bytes().take_while(|b| *b == b'!').count();
    let text = line[bangs..].trim();
    let absolute = match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => directory.join(text),
    };
    let mut normal = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    let is_plain = |part: &Component<'_>| !part.as_os_str().as_encoded_bytes().iter().any(|b| b"*?[".contains(b));
    let root: PathBuf = normal.components().take_while(is_plain).collect();
    let glob = |text: &str| {
        let built = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
        built
            .map(|g| g.compile_matcher())
            .map_err(|e| SelectError::Pattern { pattern: line.to_owned(), why: e.kind().to_string() })
    };
    // Braces are plain characters here, but not in globset.
    let text = normal.to_string_lossy().replace('{', "[{]").replace('}', "[}]");
    let below = format!("{}/**", text.trim_end_matches('/'));
    Ok(Pattern { include: bangs % 2 == 0, root, itself: glob(&text)?, below: glob(&below)? })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn check(patterns: &str, files: &[&str], root: &str) {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a.txt", "b.log", "out/x.bin", "out/deep/y.bin", "out/.hidden", "out/{z}.txt"] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        let selection = select(patterns, dir.path(), Path::new("/home/none"), Hidden::Exclude).unwrap();
        let below = |p: &Path| p.strip_prefix(dir.path()).unwrap().to_string_lossy().into_owned();
        assert_eq!(selection.files.iter().map(|p| below(p)).collect::<Vec<_>>(), files, "{patterns:?}");
        assert_eq!(below(&selection.common_root()), root, "root of {patterns:?}");
    }

    #[test]
    fn patterns_select_files_and_their_root() {
        check("a.txt", &["a.txt"], "");
        check("out", &["out/deep/y.bin", "out/x.bin", "out/{z}.txt"], "out");
        check("out/x.bin", &["out/x.bin"], "out");
        check("out/*.bin", &["out/x.bin"], "out");
        check("**/*.bin", &["out/deep/y.bin", "out/x.bin"], "");
        check("out/**\n!out/deep", &["out/x.bin", "out/{z}.txt"], "out");
        check("# none\na.txt\nout/deep", &["a.txt", "out/deep/y.bin"], "");
        check("out/{z}.txt", &["out/{z}.txt"], "out");
        check("missing", &[], "missing");
    }

    #[test]
    fn patterns_have_a_limit() {
        let many = "a\n".repeat(MAX_PATTERNS + 1);
        let result = select(&many, Path::new("/"), Path::new("/"), Hidden::Include);
        assert_eq!(result, Err(SelectError::TooManyPatterns { count: MAX_PATTERNS + 1 }));
    }
}
