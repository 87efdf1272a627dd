//! Before planning: objects move to the addresses the configuration has for them now.

use super::resource_key;
use crate::order::without_keys;
use crate::project::Project;
use crate::state::{Object, State};
use lem_engine_hcl::{Evaluator, InstanceKey, ModuleAddress, ResourceAddress};
use lem_model::Diagnostic;
use std::collections::BTreeMap;
use std::str::FromStr;

/// Moves an object may make in a chain.
const MAX_CHAIN: usize = 64;

/// Moves objects of a state; the answer names for each new address the old one.
pub(super) fn moves(
    project: &Project,
    evaluator: &Evaluator<'_>,
    state: &mut State,
    warnings: &mut Vec<Diagnostic>,
) -> BTreeMap<String, String> {
    let mut moved: BTreeMap<String, String> = BTreeMap::new();
    for _ in 0..MAX_CHAIN {
        let next = explicit(project, state).into_iter().chain(implied(project, evaluator, state));
        let steps: Vec<(String, String)> = next.collect();
        let mut any = false;
        for (from, to) in steps {
            if state.objects.contains_key(&to) {
                continue;
            }
            let Some(object) = state.objects.remove(&from) else { continue };
            let origin = moved.remove(&from).unwrap_or(from);
            state.objects.insert(to.clone(), readdress(object, &to));
            moved.insert(to, origin);
            any = true;
        }
        if !any {
            break;
        }
    }
    blocked(project, state, warnings);
    moved
}

/// Objects that a `moved` block names, with where they go.
fn explicit(project: &Project, state: &State) -> Vec<(String, String)> {
    let blocks: Vec<(String, String)> = statements(project).map(|(from, to, _)| (from, to)).collect();
    let moves = state.objects.keys().filter_map(|address| {
        let (from, to) = blocks.iter().find(|(from, _)| is_within(address, from))?;
        Some((address.clone(), format!("{to}{}", &address[from.len()..])))
    });
    moves.collect()
}

fn statements(project: &Project) -> impl Iterator<Item = (String, String, lem_model::Place)> + '_ {
    let modules = project
        .config
        .modules
        .values()
        .chain((!project.config.modules.contains_key(&vec![])).then_some(&project.config.root));
    modules.flat_map(|module| {
        let prefix: String = module.path.iter().map(|step| format!("module.{step}.")).collect();
        module.moved.iter().map(move |m| (format!("{prefix}{}", m.from), format!("{prefix}{}", m.to), m.pos.place()))
    })
}

/// Whether an address is the named one, an instance of it, or inside the named module.
fn is_within(address: &str, named: &str) -> bool {
    address.strip_prefix(named).is_some_and(|rest| rest.is_empty() || rest.starts_with('[') || rest.starts_with('.'))
}

/// A move whose target is taken.
fn blocked(project: &Project, state: &State, warnings: &mut Vec<Diagnostic>) {
    for (from, to, place) in statements(project) {
        if state.objects.contains_key(&from) && state.objects.contains_key(&to) {
            let message = format!("{from} cannot move to {to}, where an object is already");
            warnings.push(Diagnostic::warning("blocked-move", message, place));
        }
    }
}

/// A block that gained or lost `count`: `x` and `x[0]` are the same object.
fn implied(project: &Project, evaluator: &Evaluator<'_>, state: &State) -> Vec<(String, String)> {
    let mut found = vec![];
    for (address, object) in state.objects.iter().filter(|(_, o)| !o.data) {
        let Ok(parts) = ResourceAddress::from_str(address) else { continue };
        let other = match &parts.key {
            None => parts.with_key(Some(InstanceKey::Index(0))),
            Some(InstanceKey::Index(0)) => parts.with_key(None),
            Some(_) => continue,
        };
        let there = |parts: &ResourceAddress| has_instance(project, evaluator, parts);
        if object.current.is_some() && !there(&parts) && there(&other) {
            found.push((address.clone(), other.to_string()));
        }
    }
    found
}

/// Whether the configuration has an instance of this address.
pub(super) fn has_instance(project: &Project, evaluator: &Evaluator<'_>, address: &ResourceAddress) -> bool {
    let Some(module) = project.config.module(&address.module) else { return false };
    let Some(resource) = module.resources.get(&resource_key(address)) else { return false };
    let expansion = evaluator.expand(&address.module, resource);
    has_module(project, evaluator, &address.module)
        && expansion.is_ok_and(|found| found.repetition(address.key.as_ref()).is_some())
}

/// Whether the configuration has this module instance.
pub(super) fn has_module(project: &Project, evaluator: &Evaluator<'_>, address: &ModuleAddress) -> bool {
    let Some(parent) = address.parent() else { return true };
    let step = address.steps().last().expect("an address with a parent has a step");
    let Some(call) = project.config.module(&parent).and_then(|m| m.calls.get(&step.name)) else { return false };
    let expansion = evaluator.expand_call(&parent, call);
    has_module(project, evaluator, &parent)
        && expansion.is_ok_and(|found| found.repetition(step.key.as_ref()).is_some())
}

/// The object under another address.
pub(crate) fn readdress(mut object: Object, address: &str) -> Object {
    if let Ok(parts) = ResourceAddress::from_str(address) {
        object.module = super::module_text(&parts.module);
        object.kind = parts.kind.to_string();
        object.name = parts.name.to_string();
        object.key = super::key_json(parts.key.as_ref());
    }
    object
}

/// What `removed` blocks say about a block: whether its objects are destroyed.
pub(super) fn removed(project: &Project, address: &str) -> Option<bool> {
    let block = without_keys(address);
    let modules = project
        .config
        .modules
        .values()
        .chain((!project.config.modules.contains_key(&vec![])).then_some(&project.config.root));
    modules
        .flat_map(|module| {
            let prefix: String = module.path.iter().map(|step| format!("module.{step}.")).collect();
            module.removed.iter().map(move |r| (format!("{prefix}{}", r.from), r.destroy))
        })
        .find(|(from, _)| is_within(&block, from))
        .map(|(_, destroy)| destroy)
}
