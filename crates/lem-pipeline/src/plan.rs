//! From files and an event to what would run: pure.

use crate::dialect::JobScript;
use crate::dialect::github::{self, GithubPlan, RunInfo, TriggerEvent};
use crate::machine::{LegId, Node, Rules, RunState};
use lem_engine_gha::Workflow;
use lem_model::diagnostic::nearest;
use lem_model::fact::PlannedJob;
use lem_model::{Diagnostic, Place};
use std::sync::Arc;

/// Runs that may wait in a group with `queue: max`.
pub const MAX_QUEUED_IN_GROUP: usize = 100;

/// How many runs of a group may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// One; a newer replaces it.
    Single,
    /// Up to [`MAX_QUEUED_IN_GROUP`], first in, first out.
    Max,
}

/// Runs of a group do not run at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Name; groups ignore case.
    pub name: String,
    /// Whether a new run stops the one that runs.
    pub cancel_in_progress: bool,
    /// Who may wait.
    pub queue: Queue,
}

/// What would run for an event.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of the pipeline.
    pub name: String,
    /// Workflow file, relative to the repository.
    pub file: String,
    /// Jobs of the file that belong to the run, with their needs.
    pub nodes: Vec<Node>,
    /// Jobs as far as they are known before anything ran.
    pub jobs: Vec<PlannedJob>,
    /// Group of the run.
    pub group: Option<Group>,
    /// What is not supported: those jobs are blocked, and the run is no success.
    pub unsupported: Vec<Diagnostic>,
    /// What to know besides.
    pub warnings: Vec<Diagnostic>,
    pub(crate) dialect: Arc<GithubPlan>,
}

impl Plan {
    /// The decisions of the file's dialect.
    pub fn rules(&self) -> &dyn Rules {
        self.dialect.as_ref()
    }

    /// The event it was made for.
    pub fn event(&self) -> &TriggerEvent {
        &self.dialect.event
    }

    /// The run it was made for.
    pub fn run(&self) -> &RunInfo {
        &self.dialect.run
    }

    /// The steps of a leg that is about to run.
    pub fn script(&self, state: &RunState, leg: LegId) -> Option<Box<dyn JobScript>> {
        github::script(&self.dialect, state, leg)
    }
}

/// Answer of a file to an event.
#[derive(Debug, Clone)]
pub enum Planned {
    /// It runs.
    Run(Box<Plan>),
    /// The event does not concern it.
    Passed {
        /// The reason as a sentence with its place.
        why: String,
        /// Where.
        place: Place,
    },
}

/// Which jobs of a file are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// All.
    #[default]
    All,
    /// This one and what it needs.
    Job(String),
}

/// Whether the event's filters decide, or somebody asked for this very file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Filters {
    /// They decide.
    #[default]
    Apply,
    /// They are passed over.
    Ignore,
}

/// What a workflow would do for an event. Every error of the file is reported; with one there is no plan.
pub fn plan(
    workflow: Arc<Workflow>,
    event: TriggerEvent,
    run: RunInfo,
    wanted: &Wanted,
    filters: Filters,
) -> Result<Planned, Vec<Diagnostic>> {
    if filters == Filters::Apply
        && let Some((why, place)) = github::refuses(&workflow, &event)
    {
        return Ok(Planned::Passed { why, place });
    }
    let jobs = match wanted {
        Wanted::All => (0..workflow.jobs.len()).collect(),
        Wanted::Job(id) => with_needs(&workflow, id)?,
    };
    inputs(&workflow, &event)?;
    let plan = Arc::new(GithubPlan::new(workflow, event, run, jobs));
    let file = plan.workflow.file.clone();
    let at_group = || plan.workflow.concurrency.as_ref().map_or_else(|| Place::file(&file), |c| c.group.place.clone());
    let group = plan.concurrency().map_err(|why| vec![Diagnostic::error("expression", why, at_group())])?;
    Ok(Planned::Run(Box::new(Plan {
        name: plan.workflow.title().to_owned(),
        file,
        nodes: plan.nodes(),
        jobs: plan.planned(),
        group,
        unsupported: plan.unsupported(),
        warnings: plan.notices(),
        dialect: plan,
    })))
}

/// Inputs of a manual run against their declarations.
fn inputs(workflow: &Workflow, event: &TriggerEvent) -> Result<(), Vec<Diagnostic>> {
    let Some(trigger) = workflow.trigger(&event.name).filter(|_| event.name == "workflow_dispatch") else {
        return Ok(());
    };
    let mut wrong = vec![];
    for name in event.inputs.keys().filter(|n| !trigger.inputs.keys().any(|k| k.eq_ignore_ascii_case(n))) {
        wrong.push(Diagnostic::error("input", format!("the workflow has no input \"{name}\""), trigger.place.clone()));
    }
    for (name, input) in &trigger.inputs {
        let given = event.inputs.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        match given {
            None if input.required && input.default.is_none() => {
                let message = format!("input \"{name}\" is required");
                wrong.push(
                    Diagnostic::error("input", message, input.place.clone()).with_hint(format!("--input {name}=VALUE")),
                );
            }
            Some(value) if !input.options.is_empty() && !input.options.contains(value) => {
                let message = format!("input \"{name}\" must be one of {}, not \"{value}\"", input.options.join(", "));
                wrong.push(Diagnostic::error("input", message, input.place.clone()));
            }
            _ => {}
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn with_needs(workflow: &Workflow, id: &str) -> Result<Vec<usize>, Vec<Diagnostic>> {
    let find = |id: &str| workflow.jobs.iter().position(|job| job.id.value.eq_ignore_ascii_case(id));
    let Some(job) = find(id) else {
        let missing =
            Diagnostic::error("unknown-job", format!("there is no job \"{id}\""), Place::file(&workflow.file));
        let near = nearest(id, workflow.jobs.iter().map(|j| j.id.value.as_str()));
        return Err(vec![match near {
            Some(near) => missing.with_hint(format!("did you mean \"{near}\"?")),
            None => missing,
        }]);
    };
    let mut chosen = vec![false; workflow.jobs.len()];
    let mut front = vec![job];
    while let Some(at) = front.pop() {
        if !std::mem::replace(&mut chosen[at], true) {
            front.extend(workflow.jobs[at].needs.iter().filter_map(|need| find(&need.value)));
        }
    }
    Ok((0..chosen.len()).filter(|index| chosen[*index]).collect())
}
