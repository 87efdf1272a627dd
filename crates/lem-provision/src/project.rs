//! A root of Terraform configuration with the variables of one environment, read and ready to be planned.

use crate::ProvisionError;
use crate::config::Target;
use crate::order::Order;
use lem_engine_hcl::Value;
use lem_engine_hcl::config::{Backend, Configuration, Files, SystemFiles, VariableSource, load, read_inputs};
use lem_engine_hcl::functions::Context;
use lem_model::{Diagnostic, Digest};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A configuration and everything it is evaluated with. It shows no variable: any may be a secret.
#[derive(Clone)]
pub struct Project {
    /// Root, environment and state files.
    pub target: Target,
    /// The configuration.
    pub config: Configuration,
    /// Variables of the root module.
    pub inputs: BTreeMap<Arc<str>, Value>,
    /// Blocks in the order they are planned.
    pub order: Order,
    /// Warnings of the reader.
    pub warnings: Vec<Diagnostic>,
    /// Digest of the files and the variables.
    pub digest: Digest,
}

impl std::fmt::Debug for Project {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { target, digest, .. } = self;
        f.debug_struct("Project").field("root", &target.root_name).field("digest", digest).finish_non_exhaustive()
    }
}

/// Variables of the command line: they win over the environment's. They do not show themselves.
#[derive(Clone, Default)]
pub struct Given {
    /// `-var NAME=VALUE` and `-var-file PATH` in their order.
    pub variables: Vec<VariableSource>,
    /// `TF_VAR_*` of the process.
    pub process: BTreeMap<String, String>,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("variables", &self.variables.len()).finish_non_exhaustive()
    }
}

impl Given {
    /// With the variables of this process' environment.
    pub fn of_process(variables: Vec<VariableSource>) -> Self {
        let process = std::env::vars().filter(|(name, _)| name.starts_with("TF_VAR_")).collect();
        Self { variables, process }
    }
}

/// Files of a repository, named relative to it.
#[derive(Clone, Debug)]
pub struct RepositoryFiles(pub PathBuf);

impl Files for RepositoryFiles {
    fn list(&self, folder: &str) -> std::io::Result<Vec<String>> {
        SystemFiles.list(&self.0.join(folder).to_string_lossy())
    }

    fn read(&self, path: &str, limit: u64) -> std::io::Result<Vec<u8>> {
        SystemFiles.read(&self.0.join(path).to_string_lossy(), limit)
    }
}

/// A state that is kept elsewhere is not ours to plan against: an empty local one would create everything again.
fn elsewhere(backend: &Backend) -> Diagnostic {
    let message = format!("the state is kept in backend \"{}\", which the native engine does not read", backend.kind);
    Diagnostic::error("unsupported-backend", message, backend.pos.place()).with_hint("plan with --engine terraform")
}

impl Project {
    /// Reads the configuration and the variables. Any error in them is told with its place.
    pub fn load(target: Target, given: &Given) -> Result<Self, ProvisionError> {
        let files = RepositoryFiles(target.repository.clone());
        let folder = if target.root_name == "." { "" } else { target.root_name.as_str() };
        let (config, mut found) = load(&files, folder);
        let inputs = target.environment.inputs(given);
        let (inputs, more) = read_inputs(&config.root, &files, folder, &inputs);
        found.extend(more);
        found.extend(config.root.settings.backend.as_ref().filter(|b| &*b.kind != "local").map(elsewhere));
        for variable in config.root.variables.values() {
            if variable.default.is_none() && !inputs.contains_key(&variable.name) {
                let message = format!("variable \"{}\" has no value", variable.name);
                let hint = format!("give it with --var {}=..., in a variable file or as TF_VAR_{0}", variable.name);
                found.push(Diagnostic::error("unset-variable", message, variable.pos.place()).with_hint(hint));
            }
        }
        if found.iter().any(Diagnostic::is_error) {
            return Err(ProvisionError::Files(found));
        }
        let order = Order::of(&config)?;
        let digest = digest(&target.repository, &config, &inputs);
        Ok(Self { target, config, inputs, order, warnings: found, digest })
    }

    /// What functions know of their surroundings.
    pub fn context(&self, now: jiff::Timestamp, applying: bool) -> Context {
        let mut context = Context::planning(self.target.root.clone(), now);
        context.applying = applying;
        context.workspace = match self.target.environment.name.as_str() {
            crate::config::DEFAULT_ENVIRONMENT => "default".to_owned(),
            named => named.to_owned(),
        };
        context
    }
}

/// Over every file that was read and every variable. Values of variables go into the digest alone.
fn digest(repository: &Path, config: &Configuration, inputs: &BTreeMap<Arc<str>, Value>) -> Digest {
    use sha2::Digest as _;
    let mut sum = sha2::Sha256::new();
    let modules = config.modules.values().chain(std::iter::once(&config.root));
    let mut files: Vec<Arc<str>> = modules.flat_map(|m| m.files.iter().cloned()).collect();
    files.sort();
    files.dedup();
    for file in files {
        // A file that vanished since it was read changes the digest, which is what it is for.
        let bytes = std::fs::read(repository.join(&*file)).unwrap_or_default();
        sum.update(file.as_bytes());
        sum.update((bytes.len() as u64).to_le_bytes());
        sum.update(&bytes);
    }
    for (name, value) in inputs {
        sum.update(name.as_bytes());
        sum.update(lem_engine_hcl::value::json::encode_text(value).as_bytes());
    }
    Digest::new(format!("sha256:{}", hex::encode(sum.finalize())))
}
