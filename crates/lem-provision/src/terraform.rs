//! Terraform roots as resource graphs: files and variable defaults alone, without state and without any provider.
//!
//! In: folders with `.tf` files. Out: one [`ResourceGraph`] per root, every instance expanded. What only an apply or a
//! missing variable could tell is unknown and says so. A folder that another one calls as a module is no root.

mod written;

pub(crate) use written::Written;

use crate::config::{Config, Environment};
use crate::project::{Given, RepositoryFiles};
use indexmap::IndexMap;
use lem_engine_hcl::config::{Configuration, Inputs, Module, Resource as Block, load, read_inputs};
use lem_engine_hcl::eval::{NothingKnown, Repetition};
use lem_engine_hcl::functions::Context;
use lem_engine_hcl::value::Value;
use lem_engine_hcl::{Evaluator, Mode, ModuleAddress, ResourceAddress};
use lem_model::resource::{Attribute, Language, Resource, ResourceGraph};
use lem_model::{Diagnostic, Place};
use std::collections::BTreeSet;
use std::path::Path;

/// Instances of one root that are put into a graph.
pub(crate) const MAX_INSTANCES: usize = 100_000;

/// The graphs of all roots among folders that have Terraform files; of the configured root one per environment.
pub(crate) fn graphs(repository: &Path, folders: &BTreeSet<String>, settings: &Config) -> Vec<ResourceGraph> {
    let files = RepositoryFiles(repository.to_owned());
    let mut called: BTreeSet<String> = BTreeSet::new();
    let mut loaded = vec![];
    for folder in folders {
        let (config, diagnostics) = load(&files, folder);
        let inner = config.modules.iter().filter(|(path, _)| !path.is_empty());
        called.extend(inner.map(|(_, module)| from_repository(folder, &module.folder)));
        loaded.push((folder, config, diagnostics));
    }
    let own = settings.root.as_deref().map_or_else(String::new, |root| from_repository("", root));
    let roots = loaded.into_iter().filter(|(folder, _, _)| !called.contains(folder.as_str()));
    let each = roots.flat_map(|(folder, config, diagnostics)| {
        let named: Vec<Option<&Environment>> = match settings.environments.as_slice() {
            environments if !environments.is_empty() && *folder == own => environments.iter().map(Some).collect(),
            _ => vec![None],
        };
        let one = |environment| graph(repository, folder, environment, &config, diagnostics.clone());
        named.into_iter().map(one).collect::<Vec<_>>()
    });
    each.collect()
}

/// A module's folder, which is relative to its root's, relative to the repository; that itself is the empty name.
fn from_repository(root: &str, folder: &str) -> String {
    let mut steps: Vec<&str> = vec![];
    for step in root.split('/').chain(folder.split('/')) {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    steps.join("/")
}

fn graph(
    repository: &Path,
    folder: &str,
    environment: Option<&Environment>,
    config: &Configuration,
    mut diagnostics: Vec<Diagnostic>,
) -> ResourceGraph {
    let files = RepositoryFiles(repository.to_owned());
    let inputs = environment.map_or_else(Inputs::default, |e| e.inputs(&Given::default()));
    let (inputs, more) = read_inputs(&config.root, &files, folder, &inputs);
    // Nobody is asked for a value here: what needs one is unknown, and says so.
    let unset = |d: Diagnostic| match d.code.as_str() {
        "unset-variable" => Diagnostic { severity: lem_model::Severity::Warning, ..d },
        _ => d,
    };
    diagnostics.extend(more.into_iter().map(unset));
    let mut context = Context::planning(repository.join(folder), jiff::Timestamp::UNIX_EPOCH);
    if let Some(environment) = environment {
        context.workspace = environment.name.to_string();
    }
    let evaluator = Evaluator::new(config, inputs, context, &NothingKnown);
    let (modules, wrong) = evaluator.module_instances();
    diagnostics.extend(wrong);
    let needs = crate::order::Order::of(config);
    if let Err(crate::ProvisionError::Files(found)) = &needs {
        diagnostics.extend(found.iter().cloned());
    }
    let mut reader = Reader { config, evaluator: &evaluator, needs: needs.ok(), diagnostics, resources: vec![] };
    for module in &modules {
        reader.module(module);
    }
    let Reader { mut resources, mut diagnostics, .. } = reader;
    resources.sort_by(|a, b| a.address.cmp(&b.address));
    let mut said = BTreeSet::new();
    diagnostics.retain(|d| said.insert(d.to_string()));
    let root = if folder.is_empty() { "." } else { folder };
    ResourceGraph { root: root.to_owned(), environment: environment.map(|e| e.name.clone()), resources, diagnostics }
}

struct Reader<'a> {
    config: &'a Configuration,
    evaluator: &'a Evaluator<'a>,
    needs: Option<crate::order::Order>,
    diagnostics: Vec<Diagnostic>,
    resources: Vec<Resource>,
}

impl Reader<'_> {
    fn module(&mut self, address: &ModuleAddress) {
        let Some(module) = self.config.module(address) else { return };
        for block in module.resources.values() {
            let instances = match self.evaluator.expand(address, block) {
                Ok(expansion) => expansion.instances.clone(),
                Err(problem) => {
                    // One instance stands for those whose number is not known.
                    self.diagnostics.push(Diagnostic { severity: lem_model::Severity::Warning, ..*problem });
                    vec![(None, Repetition::default())]
                }
            };
            for (key, repetition) in instances {
                if self.resources.len() >= MAX_INSTANCES {
                    let message = format!("at most {MAX_INSTANCES} instances of a root are put into its graph");
                    return self.diagnostics.push(Diagnostic::error("too-many", message, block.pos.place()));
                }
                let parts = ResourceAddress {
                    module: address.clone(),
                    mode: block.mode,
                    kind: block.kind.clone(),
                    name: block.name.clone(),
                    key,
                };
                self.resource(module, block, &parts, &repetition);
            }
        }
    }

    fn resource(&mut self, module: &Module, block: &Block, parts: &ResourceAddress, repetition: &Repetition) {
        let Ok(scope) = self.evaluator.scope(&parts.module) else { return };
        let (value, wrong) = self.evaluator.body(&block.body, None, &scope.repeated(repetition));
        self.diagnostics.extend(wrong);
        let name = crate::order::block_name(&module.path, &block.key());
        let depends_on = self.needs.as_ref().map(|order| order.needs(&name).to_vec()).unwrap_or_default();
        let written = Written { config: self.config, evaluator: self.evaluator, order: None };
        let attributes: IndexMap<String, Attribute> =
            value.entries().into_iter().flatten().map(|(name, value)| (name.to_string(), attribute(value))).collect();
        self.resources.push(Resource {
            address: parts.to_string(),
            kind: parts.kind.to_string(),
            language: Language::Terraform,
            data: parts.mode == Mode::Data,
            region: written.region(&parts.module, block, attributes.get("region")),
            provider: block.provider_name().to_owned(),
            attributes,
            places: places_of(block),
            place: block.pos.place(),
            end_line: block.end_line,
            calls: written.calls(&parts.module),
            depends_on,
            action: None,
            before: None,
        });
    }
}

/// Where the parts of a block are written.
fn places_of(block: &Block) -> IndexMap<String, Place> {
    let mut places = IndexMap::new();
    for written in &block.body.attributes {
        places.insert(written.name.to_string(), written.pos.place());
    }
    for inner in &block.body.blocks {
        let name = if &*inner.kind == "dynamic" { inner.labels.first().unwrap_or(&inner.kind) } else { &inner.kind };
        let number = places.keys().filter(|k| k.starts_with(&format!("{name}."))).count();
        places.entry(name.to_string()).or_insert_with(|| inner.pos.place());
        places.insert(format!("{name}.{number}"), inner.pos.place());
    }
    places
}

/// A value of the language as an attribute of a graph.
pub(crate) fn attribute(value: &Value) -> Attribute {
    match value {
        Value::Unknown(unknown) => Attribute::Unknown(unknown.why.to_string()),
        Value::Null(_) => Attribute::Null,
        Value::Bool(b) => Attribute::Bool(*b),
        Value::Number(n) => match lem_engine_hcl::value::json::to_json(&Value::Number(n.clone())) {
            serde_json::Value::Number(number) => Attribute::Number(number),
            _ => Attribute::String(n.to_string()),
        },
        Value::String(text) => Attribute::String(text.to_string()),
        Value::List(_, items) | Value::Set(_, items) | Value::Tuple(items) => {
            Attribute::List(items.iter().map(attribute).collect())
        }
        Value::Map(_, entries) | Value::Object(entries) => {
            Attribute::Map(entries.iter().map(|(k, v)| (k.to_string(), attribute(v))).collect())
        }
        Value::Sensitive(inner) => Attribute::Sensitive(Box::new(attribute(inner))),
    }
}

/// The graph of a native plan: what will be there, with what is there before.
pub fn of_plan(sealed: &crate::plan::SealedPlan) -> ResourceGraph {
    let (project, plan) = (sealed.project(), sealed.plan());
    let entries = |object: &Option<lem_engine_hcl::value::Entries>| -> Option<IndexMap<String, Attribute>> {
        object.as_ref().map(|o| o.iter().map(|(k, v)| (k.to_string(), attribute(v))).collect())
    };
    let context = project.context(plan.made, false);
    let evaluator = Evaluator::new(&project.config, project.inputs.clone(), context, &NothingKnown);
    let written = Written { config: &project.config, evaluator: &evaluator, order: Some(&project.order) };
    let resources = plan.changes.iter().map(|change| {
        let mut resource = Resource {
            address: change.address.clone(),
            kind: change.parts.kind.to_string(),
            language: Language::Terraform,
            data: change.parts.mode == Mode::Data,
            provider: change.parts.kind.split('_').next().unwrap_or_default().to_owned(),
            region: None,
            attributes: entries(&change.after).unwrap_or_default(),
            places: IndexMap::new(),
            place: change.place.clone(),
            end_line: change.place.line,
            calls: vec![],
            depends_on: project.order.needs(&change.block).to_vec(),
            action: Some(change.action),
            before: entries(&change.before),
        };
        written.complete(&mut resource);
        resource
    });
    ResourceGraph {
        root: project.target.root_name.clone(),
        environment: Some(project.target.environment.name.clone()),
        resources: resources.collect(),
        diagnostics: plan.warnings.clone(),
    }
}
