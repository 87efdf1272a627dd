//! GitHub Actions: from a workflow file and an event to a plan.

mod check;
mod context;
mod rules;
mod script;
mod shell;

pub use script::{DEFAULT_TIMEOUT_MINUTES, MAX_TIMEOUT_MINUTES};

use crate::dialect::JobScript;
use crate::machine::{LegId, Node, RunState, Scope};
use indexmap::IndexMap;
use lem_engine_gha::{Job, Workflow};
use lem_model::{CommitSha, Diagnostic, RunId};
use std::sync::Arc;

/// What starts a run.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerEvent {
    /// `push`, `pull_request`, `workflow_dispatch`, `schedule` ...
    pub name: String,
    /// Activity: `opened`, `synchronize`; for events that have types.
    pub action: Option<String>,
    /// `refs/heads/main`, `refs/tags/v1`.
    pub git_ref: String,
    /// Commit.
    pub sha: CommitSha,
    /// Commit before the push.
    pub before: Option<CommitSha>,
    /// Files that changed; `None` when there is nothing to compare with, and then path filters match.
    pub changed: Option<Vec<String>>,
    /// Message of the commit.
    pub message: String,
    /// Target branch of a pull request.
    pub base_ref: String,
    /// Source branch of a pull request.
    pub head_ref: String,
    /// Inputs of a manual run.
    pub inputs: IndexMap<String, String>,
    /// Who caused it.
    pub actor: String,
    /// The event's own document, as a webhook would bring it; fills in what we do not know.
    pub payload: serde_json::Value,
}

/// What a run is told besides its event.
#[derive(Clone, Debug, PartialEq)]
pub struct RunInfo {
    /// Run.
    pub run: RunId,
    /// How many runs of this workflow there were, this one included.
    pub number: u64,
    /// `owner/name`.
    pub repository: String,
    /// The `vars` context.
    pub vars: IndexMap<String, String>,
    /// The `secrets` context.
    pub secrets: IndexMap<String, String>,
}

/// A workflow about to run for an event.
#[derive(Debug)]
pub struct GithubPlan {
    /// The workflow.
    pub workflow: Arc<Workflow>,
    /// The event.
    pub event: TriggerEvent,
    /// The run.
    pub run: RunInfo,
    /// Indices into the workflow's jobs: those that belong to this run.
    jobs: Vec<usize>,
    /// The `github` context.
    github: serde_json::Value,
}

impl GithubPlan {
    /// A plan of these jobs.
    pub(crate) fn new(workflow: Arc<Workflow>, event: TriggerEvent, run: RunInfo, jobs: Vec<usize>) -> Self {
        let mut plan = Self { workflow, event, run, jobs, github: serde_json::Value::Null };
        plan.github = context::github(&plan);
        plan
    }

    /// The job behind a node.
    pub(crate) fn job(&self, node: usize) -> &Job {
        &self.workflow.jobs[self.jobs[node]]
    }

    /// The nodes of the machine.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        let index =
            |id: &str| self.jobs.iter().position(|job| self.workflow.jobs[*job].id.value.eq_ignore_ascii_case(id));
        let nodes = self.jobs.iter().map(|job| {
            let job = &self.workflow.jobs[*job];
            Node {
                id: job.id.value.clone(),
                needs: job.needs.iter().filter_map(|need| index(&need.value)).collect(),
                place: job.id.place.to_string(),
                blocked: check::unsupported(job),
            }
        });
        nodes.collect()
    }

    /// Names of the jobs with the legs that are known before anything ran.
    pub(crate) fn planned(&self) -> Vec<lem_model::fact::PlannedJob> {
        let mut planned = vec![];
        for (node, job) in self.jobs.iter().enumerate() {
            let job = &self.workflow.jobs[*job];
            let needs: Vec<String> = job.needs.iter().map(|n| n.value.clone()).collect();
            let scope = Scope { needs: vec![], before: crate::machine::Before::Success };
            let fixed = job.strategy.as_ref().and_then(|s| s.matrix.as_ref()).is_none_or(|m| !rules::is_dynamic(m));
            let legs = if fixed { crate::machine::Rules::legs(self, node, &scope).ok() } else { None };
            match legs {
                Some(legs) if !legs.legs.is_empty() => {
                    planned.extend(legs.legs.into_iter().map(|leg| lem_model::fact::PlannedJob {
                        job: leg.key,
                        name: leg.name,
                        needs: needs.clone(),
                    }));
                }
                _ => planned.push(lem_model::fact::PlannedJob {
                    job: job.id.value.clone(),
                    name: job.name.as_ref().and_then(|n| n.as_str()).unwrap_or(&job.id.value).to_owned(),
                    needs,
                }),
            }
        }
        planned
    }

    /// What is not supported in the jobs of this run.
    pub(crate) fn unsupported(&self) -> Vec<Diagnostic> {
        self.jobs.iter().flat_map(|job| check::unsupported(&self.workflow.jobs[*job])).collect()
    }

    /// What works, but not as on GitHub.
    pub(crate) fn notices(&self) -> Vec<Diagnostic> {
        self.jobs.iter().flat_map(|job| check::notices(&self.workflow.jobs[*job])).collect()
    }

    /// The group this run belongs to, and whether it stops what runs in it.
    pub(crate) fn concurrency(&self) -> Result<Option<crate::plan::Group>, String> {
        let Some(concurrency) = &self.workflow.concurrency else { return Ok(None) };
        let scope = Scope { needs: vec![], before: crate::machine::Before::Success };
        let context = context::of_node(self, &scope);
        let value = concurrency.group.evaluate(&context).map_err(|e| e.to_string())?;
        let own = |key: &str| value.get(key).cloned();
        let name = own("group").unwrap_or_else(|| value.clone()).to_text();
        let stops = match &concurrency.cancel_in_progress {
            Some(token) => token.evaluate(&context).map_err(|e| e.to_string())?.is_truthy(),
            None => own("cancel-in-progress").is_some_and(|v| v.is_truthy()),
        };
        let queue = match concurrency.queue {
            lem_engine_gha::Queue::Single => crate::plan::Queue::Single,
            lem_engine_gha::Queue::Max => crate::plan::Queue::Max,
        };
        Ok((!name.is_empty()).then_some(crate::plan::Group { name, cancel_in_progress: stops, queue }))
    }
}

/// The steps of a leg that is about to run.
pub(crate) fn script(plan: &Arc<GithubPlan>, state: &RunState, id: LegId) -> Option<Box<dyn JobScript>> {
    let legs = state.legs(id.node)?;
    let leg = legs.legs.get(id.leg)?;
    Some(Box::new(script::Script::new(Arc::clone(plan), id.node, leg, id.leg, legs, &state.scope(id.node))))
}

/// Why an event does not start a workflow, and the line that says so.
pub(crate) fn refuses(workflow: &Workflow, event: &TriggerEvent) -> Option<(String, lem_model::Place)> {
    let asked = lem_engine_gha::TriggerEvent {
        name: event.name.clone(),
        action: event.action.clone(),
        git_ref: if event.base_ref.is_empty() {
            event.git_ref.clone()
        } else {
            format!("refs/heads/{}", event.base_ref)
        },
        changed: event.changed.clone(),
        message: event.message.clone(),
        ..lem_engine_gha::TriggerEvent::default()
    };
    match lem_engine_gha::trigger::matches(workflow, &asked) {
        lem_engine_gha::Match::Runs { .. } => None,
        lem_engine_gha::Match::Skips { reason, place } => Some((reason, place)),
    }
}
