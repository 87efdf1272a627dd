//! The contexts expressions see.

use super::{GithubPlan, RunInfo, TriggerEvent};
use crate::machine::{Before, Leg, Legs, Scope};
use indexmap::IndexMap;
use lem_engine_gha::{Context, Status, Value};
use serde_json::{Value as Json, json};

/// The `github` context, without what is only known inside a job.
pub(super) fn github(plan: &GithubPlan) -> Json {
    let (event, run) = (&plan.event, &plan.run);
    let (kind, short) = event.ref_kind();
    let owner = run.repository.split('/').next().unwrap_or_default();
    json!({
        "action": "", "action_path": "", "action_ref": "", "action_repository": "",
        "actor": event.actor, "triggering_actor": event.actor,
        "api_url": "https://api.github.com", "graphql_url": "https://api.github.com/graphql",
        "server_url": "https://github.com",
        "base_ref": event.base_ref, "head_ref": event.head_ref,
        "event": event.document(), "event_name": event.name,
        "job": "",
        "ref": event.git_ref, "ref_name": short, "ref_type": kind, "ref_protected": false,
        "repository": run.repository, "repository_owner": owner,
        "repositoryUrl": format!("git://github.com/{}.git", run.repository),
        "retention_days": "90",
        "run_attempt": "1", "run_id": run.run.as_str(), "run_number": run.number.to_string(),
        "secret_source": "Actions",
        "sha": event.sha.as_str(),
        "token": run.secrets.get("GITHUB_TOKEN").cloned().unwrap_or_default(),
        "workflow": plan.workflow.title(), "workflow_ref": format!("{}/{}@{}", run.repository, plan.workflow.file, event.git_ref),
        "workflow_sha": event.sha.as_str(),
        "workspace": "",
    })
}

/// An object of texts.
pub(super) fn texts(map: &IndexMap<String, String>) -> Value {
    Value::object(map.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))))
}

/// The `secrets` context.
pub(super) fn secrets(run: &RunInfo) -> Value {
    texts(&run.secrets)
}

/// The `inputs` context: values of the event, defaults for the rest, typed as the workflow declares them.
pub(super) fn inputs(plan: &GithubPlan) -> Value {
    let Some(trigger) = plan.workflow.trigger(&plan.event.name) else { return texts(&plan.event.inputs) };
    let mut pairs: Vec<(String, Value)> = vec![];
    for (name, input) in &trigger.inputs {
        let default = || input.default.as_ref().and_then(|t| t.evaluate(&Context::new()).ok());
        let given = plan.event.inputs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let value = match (given, input.kind) {
            (Some(text), lem_engine_gha::InputType::Boolean) => Value::Bool(text.eq_ignore_ascii_case("true")),
            (Some(text), lem_engine_gha::InputType::Number) => {
                Value::Number(lem_engine_gha::expr::text_to_number(text))
            }
            (Some(text), _) => Value::from(text.as_str()),
            (None, lem_engine_gha::InputType::Boolean) => default().unwrap_or(Value::Bool(false)),
            (None, _) => default().unwrap_or_else(|| Value::from("")),
        };
        pairs.push((name.clone(), value));
    }
    Value::object(pairs)
}

/// The `needs` context.
pub(super) fn needs(scope: &Scope<'_>) -> Value {
    Value::object(scope.needs.iter().map(|need| {
        let fields = [("result", Value::from(need.result.word())), ("outputs", texts(need.outputs))];
        (need.id.to_owned(), Value::object(fields))
    }))
}

/// The `strategy` context of a leg.
pub(super) fn strategy(legs: &Legs, index: usize) -> Value {
    lem_engine_gha::matrix::strategy_context(legs.fail_fast, legs.max_parallel, index, legs.legs.len())
}

/// The `matrix` context of a leg.
pub(super) fn matrix(leg: &Leg) -> Value {
    Value::from_json(&leg.matrix)
}

/// What the conditions of jobs see.
pub(super) fn of_node(plan: &GithubPlan, scope: &Scope<'_>) -> Context {
    Context::new()
        .with("github", Value::from_json(&plan.github))
        .with("inputs", inputs(plan))
        .with("vars", texts(&plan.run.vars))
        .with("needs", needs(scope))
        .with_status(status(scope.before))
}

/// The status functions of a job's condition. `Skipped` is decided by the caller, see [`super::rules`].
fn status(before: Before) -> Status {
    match before {
        Before::Success | Before::Skipped => Status::Success,
        Before::Failure => Status::Failure,
        Before::Cancelled => Status::Cancelled,
    }
}

impl TriggerEvent {
    /// `branch` or `tag`, and the short name.
    pub fn ref_kind(&self) -> (&'static str, &str) {
        match (self.git_ref.strip_prefix("refs/heads/"), self.git_ref.strip_prefix("refs/tags/")) {
            (Some(branch), _) => ("branch", branch),
            (_, Some(tag)) => ("tag", tag),
            _ => ("branch", &self.git_ref),
        }
    }

    /// The event's own document: what was given, filled with what follows from the rest.
    pub fn document(&self) -> Json {
        let mut document = json!({
            "ref": self.git_ref,
            "after": self.sha.as_str(),
            "before": self.before.as_ref().map(|sha| sha.to_string()),
            "head_commit": {"id": self.sha.as_str(), "message": self.message},
        });
        if self.name == "workflow_dispatch" {
            document["inputs"] = json!(self.inputs);
        }
        if let (Some(document), Some(given)) = (document.as_object_mut(), self.payload.as_object()) {
            document.extend(given.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        document
    }
}
