//! The normal form of the service's own tests: a workflow as JSON.
//!
//! Strings, numbers, booleans and null stand for themselves; `{type: 1, seq}` is a list, `{type: 2, map: [{Key,
//! Value}]}` a mapping, `{type: 3, expr}` an expression, `{type: 4, directive}` an insertion. With sources every value
//! is an object with `file` (an index into `file-table`, from 1), `line` and `col`.

use crate::expr::{Value, number_to_text};
use crate::model::*;
use crate::token::{Kind, Token};
use lem_model::Place;
use serde_json::{Map, Value as Json, json};

/// Whether places are part of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sources {
    /// Values only.
    Dropped,
    /// Values with file, line and column.
    Kept,
}

/// The normal form, without places.
pub fn to_template_json(workflow: &Workflow) -> Json {
    normal_form(workflow, Sources::Dropped)
}

/// The normal form.
pub fn normal_form(workflow: &Workflow, sources: Sources) -> Json {
    let mut files = vec![];
    file_table(workflow, &mut files);
    let form = Form { sources, files };
    let mut out = Map::new();
    let types =
        workflow.trigger("workflow_dispatch").map(|trigger| &trigger.inputs).filter(|inputs| !inputs.is_empty());
    if let Some(inputs) = types {
        let types = inputs.iter().map(|(name, input)| (name.clone(), json!(type_name(input.kind))));
        out.insert("input-types".into(), Json::Object(types.collect()));
    }
    form.put(&mut out, "env", workflow.env.as_ref());
    put_permissions(&mut out, workflow.permissions.as_ref());
    form.put(&mut out, "defaults", workflow.defaults.as_ref().map(|defaults| &defaults.raw));
    form.put(&mut out, "concurrency", workflow.concurrency.as_ref().map(|concurrency| &concurrency.raw));
    out.insert("jobs".into(), workflow.jobs.iter().map(|job| form.job(job)).collect());
    if sources == Sources::Kept {
        out.insert("file-table".into(), json!(form.files));
    }
    Json::Object(out)
}

fn file_table(workflow: &Workflow, files: &mut Vec<String>) {
    if !files.contains(&workflow.file) {
        files.push(workflow.file.clone());
    }
    for job in &workflow.jobs {
        if let Work::Call(call) = &job.work
            && let Some(called) = &call.workflow
        {
            file_table(called, files);
        }
    }
}

/// Triggers as the language service gives them.
pub fn events(workflow: &Workflow) -> Json {
    let pairs = workflow.triggers.iter().map(|trigger| (trigger.event.clone(), event(trigger)));
    Json::Object(pairs.collect())
}

fn event(trigger: &Trigger) -> Json {
    let texts = |list: &[Spanned<String>]| -> Json { list.iter().map(|item| json!(item.value)).collect() };
    let mut out = Map::new();
    if trigger.event == "schedule" {
        let line = |schedule: &Schedule| match &schedule.timezone {
            None => json!({"cron": schedule.cron.value}),
            Some(zone) => json!({"cron": schedule.cron.value, "timezone": zone.value}),
        };
        let lines: Vec<Json> = trigger.schedule.iter().map(line).collect();
        return if lines.is_empty() { json!({}) } else { Json::Array(lines) };
    }
    for (name, filter) in [("branches", &trigger.branches), ("tags", &trigger.tags), ("paths", &trigger.paths)] {
        if let Some(list) = &filter.only {
            out.insert(name.to_owned(), texts(list));
        }
        if let Some(list) = &filter.ignore {
            out.insert(format!("{name}-ignore"), texts(list));
        }
    }
    if let Some(types) = &trigger.types {
        out.insert("types".into(), texts(types));
    }
    for (name, list) in [("versions", &trigger.versions), ("names", &trigger.names), ("workflows", &trigger.workflows)]
    {
        if !list.is_empty() {
            out.insert(name.to_owned(), texts(list));
        }
    }
    if !trigger.inputs.is_empty() {
        let inputs = trigger.inputs.iter().map(|(name, input)| (name.clone(), declared(&input.raw, input)));
        out.insert("inputs".into(), Json::Object(inputs.collect()));
    }
    if !trigger.secrets.is_empty() {
        let secrets = trigger
            .secrets
            .iter()
            .map(|(name, secret)| (name.clone(), pick(&secret.raw, &["description", "required"])));
        out.insert("secrets".into(), Json::Object(secrets.collect()));
    }
    Json::Object(out)
}

fn declared(raw: &Token, input: &Input) -> Json {
    let mut out = pick(raw, &["description", "required", "default", "options"]);
    out["type"] = json!(type_name(input.kind));
    out
}

fn pick(raw: &Token, keys: &[&str]) -> Json {
    let found = keys.iter().filter_map(|key| Some(((*key).to_owned(), plain(raw.get(key)?))));
    Json::Object(found.collect())
}

fn plain(token: &Token) -> Json {
    match &token.kind {
        Kind::Bool(value) => json!(value),
        Kind::Number(value) => number(*value),
        Kind::String(text) => json!(text),
        Kind::Sequence(items) => items.iter().map(plain).collect(),
        _ => Json::Null,
    }
}

fn type_name(kind: InputType) -> &'static str {
    match kind {
        InputType::String => "string",
        InputType::Boolean => "boolean",
        InputType::Number => "number",
        InputType::Choice => "choice",
        InputType::Environment => "environment",
    }
}

fn number(value: f64) -> Json {
    if value.is_finite() { Value::Number(value).to_json() } else { json!(number_to_text(value)) }
}

fn put_permissions(out: &mut Map<String, Json>, permissions: Option<&Permissions>) {
    if let Some(permissions) = permissions {
        let word = |access: Access| if access == Access::Write { "write" } else { "read" };
        let scopes = permissions.scopes.iter().map(|(scope, access)| (scope.clone(), json!(word(*access))));
        out.insert("permissions".into(), Json::Object(scopes.collect()));
    }
}

struct Form {
    sources: Sources,
    files: Vec<String>,
}

impl Form {
    fn token(&self, token: &Token) -> Json {
        let (code, field) = match &token.kind {
            Kind::Null => (7, None),
            Kind::Bool(value) => (5, Some(("bool", json!(value)))),
            Kind::Number(value) => (6, Some(("num", number(*value)))),
            Kind::String(text) => (0, Some(("lit", json!(text)))),
            Kind::Expression(expr) => (3, Some(("expr", json!(expr.source())))),
            Kind::Insert => (4, Some(("directive", json!("insert")))),
            Kind::Sequence(items) => {
                let items: Vec<Json> = items.iter().map(|item| self.token(item)).collect();
                (1, (!items.is_empty()).then_some(("seq", Json::Array(items))))
            }
            Kind::Mapping(entries) => {
                let pair = |(key, value): &(Token, Token)| json!({"Key": self.token(key), "Value": self.token(value)});
                let pairs: Vec<Json> = entries.iter().map(pair).collect();
                (2, (!pairs.is_empty()).then_some(("map", Json::Array(pairs))))
            }
        };
        let literal = matches!(token.kind, Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::String(_));
        if literal && self.sources == Sources::Dropped {
            return field.map_or(Json::Null, |(_, value)| value);
        }
        let mut out = Map::new();
        out.insert("type".into(), json!(code));
        self.source(&mut out, &token.place);
        if let Some((name, value)) = field {
            out.insert(name.into(), value);
        }
        Json::Object(out)
    }

    fn source(&self, out: &mut Map<String, Json>, place: &Place) {
        if self.sources == Sources::Kept {
            let file = self.files.iter().position(|file| *file == place.file).map_or(0, |at| at + 1);
            out.insert("file".into(), json!(file));
            out.insert("line".into(), json!(place.line));
            out.insert("col".into(), json!(place.column));
        }
    }

    fn text(&self, text: &Spanned<String>) -> Json {
        self.token(&Token::new(text.place.clone(), Kind::String(text.value.clone())))
    }

    fn put(&self, out: &mut Map<String, Json>, key: &str, token: Option<&Token>) {
        if let Some(token) = token {
            out.insert(key.into(), self.token(token));
        }
    }

    fn condition(&self, condition: &Condition) -> Json {
        let mut out = Map::new();
        out.insert("type".into(), json!(3));
        if !condition.source.is_empty() {
            self.source(&mut out, &condition.place);
        }
        out.insert("expr".into(), json!(condition.expr.source()));
        Json::Object(out)
    }

    fn job(&self, job: &Job) -> Json {
        let mut out = Map::new();
        let call = matches!(job.work, Work::Call(_));
        out.insert("type".into(), json!(if call { "reusableWorkflowJob" } else { "job" }));
        out.insert("id".into(), self.text(&job.id));
        out.insert("name".into(), job.name.as_ref().map_or_else(|| self.text(&job.id), |name| self.token(name)));
        if call || !job.needs.is_empty() {
            out.insert("needs".into(), job.needs.iter().map(|need| self.text(need)).collect());
        }
        out.insert("if".into(), self.condition(&job.condition));
        self.put(&mut out, "strategy", job.strategy.as_ref().map(|strategy| &strategy.raw));
        self.put(&mut out, "continue-on-error", job.continue_on_error.as_ref());
        self.put(&mut out, "timeout-minutes", job.timeout_minutes.as_ref());
        self.put(&mut out, "cancel-timeout-minutes", job.cancel_timeout_minutes.as_ref());
        self.put(&mut out, "concurrency", job.concurrency.as_ref().map(|concurrency| &concurrency.raw));
        put_permissions(&mut out, job.permissions.as_ref());
        match &job.work {
            Work::Steps(work) => self.work(&mut out, work),
            Work::Call(call) => self.call(&mut out, call),
        }
        Json::Object(out)
    }

    fn work(&self, out: &mut Map<String, Json>, work: &StepsWork) {
        self.put(out, "env", work.env.as_ref());
        self.put(out, "environment", work.environment.as_ref());
        self.put(out, "defaults", work.defaults.as_ref().map(|defaults| &defaults.raw));
        self.put(out, "runs-on", Some(&work.runs_on));
        self.put(out, "container", work.container.as_ref());
        self.put(out, "services", work.services.as_ref());
        self.put(out, "outputs", work.outputs.as_ref());
        self.put(out, "snapshot", work.snapshot.as_ref());
        if !work.steps.is_empty() {
            out.insert("steps".into(), work.steps.iter().map(|step| self.step(step)).collect());
        }
    }

    fn call(&self, out: &mut Map<String, Json>, call: &Call) {
        out.insert("ref".into(), self.text(&call.uses));
        self.put(out, "input-values", call.with.as_ref());
        match &call.secrets {
            CallSecrets::None => {}
            CallSecrets::Inherit => {
                out.insert("inherit-secrets".into(), json!(true));
            }
            CallSecrets::Map(map) => self.put(out, "secret-values", Some(map)),
        }
        let Some(called) = &call.workflow else { return };
        let declared = called.trigger("workflow_call").and_then(|trigger| trigger.raw.as_ref());
        let declared = |key: &str| declared.and_then(|raw| raw.get(key));
        self.put(out, "input-definitions", declared("inputs"));
        self.put(out, "secret-definitions", declared("secrets"));
        self.put(out, "outputs", declared("outputs"));
        self.put(out, "defaults", called.defaults.as_ref().map(|defaults| &defaults.raw));
        self.put(out, "env", called.env.as_ref());
        self.put(out, "embedded-concurrency", called.concurrency.as_ref().map(|concurrency| &concurrency.raw));
        if called.permissions.is_some() {
            put_permissions(out, called.permissions.as_ref());
        }
        out.insert("jobs".into(), called.jobs.iter().map(|job| self.job(job)).collect());
    }

    fn step(&self, step: &Step) -> Json {
        let mut out = Map::new();
        out.insert("id".into(), json!(step.id));
        self.put(&mut out, "name", step.name.as_ref());
        if matches!(step.action, Action::Run { .. } | Action::Uses { .. }) {
            out.insert("if".into(), self.condition(&step.condition));
        }
        self.put(&mut out, "continue-on-error", step.continue_on_error.as_ref());
        self.put(&mut out, "timeout-minutes", step.timeout_minutes.as_ref());
        self.put(&mut out, "env", step.env.as_ref());
        match &step.action {
            Action::Run { run, shell, working_directory } => {
                self.put(&mut out, "working-directory", working_directory.as_ref());
                self.put(&mut out, "shell", shell.as_ref());
                self.put(&mut out, "run", Some(run));
            }
            Action::Uses { uses, with } => {
                out.insert("uses".into(), self.text(uses));
                self.put(&mut out, "with", with.as_ref());
            }
            Action::Wait(targets) => {
                out.insert("wait".into(), targets.iter().map(|target| self.text(target)).collect());
            }
            Action::WaitAll => {
                out.insert("wait-all".into(), json!(true));
            }
            Action::Cancel(target) => {
                out.insert("cancel".into(), self.text(target));
            }
            Action::Parallel(steps) => {
                out.insert("parallel".into(), steps.iter().map(|step| self.step(step)).collect());
            }
        }
        if step.background {
            out.insert("background".into(), json!(true));
        }
        Json::Object(out)
    }
}
