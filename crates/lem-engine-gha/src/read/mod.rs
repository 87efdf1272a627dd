//! From text to [`Workflow`], with everything that is wrong with a file.

mod call;
mod convert;
mod ids;
mod job;
mod problems;
mod reader;
mod schema;
mod step;
mod template;
mod trigger;

pub use convert::{Checks, PermissionsPolicy};
pub(crate) use problems::Problem;

use crate::Files;
use crate::model::{Job, Permissions, Workflow};
use crate::token::Token;
use convert::Converter;
use lem_engine_yaml::{DuplicateKeys, MergeKeys, Node, parse_one};
use lem_model::Diagnostic;
use problems::Problems;
use reader::TokenReader;
use std::collections::HashSet;

/// Longest file that is read, in characters.
pub const MAX_FILE_CHARS: usize = 1024 * 1024;
/// Largest workflow with everything it calls, in the service's accounting of values.
pub const MAX_WORKFLOW_BYTES: usize = 10 * 1024 * 1024;
/// Most files one workflow may consist of, itself included.
pub const MAX_FILES: usize = 50;
/// Most jobs of a workflow with everything it calls.
pub const MAX_JOBS: usize = 10_000;
/// Deepest nesting of lists and mappings.
pub const MAX_DEPTH: usize = 100;
/// How deep workflows may call one another.
pub const MAX_CALL_DEPTH: usize = 10;

/// How a file is read.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How much is checked.
    pub checks: Checks,
    /// Whether `background`, `wait`, `wait-all` and `cancel` are keys of a step.
    pub background_steps: bool,
    /// What a caller without `permissions` allows.
    pub permissions: PermissionsPolicy,
    /// Longest file, in characters.
    pub max_file_chars: usize,
    /// Largest workflow with everything it calls.
    pub max_bytes: usize,
    /// Deepest call.
    pub max_call_depth: usize,
    /// Most files, this one included.
    pub max_files: usize,
    /// Most jobs in all files.
    pub max_jobs: usize,
    /// Deepest nesting of lists and mappings.
    pub max_depth: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            checks: Checks::All,
            background_steps: true,
            permissions: PermissionsPolicy::LimitedRead,
            max_file_chars: MAX_FILE_CHARS,
            max_bytes: MAX_WORKFLOW_BYTES,
            max_call_depth: MAX_CALL_DEPTH,
            max_files: MAX_FILES,
            max_jobs: MAX_JOBS,
            max_depth: MAX_DEPTH,
        }
    }
}

/// Reads a workflow file. `files` gives the workflows its jobs call; without it they stay unread. The workflow is
/// there when no diagnostic is an error.
pub fn read(
    text: &str,
    file: &str,
    files: Option<&dyn Files>,
    options: &Options,
) -> (Option<Workflow>, Vec<Diagnostic>) {
    let (workflow, mut problems) = read_with_callers(text, file, files, options);
    if options.checks == Checks::All {
        let at = |problem: &Problem| (problem.diagnostic.place.line, problem.diagnostic.place.column);
        problems.sort_by(|a, b| (&a.diagnostic.place.file, at(a)).cmp(&(&b.diagnostic.place.file, at(b))));
        problems.dedup_by(|a, b| a.diagnostic == b.diagnostic);
    }
    (workflow, problems.into_iter().map(|problem| problem.diagnostic).collect())
}

pub(crate) fn read_with_callers(
    text: &str,
    file: &str,
    files: Option<&dyn Files>,
    options: &Options,
) -> (Option<Workflow>, Vec<Problem>) {
    let mut loader = Loader { files, options, problems: Problems::default(), seen: HashSet::new(), jobs: 0 };
    let workflow = loader.root(text, file);
    let failed = loader.problems.any();
    (workflow.filter(|_| !failed), loader.problems.into_vec())
}

/// Reads a file and the files it calls.
pub(super) struct Loader<'a> {
    files: Option<&'a dyn Files>,
    options: &'a Options,
    problems: Problems,
    /// Files read so far.
    seen: HashSet<String>,
    /// Jobs read so far; a file that is called twice counts twice.
    jobs: usize,
}

impl Loader<'_> {
    fn root(&mut self, text: &str, file: &str) -> Option<Workflow> {
        let mut workflow = self.file(text, file)?;
        if self.problems.any() {
            return None;
        }
        inherit_permissions(&mut workflow.jobs, workflow.permissions.as_ref());
        if self.files.is_some() {
            for job in &mut workflow.jobs {
                self.load_call(job, 1);
                if self.problems.any() && self.options.checks == Checks::Service {
                    return None;
                }
            }
        }
        Some(workflow)
    }

    /// Reads one file, without what it calls.
    fn file(&mut self, text: &str, file: &str) -> Option<Workflow> {
        let before = self.problems.any();
        let root = self.tokens(text, file)?;
        let failed = self.problems.any() && !before;
        if failed && self.options.checks == Checks::Service {
            return None;
        }
        let mut converter = Converter {
            problems: &mut self.problems,
            checks: self.options.checks,
            jobs: &mut self.jobs,
            max_jobs: self.options.max_jobs,
        };
        Some(converter.workflow(&root, file))
    }

    fn tokens(&mut self, text: &str, file: &str) -> Option<Token> {
        self.seen.insert(file.to_lowercase());
        if self.seen.len() > self.options.max_files {
            let message = format!("The maximum file count of {} has been exceeded", self.options.max_files);
            self.problems.of_file(file, "too-many-files", &message);
            return None;
        }
        let limit = self.options.max_file_chars;
        if text.chars().count() > limit {
            let message = format!("The maximum file size of {limit} characters has been exceeded");
            self.problems.of_file(file, "file-too-large", &message);
            return None;
        }
        let root = self.yaml(text, file)?;
        let background_steps = self.options.background_steps;
        let max_depth = self.options.max_depth;
        let (checks, problems) = (self.options.checks, &mut self.problems);
        let lines = text.lines().collect();
        let mut reader = TokenReader { file, lines, background_steps, depth: 0, max_depth, checks, problems };
        let token = reader.workflow(&root).ok()?;
        if self.problems.bytes > self.options.max_bytes {
            self.problems.of_file(file, "workflow-too-large", "Maximum object size exceeded");
            return None;
        }
        Some(token)
    }

    fn yaml(&mut self, text: &str, file: &str) -> Option<Node> {
        let options = lem_engine_yaml::Options { duplicate_keys: DuplicateKeys::Keep, merge_keys: MergeKeys::Keep };
        let (root, diagnostics) = parse_one(text, file, options);
        let failed = diagnostics.iter().any(Diagnostic::is_error);
        for diagnostic in diagnostics {
            self.problems.push(diagnostic);
        }
        if root.is_none() && !failed {
            self.problems.of_file(file, "empty-file", "the file is empty");
        }
        root.filter(|_| !failed)
    }
}

/// Jobs without permissions of their own have those of the workflow.
fn inherit_permissions(jobs: &mut [Job], permissions: Option<&Permissions>) {
    if let Some(permissions) = permissions {
        for job in jobs {
            job.permissions.get_or_insert_with(|| permissions.clone());
        }
    }
}
