//! One job, from its first step to its last.

use super::env::{Machine, find_program};
use super::{Console, LineSink, RunShared};
use crate::actions::{self, Call, Done, Post};
use crate::dialect::{JobPlace, JobScript, JobStatus, RunStep, StepPlan, StepResult, StepWork};
use crate::engine::{ExecError, Executor, Isolation, JobRequest, Room, StepExit, StepRequest};
use crate::events::PipelineFact;
use crate::file_command::{self, MAX_FILE_BYTES, MAX_OUTPUT_BYTES, MAX_SUMMARY_BYTES};
use crate::logs::{Level, LogBook};
use crate::machine::LegEnd;
use indexmap::IndexMap;
use lem_engine_mask::Masker;
use lem_model::fact::{Outcome, StepFinished};
use lem_model::text::with_causes;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Limits of a job that tests make small.
#[derive(Clone, Copy, Debug)]
pub struct JobLimits {
    /// How long steps that run in any case may take after the job was stopped.
    pub cleanup: Duration,
}

impl Default for JobLimits {
    /// Five minutes, as on GitHub.
    fn default() -> Self {
        Self { cleanup: Duration::from_mins(5) }
    }
}

/// Everything a job needs.
pub(super) struct JobTask {
    pub shared: Arc<RunShared>,
    pub executor: Arc<dyn Executor>,
    pub machine: Arc<Machine>,
    pub logs: LogBook,
    pub limits: JobLimits,
    pub key: String,
    pub directory: PathBuf,
    pub script: Box<dyn JobScript>,
    pub cancel: CancellationToken,
    pub lines: Option<LineSink>,
}

/// How a job ended, with one line for people.
pub(super) struct JobEnd {
    pub end: LegEnd,
    pub errors: Option<String>,
}

/// A job that runs.
struct Running<'a> {
    task: &'a JobTask,
    console: Console,
    room: Box<dyn Room>,
    place: JobPlace,
    deadline: Instant,
    posts: Vec<(u32, Post)>,
    errors: Vec<String>,
    status: JobStatus,
    /// When a stopped job has had its time to clean up.
    last: Option<Instant>,
}

/// Files of one step's file commands.
const COMMAND_FILES: [(&str, &str); 5] = [
    ("GITHUB_ENV", "set_env"),
    ("GITHUB_OUTPUT", "set_output"),
    ("GITHUB_STATE", "save_state"),
    ("GITHUB_PATH", "add_path"),
    ("GITHUB_STEP_SUMMARY", "step_summary"),
];

impl JobTask {
    /// Runs the job. Whatever goes wrong is the job's failure, never a panic of the run.
    pub(super) async fn run(mut self) -> JobEnd {
        let mut script = std::mem::replace(&mut self.script, Box::new(NoSteps));
        let log = match self.logs.create(self.shared.info.run.as_str(), &self.key) {
            Ok(log) => log,
            Err(error) => return failed(Outcome::Error, with_causes(&error)),
        };
        let secrets = self.shared.info.secrets.values().map(String::as_str);
        let mut console = Console::new(log, Masker::new(secrets), self.lines.clone());
        let timeout = script.timeout();
        let request = JobRequest {
            directory: self.directory.clone(),
            readable: self.shared.repository.iter().filter_map(|r| r.common_dir().ok()).collect(),
            writable: self.machine.writable.clone(),
        };
        let room = match (timeout, self.executor.prepare(&request).await) {
            (Ok(timeout), Ok(room)) => Ok((timeout, room)),
            (Err(why), _) => Err((Outcome::Failure, why)),
            (_, Err(error)) => Err((Outcome::Error, with_causes(&error))),
        };
        let (timeout, room) = match room {
            Ok(found) => found,
            Err((outcome, why)) => {
                console.annotate(Level::Error, &why);
                let _ = console.close();
                return failed(outcome, why);
            }
        };
        let place = self.machine.place(&self.directory, room.isolation());
        if let Isolation::Weak { .. } = room.isolation() {
            console.annotate(Level::Warning, &format!("this job runs in {}", room.isolation()));
        }
        script.enter(&place);
        let running = Running {
            task: &self,
            console,
            room,
            place,
            deadline: Instant::now() + timeout,
            posts: vec![],
            errors: vec![],
            status: JobStatus::Success,
            last: None,
        };
        running.all(script.as_mut()).await
    }
}

fn failed(outcome: Outcome, why: String) -> JobEnd {
    JobEnd { end: LegEnd { outcome, conclusion: outcome, outputs: IndexMap::new() }, errors: Some(why) }
}

impl Running<'_> {
    async fn all(mut self, script: &mut dyn JobScript) -> JobEnd {
        for index in 0..script.len() {
            self.note_stop();
            match script.step(index, self.status) {
                StepPlan::Skip { name, .. } => {
                    script.skipped(index);
                    self.finished(index as u32, &name, None, Outcome::Success, Outcome::Success, 0);
                }
                StepPlan::Fail { name, why } => {
                    self.console.begin(index as u32, &name, &[]);
                    self.console.annotate(Level::Error, &why);
                    let result = StepResult { errors: vec![why], ..StepResult::default() };
                    self.take(script, index, &name, &result, Instant::now());
                }
                StepPlan::Run(step) => {
                    let began = Instant::now();
                    let result = self.step(script, index, &step).await;
                    self.take(script, index, &step.name, &result, began);
                }
            }
        }
        self.note_stop();
        self.after(script);
        self.end(script).await
    }

    /// Cancelled or out of time: steps that run in any case still do, for a while.
    fn note_stop(&mut self) {
        if self.task.cancel.is_cancelled() && self.status != JobStatus::Cancelled {
            self.status = JobStatus::Cancelled;
        }
        if (self.status == JobStatus::Cancelled || Instant::now() >= self.deadline) && self.last.is_none() {
            self.last = Some(Instant::now() + self.task.limits.cleanup);
            if self.status != JobStatus::Cancelled {
                self.status = JobStatus::Cancelled;
                self.errors.push("the job exceeded its time (timeout-minutes)".into());
            }
        }
    }

    fn take(&mut self, script: &mut dyn JobScript, index: usize, name: &str, result: &StepResult, began: Instant) {
        let end = script.ended(index, result);
        let duration = began.elapsed().as_millis() as u64;
        if end.conclusion == Outcome::Failure {
            if self.status == JobStatus::Success {
                self.status = JobStatus::Failure;
            }
            let why = result.errors.first().cloned().unwrap_or_default();
            self.errors.push(format!("step \"{}\": {why}", self.console.mask(name)));
        }
        let exit = match result.exit {
            Some(StepExit::Code(code)) => Some(code),
            _ => None,
        };
        self.finished(index as u32, name, Some(exit), end.outcome, end.conclusion, duration);
    }

    /// Says that a step ended; `None` for one that was skipped.
    fn finished(
        &mut self,
        index: u32,
        name: &str,
        exit: Option<Option<i32>>,
        outcome: Outcome,
        conclusion: Outcome,
        duration_ms: u64,
    ) {
        let skipped = exit.is_none();
        if !skipped {
            let word = match conclusion {
                Outcome::Success => "success",
                Outcome::Cancel => "cancelled",
                _ => "failure",
            };
            let _ = self.console.end(word);
        }
        let shared = &self.task.shared;
        (shared.facts)(PipelineFact::StepFinished(StepFinished {
            run: shared.info.run.clone(),
            job: self.task.key.clone(),
            index,
            name: self.console.mask(name),
            outcome,
            conclusion,
            skipped,
            exit_code: exit.flatten(),
            duration_ms,
            sha: shared.event.sha.clone(),
        }));
    }

    async fn step(&mut self, script: &mut dyn JobScript, index: usize, step: &RunStep) -> StepResult {
        self.console.begin(index as u32, &step.name, &step.env);
        let mut result = match &step.work {
            StepWork::Script { text, shell, extension, directory } => {
                let work = ScriptWork { text, shell, extension, directory };
                match self.script(index, step, &work).await {
                    Ok(result) => result,
                    Err(why) => StepResult { errors: vec![why], ..StepResult::default() },
                }
            }
            StepWork::Builtin { action, inputs } => {
                let env = script.env(index);
                self.builtin(index, action, inputs, &env)
            }
        };
        self.console.rest();
        let said = self.console.said().clone();
        result.outputs = said.outputs.into_iter().chain(result.outputs).collect();
        result.env = said.env.into_iter().chain(result.env).collect();
        result.paths = [said.paths, std::mem::take(&mut result.paths)].concat();
        result.errors = [said.errors, std::mem::take(&mut result.errors)].concat();
        let bytes: usize = result.outputs.iter().map(|(k, v)| k.len() + v.len()).sum();
        if bytes > MAX_OUTPUT_BYTES {
            result.errors.push(format!("the step's outputs have {bytes} bytes; at most {MAX_OUTPUT_BYTES} are kept"));
            result.outputs.clear();
        }
        self.explain_exit(&mut result);
        result
    }

    fn explain_exit(&mut self, result: &mut StepResult) {
        let why = match result.exit {
            Some(StepExit::Code(code)) if code != 0 => format!("process completed with exit code {code}"),
            Some(StepExit::Signal(signal)) => format!("process was ended by signal {signal}"),
            Some(StepExit::TimedOut) => "the step exceeded its time (timeout-minutes)".into(),
            Some(StepExit::Cancelled) => "the step was cancelled".into(),
            _ => {
                let errors = result.errors.clone();
                for why in errors {
                    self.console.say(&format!("##[error]{why}"));
                }
                return;
            }
        };
        self.console.annotate(Level::Error, &why);
        result.errors.push(why);
    }

    fn builtin(
        &mut self,
        index: usize,
        action: &str,
        inputs: &IndexMap<String, String>,
        env: &[(String, String)],
    ) -> StepResult {
        let task = self.task;
        let call = Call { inputs, env, place: &self.place, job: &task.key, run: &task.shared };
        let console = &mut self.console;
        match tokio::task::block_in_place(|| actions::run(action, &call, console)) {
            Ok(Done { outputs, env, post }) => {
                self.posts.extend(post.map(|post| (index as u32, post)));
                StepResult { outputs, env, ..StepResult::default() }
            }
            Err(why) => StepResult { errors: vec![why], ..StepResult::default() },
        }
    }

    async fn script(&mut self, index: usize, step: &RunStep, work: &ScriptWork<'_>) -> Result<StepResult, String> {
        let place = self.place.clone();
        let file =
            place.temp.join(format!("step{index}.{}", if work.extension.is_empty() { "txt" } else { work.extension }));
        let io = |path: &Path| {
            let path = path.display().to_string();
            move |e: std::io::Error| format!("{path}: {e}")
        };
        std::fs::write(&file, format!("{}\n", work.text)).map_err(io(&file))?;
        let mut env = step.env.clone();
        let mut files = vec![];
        for (variable, name) in COMMAND_FILES {
            let path = place.temp.join(format!("{name}_{index}"));
            std::fs::File::create(&path).map_err(io(&path))?;
            env.retain(|(k, _)| k != variable);
            env.push((variable.to_owned(), path.display().to_string()));
            files.push(path);
        }
        let event = place.temp.join("event.json");
        if index == 0 || !event.exists() {
            std::fs::write(&event, self.task.shared.event.document().to_string()).map_err(io(&event))?;
        }
        let path = env.iter().find(|(k, _)| k == "PATH").map_or("", |(_, v)| v.as_str());
        let program = work.shell.first().map_or("", String::as_str);
        let program = match find_program(program, path) {
            Some(found) => found,
            // Without bash the default shell is sh.
            None if work.shell.len() == 3 && program == "bash" => {
                find_program("sh", path).ok_or("neither bash nor sh is installed")?
            }
            None if program == "python" => find_program("python3", path).ok_or("python is not installed")?,
            None => return Err(format!("shell {program} is not installed on this machine")),
        };
        let mut argv: Vec<OsString> = vec![program.into()];
        let file_text = file.display().to_string();
        argv.extend(work.shell.iter().skip(1).map(|word| OsString::from(word.replace("{0}", &file_text))));
        let exit = self.process(argv, place.workspace.join(work.directory), env, step.timeout).await?;
        let mut result = StepResult { exit: Some(exit), ..StepResult::default() };
        self.console.rest();
        self.read_files(&files, &mut result);
        Ok(result)
    }

    async fn process(
        &mut self,
        argv: Vec<OsString>,
        directory: PathBuf,
        env: Vec<(String, String)>,
        timeout: Option<Duration>,
    ) -> Result<StepExit, String> {
        let own = timeout.map(|t| Instant::now() + t);
        let limit = self.last.unwrap_or(self.deadline);
        // A stopped job does not listen to the stop twice.
        let cancel = if self.last.is_some() { CancellationToken::new() } else { self.task.cancel.clone() };
        let deadline = Some(own.map_or(limit, |own| own.min(limit)));
        let request = StepRequest { argv, directory, env, deadline, cancel };
        match self.room.step(&request, &mut self.console).await {
            Ok(exit) => Ok(exit),
            Err(error @ (ExecError::Start { .. } | ExecError::BadText { .. } | ExecError::TooLarge { .. })) => {
                Err(with_causes(&error))
            }
            Err(error) => Err(format!("lost: {}", with_causes(&error))),
        }
    }

    fn read_files(&mut self, files: &[PathBuf], result: &mut StepResult) {
        let mut wrong = |variable: &str, error: file_command::FileCommandError| {
            result.errors.push(format!("unable to process file command {variable}: {error}"));
        };
        match file_command::read(&files[0], MAX_FILE_BYTES).and_then(|t| file_command::variables(&t)) {
            Ok(pairs) => result.env.extend(pairs),
            Err(error) => wrong("GITHUB_ENV", error),
        }
        match file_command::read(&files[1], MAX_FILE_BYTES).and_then(|t| file_command::pairs(&t)) {
            Ok(pairs) => result.outputs.extend(pairs),
            Err(error) => wrong("GITHUB_OUTPUT", error),
        }
        if let Err(error) = file_command::read(&files[2], MAX_FILE_BYTES).and_then(|t| file_command::pairs(&t)) {
            wrong("GITHUB_STATE", error);
        }
        match file_command::read(&files[3], MAX_FILE_BYTES) {
            Ok(text) => result.paths.extend(file_command::paths(&text)),
            Err(error) => wrong("GITHUB_PATH", error),
        }
        match file_command::read(&files[4], MAX_SUMMARY_BYTES) {
            Ok(text) if text.is_empty() => {}
            Ok(text) => self.console.summary(&text),
            // A summary that is too large is not the step's failure.
            Err(error) => self.console.annotate(Level::Error, &format!("the step summary is not kept: {error}")),
        }
        for file in files {
            let _ = std::fs::remove_file(file);
        }
    }

    /// What actions do after the last step, the last one first.
    fn after(&mut self, script: &mut dyn JobScript) {
        let posts = std::mem::take(&mut self.posts);
        for (index, Post::SaveCache { key, path, always }) in posts.into_iter().rev() {
            if self.status != JobStatus::Success && !always {
                continue;
            }
            self.console.begin(script.len() as u32 + index, &format!("Post: save cache {key}"), &[]);
            let (task, inputs) = (self.task, IndexMap::new());
            let call = Call { inputs: &inputs, env: &[], place: &self.place, job: &task.key, run: &task.shared };
            let console = &mut self.console;
            let saved = tokio::task::block_in_place(|| actions::cache::save(&call, console, &key, &path));
            if let Err(why) = saved {
                self.console.annotate(Level::Warning, &format!("the cache is not saved: {why}"));
            }
            let _ = self.console.end("success");
        }
    }

    async fn end(mut self, script: &mut dyn JobScript) -> JobEnd {
        let close = script.close(self.status);
        self.errors.extend(close.errors.clone());
        let mut outputs = close.outputs;
        outputs.retain(|name, value| {
            let secret = self.console.holds_secret(value);
            if secret {
                self.console.annotate(Level::Warning, &format!("output {name} is not handed on: it may hold a secret"));
            }
            !secret
        });
        let mut outcome = match self.status {
            JobStatus::Cancelled if self.errors.is_empty() || self.task.cancel.is_cancelled() => Outcome::Cancel,
            JobStatus::Success if close.errors.is_empty() => Outcome::Success,
            _ => Outcome::Failure,
        };
        self.reports();
        if let Err(error) = self.room.finish().await {
            self.errors.push(with_causes(&error));
            outcome = Outcome::Error;
        }
        if let Err(error) = self.console.close() {
            self.errors.push(with_causes(&error));
            outcome = Outcome::Error;
        }
        let tolerated = close.continue_on_error && matches!(outcome, Outcome::Failure | Outcome::Error);
        let conclusion = if tolerated { Outcome::Success } else { outcome };
        let errors = (outcome != Outcome::Success).then(|| self.errors.join("; ")).filter(|e| !e.is_empty());
        JobEnd { end: LegEnd { outcome, conclusion, outputs }, errors }
    }

    /// Test reports the job left in its workspace.
    fn reports(&mut self) {
        let empty = std::fs::read_dir(&self.place.workspace).map_or(true, |mut entries| entries.next().is_none());
        if empty {
            return;
        }
        for report in crate::results::junit::find(&self.place.workspace) {
            if let Err(error) = self.task.shared.read_report(&self.task.key, &report) {
                self.console.annotate(Level::Warning, &with_causes(&error));
            }
        }
    }
}

struct ScriptWork<'a> {
    text: &'a str,
    shell: &'a [String],
    extension: &'a str,
    directory: &'a Path,
}

/// Stands in while a job's script is in use.
#[derive(Debug)]
struct NoSteps;

impl JobScript for NoSteps {
    fn len(&self) -> usize {
        0
    }
    fn timeout(&self) -> Result<Duration, String> {
        Ok(Duration::ZERO)
    }
    fn enter(&mut self, _place: &JobPlace) {}
    fn step(&mut self, _index: usize, _status: JobStatus) -> StepPlan {
        StepPlan::Skip { name: String::new(), why: String::new() }
    }
    fn ended(&mut self, _index: usize, result: &StepResult) -> crate::dialect::StepEnd {
        crate::dialect::StepEnd { outcome: result.outcome(), conclusion: result.outcome() }
    }
    fn skipped(&mut self, _index: usize) {}
    fn env(&self, _index: usize) -> Vec<(String, String)> {
        vec![]
    }
    fn close(&mut self, _status: JobStatus) -> crate::dialect::JobClose {
        crate::dialect::JobClose::default()
    }
}
