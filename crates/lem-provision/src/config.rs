//! `provision:` in `lem.yaml`: the root of the configuration and its environments.
//!
//! Optional: without it a directory with Terraform files is a root of its own, with one environment called `default`
//! whose state is the `terraform.tfstate` beside the files.

use crate::project::Given;
use lem_engine_hcl::config::{Inputs, VariableSource};
use lem_engine_yaml::{Node, Reader};
use lem_model::{Diagnostic, EnvironmentName, ServiceName};
use std::path::{Path, PathBuf};

/// Environments of one root.
pub const ENVIRONMENTS_MAX: usize = 50;
/// Most operations at once.
pub const PARALLELISM_MAX: usize = 256;
/// Name of the environment of a root without a section.
pub const DEFAULT_ENVIRONMENT: &str = "default";

/// Who plans and applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EngineKind {
    /// Ours, with the built-in providers.
    #[default]
    Native,
    /// An installed `terraform` or `tofu`.
    Terraform,
}

impl EngineKind {
    /// As in files and facts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Terraform => "terraform",
        }
    }
}

/// The section.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Folder of the configuration, relative to the repository; `None` when nothing is said.
    pub root: Option<String>,
    /// In the order of the file.
    pub environments: Vec<Environment>,
    /// Who plans and applies.
    pub engine: EngineKind,
}

/// A set of variables with a state of its own.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Name.
    pub name: EnvironmentName,
    /// Variable files, relative to the repository.
    pub vars: Vec<String>,
    /// Single variables; they win over the files.
    pub set: Vec<(String, String)>,
    /// State file, relative to the repository.
    pub state: Option<String>,
    /// Services that run on it.
    pub services: Vec<ServiceName>,
}

/// A root and one of its environments, with the files of its state.
#[derive(Clone, Debug)]
pub struct Target {
    /// The repository.
    pub repository: PathBuf,
    /// Folder of the configuration.
    pub root: PathBuf,
    /// The same, relative to the repository, as facts and messages name it.
    pub root_name: String,
    /// Environment.
    pub environment: Environment,
    /// Who plans and applies.
    pub engine: EngineKind,
    /// Folder of the journal, the key and the lease.
    pub folder: PathBuf,
    /// State file.
    pub state: PathBuf,
}

impl Environment {
    /// Its variables, which give way to those that are given.
    pub(crate) fn inputs(&self, given: &Given) -> Inputs {
        let mut command_line: Vec<VariableSource> = self.vars.iter().cloned().map(VariableSource::File).collect();
        let set = self.set.iter();
        command_line.extend(set.map(|(name, value)| VariableSource::Text(name.clone(), value.clone())));
        command_line.extend(given.variables.iter().cloned());
        Inputs { environment: given.process.clone(), command_line }
    }
}

impl Config {
    /// Reads the section.
    pub fn read(file: &str, node: Option<&Node>) -> (Self, Vec<Diagnostic>) {
        let reader = Reader::new(file);
        let mut config = Self::default();
        if let Some(mut fields) = node.and_then(|n| reader.fields(n, "provision")) {
            config.root = fields.take("root").and_then(|n| reader.string(n, "root"));
            config.engine = fields.take("engine").map_or(EngineKind::Native, |n| engine(&reader, n));
            if let Some(node) = fields.take("environments") {
                config.environments = environments(&reader, node);
            }
            fields.finish();
        }
        (config, reader.into_diagnostics())
    }

    /// Where an environment of a directory is. Without a section, or outside its root, the directory itself is meant.
    pub fn target(
        &self,
        repository: &Path,
        directory: &Path,
        data: &Path,
        environment: Option<&str>,
    ) -> Result<Target, String> {
        let own = self.root.as_ref().map(|root| repository.join(root)).filter(|root| root.is_dir());
        let inside = own.filter(|root| directory == repository || directory.starts_with(root));
        let configured = inside.is_some() || (self.root.is_none() && !self.environments.is_empty());
        let root = inside.unwrap_or_else(|| directory.to_owned());
        let environment = if configured { self.choose(environment)? } else { default_environment(environment) };
        let root_name = relative(repository, &root);
        let named = environment.name.as_str() != DEFAULT_ENVIRONMENT;
        let folder = data.join("provision").join(slug(&root_name)).join(slug(environment.name.as_str()));
        let state = match &environment.state {
            Some(path) => repository.join(path),
            None if named => folder.join("terraform.tfstate"),
            None => root.join("terraform.tfstate"),
        };
        let repository = repository.to_owned();
        Ok(Target { repository, root, root_name, environment, engine: self.engine, folder, state })
    }

    fn choose(&self, wanted: Option<&str>) -> Result<Environment, String> {
        let names: Vec<&str> = self.environments.iter().map(|e| e.name.as_str()).collect();
        match (wanted, self.environments.as_slice()) {
            (None, []) => Ok(default_environment(None)),
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(format!("which environment? --environment takes {}", names.join(", "))),
            (Some(name), []) => Ok(default_environment(Some(name))),
            (Some(name), all) => all.iter().find(|e| e.name.as_str() == name).cloned().ok_or_else(|| {
                let near = lem_model::diagnostic::nearest(name, names.iter().copied());
                let hint = near.map(|n| format!("; did you mean {n}?")).unwrap_or_default();
                format!("lem.yaml has no environment {name}, only {}{hint}", names.join(", "))
            }),
        }
    }
}

fn default_environment(name: Option<&str>) -> Environment {
    let name = name.unwrap_or(DEFAULT_ENVIRONMENT);
    Environment { name: name.into(), vars: vec![], set: vec![], state: None, services: vec![] }
}

fn engine(reader: &Reader, node: &Node) -> EngineKind {
    match node.text() {
        Some("native") => EngineKind::Native,
        Some("terraform") => EngineKind::Terraform,
        _ => {
            reader.error(node, "out-of-range", "engine must be native or terraform");
            EngineKind::Native
        }
    }
}

fn environments(reader: &Reader, node: &Node) -> Vec<Environment> {
    let Some(entries) = node.entries() else {
        reader.error(node, "wrong-type", format!("environments must be a mapping, not {}", node.kind()));
        return vec![];
    };
    if entries.len() > ENVIRONMENTS_MAX {
        reader.error(node, "too-many", format!("at most {ENVIRONMENTS_MAX} environments are possible"));
    }
    let named = entries.iter().take(ENVIRONMENTS_MAX);
    named.filter_map(|e| environment(reader, &reader.string(&e.key, "an environment")?, &e.value)).collect()
}

fn environment(reader: &Reader, name: &str, node: &Node) -> Option<Environment> {
    let mut environment = default_environment(Some(name));
    if node.is_null() {
        return Some(environment);
    }
    let mut fields = reader.fields(node, "the environment")?;
    environment.vars = fields.take("vars").and_then(|n| reader.strings(n, "vars")).unwrap_or_default();
    environment.set = fields.take("set").map(|n| set(reader, n)).unwrap_or_default();
    environment.state = fields.take("state").and_then(|n| reader.string(n, "state"));
    let services = fields.take("services").and_then(|n| reader.strings(n, "services")).unwrap_or_default();
    environment.services = services.into_iter().map(ServiceName::from).collect();
    fields.finish();
    Some(environment)
}

/// Variables: scalars as they are written, lists and mappings as JSON, which is an expression of the language.
fn set(reader: &Reader, node: &Node) -> Vec<(String, String)> {
    let Some(entries) = node.entries() else {
        reader.error(node, "wrong-type", format!("set must be a mapping, not {}", node.kind()));
        return vec![];
    };
    let value = |n: &Node| n.text().map_or_else(|| n.to_json().to_string(), str::to_owned);
    entries.iter().filter_map(|e| Some((reader.string(&e.key, "a variable")?, value(&e.value)))).collect()
}

/// A path as people name it: relative to the repository, `.` for the repository itself.
pub(crate) fn relative(repository: &Path, path: &Path) -> String {
    let found = path.strip_prefix(repository).unwrap_or(path).to_string_lossy().replace('\\', "/");
    if found.is_empty() { ".".to_owned() } else { found }
}

/// A name that is safe as a folder: distinct names give distinct folders.
fn slug(name: &str) -> String {
    if name == "." {
        return "root".to_owned();
    }
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if plain && name != "root" {
        return name.to_owned();
    }
    let letters: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    format!("{letters}-{}", &lem_model::Digest::of(name.as_bytes()).hex()[..8])
}
