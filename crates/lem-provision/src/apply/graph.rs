//! The graph of operations: made once from the plan, walked without decisions.
//!
//! Every block has two barriers: `made`, behind its creates and updates, and `gone`, behind its deletes. So the number of
//! edges grows with instances and block references, not with their product.

use crate::plan::{Change, SealedPlan};
use crate::state::State;
use lem_model::resource::ResourceAction;
use std::collections::{BTreeSet, HashMap};

/// What a node does with its change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Creates, updates or reads.
    Make,
    /// Deletes the current object.
    Delete,
    /// Deletes the object that a replacement left.
    DeleteOld,
    /// Takes the object out of the state alone.
    Forget,
    /// Nothing: others wait for it.
    Barrier,
}

#[derive(Debug)]
struct Node {
    operation: Operation,
    change: usize,
    waits: usize,
    poisoned: bool,
    next: Vec<usize>,
}

/// Operations and who waits for whom.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Node>,
}

impl Graph {
    pub(super) fn of(sealed: &SealedPlan, state: &State) -> Self {
        let mut graph = Self::default();
        let needs = needs(sealed, state);
        let mut made: HashMap<&str, usize> = HashMap::new();
        let mut gone: HashMap<&str, usize> = HashMap::new();
        for block in needs.keys() {
            made.insert(block, graph.add(Operation::Barrier, 0));
            gone.insert(block, graph.add(Operation::Barrier, 0));
        }
        let mut dependants: HashMap<&str, Vec<&str>> = HashMap::new();
        for (block, needed) in &needs {
            for other in needed.iter().filter(|other| made.contains_key(other.as_str())) {
                graph.edge(made[other.as_str()], made[block.as_str()]);
                graph.edge(gone[block.as_str()], gone[other.as_str()]);
                dependants.entry(other).or_default().push(block);
            }
        }
        for (index, change) in sealed.plan().changes.iter().enumerate() {
            let block = change.block.as_str();
            let needed = || needs[block].iter().filter_map(|other| made.get(other.as_str())).copied();
            let behind = || dependants.get(block).into_iter().flatten().copied();
            let removes = change.action == ResourceAction::Delete && change.deposed.is_none();
            if removes || change.action == ResourceAction::DeleteCreate {
                let node = graph.add(Operation::Delete, index);
                graph.edge(node, gone[block]);
                behind().for_each(|other| graph.edge(gone[other], node));
                if !removes {
                    let make = graph.add_make(index, needed(), made[block]);
                    graph.edge(node, make);
                }
                continue;
            }
            match change.action {
                ResourceAction::Create | ResourceAction::Read => drop(graph.add_make(index, needed(), made[block])),
                ResourceAction::Update => {
                    let make = graph.add_make(index, needed(), made[block]);
                    behind().for_each(|other| graph.edge(gone[other], make));
                }
                ResourceAction::CreateDelete => {
                    let make = graph.add_make(index, needed(), made[block]);
                    let old = graph.add(Operation::DeleteOld, index);
                    graph.edge(make, old);
                    behind().for_each(|other| graph.edge(made[other], old));
                }
                ResourceAction::Delete => {
                    let old = graph.add(Operation::DeleteOld, index);
                    behind().for_each(|other| graph.edge(made[other], old));
                }
                ResourceAction::Forget => drop(graph.add(Operation::Forget, index)),
                ResourceAction::NoOp | ResourceAction::DeleteCreate => {}
            }
        }
        graph
    }

    fn add(&mut self, operation: Operation, change: usize) -> usize {
        self.nodes.push(Node { operation, change, waits: 0, poisoned: false, next: vec![] });
        self.nodes.len() - 1
    }

    fn add_make(&mut self, change: usize, needed: impl Iterator<Item = usize>, made: usize) -> usize {
        let node = self.add(Operation::Make, change);
        needed.for_each(|other| self.edge(other, node));
        self.edge(node, made);
        node
    }

    fn edge(&mut self, from: usize, to: usize) {
        self.nodes[from].next.push(to);
        self.nodes[to].waits += 1;
    }

    /// Nodes that wait for nothing.
    pub(super) fn free(&self) -> impl Iterator<Item = usize> + '_ {
        self.nodes.iter().enumerate().filter(|(_, n)| n.waits == 0).map(|(i, _)| i)
    }

    /// Ends a node; the answer is who waits for nothing more. Poison goes on through barriers.
    pub(super) fn done(&mut self, node: usize) -> Vec<usize> {
        if self.nodes[node].poisoned { self.failed(node) } else { self.release(node) }
    }

    /// Ends a node whose dependants must not start.
    pub(super) fn failed(&mut self, node: usize) -> Vec<usize> {
        for next in self.nodes[node].next.clone() {
            self.nodes[next].poisoned = true;
        }
        self.release(node)
    }

    fn release(&mut self, node: usize) -> Vec<usize> {
        let mut free = vec![];
        for next in std::mem::take(&mut self.nodes[node].next) {
            self.nodes[next].waits -= 1;
            if self.nodes[next].waits == 0 {
                free.push(next);
            }
        }
        free
    }

    pub(super) fn is_barrier(&self, node: usize) -> bool {
        self.nodes[node].operation == Operation::Barrier
    }

    pub(super) fn is_poisoned(&self, node: usize) -> bool {
        self.nodes[node].poisoned
    }

    pub(super) fn operation(&self, node: usize) -> Operation {
        self.nodes[node].operation
    }

    /// Which change of the plan a node belongs to.
    pub(super) fn index(&self, node: usize) -> usize {
        self.nodes[node].change
    }

    /// What people are told a node does.
    pub(super) fn action(&self, node: usize, change: &Change) -> ResourceAction {
        match self.nodes[node].operation {
            Operation::Delete | Operation::DeleteOld => ResourceAction::Delete,
            Operation::Forget => ResourceAction::Forget,
            Operation::Make | Operation::Barrier if change.action == ResourceAction::Update => ResourceAction::Update,
            Operation::Make | Operation::Barrier if change.action == ResourceAction::Read => ResourceAction::Read,
            Operation::Make | Operation::Barrier => ResourceAction::Create,
        }
    }
}

/// What each block needs: as configured, and for what is no longer configured as it was when it was made.
fn needs(sealed: &SealedPlan, state: &State) -> HashMap<String, BTreeSet<String>> {
    let order = &sealed.project().order;
    let mut needs: HashMap<String, BTreeSet<String>> =
        order.blocks.iter().map(|b| (b.name.clone(), b.needs.iter().cloned().collect())).collect();
    let configured: BTreeSet<String> = needs.keys().cloned().collect();
    for change in &sealed.plan().changes {
        let entry = needs.entry(change.block.clone()).or_default();
        if configured.contains(&change.block) {
            continue;
        }
        let stored = state.objects.get(&change.address).into_iter();
        let all = stored.flat_map(|object| object.current.iter().chain(object.deposed.values()));
        entry.extend(all.flat_map(|i| i.dependencies.iter()).map(|d| crate::order::without_keys(d)));
        entry.remove(&change.block);
    }
    needs
}
