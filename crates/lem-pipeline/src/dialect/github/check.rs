//! What a workflow asks for that this engine does not do: said by name and place before anything starts.

use crate::actions;
use lem_engine_gha::{Action, Job, Kind, Step, StepsWork, Token, Work};
use lem_model::{Diagnostic, Place};

const CODE: &str = "unsupported";

/// Everything in a job that keeps it from running.
pub(super) fn unsupported(job: &Job) -> Vec<Diagnostic> {
    let mut found = vec![];
    match &job.work {
        Work::Call(call) => found.push(
            error(format!("reusable workflow {} is not supported", call.uses.value), &call.uses.place)
                .with_hint("copy its jobs into this workflow"),
        ),
        Work::Steps(work) => {
            job_features(work, &mut found);
            work.steps.iter().for_each(|step| step_features(step, &mut found));
        }
    }
    if let Some(concurrency) = &job.concurrency {
        let message = "concurrency of a single job is not supported";
        found.push(error(message, &concurrency.group.place).with_hint("put it on the workflow"));
    }
    found
}

fn error(message: impl Into<String>, place: &Place) -> Diagnostic {
    Diagnostic::error(CODE, message, place.clone())
}

fn job_features(work: &StepsWork, found: &mut Vec<Diagnostic>) {
    if let Some(container) = work.container.as_ref().filter(|t| !matches!(t.kind, Kind::Null)) {
        let message = "a job in a container is not supported by the local executor";
        found.push(error(message, &container.place).with_hint("run the steps on the machine itself"));
    }
    if let Some(services) = work.services.as_ref().filter(|t| t.entries().is_some_and(|e| !e.is_empty())) {
        let message = "service containers are not supported by the local executor";
        found.push(error(message, &services.place).with_hint("start the service in a step, in the background"));
    }
    if let Some(snapshot) = &work.snapshot {
        found.push(error("snapshot is not supported", &snapshot.place));
    }
    for label in labels(&work.runs_on) {
        let text = label.as_str().unwrap_or_default().to_ascii_lowercase();
        if text.starts_with("windows") || text.starts_with("macos") {
            let message = format!("runner \"{text}\" is not supported: jobs run on this machine, which is Linux");
            found.push(error(message, &label.place));
        }
    }
}

/// The labels of `runs-on` that are known before anything runs.
fn labels(token: &Token) -> Vec<&Token> {
    match &token.kind {
        Kind::String(_) => vec![token],
        Kind::Sequence(items) => items.iter().collect(),
        Kind::Mapping(_) => token.get("labels").map(labels).unwrap_or_default(),
        _ => vec![],
    }
}

fn step_features(step: &Step, found: &mut Vec<Diagnostic>) {
    match &step.action {
        Action::Uses { uses, with } => found.extend(action(&uses.value, &uses.place, with.as_ref())),
        Action::Run { .. } => {}
        Action::Wait(_) | Action::WaitAll | Action::Cancel(_) | Action::Parallel(_) => {
            found.push(error("steps in the background are not supported", &step.place));
        }
    }
    if step.background && matches!(step.action, Action::Run { .. } | Action::Uses { .. }) {
        found.push(
            error("background: true is not supported", &step.place).with_hint("start the process with & in a script"),
        );
    }
}

fn action(uses: &str, place: &Place, with: Option<&Token>) -> Option<Diagnostic> {
    if uses.starts_with("docker://") {
        return Some(error(format!("docker action {uses} is not supported"), place));
    }
    if uses.starts_with("./") || uses.starts_with(".\\") {
        return Some(
            error(format!("local action {uses} is not supported"), place).with_hint("write its steps into the job"),
        );
    }
    let name = uses.split('@').next().unwrap_or_default().to_ascii_lowercase();
    let Some(known) = actions::known(&name) else {
        let message = format!("action {uses} is not supported; there is no network and no Node.js in a run");
        let names: Vec<_> = actions::names().collect();
        let near = lem_model::diagnostic::nearest(&name, names.iter().copied());
        let hint = match near {
            Some(near) => format!("did you mean {near}?"),
            None => format!("supported: {}", names.join(", ")),
        };
        return Some(error(message, place).with_hint(hint));
    };
    let unknown = with?.entries()?.iter().find(|(key, _)| {
        key.as_str().is_some_and(|k| !known.inputs.iter().any(|(name, _)| name.eq_ignore_ascii_case(k)))
    });
    unknown.map(|(key, _)| {
        let text = key.as_str().unwrap_or_default();
        let message = format!("input \"{text}\" of {name} is not supported");
        match lem_model::diagnostic::nearest(text, known.inputs.iter().map(|(n, _)| *n)) {
            Some(near) => error(message, &key.place).with_hint(format!("did you mean \"{near}\"?")),
            None => error(message, &key.place),
        }
    })
}

/// What works, but not as on GitHub.
pub(super) fn notices(job: &Job) -> Vec<Diagnostic> {
    let Work::Steps(work) = &job.work else { return vec![] };
    let mut found = vec![];
    if let Some(environment) = &work.environment {
        let message = "approvals and wait timers of an environment are not enforced";
        found.push(Diagnostic::warning("environment", message, environment.place.clone()));
    }
    for step in &work.steps {
        let Action::Uses { uses, with: Some(with) } = &step.action else { continue };
        let Some(known) = actions::known(&uses.value.split('@').next().unwrap_or_default().to_ascii_lowercase()) else {
            continue;
        };
        for (key, _) in with.entries().unwrap_or_default() {
            let text = key.as_str().unwrap_or_default();
            let ignored =
                known.inputs.iter().any(|(n, use_)| n.eq_ignore_ascii_case(text) && *use_ == actions::Use::Ignored);
            if ignored {
                let message = format!("input \"{text}\" of {} has no effect here", known.name);
                found.push(Diagnostic::warning("ignored-input", message, key.place.clone()));
            }
        }
    }
    found
}
