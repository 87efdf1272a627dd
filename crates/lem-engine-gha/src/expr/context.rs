//! What an expression may name, and what the names stand for.

use super::value::{Object, Value};
use std::fmt;
use std::sync::Arc;

/// What the status functions answer: of all ancestors for a job, of the earlier steps for a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing failed.
    #[default]
    Success,
    /// Something failed.
    Failure,
    /// The run was cancelled.
    Cancelled,
}

/// What functions need from outside.
pub trait Host: fmt::Debug + Send + Sync {
    /// SHA-256 over the SHA-256 of every file the patterns match, lower-case hexadecimal; empty when none matches.
    /// An error is the message shown at the expression.
    fn hash_files(&self, patterns: &[String]) -> Result<String, String>;
}

/// A host without files: `hashFiles` is an error.
#[derive(Clone, Copy, Debug)]
pub struct NoHost;

impl Host for NoHost {
    fn hash_files(&self, _: &[String]) -> Result<String, String> {
        Err("hashFiles needs the files of a job, which are not there".to_owned())
    }
}

/// Values of the contexts, and the state the status functions answer from.
#[derive(Clone, Debug)]
pub struct Context {
    contexts: Object,
    /// Answer of `success()`, `failure()` and `cancelled()`.
    pub status: Status,
    /// Files.
    pub host: Arc<dyn Host>,
}

impl Default for Context {
    fn default() -> Self {
        Self { contexts: Object::default(), status: Status::Success, host: Arc::new(NoHost) }
    }
}

impl Context {
    /// No contexts, success, no files.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more context.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.set(name, value);
        self
    }

    /// The same with a status.
    #[must_use]
    pub fn with_status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// The same with a host.
    #[must_use]
    pub fn with_host(mut self, host: Arc<dyn Host>) -> Self {
        self.host = host;
        self
    }

    /// Sets a context; names ignore case.
    pub fn set(&mut self, name: &str, value: Value) {
        let others = self.contexts.iter().filter(|(key, _)| !key.eq_ignore_ascii_case(name));
        let others = others.map(|(key, value)| (key.to_owned(), value.clone()));
        self.contexts = Object::new(others.chain([(name.to_owned(), value)]).collect::<Vec<_>>());
    }

    /// The value of a context; null when it is not set.
    pub fn get(&self, name: &str) -> Value {
        self.contexts.get(name).cloned().unwrap_or(Value::Null)
    }

    /// From an object of contexts plus `$status`, the file of `lem pipeline eval`.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, String> {
        let entries = json.as_object().ok_or("the context must be a mapping from name to value")?;
        let mut context = Self::new();
        for (name, value) in entries {
            if name == "$status" {
                let known = "\"$status\" must be success, failure or cancelled";
                context.status = serde_json::from_value(value.clone()).map_err(|_| known.to_owned())?;
            } else if let (true, Some(entries)) = (name.eq_ignore_ascii_case("env"), value.as_object()) {
                // The environment of a Linux runner keeps case.
                let pairs = entries.iter().map(|(key, value)| (key, Value::from_json(value)));
                context.set(name, Value::exact_object(pairs));
            } else {
                context.set(name, Value::from_json(value));
            }
        }
        Ok(context)
    }

    /// The names that are set, the status functions and `hashFiles`.
    pub fn names(&self) -> Names {
        Names::status().and_contexts(self.contexts.iter().map(|(name, _)| name))
    }
}

/// Which contexts and functions are legal at a place, besides the functions that are legal everywhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    contexts: Vec<String>,
    functions: Vec<(String, usize, usize)>,
}

impl Names {
    /// Only the functions that are legal everywhere.
    pub fn none() -> Self {
        Self::default()
    }

    /// All contexts and functions of the language.
    pub fn all() -> Self {
        let contexts = [
            "github", "env", "vars", "job", "jobs", "steps", "runner", "secrets", "strategy", "matrix", "needs",
            "inputs",
        ];
        Self::status().and_contexts(contexts)
    }

    /// The status functions and `hashFiles`.
    pub fn status() -> Self {
        Self::of(["always(0,0)", "success(0,255)", "failure(0,255)", "cancelled(0,0)", "hashFiles(1,255)"])
    }

    /// From a list in the notation of the service's schema: `github`, `hashFiles(1,255)`.
    pub fn of<'a>(list: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = Self::default();
        for item in list {
            match item.split_once('(') {
                None => names.contexts.push(item.to_ascii_lowercase()),
                Some((name, range)) => {
                    let (min, max) = range.trim_end_matches(')').split_once(',').unwrap_or(("0", "MAX"));
                    let max = max.trim().parse().unwrap_or(usize::MAX);
                    names.functions.push((name.to_ascii_lowercase(), min.trim().parse().unwrap_or(0), max));
                }
            }
        }
        names
    }

    /// The same with more contexts.
    #[must_use]
    pub fn and_contexts<'a>(mut self, contexts: impl IntoIterator<Item = &'a str>) -> Self {
        self.contexts.extend(contexts.into_iter().map(str::to_ascii_lowercase));
        self
    }

    /// Whether nothing but the functions that are legal everywhere is in it.
    pub fn is_empty(&self) -> bool {
        self.contexts.is_empty() && self.functions.is_empty()
    }

    /// The contexts, lower case.
    pub fn contexts(&self) -> &[String] {
        &self.contexts
    }

    pub(super) fn has_context(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.contexts.contains(&name)
    }

    pub(super) fn function(&self, name: &str) -> Option<(usize, usize)> {
        self.functions.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(name)).map(|(_, min, max)| (*min, *max))
    }
}
