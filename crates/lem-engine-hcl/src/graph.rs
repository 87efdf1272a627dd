//! Who needs whom: edges between the resources of a configuration, found without evaluating anything.
//!
//! References go through locals, outputs and module arguments, so an edge joins the resources themselves.

use crate::config::{Configuration, Module, ModulePath, Resource, ResourceKey};
use crate::eval::{Target, body_references, references};
use crate::syntax::{Expr, Pos};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// A resource of the configuration, without instance keys.
pub type Node = (ModulePath, ResourceKey);

/// Edges from a resource to those it needs, each with the place that says so.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Edges, in order.
    pub edges: BTreeMap<Node, BTreeMap<Node, Pos>>,
}

impl Graph {
    /// What a resource needs directly.
    pub fn needs(&self, node: &Node) -> impl Iterator<Item = &Node> {
        self.edges.get(node).into_iter().flat_map(|needs| needs.keys())
    }
}

/// The graph of a configuration.
pub fn graph(config: &Configuration) -> Graph {
    let mut graph = Graph::default();
    for (path, resource) in config.resources() {
        let node = (path.clone(), resource.key());
        let mut walk = Walk { config, seen: HashSet::new(), found: BTreeMap::new() };
        walk.resource(path, resource);
        walk.found.remove(&node);
        graph.edges.insert(node, walk.found);
    }
    graph
}

/// Resources that an expression of a module needs.
pub fn needs(config: &Configuration, path: &ModulePath, expr: &Expr) -> BTreeSet<Node> {
    let mut walk = Walk { config, seen: HashSet::new(), found: BTreeMap::new() };
    walk.expr(path, expr);
    walk.found.into_keys().collect()
}

struct Walk<'c> {
    config: &'c Configuration,
    seen: HashSet<(ModulePath, Target)>,
    found: BTreeMap<Node, Pos>,
}

impl<'c> Walk<'c> {
    fn module(&self, path: &ModulePath) -> Option<&'c Module> {
        self.config.modules.get(path).map(Arc::as_ref)
    }

    fn resource(&mut self, path: &ModulePath, resource: &Resource) {
        for reference in body_references(&resource.body) {
            self.target(path, &reference.target, &reference.pos);
        }
        let rules = resource.lifecycle.preconditions.iter().chain(&resource.lifecycle.postconditions);
        let conditions = rules.flat_map(|rule| [&rule.condition, &rule.message]);
        let repeat = resource.count.iter().chain(&resource.for_each);
        let named = resource.depends_on.iter().chain(&resource.lifecycle.replace_triggered_by);
        for expr in conditions.chain(repeat).chain(named) {
            self.expr(path, expr);
        }
        for provisioner in &resource.provisioners {
            for reference in body_references(&provisioner.body) {
                self.target(path, &reference.target, &reference.pos);
            }
        }
        self.provider(path, resource);
        self.calls(path);
    }

    /// A resource needs what its provider's configuration needs.
    fn provider(&mut self, path: &ModulePath, resource: &Resource) {
        let alias = resource.provider.as_ref().and_then(|p| p.alias.clone());
        let key = (Arc::from(resource.provider_name()), alias);
        let mut at = path.clone();
        loop {
            if let Some(provider) = self.module(&at).and_then(|m| m.providers.get(&key)) {
                for reference in body_references(&provider.body) {
                    self.target(&at, &reference.target, &reference.pos);
                }
                return;
            }
            if at.pop().is_none() {
                return;
            }
        }
    }

    /// Everything in a called module needs what the call depends on.
    fn calls(&mut self, path: &ModulePath) {
        let mut at = path.clone();
        while let Some(name) = at.pop() {
            let Some(call) = self.module(&at).and_then(|m| m.calls.get(&name)) else { return };
            for expr in call.depends_on.iter().chain(&call.count).chain(&call.for_each) {
                self.expr(&at, expr);
            }
        }
    }

    fn expr(&mut self, path: &ModulePath, expr: &Expr) {
        for reference in references(expr) {
            self.target(path, &reference.target, &reference.pos);
        }
    }

    fn target(&mut self, path: &ModulePath, target: &Target, pos: &Pos) {
        if !self.seen.insert((path.clone(), target.clone())) {
            return;
        }
        let Some(module) = self.module(path) else { return };
        match target {
            Target::Resource { mode, kind, name, .. } => {
                let key = (*mode, Arc::clone(kind), Arc::clone(name));
                if module.resources.contains_key(&key) {
                    self.found.entry((path.clone(), key)).or_insert_with(|| pos.clone());
                }
            }
            Target::Local(name) => {
                if let Some(local) = module.locals.get(name) {
                    self.expr(path, &local.expr);
                }
            }
            Target::Variable(name) => {
                let mut outer = path.clone();
                let Some(call) = outer.pop() else { return };
                let argument = self.module(&outer).and_then(|m| m.calls.get(&call)?.arguments.get(name));
                if let Some(expr) = argument {
                    self.expr(&outer, expr);
                }
            }
            Target::Module(name, output) => self.called(path, name, output.as_ref()),
            Target::Other(_) => {}
        }
    }

    fn called(&mut self, path: &ModulePath, name: &Arc<str>, output: Option<&Arc<str>>) {
        let mut inner = path.clone();
        inner.push(Arc::clone(name));
        let Some(module) = self.module(&inner) else { return };
        match output.and_then(|o| module.outputs.get(o)) {
            Some(output) => {
                for expr in [&output.expr].into_iter().chain(&output.depends_on) {
                    self.expr(&inner, expr);
                }
            }
            // The module as a whole: everything in it.
            None => {
                for (key, resource) in &module.resources {
                    self.found.entry((inner.clone(), key.clone())).or_insert_with(|| resource.pos.clone());
                }
                for call in module.calls.keys() {
                    self.target(&inner, &Target::Module(Arc::clone(call), None), &module.calls[call].pos);
                }
            }
        }
    }
}
