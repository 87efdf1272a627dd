//! What a step says, line by line: commands are heard, secrets hidden, the rest is logged.

use crate::command::{Command, Heard, Listening};
use crate::engine::Output;
use crate::logs::{JobLog, Level, LogLine, MAX_LINE_BYTES, Record, Target};
use indexmap::IndexMap;
use lem_engine_mask::{Masker, Unmaskable};
use std::borrow::Cow;
use std::sync::Arc;

/// Annotations kept of one step; the rest is in the log.
pub const MAX_ANNOTATIONS: usize = 1_000;

/// Takes lines as they are logged.
pub type LineSink = Arc<dyn Fn(u32, &LogLine) + Send + Sync>;

/// What a step said to the runner.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// `set-output`.
    pub outputs: IndexMap<String, String>,
    /// `save-state`.
    pub state: IndexMap<String, String>,
    /// `set-env`, where it is allowed.
    pub env: IndexMap<String, String>,
    /// `add-path`, where it is allowed.
    pub paths: Vec<String>,
    /// Commands that failed: they fail the step.
    pub errors: Vec<String>,
}

/// The log of a job and everything that listens to it.
pub struct Console {
    log: JobLog,
    masker: Masker,
    listening: Listening,
    echo: bool,
    debug: bool,
    unsecure: bool,
    partial: Vec<u8>,
    /// Whether `partial` goes on a line whose beginning is logged already.
    continued: bool,
    step: u32,
    annotations: usize,
    said: Said,
    live: Option<LineSink>,
    now_ms: fn() -> u64,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").field("log", &self.log).finish_non_exhaustive()
    }
}

/// Milliseconds since 1970 by the system's clock.
pub fn system_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| d.as_millis() as u64)
}

impl Console {
    /// A console over a log.
    pub fn new(log: JobLog, masker: Masker, live: Option<LineSink>) -> Self {
        Self {
            log,
            masker,
            listening: Listening::default(),
            echo: false,
            debug: false,
            unsecure: false,
            partial: vec![],
            continued: false,
            step: 0,
            annotations: 0,
            said: Said::default(),
            live,
            now_ms: system_ms,
        }
    }

    /// A step begins. `env` decides about debug lines and unsecure commands.
    pub fn begin(&mut self, step: u32, name: &str, env: &[(String, String)]) {
        let is = |key: &str| env.iter().any(|(k, v)| k == key && v.eq_ignore_ascii_case("true"));
        self.debug =
            is("ACTIONS_STEP_DEBUG") || is("RUNNER_DEBUG") || env.iter().any(|(k, v)| k == "RUNNER_DEBUG" && v == "1");
        self.unsecure = is("ACTIONS_ALLOW_UNSECURE_COMMANDS");
        self.step = step;
        self.annotations = 0;
        self.listening = Listening::default();
        self.said = Said::default();
        let name = self.masker.mask_str(name);
        self.log.record(&Record::Step { line: self.log.lines(), time_ms: (self.now_ms)(), index: step, name });
    }

    /// The step has ended: what is left of its last line is logged, what it said is handed over.
    pub fn end(&mut self, conclusion: &str) -> Said {
        self.rest();
        let conclusion = conclusion.to_owned();
        self.log.record(&Record::StepEnd {
            line: self.log.lines(),
            time_ms: (self.now_ms)(),
            index: self.step,
            conclusion,
        });
        self.log.flush();
        std::mem::take(&mut self.said)
    }

    /// Everything the step's process said has come: a last line without newline is a line.
    pub fn rest(&mut self) {
        if !self.partial.is_empty() {
            let line = std::mem::take(&mut self.partial);
            self.whole(&line);
        }
        self.continued = false;
        self.log.flush();
    }

    /// What was said so far.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// Hides one more value from here on.
    pub fn hide(&mut self, secret: &str) -> Result<(), Unmaskable> {
        self.masker.add(secret)
    }

    /// The text with secrets hidden.
    pub fn mask(&self, text: &str) -> String {
        self.masker.mask_str(text)
    }

    /// Whether an output holds a secret, and so may not leave the job.
    pub fn holds_secret(&self, text: &str) -> bool {
        matches!(self.masker.mask(text.as_bytes()), Cow::Owned(_))
    }

    /// A line of the runner itself.
    pub fn say(&mut self, text: &str) {
        for line in text.lines() {
            let masked = self.masker.mask(line.as_bytes()).into_owned();
            self.emit(&masked);
        }
        self.log.flush();
    }

    /// An annotation of the runner itself, in the log as well.
    pub fn annotate(&mut self, level: Level, message: &str) {
        self.annotation(level, message, Target::default());
        self.log.flush();
    }

    /// Markdown for the page of the run.
    pub fn summary(&mut self, markdown: &str) {
        let masked: Vec<String> = markdown.lines().map(|line| self.masker.mask_str(line)).collect();
        self.log.record(&Record::Summary { index: self.step, markdown: masked.join("\n") });
    }

    /// Closes the log.
    pub fn close(self) -> Result<(), crate::logs::LogError> {
        self.log.close()
    }

    fn emit(&mut self, line: &[u8]) {
        let number = self.log.lines();
        let time_ms = (self.now_ms)();
        self.log.line(time_ms, line);
        if let Some(live) = &self.live {
            live(self.step, &LogLine { number, time_ms, text: String::from_utf8_lossy(line).into_owned() });
        }
    }

    fn whole(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if std::mem::take(&mut self.continued) {
            let masked = self.masker.mask(line).into_owned();
            return self.emit(&masked);
        }
        let text = String::from_utf8_lossy(line);
        match self.listening.hear(&text) {
            Heard::Line => {
                if let Cow::Owned(masked) = self.masker.mask(line) {
                    self.emit(&masked);
                } else {
                    self.emit(line);
                }
            }
            Heard::Resumed => self.emit(line),
            Heard::Command(command) => self.obey(&command, line),
        }
    }

    fn obey(&mut self, command: &Command, line: &[u8]) {
        if self.echo && command.name != "add-mask" {
            let masked = self.masker.mask(line).into_owned();
            self.emit(&masked);
        }
        match command.name.as_str() {
            "debug" if self.debug => self.prefixed("##[debug]", &command.data),
            "notice" => self.pointed(Level::Notice, command),
            "warning" => self.pointed(Level::Warning, command),
            "error" => self.pointed(Level::Error, command),
            "group" => {
                let title = self.masker.mask_str(&command.data);
                self.log.record(&Record::Group { line: self.log.lines(), title });
                self.prefixed("##[group]", &command.data);
            }
            "endgroup" => {
                self.prefixed("##[endgroup]", "");
                self.log.record(&Record::GroupEnd { line: self.log.lines() });
            }
            "echo" => match command.data.trim() {
                on if on.eq_ignore_ascii_case("on") => self.echo = true,
                off if off.eq_ignore_ascii_case("off") => self.echo = false,
                other => self.wrong(format!("echo is on or off, not \"{other}\"")),
            },
            "add-mask" => match self.masker.add(&command.data) {
                Ok(()) => {}
                Err(Unmaskable::Empty) => {
                    self.annotation(Level::Warning, "add-mask without a value hides nothing", Target::default());
                }
                Err(Unmaskable::TooMany) => self.wrong("add-mask: too many secrets".to_owned()),
            },
            "stop-commands" => {
                if let Err(why) = self.listening.stop(&command.data) {
                    self.wrong(why);
                }
            }
            "add-matcher" | "remove-matcher" => {
                self.annotation(Level::Notice, "problem matchers are not applied", Target::default());
            }
            _ => self.keep(command),
        }
    }

    /// Commands that hand over a value.
    fn keep(&mut self, command: &Command) {
        let name = command.property("name").map(str::to_owned);
        let unsecure = self.unsecure;
        match (command.name.as_str(), name) {
            ("set-output", Some(name)) => {
                self.said.outputs.insert(name, command.data.clone());
            }
            ("save-state", Some(name)) => {
                self.said.state.insert(name, command.data.clone());
            }
            ("set-env", Some(name)) if unsecure && !name.eq_ignore_ascii_case("NODE_OPTIONS") => {
                self.said.env.insert(name, command.data.clone());
            }
            ("add-path", _) if unsecure => self.said.paths.push(command.data.clone()),
            ("set-env" | "add-path", _) if !unsecure => self.wrong(format!(
                "{} is disabled: write to GITHUB_ENV or GITHUB_PATH, or set ACTIONS_ALLOW_UNSECURE_COMMANDS to true",
                command.name
            )),
            ("set-env", Some(name)) => self.wrong(format!("{name} may not be set")),
            ("set-output" | "save-state" | "set-env", None) => self.wrong(format!("{} needs a name", command.name)),
            _ => {}
        }
    }

    fn wrong(&mut self, why: String) {
        self.annotation(Level::Error, &why, Target::default());
        self.said.errors.push(why);
    }

    fn pointed(&mut self, level: Level, command: &Command) {
        let number = |key: &str| command.property(key).and_then(|v| v.parse().ok());
        let target = Target {
            file: command.property("file").map(|f| self.masker.mask_str(f)),
            line: number("line"),
            end_line: number("endLine"),
            column: number("col"),
            end_column: number("endColumn"),
            title: command.property("title").map(|t| self.masker.mask_str(t)),
        };
        self.annotation(level, &command.data, target);
    }

    fn annotation(&mut self, level: Level, message: &str, target: Target) {
        self.annotations += 1;
        if self.annotations <= MAX_ANNOTATIONS {
            let message = self.masker.mask_str(message);
            self.log.record(&Record::Annotation { line: self.log.lines(), index: self.step, level, message, target });
        }
        let prefix = match level {
            Level::Debug => "##[debug]",
            Level::Notice => "##[notice]",
            Level::Warning => "##[warning]",
            Level::Error => "##[error]",
        };
        self.prefixed(prefix, message);
    }

    fn prefixed(&mut self, prefix: &str, text: &str) {
        let line = self.masker.mask_str(&format!("{prefix}{text}"));
        for piece in line.split('\n') {
            self.emit(piece.trim_end_matches('\r').as_bytes());
        }
    }
}

impl Output for Console {
    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|b| *b == b'\n') {
            let (line, more) = rest.split_at(at);
            if self.partial.is_empty() {
                self.whole(line);
            } else {
                self.partial.extend_from_slice(line);
                let line = std::mem::take(&mut self.partial);
                self.whole(&line);
            }
            rest = &more[1..];
        }
        self.partial.extend_from_slice(rest);
        while self.partial.len() > MAX_LINE_BYTES {
            let cut = self.masker.safe_cut(&self.partial, MAX_LINE_BYTES);
            let masked = self.masker.mask(&self.partial[..cut]).into_owned();
            self.emit(&masked);
            self.partial.drain(..cut);
            self.continued = true;
        }
        self.log.flush();
    }
}
