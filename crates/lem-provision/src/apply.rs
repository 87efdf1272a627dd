//! Applying: walks the graph of operations and journals every result before anything that depends on it.
//!
//! In: a [`SealedPlan`] and the right to change the state ([`Session`]). Out: what was done and what failed. It takes no
//! decision of its own: an instance whose final plan is not the one that was shown fails. A failure stops what depends on
//! it and nothing else; what came back is always saved.

mod graph;
mod operation;
mod provision;

use crate::ProvisionError;
use crate::plan::{Change, SealedPlan, Values, readdress};
use crate::state::{Object, OutputState};
use crate::store::Session;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use graph::{Graph, Operation};
use indexmap::IndexMap;
use lem_engine_hcl::value::Value;
use lem_engine_hcl::value::json::to_json;
use lem_engine_hcl::{Evaluator, Mode};
use lem_model::Clock;
use lem_model::fact::{PlanCounts, ResourceChange};
use lem_model::resource::ResourceAction;
use operation::{Outcome, Run};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Operations at once unless something else is asked for.
pub const PARALLELISM: usize = 10;

/// Hears of an apply as it goes on.
pub trait Progress: Send + Sync {
    /// An operation begins.
    fn started(&self, _address: &str, _action: ResourceAction) {}
    /// An operation ended; the error says why it failed.
    fn finished(&self, _address: &str, _action: ResourceAction, _error: Option<&str>) {}
    /// What came of an operation is on the disk: no kill loses it any more.
    fn saved(&self, _address: &str) {}
    /// A provisioner said a line.
    fn line(&self, _address: &str, _line: &str) {}
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}

/// How to apply.
#[derive(Clone)]
pub struct Settings {
    /// Operations at once.
    pub parallelism: usize,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who hears of it.
    pub progress: Arc<dyn Progress>,
    /// Cancelled when nothing new is to be started.
    pub stop: CancellationToken,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("parallelism", &self.parallelism).finish_non_exhaustive()
    }
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// How many of what.
    pub counts: PlanCounts,
    /// What changed.
    pub changes: Vec<ResourceChange>,
    /// What failed, with the reason.
    pub failed: Vec<(String, String)>,
    /// What was not started, because of a failure, a lost lease or a request to stop.
    pub skipped: Vec<String>,
    /// Whether the lease was lost: then the state file was left to its new holder.
    pub lease_lost: bool,
    /// Whether it was stopped.
    pub stopped: bool,
}

/// Applies a plan. The state of the session must be the one the plan was made from.
pub async fn apply(sealed: &SealedPlan, session: &mut Session, settings: &Settings) -> Result<Applied, ProvisionError> {
    let (lineage, serial) = sealed.base();
    let state = session.state();
    if session.existed() && (state.lineage != lineage || state.serial != serial) {
        let now = format!(
            "it was made from serial {serial} of {lineage}, the state is serial {} of {}",
            state.serial, state.lineage
        );
        return Err(ProvisionError::Stale(now));
    }
    session.begin(sealed.digest().as_str())?;
    let project = sealed.project();
    let values = Values::default();
    let context = project.context(sealed.plan().made, true);
    let evaluator = Evaluator::new(&project.config, project.inputs.clone(), context, &values);
    let mut apply = Apply {
        sealed,
        evaluator: &evaluator,
        values: &values,
        settings,
        graph: Graph::of(sealed, session.state()),
        applied: Applied::default(),
    };
    apply.settle(session)?;
    apply.walk(session).await?;
    let outputs = apply.outputs(session);
    let applied = apply.applied;
    drop(evaluator);
    if applied.lease_lost {
        return Ok(applied);
    }
    if let Some(outputs) = outputs {
        drop(session.outputs(outputs)?);
    }
    session.fold()?;
    Ok(applied)
}

struct Apply<'a> {
    sealed: &'a SealedPlan,
    evaluator: &'a Evaluator<'a>,
    values: &'a Values,
    settings: &'a Settings,
    graph: Graph,
    applied: Applied,
}

impl Apply<'_> {
    /// What needs no provider: what was found changed outside, what moved, what stays as it is.
    fn settle(&mut self, session: &mut Session) -> Result<(), ProvisionError> {
        let plan = self.sealed.plan();
        for drift in &plan.drift {
            let object = session.state().objects.get(&drift.address).cloned();
            let object = object.map(|object| operation::refreshed(object, drift));
            drop(session.result(&drift.address, object)?);
        }
        for change in &plan.changes {
            if let Some(previous) = &change.previous
                && let Some(object) = session.state().objects.get(previous).cloned()
            {
                drop(session.result(previous, None)?);
                drop(session.result(&change.address, Some(readdress(object, &change.address)))?);
            }
            if change.action == ResourceAction::NoOp {
                self.applied.counts.unchanged += u32::from(change.parts.mode == Mode::Managed);
                if let Some(after) = &change.after {
                    self.values.set(change.parts.clone(), Value::object(after.clone()));
                }
            }
        }
        Ok(())
    }

    async fn walk(&mut self, session: &mut Session) -> Result<(), ProvisionError> {
        let lost = session.lease().lost();
        let mut ready: VecDeque<usize> = self.graph.free().collect();
        let mut running: FuturesUnordered<BoxFuture<'static, (usize, Outcome)>> = FuturesUnordered::new();
        let mut durable = FuturesUnordered::new();
        loop {
            while running.len() < self.settings.parallelism.max(1)
                && let Some(node) = ready.pop_front()
            {
                if self.graph.is_barrier(node) {
                    ready.extend(self.graph.done(node));
                    continue;
                }
                let change = &self.sealed.plan().changes[self.graph.index(node)];
                self.applied.lease_lost |= lost.is_cancelled();
                self.applied.stopped |= self.settings.stop.is_cancelled();
                if self.graph.is_poisoned(node) || self.applied.lease_lost || self.applied.stopped {
                    self.applied.skipped.push(change.address.clone());
                    ready.extend(self.graph.failed(node));
                    continue;
                }
                let action = self.graph.action(node, change);
                self.settings.progress.started(&change.address, action);
                match self.prepare(node, session) {
                    Ok(run) => running.push(Box::pin(async move { (node, run.run().await) })),
                    Err(why) => {
                        self.fail(node, why);
                        ready.extend(self.graph.failed(node));
                    }
                }
            }
            if running.is_empty() && durable.is_empty() && ready.is_empty() {
                return Ok(());
            }
            tokio::select! {
                Some((node, outcome)) = running.next(), if !running.is_empty() => {
                    let outcome = match self.provisioned(node, outcome) {
                        Ok(outcome) => outcome,
                        Err(more) => {
                            running.push(more);
                            continue;
                        }
                    };
                    let failed = outcome.error.is_some();
                    match self.finish(node, outcome, session) {
                        Ok(ticket) => durable.push(async move { (node, failed, ticket.await) }),
                        Err(ProvisionError::LeaseLost) => {
                            self.applied.lease_lost = true;
                            ready.extend(self.graph.failed(node));
                        }
                        Err(error) => return Err(error),
                    }
                }
                Some((node, failed, written)) = durable.next(), if !durable.is_empty() => {
                    let written = written.map_err(|_| "its writer ended".to_owned()).and_then(|w| w);
                    if let Err(why) = written {
                        let source = std::io::Error::other(why);
                        return Err(ProvisionError::File { doing: "write the journal beside", path: self.sealed.project().target.state.clone(), source });
                    }
                    self.settings.progress.saved(&self.sealed.plan().changes[self.graph.index(node)].address);
                    ready.extend(if failed { self.graph.failed(node) } else { self.graph.done(node) });
                }
            }
        }
    }

    fn prepare(&self, node: usize, session: &mut Session) -> Result<Run, String> {
        let change = &self.sealed.plan().changes[self.graph.index(node)];
        operation::prepare(
            self.graph.operation(node),
            change,
            self.sealed.project(),
            self.evaluator,
            session,
            self.settings,
        )
    }

    /// A new object has its provisioners run before it is done; `Err` is that run.
    fn provisioned(&self, node: usize, outcome: Outcome) -> Result<Outcome, BoxFuture<'static, (usize, Outcome)>> {
        if !outcome.is_new {
            return Ok(outcome);
        }
        let change = &self.sealed.plan().changes[self.graph.index(node)];
        match operation::after_create(change, self.sealed.project(), self.evaluator, outcome, self.settings) {
            Ok(outcome) => Ok(outcome),
            Err(run) => Err(Box::pin(async move { (node, run.await) })),
        }
    }

    fn fail(&mut self, node: usize, why: String) {
        let change = &self.sealed.plan().changes[self.graph.index(node)];
        self.settings.progress.finished(&change.address, change.action, Some(&why));
        self.applied.failed.push((change.address.clone(), why));
    }

    fn finish(
        &mut self,
        node: usize,
        outcome: Outcome,
        session: &mut Session,
    ) -> Result<crate::journal::Ticket, ProvisionError> {
        let operation = self.graph.operation(node);
        let change = &self.sealed.plan().changes[self.graph.index(node)];
        let stored = session.state().objects.get(&change.address).cloned();
        let object: Option<Object> = operation::store(operation, change, self.sealed.project(), stored, &outcome);
        if let Some(object) = &outcome.object
            && !matches!(operation, Operation::Delete | Operation::DeleteOld)
        {
            self.values.set(change.parts.clone(), Value::object(object.clone()));
        }
        let ticket = if change.parts.mode == Mode::Data {
            let (done, ticket) = tokio::sync::oneshot::channel();
            let _open = done.send(Ok(()));
            ticket
        } else {
            session.result(&change.address, object)?
        };
        match outcome.error {
            Some(why) => self.fail(node, why),
            None => self.count(operation, change),
        }
        Ok(ticket)
    }

    fn count(&mut self, operation: Operation, change: &Change) {
        self.settings.progress.finished(&change.address, change.action, None);
        let counts = &mut self.applied.counts;
        match (operation, change.action) {
            (Operation::Make, ResourceAction::Create) => counts.create += 1,
            (Operation::Make, ResourceAction::Update) => counts.update += 1,
            (Operation::Make, ResourceAction::DeleteCreate | ResourceAction::CreateDelete) => counts.replace += 1,
            (Operation::Delete, ResourceAction::Delete) => counts.delete += 1,
            _ => return,
        }
        self.applied.changes.extend(crate::plan::tell(std::slice::from_ref(change)));
    }

    /// Outputs as they are now. Those of what failed keep their old value.
    fn outputs(&mut self, session: &Session) -> Option<IndexMap<String, OutputState>> {
        if self.sealed.plan().destroys {
            let emptied = self.applied.failed.is_empty() && self.applied.skipped.is_empty();
            return emptied.then(IndexMap::new);
        }
        let root = lem_engine_hcl::ModuleAddress::root();
        let mut outputs = IndexMap::new();
        for (name, output) in &self.sealed.project().config.root.outputs {
            let old = session.state().outputs.get(&**name).cloned();
            match self.evaluator.output(&root, output) {
                Ok(value) if value.is_wholly_known() => {
                    let kind = value.ty().to_json();
                    let state = OutputState { value: to_json(&value), kind, sensitive: output.sensitive };
                    outputs.insert(name.to_string(), state);
                }
                Ok(_) => outputs.extend(old.map(|old| (name.to_string(), old))),
                Err(problem) => {
                    self.applied.failed.push((format!("output.{name}"), problem.to_string()));
                    outputs.extend(old.map(|old| (name.to_string(), old)));
                }
            }
        }
        Some(outputs)
    }
}
