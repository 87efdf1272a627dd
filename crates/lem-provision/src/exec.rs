//! The engine `terraform`: an installed `terraform` or `tofu` plans and applies, its plan is read into our model.
//!
//! In: a root and variables. Out: the plan's graph and JSON, and the program's own result. The plan file holds secrets in
//! clear, so it lies in a private folder and goes with the [`Planned`] that names it.

use crate::ProvisionError;
use crate::config::Target;
use crate::order::Order;
use crate::plan::Options;
use crate::planread;
use crate::project::{Given, RepositoryFiles};
use crate::terraform::Written;
use lem_engine_hcl::Evaluator;
use lem_engine_hcl::config::{VariableSource, load, read_inputs};
use lem_engine_hcl::eval::NothingKnown;
use lem_engine_hcl::functions::Context;
use lem_model::resource::ResourceGraph;
use lem_model::{Diagnostic, Digest};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Longest one command runs.
pub const MAX_RUN: Duration = Duration::from_hours(4);
/// Last characters of what a failed program said.
const MAX_MESSAGE: usize = 4_000;
/// Programs, in the order they are looked for.
pub const PROGRAMS: [&str; 2] = ["tofu", "terraform"];

/// A root that an installed program works on.
#[derive(Clone, Debug)]
pub struct Exec {
    program: PathBuf,
    target: Target,
    given: Given,
    arguments: Vec<String>,
}

/// A plan of the program. Its file is removed with it.
#[derive(Debug)]
pub struct Planned {
    folder: PathBuf,
    /// What it will do, each resource with its place in the files.
    pub graph: ResourceGraph,
    /// The program's own document, with what is sensitive replaced.
    pub document: Json,
    /// Digest of the program's document.
    pub digest: Digest,
}

impl Drop for Planned {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

impl Exec {
    /// Finds the program on the search path.
    pub fn find(target: Target, given: &Given) -> Result<Self, ProvisionError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let found = PROGRAMS.iter().flat_map(|p| folders.iter().map(move |f| f.join(p))).find(|p| p.is_file());
        let program = found.ok_or_else(|| ProvisionError::Unreachable {
            what: "engine terraform".to_owned(),
            why: "neither tofu nor terraform is on the search path".to_owned(),
        })?;
        let mut arguments = vec![];
        let file = |name: &str| format!("-var-file={}", target.repository.join(name).display());
        arguments.extend(target.environment.vars.iter().map(|f| file(f)));
        arguments.extend(target.environment.set.iter().map(|(name, value)| format!("-var={name}={value}")));
        arguments.extend(given.variables.iter().map(|variable| match variable {
            VariableSource::Text(name, value) => format!("-var={name}={value}"),
            VariableSource::File(name) => file(name),
        }));
        Ok(Self { program, target, given: given.clone(), arguments })
    }

    /// Initialises and plans.
    pub async fn plan(&self, options: &Options) -> Result<Planned, ProvisionError> {
        let folder = self.target.folder.join(format!("exec-{}", std::process::id()));
        private(&folder)?;
        let file = folder.join("plan");
        // Made before anything is written, so that whatever happens the folder goes.
        let mut planned =
            Planned { folder, graph: ResourceGraph::default(), document: Json::Null, digest: Digest::of(&[]) };
        self.run("init", &["init".to_owned(), "-input=false".to_owned(), "-no-color".to_owned()]).await?;
        let mut arguments = vec!["plan".to_owned(), "-input=false".to_owned(), "-no-color".to_owned()];
        arguments.push(format!("-state={}", self.target.state.display()));
        arguments.push(format!("-out={}", file.display()));
        let flags = [
            (options.destroy, "-destroy"),
            (options.no_refresh, "-refresh=false"),
            (options.refresh_only, "-refresh-only"),
        ];
        arguments.extend(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| (*flag).to_owned()));
        arguments.extend(options.targets.iter().map(|address| format!("-target={address}")));
        arguments.extend(options.replace.iter().map(|address| format!("-replace={address}")));
        arguments.extend(self.arguments.iter().cloned());
        self.run("plan", &arguments).await?;
        let shown = ["show".to_owned(), "-json".to_owned(), file.display().to_string()];
        let text = self.run("show", &shown).await?;
        let document = planread::document(&self.target.root_name, &text)?;
        planned.graph = planread::graph(&self.target.root_name, &document)?;
        planned.graph.environment = Some(self.target.environment.name.clone());
        planned.digest = Digest::of(text.as_bytes());
        planned.document = planread::shown(&document);
        self.place(&mut planned.graph);
        Ok(planned)
    }

    /// Puts every resource where the files have it, in the region of its provider. Files that the reader does not take
    /// are the program's affair: then places and regions stay unsaid.
    fn place(&self, graph: &mut ResourceGraph) {
        let files = RepositoryFiles(self.target.repository.clone());
        let folder = if self.target.root_name == "." { "" } else { self.target.root_name.as_str() };
        let (config, found) = load(&files, folder);
        let (inputs, _) = read_inputs(&config.root, &files, folder, &self.target.environment.inputs(&self.given));
        if found.iter().any(Diagnostic::is_error) {
            return;
        }
        let context = Context::planning(self.target.root.clone(), jiff::Timestamp::UNIX_EPOCH);
        let evaluator = Evaluator::new(&config, inputs, context, &NothingKnown);
        let order = Order::of(&config).ok();
        let written = Written { config: &config, evaluator: &evaluator, order: order.as_ref() };
        for resource in &mut graph.resources {
            written.complete(resource);
        }
    }

    /// Applies a plan of its own.
    pub async fn apply(&self, planned: &Planned, parallelism: usize) -> Result<String, ProvisionError> {
        let arguments = [
            "apply".to_owned(),
            "-input=false".to_owned(),
            "-no-color".to_owned(),
            format!("-state={}", self.target.state.display()),
            format!("-parallelism={parallelism}"),
            planned.folder.join("plan").display().to_string(),
        ];
        self.run("apply", &arguments).await
    }

    async fn run(&self, what: &str, arguments: &[String]) -> Result<String, ProvisionError> {
        let name = format!("{} {what}", self.program.display());
        let unreachable = |why: String| ProvisionError::Unreachable { what: name.clone(), why };
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.target.root).stdin(Stdio::null()).kill_on_drop(true);
        command.envs([("TF_IN_AUTOMATION", "1"), ("TF_INPUT", "0"), ("CHECKPOINT_DISABLE", "1")]);
        command.env("TF_DATA_DIR", self.target.folder.join("terraform-data"));
        let output = tokio::time::timeout(MAX_RUN, command.output())
            .await
            .map_err(|_| unreachable(format!("it ran longer than {} s", MAX_RUN.as_secs())))?
            .map_err(|error| unreachable(error.to_string()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let from = said.len().saturating_sub(MAX_MESSAGE);
        let from = (from..said.len()).find(|i| said.is_char_boundary(*i)).unwrap_or(said.len());
        let message = said[from..].trim().to_owned();
        Err(ProvisionError::Program { program: name, status: output.status.to_string(), message })
    }
}

/// A folder that only its owner enters.
fn private(folder: &Path) -> Result<(), ProvisionError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(crate::error::io("create", folder))
}
