//! Which block needs which, and an order in which all can be planned.
//!
//! In: a configuration. Out: for every resource and data block the blocks it refers to, through locals, variables and
//! module outputs, and a topological order. A cycle is an error that lists its members with their places.

use crate::ProvisionError;
use lem_engine_hcl::config::{Configuration, Module, ModulePath, Resource, ResourceKey};
use lem_engine_hcl::eval::{Reference, Target, body_references, references};
use lem_engine_hcl::{Mode, syntax::Expr};
use lem_model::Diagnostic;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// A block of the configuration: `module.a.data.http.x`, without keys of instances.
pub type Block = String;

/// The blocks in the order they are planned, each with what it needs.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Blocks: module, key, needed blocks.
    pub blocks: Vec<Placed>,
    index: HashMap<Block, usize>,
}

/// One block in the order.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Name.
    pub name: Block,
    /// Module it is in.
    pub module: ModulePath,
    /// Which of the module's.
    pub key: ResourceKey,
    /// Blocks it refers to.
    pub needs: Vec<Block>,
}

impl Order {
    /// A block by its name.
    pub fn block(&self, name: &str) -> Option<&Placed> {
        self.index.get(name).map(|i| &self.blocks[*i])
    }

    /// Blocks a block refers to.
    pub fn needs(&self, block: &str) -> &[Block] {
        self.index.get(block).map(|i| self.blocks[*i].needs.as_slice()).unwrap_or_default()
    }

    /// Works the order out.
    pub fn of(config: &Configuration) -> Result<Self, ProvisionError> {
        let mut needs = Needs { config, known: HashMap::new() };
        let mut all: BTreeMap<Block, Placed> = BTreeMap::new();
        for (module, resource) in config.resources() {
            let name = block_name(module, &resource.key());
            let found = needs.resource(module, resource).into_iter().collect();
            all.insert(name.clone(), Placed { name, module: module.clone(), key: resource.key(), needs: found });
        }
        sort(config, all)
    }
}

/// Name of a block.
pub fn block_name(module: &[Arc<str>], (mode, kind, name): &ResourceKey) -> Block {
    let mut out: String = module.iter().map(|step| format!("module.{step}.")).collect();
    out += if *mode == Mode::Data { "data." } else { "" };
    out + kind + "." + name
}

/// An address without the keys of its instances.
pub fn without_keys(address: &str) -> Block {
    let (mut out, mut depth, mut quoted) = (String::with_capacity(address.len()), 0_usize, false);
    for c in address.chars() {
        match c {
            '"' if depth > 0 => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

/// A name of one module, whose blocks are worked out once.
type Named = (ModulePath, Target);

struct Needs<'a> {
    config: &'a Configuration,
    known: HashMap<Named, Arc<BTreeSet<Block>>>,
}

impl Needs<'_> {
    fn resource(&mut self, module: &ModulePath, resource: &Resource) -> BTreeSet<Block> {
        let lifecycle = &resource.lifecycle;
        let rules = lifecycle.preconditions.iter().chain(&lifecycle.postconditions);
        let mut found = body_references(&resource.body);
        let alone = resource.count.iter().chain(&resource.for_each).chain(&resource.depends_on);
        found.extend(alone.chain(&lifecycle.replace_triggered_by).flat_map(references));
        found.extend(rules.flat_map(|r| references(&r.condition).into_iter().chain(references(&r.message))));
        found.extend(resource.provisioners.iter().flat_map(|p| body_references(&p.body)));
        let mut needed = self.all(module, &found);
        let mut path = module.clone();
        while let Some(call) = path.pop() {
            let extra: Vec<Reference> = self.call(&path, &call).map(repeat_and_depends).unwrap_or_default();
            needed.extend(self.all(&path, &extra));
        }
        needed.remove(&block_name(module, &resource.key()));
        needed
    }

    fn module(&self, path: &ModulePath) -> Option<Arc<Module>> {
        if path.is_empty() { Some(Arc::clone(&self.config.root)) } else { self.config.modules.get(path).cloned() }
    }

    fn call(&self, path: &ModulePath, name: &Arc<str>) -> Option<lem_engine_hcl::config::ModuleCall> {
        self.module(path)?.calls.get(name).cloned()
    }

    fn all(&mut self, module: &ModulePath, found: &[Reference]) -> BTreeSet<Block> {
        let mut needed = BTreeSet::new();
        for reference in found {
            needed.extend(self.target(module, &reference.target).iter().cloned());
        }
        needed
    }

    fn expr(&mut self, module: &ModulePath, expr: &Expr) -> BTreeSet<Block> {
        self.all(module, &references(expr))
    }

    fn target(&mut self, path: &ModulePath, target: &Target) -> Arc<BTreeSet<Block>> {
        let named = (
            path.clone(),
            match target {
                Target::Resource { mode, kind, name, .. } => {
                    Target::Resource { mode: *mode, kind: Arc::clone(kind), name: Arc::clone(name), key: None }
                }
                other => other.clone(),
            },
        );
        if let Some(known) = self.known.get(&named) {
            return Arc::clone(known);
        }
        // A cycle among names is found and told by the evaluator; here it only must end.
        self.known.insert(named.clone(), Arc::default());
        let found = Arc::new(self.work_out(path, &named.1));
        self.known.insert(named, Arc::clone(&found));
        found
    }

    fn work_out(&mut self, path: &ModulePath, target: &Target) -> BTreeSet<Block> {
        let Some(module) = self.module(path) else { return BTreeSet::new() };
        match target {
            Target::Resource { mode, kind, name, .. } => {
                let key = (*mode, Arc::clone(kind), Arc::clone(name));
                let there = module.resources.contains_key(&key);
                there.then(|| block_name(path, &key)).into_iter().collect()
            }
            Target::Local(name) => {
                module.locals.get(name).map(|local| self.expr(path, &local.expr)).unwrap_or_default()
            }
            Target::Variable(name) => {
                let mut parent = path.clone();
                let Some(call) = parent.pop() else { return BTreeSet::new() };
                let Some(call) = self.call(&parent, &call) else { return BTreeSet::new() };
                call.arguments.get(name).map(|argument| self.expr(&parent, argument)).unwrap_or_default()
            }
            Target::Module(name, output) => self.outputs(path, &module, name, output.as_ref()),
            Target::Other(_) => BTreeSet::new(),
        }
    }

    fn outputs(
        &mut self,
        path: &ModulePath,
        module: &Module,
        name: &Arc<str>,
        only: Option<&Arc<str>>,
    ) -> BTreeSet<Block> {
        let mut inner = path.clone();
        inner.push(Arc::clone(name));
        let Some(called) = self.module(&inner) else { return BTreeSet::new() };
        let mut needed = BTreeSet::new();
        for output in called.outputs.values().filter(|o| only.is_none_or(|only| *only == o.name)) {
            needed.extend(self.expr(&inner, &output.expr));
            for expr in &output.depends_on {
                needed.extend(self.expr(&inner, expr));
            }
        }
        if only.is_none() {
            let below = self.config.resources().filter(|(path, _)| path.starts_with(&inner));
            needed.extend(below.map(|(path, resource)| block_name(path, &resource.key())));
        }
        if let Some(call) = module.calls.get(name) {
            needed.extend(self.all(path, &repeat_and_depends(call.clone())));
        }
        needed
    }
}

fn repeat_and_depends(call: lem_engine_hcl::config::ModuleCall) -> Vec<Reference> {
    call.count.iter().chain(&call.for_each).chain(&call.depends_on).flat_map(references).collect()
}

/// Kahn's algorithm; what is left over when nothing is free is on a cycle or behind one.
fn sort(config: &Configuration, mut all: BTreeMap<Block, Placed>) -> Result<Order, ProvisionError> {
    let mut waits: BTreeMap<Block, usize> = BTreeMap::new();
    let mut behind: HashMap<Block, Vec<Block>> = HashMap::new();
    for placed in all.values() {
        let inside = placed.needs.iter().filter(|n| all.contains_key(*n));
        waits.insert(placed.name.clone(), inside.clone().count());
        inside.for_each(|n| behind.entry(n.clone()).or_default().push(placed.name.clone()));
    }
    let mut free: Vec<Block> = waits.iter().filter(|(_, n)| **n == 0).map(|(b, _)| b.clone()).collect();
    free.reverse();
    let mut order = Order::default();
    while let Some(block) = free.pop() {
        for next in behind.remove(&block).unwrap_or_default() {
            if let Some(left) = waits.get_mut(&next) {
                *left -= 1;
                if *left == 0 {
                    free.push(next);
                }
            }
        }
        if let Some(placed) = all.remove(&block) {
            order.index.insert(block, order.blocks.len());
            order.blocks.push(placed);
        }
    }
    if all.is_empty() { Ok(order) } else { Err(cycle(config, &all)) }
}

fn cycle(config: &Configuration, left: &BTreeMap<Block, Placed>) -> ProvisionError {
    let mut at = left.keys().next().cloned().unwrap_or_default();
    let (mut path, mut seen): (Vec<Block>, HashSet<Block>) = (vec![], HashSet::new());
    while seen.insert(at.clone()) {
        path.push(at.clone());
        let next = left.get(&at).and_then(|p| p.needs.iter().find(|n| left.contains_key(*n)));
        let Some(next) = next else { break };
        at = next.clone();
    }
    let start = path.iter().position(|b| *b == at).unwrap_or(0);
    let place = |block: &Block| {
        let placed = &left[block];
        let module = if placed.module.is_empty() { Some(&config.root) } else { config.modules.get(&placed.module) };
        module.and_then(|m| m.resources.get(&placed.key)).map(|r| r.pos.place()).unwrap_or_default()
    };
    let members: Vec<String> = path[start..].iter().map(|b| format!("{b} ({})", place(b))).collect();
    let message = format!("cycle: {}", members.join(" needs "));
    ProvisionError::file(
        Diagnostic::error("cycle", message, place(&path[start]))
            .with_hint("take one of the references out, or move what both need to a block of its own"),
    )
}
