//! Workflows that call workflows.

use super::convert::excess;
use super::{Loader, inherit_permissions};
use crate::model::{Call, CallSecrets, InputType, Job, Permissions, Trigger, Work, Workflow};
use crate::token::{Kind, Token};
use crate::{Files, read::reader::literal_text};
use lem_model::Place;

impl Loader<'_> {
    /// Reads what a job calls, and what that calls.
    pub(super) fn load_call(&mut self, job: &mut Job, depth: usize) {
        let Some(files) = self.files else { return };
        let caller = job.clone();
        let Work::Call(call) = &mut job.work else { return };
        let limit = self.options.max_call_depth;
        if depth > limit {
            let message = format!("Nested reusable workflow depth exceeded {limit}.");
            self.problems.at(&call.uses.place, "call-depth", &message);
            return;
        }
        let mut called = self.called(files, &caller, call);
        self.problems.called_from(&call.uses.place);
        if self.problems.any() {
            return;
        }
        if let Some(called) = &mut called {
            for nested in &mut called.jobs {
                self.load_call(nested, depth + 1);
            }
        }
        call.workflow = called.map(Box::new);
    }

    fn called(&mut self, files: &dyn Files, caller: &Job, call: &Call) -> Option<Workflow> {
        let Some(text) = files.load(&call.uses.value) else {
            self.problems.at(&call.uses.place, "workflow-missing", "Unable to find reusable workflow");
            return None;
        };
        let mut called = self.file(&text, &call.uses.value)?;
        let Some(trigger) = called.trigger("workflow_call") else {
            let message = "workflow_call key is not defined in the referenced workflow.";
            let place = called.triggers.first().map_or(Place::file(&called.file), |trigger| trigger.place.clone());
            self.problems.at(&place, "workflow-call", message);
            return None;
        };
        self.check_inputs(trigger, call);
        self.check_secrets(trigger, call);
        self.check_permissions(&called, caller, call);
        let inherited = called.permissions.clone().or_else(|| caller.permissions.clone());
        inherit_permissions(&mut called.jobs, inherited.as_ref());
        Some(called)
    }

    fn check_inputs(&mut self, trigger: &Trigger, call: &Call) {
        let given = call.with.as_ref().and_then(Token::entries).unwrap_or_default();
        let find = |name: &str| given.iter().find(|(key, _)| is(key, name)).map(|(_, value)| value);
        for (name, input) in &trigger.inputs {
            if let Some(default) = &input.default {
                self.check_value(default, input.kind);
            }
            match find(name) {
                Some(value) => self.check_value(value, input.kind),
                None if input.required => {
                    let message = format!("Input {name} is required, but not provided while calling.");
                    self.problems.at(&call.uses.place, "inputs", &message);
                }
                None => {}
            }
        }
        for (key, value) in given {
            let name = key.as_str().unwrap_or_default();
            if !trigger.inputs.keys().any(|known| known.eq_ignore_ascii_case(name)) {
                let message = format!("Invalid input, {name} is not defined in the referenced workflow.");
                self.problems.token(value, "inputs", &message);
            }
        }
    }

    fn check_value(&mut self, value: &Token, kind: InputType) {
        let fits = match (&value.kind, kind) {
            (Kind::Expression(_), _) => true,
            (found, InputType::Boolean) => matches!(found, Kind::Bool(_)),
            (found, InputType::Number) => matches!(found, Kind::Number(_)),
            _ => true,
        };
        if !fits {
            let message = format!("Unexpected value '{}'", literal_text(&value.kind));
            self.problems.token(value, "inputs", &message);
        }
    }

    fn check_secrets(&mut self, trigger: &Trigger, call: &Call) {
        let given = match &call.secrets {
            CallSecrets::Inherit => return,
            CallSecrets::None => &[][..],
            CallSecrets::Map(map) => map.entries().unwrap_or_default(),
        };
        for (name, secret) in &trigger.secrets {
            if secret.required && !given.iter().any(|(key, _)| is(key, name)) {
                let message = format!("Secret {name} is required, but not provided while calling.");
                self.problems.at(&call.uses.place, "secrets", &message);
            }
        }
        for (key, value) in given {
            let name = key.as_str().unwrap_or_default();
            if !trigger.secrets.keys().any(|known| known.eq_ignore_ascii_case(name)) {
                let message = format!("Invalid secret, {name} is not defined in the referenced workflow.");
                self.problems.token(value, "secrets", &message);
            }
        }
    }

    /// A called workflow may not ask for more than its caller has.
    fn check_permissions(&mut self, called: &Workflow, caller: &Job, call: &Call) {
        let allowed = caller.permissions.clone().unwrap_or_else(|| self.options.permissions.permissions());
        let mut check = |who: &str, asked: &Permissions| {
            if let Some((asked, allowed)) = excess(asked, &allowed) {
                let uses = &call.uses.value;
                let message = format!(
                    "Error calling workflow '{uses}'. {who} is requesting '{asked}', but is only allowed '{allowed}'."
                );
                self.problems.at(&caller.id.place, "permissions", &message);
            }
        };
        if let Some(asked) = &called.permissions {
            check(&format!("The workflow '{}'", call.uses.value), asked);
        }
        for job in &called.jobs {
            if let Some(asked) = &job.permissions {
                let name = job.name.as_ref().and_then(Token::as_str).unwrap_or(&job.id.value);
                check(&format!("The nested job '{name}'"), asked);
            }
        }
    }
}

fn is(key: &Token, name: &str) -> bool {
    key.as_str().is_some_and(|key| key.eq_ignore_ascii_case(name))
}
