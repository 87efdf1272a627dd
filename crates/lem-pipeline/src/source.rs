//! Workflow files: of a commit, or of the working tree.

use crate::config::WORKFLOW_DIRECTORY;
use crate::error::PipelineError;
use crate::execute::Tree;
use lem_engine_gha::{Checks, Options, Workflow};
use lem_model::{CommitSha, Diagnostic};
use lem_source::git::Repository;
use std::path::Path;
use std::sync::Arc;

/// Workflow files looked at in one repository.
pub const MAX_FILES: usize = 500;

/// A file that was read.
#[derive(Clone, Debug)]
pub struct WorkflowFile {
    /// Path, relative to the repository.
    pub file: String,
    /// The workflow, unless something is wrong with it.
    pub workflow: Option<Arc<Workflow>>,
    /// What is wrong with it, and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

impl WorkflowFile {
    /// Reads a text.
    pub fn read(text: &str, file: &str) -> Self {
        let options = Options { checks: Checks::All, ..Options::default() };
        let (workflow, diagnostics) = lem_engine_gha::read(text, file, None, &options);
        Self { file: file.to_owned(), workflow: workflow.map(Arc::new), diagnostics }
    }

    /// The workflow, or everything that is wrong with it.
    pub fn usable(&self) -> Result<Arc<Workflow>, Vec<Diagnostic>> {
        self.workflow.clone().ok_or_else(|| self.diagnostics.clone())
    }
}

fn is_workflow(name: &str) -> bool {
    name.ends_with(".yml") || name.ends_with(".yaml")
}

/// Files of a directory tree: the named ones, else all of [`WORKFLOW_DIRECTORY`].
pub fn of_directory(root: &Path, named: &[String]) -> Result<Vec<WorkflowFile>, PipelineError> {
    let mut files = named.to_vec();
    if named.is_empty() {
        let directory = root.join(WORKFLOW_DIRECTORY);
        let entries = std::fs::read_dir(&directory).into_iter().flatten().filter_map(Result::ok);
        let names = entries.filter_map(|e| e.file_name().into_string().ok()).filter(|n| is_workflow(n));
        files = names.map(|name| format!("{WORKFLOW_DIRECTORY}/{name}")).take(MAX_FILES).collect();
        files.sort();
    }
    if files.is_empty() {
        return Err(PipelineError::NoWorkflow { directory: root.join(WORKFLOW_DIRECTORY).display().to_string() });
    }
    let read = |file: &String| {
        let path = root.join(file);
        let text = std::fs::read_to_string(&path)
            .map_err(|source| PipelineError::File { path: path.display().to_string(), source })?;
        let shown = path.strip_prefix(root).map_or_else(|_| file.clone(), |p| p.display().to_string());
        Ok(WorkflowFile::read(&text, &shown))
    };
    files.iter().map(read).collect()
}

/// Files of a commit: the named ones, else all of [`WORKFLOW_DIRECTORY`].
pub fn of_commit(
    repository: &Repository,
    sha: &CommitSha,
    named: &[String],
) -> Result<Vec<WorkflowFile>, PipelineError> {
    let mut files = named.to_vec();
    if named.is_empty() {
        files = repository.list(sha, WORKFLOW_DIRECTORY)?;
        files.retain(|name| is_workflow(name));
        files.truncate(MAX_FILES);
    }
    let read = |file: &String| match repository.file_at(sha, file)? {
        Some(text) => Ok(WorkflowFile::read(&text, file)),
        None => Err(PipelineError::File {
            path: format!("{file} in {}", sha.short()),
            source: std::io::ErrorKind::NotFound.into(),
        }),
    };
    files.iter().map(read).collect()
}

/// Files as a run of this tree sees them.
pub fn of(
    root: &Path,
    repository: Option<&Repository>,
    tree: Tree,
    sha: &CommitSha,
    named: &[String],
) -> Result<Vec<WorkflowFile>, PipelineError> {
    match (repository, tree) {
        (Some(repository), Tree::Commit) => of_commit(repository, sha, named),
        _ => of_directory(root, named),
    }
}
