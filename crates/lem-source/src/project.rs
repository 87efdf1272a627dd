//! `lem.yaml`: which file belongs to which stage. Optional; every stage has defaults.

use lem_engine_yaml::{MAX_BYTES, Node, Options, Reader, parse_one};
use lem_model::{Diagnostic, Place};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Name of the configuration file.
pub const CONFIG_FILE: &str = "lem.yaml";

/// Sections that belong to a stage or to the program.
const SECTIONS: [&str; 9] =
    ["provision", "pipeline", "deploy", "observe", "feedback", "ledger", "server", "optimize", "secure"];

/// Why a project could not be read.
#[derive(Debug, Error)]
pub enum ProjectError {
    /// A file cannot be read at all.
    #[error("cannot read {path}")]
    Read {
        /// File.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// A file is wrong.
    #[error("{} problem(s) in configuration files", .0.len())]
    Invalid(Vec<Diagnostic>),
}

/// A repository with its configuration, sections still as trees: each stage reads its own.
#[derive(Debug, Clone)]
pub struct Project {
    /// Top of the repository.
    pub root: PathBuf,
    /// Configuration file relative to the root, if there is one.
    pub file: Option<String>,
    /// Watched branch; the branch that is checked out when nothing is said.
    pub branch: Option<String>,
    sections: Vec<(String, Node)>,
}

impl Project {
    /// Reads `lem.yaml` under `root`, if there is one.
    pub fn open(root: &Path) -> Result<Self, ProjectError> {
        let path = root.join(CONFIG_FILE);
        if !path.exists() {
            return Ok(Self { root: root.to_owned(), file: None, branch: None, sections: vec![] });
        }
        let text = read_file(&path)?;
        Self::parse(root, &text).map_err(ProjectError::Invalid)
    }

    /// Reads the text of a `lem.yaml`.
    pub fn parse(root: &Path, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let (tree, mut diagnostics) = parse_one(text, CONFIG_FILE, Options::default());
        let mut project =
            Self { root: root.to_owned(), file: Some(CONFIG_FILE.to_owned()), branch: None, sections: vec![] };
        if let Some(tree) = tree {
            let reader = Reader::new(CONFIG_FILE);
            if let Some(mut fields) = reader.fields(&tree, CONFIG_FILE) {
                project.branch = fields.take("branch").and_then(|n| reader.string(n, "branch"));
                for name in SECTIONS {
                    if let Some(node) = fields.take(name) {
                        project.sections.push((name.to_owned(), node.clone()));
                    }
                }
                fields.finish();
            }
            diagnostics.extend(reader.into_diagnostics());
        }
        if diagnostics.iter().any(Diagnostic::is_error) { Err(diagnostics) } else { Ok(project) }
    }

    /// A section's tree, for the stage it belongs to.
    pub fn section(&self, name: &str) -> Option<&Node> {
        self.sections.iter().find(|(n, _)| n == name).map(|(_, node)| node)
    }

    /// A path of the configuration relative to the root.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }
}

/// A text file of reasonable size; invalid UTF-8 is an error with its place.
pub fn read_file(path: &Path) -> Result<String, ProjectError> {
    let wrap = |source| ProjectError::Read { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(wrap)?.len();
    let name = path.display().to_string();
    if size > MAX_BYTES as u64 {
        let message = format!("file has {size} bytes; at most {MAX_BYTES} are read");
        return Err(ProjectError::Invalid(vec![Diagnostic::error("file-too-large", message, Place::file(name))]));
    }
    let bytes = std::fs::read(path).map_err(wrap)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..good].iter().filter(|b| **b == b'\n').count();
        let place = Place::new(name, line as u32, 0);
        ProjectError::Invalid(vec![Diagnostic::error("not-utf8", "not UTF-8 text from here on", place)])
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn sections_are_kept_for_their_stages() {
        let project = Project::parse(Path::new("/r"), "branch: main\ndeploy:\n  shop: {}\n").unwrap();
        assert_eq!(project.branch.as_deref(), Some("main"));
        assert!(project.section("deploy").unwrap().get("shop").is_some());
        assert!(project.section("observe").is_none());
    }

    #[test]
    fn an_unknown_section_is_named() {
        let errors = Project::parse(Path::new("/r"), "deploi: {}\n").unwrap_err();
        assert_eq!(
            errors[0].to_string(),
            "lem.yaml:1:1: unknown key \"deploi\" in lem.yaml [unknown-key]\n  help: did you mean \"deploy\"?"
        );
    }

    #[test]
    fn bad_bytes_have_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.yml");
        std::fs::write(&path, b"a: 1\nb: \xff\n").unwrap();
        let Err(ProjectError::Invalid(found)) = read_file(&path) else { panic!("expected a diagnostic") };
        assert_eq!(found[0].place.line, 2);
    }
}
