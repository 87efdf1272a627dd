//! The steps of a job: conditions, variables and contexts as they change from step to step.

use super::{GithubPlan, context, shell};
use crate::dialect::{JobClose, JobPlace, JobScript, JobStatus, RunStep, StepEnd, StepPlan, StepResult, StepWork};
use crate::file_command::MAX_OUTPUT_BYTES;
use crate::machine::{Leg, Legs, Scope};
use indexmap::IndexMap;
use lem_engine_gha::{Action, Context, Defaults, Host, Job, Status, Step, StepsWork, Token, Value, Work};
use lem_model::fact::Outcome;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a job may take when its file does not say: six hours.
pub const DEFAULT_TIMEOUT_MINUTES: f64 = 360.0;
/// Longest time a file may ask for: 30 days.
pub const MAX_TIMEOUT_MINUTES: f64 = 43_200.0;

/// One job on its way.
#[derive(Debug)]
pub(super) struct Script {
    plan: Arc<GithubPlan>,
    node: usize,
    /// Contexts that stay the same for the whole job.
    fixed: Context,
    github: serde_json::Value,
    place: Option<JobPlace>,
    /// `env` of the workflow and of the job.
    env: IndexMap<String, String>,
    /// What steps set through `GITHUB_ENV`.
    set: IndexMap<String, String>,
    /// What steps put before the path, the newest first.
    paths: Vec<String>,
    steps: IndexMap<String, Value>,
    step_env: Vec<(String, String)>,
    continue_on_error: bool,
    output_bytes: usize,
    trouble: Option<String>,
}

impl Script {
    pub(super) fn new(
        plan: Arc<GithubPlan>,
        node: usize,
        leg: &Leg,
        index: usize,
        legs: &Legs,
        scope: &Scope<'_>,
    ) -> Self {
        let mut github = plan.github.clone();
        github["job"] = plan.job(node).id.value.as_str().into();
        let fixed = context::of_node(&plan, scope)
            .with("secrets", context::secrets(&plan.run))
            .with("strategy", context::strategy(legs, index))
            .with("matrix", context::matrix(leg))
            .with_status(Status::Success);
        Self {
            plan,
            node,
            fixed,
            github,
            place: None,
            env: IndexMap::new(),
            set: IndexMap::new(),
            paths: vec![],
            steps: IndexMap::new(),
            step_env: vec![],
            continue_on_error: false,
            output_bytes: 0,
            trouble: None,
        }
    }

    fn job(&self) -> &Job {
        self.plan.job(self.node)
    }

    fn work(&self) -> Option<&StepsWork> {
        match &self.job().work {
            Work::Steps(work) => Some(work),
            Work::Call(_) => None,
        }
    }

    /// The contexts as they are now.
    fn context(&self, status: JobStatus) -> Context {
        let word = match status {
            JobStatus::Success => "success",
            JobStatus::Failure => "failure",
            JobStatus::Cancelled => "cancelled",
        };
        let mut context = self.fixed.clone().with_status(match status {
            JobStatus::Success => Status::Success,
            JobStatus::Failure => Status::Failure,
            JobStatus::Cancelled => Status::Cancelled,
        });
        context.set("github", Value::from_json(&self.github));
        let env = self.env.iter().chain(&self.set).map(|(k, v)| (k.clone(), Value::from(v.as_str())));
        context.set("env", Value::exact_object(env));
        context.set("steps", Value::object(self.steps.iter().map(|(k, v)| (k.clone(), v.clone()))));
        context.set("job", Value::object([("status", Value::from(word))]));
        if let Some(place) = &self.place {
            context.set("runner", runner(place));
            context.host = Arc::new(Files { workspace: place.workspace.clone(), home: place.home.clone() });
        }
        context
    }

    /// `env` of the workflow, then of the job: each sees what came before.
    fn evaluate_env(&mut self) -> Result<(), String> {
        let tokens = [self.plan.workflow.env.clone(), self.work().and_then(|w| w.env.clone())];
        for token in tokens.into_iter().flatten() {
            let value = token.evaluate(&self.context(JobStatus::Success)).map_err(|e| e.to_string())?;
            self.env.extend(pairs(&value));
        }
        Ok(())
    }

    fn plan_step(&mut self, index: usize, status: JobStatus) -> Result<StepPlan, (String, String)> {
        let plan = Arc::clone(&self.plan);
        let step = &plan.job(self.node).steps()[index];
        let mut context = self.context(status);
        let fallback = plain_name(step);
        let failed = |name: &str, why: String| (name.to_owned(), why);
        self.step_env.clear();
        if let Some(why) = &self.trouble {
            return Err((fallback, why.clone()));
        }
        // Like the reference runner, the condition already sees the step's own env.
        if let Some(token) = &step.env {
            let value = token.evaluate(&context).map_err(|e| failed(&fallback, e.to_string()))?;
            self.step_env = pairs(&value).collect();
            let all = self.env.iter().chain(&self.set).map(|(k, v)| (k.clone(), v.clone()));
            let all: IndexMap<String, String> = all.chain(self.step_env.iter().cloned()).collect();
            context.set("env", Value::exact_object(all.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str())))));
        }
        let name = match &step.name {
            Some(token) => token.evaluate_text(&context).unwrap_or(fallback),
            None => shown_name(step, &context),
        };
        let condition = &step.condition;
        let holds = condition.expr.evaluate(&context);
        let holds = holds.map_err(|e| failed(&name, format!("{}: {e}", condition.place)))?;
        if !holds.is_truthy() {
            let shown = if condition.source.is_empty() { "success()" } else { condition.source.trim() };
            let why = format!("its condition {shown} does not hold ({})", condition.place);
            return Ok(StepPlan::Skip { name, why });
        }
        let tolerant = step.continue_on_error.as_ref().map(|t| t.evaluate(&context)).transpose();
        self.continue_on_error = tolerant.map_err(|e| failed(&name, e.to_string()))?.is_some_and(|v| v.is_truthy());
        let timeout = minutes(step.timeout_minutes.as_ref(), &context).map_err(|e| failed(&name, e))?;
        let work = self.step_work(step, &context).map_err(|e| failed(&name, e))?;
        Ok(StepPlan::Run(Box::new(RunStep {
            env: self.env(index),
            name,
            work,
            timeout,
            place: step.place.to_string(),
        })))
    }

    fn step_work(&self, step: &Step, context: &Context) -> Result<StepWork, String> {
        let text = |token: &Token| token.evaluate_text(context).map_err(|e| e.to_string());
        match &step.action {
            Action::Run { run, shell: own, working_directory } => {
                let defaults = [self.work().and_then(|w| w.defaults.as_ref()), self.plan.workflow.defaults.as_ref()];
                let inherit = |own: Option<&Token>, of: fn(&Defaults) -> Option<&Token>| {
                    own.or_else(|| defaults.iter().flatten().find_map(|d| of(d))).map(text).transpose()
                };
                let name = inherit(own.as_ref(), |d| d.shell.as_ref())?;
                let shell = shell::shell(name.as_deref()).map_err(|e| format!("{}: {e}", step.place))?;
                let directory = inherit(working_directory.as_ref(), |d| d.working_directory.as_ref())?;
                Ok(StepWork::Script {
                    text: text(run)?,
                    shell: shell.argv,
                    extension: shell.extension,
                    directory: PathBuf::from(directory.unwrap_or_default()),
                })
            }
            Action::Uses { uses, with } => {
                let inputs = match with {
                    Some(token) => pairs(&token.evaluate(context).map_err(|e| e.to_string())?).collect(),
                    None => IndexMap::new(),
                };
                let action = uses.value.split('@').next().unwrap_or_default().to_ascii_lowercase();
                Ok(StepWork::Builtin { action, inputs })
            }
            _ => Err(format!("{}: this kind of step is not supported", step.place)),
        }
    }

    /// The variables GitHub's runner gives every step.
    fn runner_env(&self) -> Vec<(String, String)> {
        let mut env: Vec<(String, String)> =
            vec![("CI".into(), "true".into()), ("GITHUB_ACTIONS".into(), "true".into())];
        const FROM_CONTEXT: &[&str] = &[
            "actor",
            "api_url",
            "base_ref",
            "event_name",
            "graphql_url",
            "head_ref",
            "job",
            "ref",
            "ref_name",
            "ref_protected",
            "ref_type",
            "repository",
            "repository_owner",
            "retention_days",
            "run_attempt",
            "run_id",
            "run_number",
            "server_url",
            "sha",
            "triggering_actor",
            "workflow",
            "workflow_ref",
            "workflow_sha",
            "workspace",
        ];
        for key in FROM_CONTEXT {
            let value = Value::from_json(&self.github[*key]).to_text();
            env.push((format!("GITHUB_{}", key.to_ascii_uppercase()), value));
        }
        if let Some(place) = &self.place
            && let Some(runner) = runner(place).as_object()
        {
            env.extend(runner.iter().map(|(key, v)| (format!("RUNNER_{}", key.to_ascii_uppercase()), v.to_text())));
            env.push(("GITHUB_EVENT_PATH".into(), place.temp.join("event.json").display().to_string()));
        }
        env
    }
}

fn runner(place: &JobPlace) -> Value {
    let arch = if cfg!(target_arch = "aarch64") { "ARM64" } else { "X64" };
    Value::object([
        ("os", Value::from("Linux")),
        ("arch", Value::from(arch)),
        ("name", Value::from("lem")),
        ("environment", Value::from("self-hosted")),
        ("temp", Value::from(place.temp.display().to_string().as_str())),
        ("tool_cache", Value::from(place.home.join("tools").display().to_string().as_str())),
        ("workspace", Value::from(place.workspace.parent().unwrap_or(&place.workspace).display().to_string().as_str())),
    ])
}

fn pairs(value: &Value) -> impl Iterator<Item = (String, String)> + '_ {
    value.as_object().into_iter().flat_map(|o| o.iter().map(|(k, v)| (k.to_owned(), v.to_text())))
}

fn minutes(token: Option<&Token>, context: &Context) -> Result<Option<Duration>, String> {
    let Some(token) = token else { return Ok(None) };
    let value = token.evaluate(context).map_err(|e| e.to_string())?.to_number();
    if !(value > 0.0 && value <= MAX_TIMEOUT_MINUTES) {
        return Err(format!("{}: timeout-minutes must be above 0 and at most {MAX_TIMEOUT_MINUTES}", token.place));
    }
    Ok(Some(Duration::from_secs_f64(value * 60.0)))
}

/// A step's name before anything is evaluated.
pub(super) fn plain_name(step: &Step) -> String {
    match (&step.name, &step.action) {
        (Some(token), _) if token.as_str().is_some() => token.as_str().unwrap_or_default().to_owned(),
        (_, Action::Run { run, .. }) => match run.as_str() {
            Some(text) => format!("Run {}", first_line(text)),
            None => format!("Run {}", step.id),
        },
        (_, Action::Uses { uses, .. }) => format!("Run {}", uses.value),
        _ => step.id.clone(),
    }
}

fn shown_name(step: &Step, context: &Context) -> String {
    match &step.action {
        Action::Run { run, .. } => match run.evaluate_text(context) {
            Ok(text) => format!("Run {}", first_line(&text)),
            Err(_) => plain_name(step),
        },
        _ => plain_name(step),
    }
}

fn first_line(text: &str) -> String {
    const LONGEST: usize = 120;
    let line = text.trim_start().lines().next().unwrap_or_default().trim_end();
    line.chars().take(LONGEST).collect()
}

impl JobScript for Script {
    fn len(&self) -> usize {
        self.job().steps().len()
    }

    fn timeout(&self) -> Result<Duration, String> {
        let default = Duration::from_secs_f64(DEFAULT_TIMEOUT_MINUTES * 60.0);
        Ok(minutes(self.job().timeout_minutes.as_ref(), &self.fixed)?.unwrap_or(default))
    }

    fn enter(&mut self, place: &JobPlace) {
        self.github["workspace"] = place.workspace.display().to_string().into();
        self.place = Some(place.clone());
        self.trouble = self.evaluate_env().err();
    }

    fn step(&mut self, index: usize, status: JobStatus) -> StepPlan {
        self.continue_on_error = false;
        match self.plan_step(index, status) {
            Ok(plan) => plan,
            Err((name, why)) => StepPlan::Fail { name, why },
        }
    }

    fn ended(&mut self, index: usize, result: &StepResult) -> StepEnd {
        let mut outcome = result.outcome();
        self.output_bytes += result.outputs.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>();
        if self.output_bytes > MAX_OUTPUT_BYTES {
            outcome = Outcome::Failure;
        }
        let conclusion = if outcome == Outcome::Failure && self.continue_on_error { Outcome::Success } else { outcome };
        self.set.extend(result.env.iter().map(|(k, v)| (k.clone(), v.clone())));
        for path in &result.paths {
            self.paths.insert(0, path.clone());
        }
        self.note(index, word(outcome), word(conclusion), &result.outputs);
        StepEnd { outcome, conclusion }
    }

    fn skipped(&mut self, index: usize) {
        self.note(index, "skipped", "skipped", &IndexMap::new());
    }

    fn env(&self, _index: usize) -> Vec<(String, String)> {
        let mut all: IndexMap<String, String> = IndexMap::new();
        if let Some(place) = &self.place {
            all.extend(place.base.iter().cloned());
        }
        all.extend(self.env.iter().chain(&self.set).map(|(k, v)| (k.clone(), v.clone())));
        all.extend(self.step_env.iter().cloned());
        all.extend(self.runner_env());
        if !self.paths.is_empty() {
            let mut path = self.paths.join(":");
            if let Some(rest) = all.get("PATH") {
                path.push(':');
                path.push_str(rest);
            }
            all.insert("PATH".into(), path);
        }
        all.into_iter().collect()
    }

    fn close(&mut self, status: JobStatus) -> JobClose {
        let mut close = JobClose::default();
        let context = self.context(status);
        let tolerant = self.job().continue_on_error.as_ref().map(|t| t.evaluate(&context)).transpose();
        match tolerant {
            Ok(value) => close.continue_on_error = value.is_some_and(|v| v.is_truthy()),
            Err(error) => close.errors.push(error.to_string()),
        }
        if let Some(token) = self.work().and_then(|w| w.outputs.as_ref()) {
            match token.evaluate(&context) {
                Ok(value) => close.outputs = pairs(&value).collect(),
                Err(error) => close.errors.push(error.to_string()),
            }
        }
        let bytes: usize = close.outputs.iter().map(|(k, v)| k.len() + v.len()).sum();
        if bytes > MAX_OUTPUT_BYTES {
            close.errors.push(format!("the job's outputs have {bytes} bytes; at most {MAX_OUTPUT_BYTES} are kept"));
            close.outputs.clear();
        }
        close
    }
}

impl Script {
    fn note(&mut self, index: usize, outcome: &str, conclusion: &str, outputs: &IndexMap<String, String>) {
        let step = &self.job().steps()[index];
        if !step.own_id {
            return;
        }
        let fields = [
            ("outputs", context::texts(outputs)),
            ("outcome", Value::from(outcome)),
            ("conclusion", Value::from(conclusion)),
        ];
        let id = step.id.clone();
        self.steps.insert(id, Value::object(fields));
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Cancel => "cancelled",
        Outcome::Failure | Outcome::Error => "failure",
    }
}

/// `hashFiles` over the workspace.
#[derive(Debug)]
struct Files {
    workspace: PathBuf,
    home: PathBuf,
}

impl Host for Files {
    fn hash_files(&self, patterns: &[String]) -> Result<String, String> {
        use crate::results::select::{Hidden, select};
        use sha2::Digest as _;
        let lines = patterns.join("\n");
        let chosen = select(&lines, &self.workspace, &self.home, Hidden::Include).map_err(|e| e.to_string())?;
        let inside: Vec<_> = chosen.files.iter().filter(|f| f.starts_with(&self.workspace)).collect();
        if inside.is_empty() {
            return Ok(String::new());
        }
        let mut all = sha2::Sha256::new();
        for file in inside {
            let mut one = sha2::Sha256::new();
            let mut reader = std::fs::File::open(file).map_err(|e| format!("{}: {e}", file.display()))?;
            std::io::copy(&mut reader, &mut HashWriter(&mut one)).map_err(|e| format!("{}: {e}", file.display()))?;
            all.update(one.finalize());
        }
        Ok(hex::encode(all.finalize()))
    }
}

struct HashWriter<'a>(&'a mut sha2::Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        use sha2::Digest as _;
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
