//! What happens next in a run: pure, without clock and without IO.
//!
//! [`RunState`] is a fold over [`Input`]s; [`RunState::advance`] answers each with what has happened
//! ([`Change`]) and what is to be done ([`Effect`]). The same inputs give the same answers, so a run can be simulated,
//! tested as a table, and replayed.
//!
//! A node is a job of the file; its legs are the jobs that really run, one per matrix combination.

use indexmap::IndexMap;
use lem_model::Diagnostic;
use lem_model::fact::Outcome;

/// Jobs one run may have after all matrices are expanded.
pub const MAX_RUN_JOBS: usize = 10_000;

/// What the machine knows of a job of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Id in the file.
    pub id: String,
    /// Indices of the nodes it waits for, all of them earlier or later in the file, never in a cycle.
    pub needs: Vec<usize>,
    /// `file:line:column`, for sentences.
    pub place: String,
    /// Why it cannot run at all, when something in it is not supported.
    pub blocked: Vec<Diagnostic>,
}

/// How a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeResult {
    /// All its legs count as successful.
    Success,
    /// One of its legs failed, or it is blocked.
    Failure,
    /// It was stopped.
    Cancelled,
    /// It did not run.
    Skipped,
}

impl NodeResult {
    /// The word of the file format.
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}

/// One job that runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Leg {
    /// Key in the run: `test (1.80, linux)`.
    pub key: String,
    /// Display name.
    pub name: String,
    /// Values of the matrix, `null` without one.
    pub matrix: serde_json::Value,
}

/// The legs of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Legs {
    /// In the order of the matrix.
    pub legs: Vec<Leg>,
    /// Whether a failed leg stops its siblings.
    pub fail_fast: bool,
    /// How many may run at once.
    pub max_parallel: Option<usize>,
}

/// What a node's condition may ask.
#[derive(Debug)]
pub struct Scope<'a> {
    /// The nodes it waits for, with results and outputs.
    pub needs: Vec<Need<'a>>,
    /// The worst of all ancestors, and whether the run is being cancelled.
    pub before: Before,
}

/// A node that another waits for.
#[derive(Debug)]
pub struct Need<'a> {
    /// Id.
    pub id: &'a str,
    /// How it ended.
    pub result: NodeResult,
    /// Its outputs.
    pub outputs: &'a IndexMap<String, String>,
    /// `file:line:column`.
    pub place: &'a str,
}

/// How things stand before a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Everything it needs succeeded.
    Success,
    /// An ancestor failed.
    Failure,
    /// A need was skipped or cancelled, and no ancestor failed.
    Skipped,
    /// The run is being cancelled.
    Cancelled,
}

/// Whether a node runs, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it runs.
    pub run: bool,
    /// The reason as a sentence with its place.
    pub why: String,
}

/// The decisions that differ between the file formats.
pub trait Rules: Send + Sync {
    /// Whether a node runs, now that all it waits for has ended.
    fn verdict(&self, node: usize, scope: &Scope<'_>) -> Result<Verdict, String>;
    /// The jobs a node stands for.
    fn legs(&self, node: usize, scope: &Scope<'_>) -> Result<Legs, String>;
}

/// Names a leg: node and leg index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId {
    /// Node.
    pub node: usize,
    /// Leg.
    pub leg: usize,
}

/// How a leg ended.
#[derive(Clone, Debug, PartialEq)]
pub struct LegEnd {
    /// Raw.
    pub outcome: Outcome,
    /// As it counts.
    pub conclusion: Outcome,
    /// Its outputs.
    pub outputs: IndexMap<String, String>,
}

/// What the machine is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Begin.
    Start,
    /// A leg has ended.
    Ended(LegId, LegEnd),
    /// Somebody wants the run to stop.
    Cancel(String),
}

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A job will not run.
    Skipped {
        /// Key.
        key: String,
        /// The reason as a sentence.
        why: String,
    },
    /// A job cannot run; the run is no success.
    Blocked {
        /// Key.
        key: String,
        /// The reason as a sentence.
        why: String,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Run this leg.
    Start(LegId),
    /// Stop this leg.
    Cancel(LegId),
    /// All is over.
    Finish(Outcome, Option<String>),
}

#[derive(Clone, Debug, PartialEq)]
enum LegPhase {
    Waiting,
    Running,
    Ended(LegEnd),
    Dropped,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct NodeState {
    legs: Option<Legs>,
    phases: Vec<LegPhase>,
    outputs: IndexMap<String, String>,
    result: Option<NodeResult>,
    failed_fast: bool,
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq)]
pub struct RunState {
    nodes: Vec<Node>,
    states: Vec<NodeState>,
    cancelled: Option<String>,
    troubles: Vec<String>,
    legs: usize,
    finished: bool,
}

type Answer = (Vec<Change>, Vec<Effect>);

impl RunState {
    /// A run of these nodes that has not begun.
    pub fn new(nodes: Vec<Node>) -> Self {
        let states = vec![NodeState::default(); nodes.len()];
        Self { nodes, states, cancelled: None, troubles: vec![], legs: 0, finished: false }
    }

    /// A leg.
    pub fn leg(&self, id: LegId) -> Option<&Leg> {
        self.states.get(id.node)?.legs.as_ref()?.legs.get(id.leg)
    }

    /// The strategy of a leg: how many legs its node has, whether one failing stops the rest, how many run at once.
    pub fn legs(&self, node: usize) -> Option<&Legs> {
        self.states.get(node)?.legs.as_ref()
    }

    /// How a node ended, when it has.
    pub fn result(&self, node: usize) -> Option<NodeResult> {
        self.states.get(node)?.result
    }

    /// What a node may ask.
    pub fn scope(&self, node: usize) -> Scope<'_> {
        let needs = self.nodes[node].needs.iter().map(|n| Need {
            id: &self.nodes[*n].id,
            result: self.states[*n].result.unwrap_or(NodeResult::Skipped),
            outputs: &self.states[*n].outputs,
            place: &self.nodes[*n].place,
        });
        Scope { needs: needs.collect(), before: self.before(node) }
    }

    fn before(&self, node: usize) -> Before {
        if self.cancelled.is_some() {
            return Before::Cancelled;
        }
        let results: Vec<_> = self.ancestors(node).into_iter().filter_map(|n| self.states[n].result).collect();
        if results.contains(&NodeResult::Failure) {
            return Before::Failure;
        }
        let direct = self.nodes[node].needs.iter().all(|n| self.states[*n].result == Some(NodeResult::Success));
        if direct { Before::Success } else { Before::Skipped }
    }

    fn ancestors(&self, node: usize) -> Vec<usize> {
        let mut seen = vec![false; self.nodes.len()];
        let mut front = self.nodes[node].needs.clone();
        let mut all = vec![];
        while let Some(at) = front.pop() {
            if !std::mem::replace(&mut seen[at], true) {
                all.push(at);
                front.extend(&self.nodes[at].needs);
            }
        }
        all
    }

    /// Takes one input; says what has happened and what is to be done.
    pub fn advance(&mut self, input: Input, rules: &dyn Rules) -> Answer {
        let mut answer = (vec![], vec![]);
        match input {
            Input::Start => {}
            Input::Ended(id, end) => self.ended(id, end, &mut answer.1),
            Input::Cancel(why) => self.cancel(why, &mut answer.1),
        }
        self.settle(rules, &mut answer);
        answer
    }

    fn cancel(&mut self, why: String, effects: &mut Vec<Effect>) {
        if self.cancelled.is_some() || self.finished {
            return;
        }
        self.cancelled = Some(why);
        for node in 0..self.nodes.len() {
            self.stop_legs(node, effects);
        }
    }

    /// Stops what runs of a node and drops what waits.
    fn stop_legs(&mut self, node: usize, effects: &mut Vec<Effect>) {
        for (leg, phase) in self.states[node].phases.iter_mut().enumerate() {
            match phase {
                LegPhase::Running => effects.push(Effect::Cancel(LegId { node, leg })),
                LegPhase::Waiting => *phase = LegPhase::Dropped,
                _ => {}
            }
        }
    }

    fn ended(&mut self, id: LegId, end: LegEnd, effects: &mut Vec<Effect>) {
        let state = &mut self.states[id.node];
        let failed = matches!(end.conclusion, Outcome::Failure | Outcome::Error);
        if failed && let Some(leg) = state.legs.as_ref().and_then(|l| l.legs.get(id.leg)) {
            self.troubles.push(leg.key.clone());
        }
        // Later legs overwrite the outputs of earlier ones, empty values excepted.
        for (key, value) in &end.outputs {
            if !value.is_empty() || !state.outputs.contains_key(key) {
                state.outputs.insert(key.clone(), value.clone());
            }
        }
        state.phases[id.leg] = LegPhase::Ended(end);
        let fail_fast = state.legs.as_ref().is_some_and(|l| l.fail_fast);
        if failed && fail_fast {
            state.failed_fast = true;
            self.stop_legs(id.node, effects);
        }
    }

    /// Moves everything that can move, until nothing does.
    fn settle(&mut self, rules: &dyn Rules, answer: &mut Answer) {
        loop {
            let mut moved = false;
            for node in 0..self.nodes.len() {
                moved |= self.settle_node(node, rules, answer);
            }
            if !moved {
                break;
            }
        }
        if !self.finished && self.states.iter().all(|s| s.result.is_some()) {
            self.finished = true;
            let (outcome, errors) = self.outcome();
            answer.1.push(Effect::Finish(outcome, errors));
        }
    }

    fn outcome(&self) -> (Outcome, Option<String>) {
        if let Some(why) = &self.cancelled {
            return (Outcome::Cancel, Some(why.clone()));
        }
        let failed = self.states.iter().any(|s| s.result == Some(NodeResult::Failure));
        if failed {
            return (Outcome::Failure, Some(format!("failed: {}", self.troubles.join(", "))));
        }
        let cancelled = self.states.iter().any(|s| s.result == Some(NodeResult::Cancelled));
        if cancelled { (Outcome::Cancel, None) } else { (Outcome::Success, None) }
    }

    fn settle_node(&mut self, node: usize, rules: &dyn Rules, answer: &mut Answer) -> bool {
        if self.states[node].result.is_some() {
            return false;
        }
        if self.states[node].legs.is_none() {
            let ready = self.nodes[node].needs.iter().all(|n| self.states[*n].result.is_some());
            return ready && self.open(node, rules, answer);
        }
        self.start_legs(node, &mut answer.1);
        self.close(node, answer)
    }

    /// All needs have ended: decide, and make the legs.
    fn open(&mut self, node: usize, rules: &dyn Rules, answer: &mut Answer) -> bool {
        let key = self.nodes[node].id.clone();
        let scope = self.scope(node);
        let verdict = rules.verdict(node, &scope);
        let legs = match &verdict {
            Ok(verdict) if verdict.run && self.nodes[node].blocked.is_empty() => rules.legs(node, &scope),
            Err(why) => Err(why.clone()),
            Ok(_) => Ok(Legs { legs: vec![], fail_fast: true, max_parallel: None }),
        };
        match (verdict, legs) {
            (Ok(verdict), _) if !verdict.run => {
                answer.0.push(Change::Skipped { key, why: verdict.why });
                self.states[node].result = Some(NodeResult::Skipped);
            }
            _ if !self.nodes[node].blocked.is_empty() => {
                let reasons: Vec<_> =
                    self.nodes[node].blocked.iter().map(|d| format!("{} ({})", d.message, d.place)).collect();
                self.block(node, format!("blocked: {}", reasons.join("; ")), answer);
            }
            (_, Err(why)) => self.block(node, why, answer),
            (_, Ok(legs)) if self.legs + legs.legs.len() > MAX_RUN_JOBS => {
                self.block(node, format!("the run would have more than {MAX_RUN_JOBS} jobs"), answer);
            }
            (_, Ok(legs)) if legs.legs.is_empty() => {
                let why = format!("its matrix is empty ({})", self.nodes[node].place);
                answer.0.push(Change::Skipped { key, why });
                self.states[node].result = Some(NodeResult::Skipped);
            }
            (_, Ok(legs)) => {
                self.legs += legs.legs.len();
                self.states[node].phases = vec![LegPhase::Waiting; legs.legs.len()];
                self.states[node].legs = Some(legs);
            }
        }
        true
    }

    fn block(&mut self, node: usize, why: String, answer: &mut Answer) {
        let key = self.nodes[node].id.clone();
        self.troubles.push(key.clone());
        answer.0.push(Change::Blocked { key, why });
        self.states[node].result = Some(NodeResult::Failure);
    }

    fn start_legs(&mut self, node: usize, effects: &mut Vec<Effect>) {
        let state = &mut self.states[node];
        let limit = state.legs.as_ref().and_then(|l| l.max_parallel).unwrap_or(usize::MAX).max(1);
        let mut running = state.phases.iter().filter(|p| **p == LegPhase::Running).count();
        for (leg, phase) in state.phases.iter_mut().enumerate() {
            if running >= limit {
                break;
            }
            if *phase == LegPhase::Waiting {
                *phase = LegPhase::Running;
                running += 1;
                effects.push(Effect::Start(LegId { node, leg }));
            }
        }
    }

    /// All legs have ended: the node has.
    fn close(&mut self, node: usize, answer: &mut Answer) -> bool {
        let state = &self.states[node];
        if !state.phases.iter().all(|p| matches!(p, LegPhase::Ended(_) | LegPhase::Dropped)) {
            return false;
        }
        let mut result = NodeResult::Success;
        for (leg, phase) in state.phases.iter().enumerate() {
            let conclusion = match phase {
                LegPhase::Ended(end) => end.conclusion,
                _ => {
                    let key = state.legs.as_ref().map_or_else(String::new, |l| l.legs[leg].key.clone());
                    let why = match &self.cancelled {
                        Some(why) => format!("the run was cancelled: {why}"),
                        None => format!("a sibling failed and fail-fast is on ({})", self.nodes[node].place),
                    };
                    answer.0.push(Change::Skipped { key, why });
                    Outcome::Cancel
                }
            };
            result = match (result, conclusion) {
                (NodeResult::Failure, _) | (_, Outcome::Failure | Outcome::Error) => NodeResult::Failure,
                (NodeResult::Cancelled, _) | (_, Outcome::Cancel) => NodeResult::Cancelled,
                (so_far, Outcome::Success) => so_far,
            };
        }
        if state.failed_fast {
            result = NodeResult::Failure;
        }
        self.states[node].result = Some(result);
        true
    }
}
