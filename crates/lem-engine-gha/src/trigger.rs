//! Whether an event starts a workflow, and if not, which line says so.

use crate::glob::Pattern;
use crate::model::{Filter, Spanned, Trigger, Workflow};
use lem_model::{Diagnostic, Place};

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TriggerEvent {
    /// `push`, `pull_request`, `schedule` ...
    pub name: String,
    /// Activity: `opened`, `published` ...; `None` for events without.
    pub action: Option<String>,
    /// Full ref: `refs/heads/main`, `refs/tags/v1`. For a pull request and a merge group the base branch.
    pub git_ref: String,
    /// Paths that changed, from the repository's root. `None` when that is not known, which matches every filter,
    /// as the service does when a diff is too large.
    pub changed: Option<Vec<String>>,
    /// Message of the head commit, for `[skip ci]`.
    pub message: String,
    /// Name of the other workflow, for `workflow_run`.
    pub workflow: Option<String>,
    /// The cron line that is due, for `schedule`.
    pub cron: Option<String>,
    /// Name of the image, for `image_version`.
    pub image: Option<String>,
    /// Version of the image, for `image_version`.
    pub version: Option<String>,
}

impl TriggerEvent {
    /// A push to a full ref that changed some paths.
    pub fn push(git_ref: &str, changed: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let changed = Some(changed.into_iter().map(Into::into).collect());
        Self { name: "push".into(), git_ref: git_ref.into(), changed, ..Self::default() }
    }

    /// An event by name on a full ref.
    pub fn named(name: &str, git_ref: &str) -> Self {
        Self { name: name.into(), git_ref: git_ref.into(), ..Self::default() }
    }
}

/// Whether a workflow runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// It does, because of this line.
    Runs {
        /// The event's line under `on`.
        place: Place,
    },
    /// It does not.
    Skips {
        /// Why.
        reason: String,
        /// The line that says so.
        place: Place,
    },
}

impl Match {
    /// Whether it runs.
    pub fn runs(&self) -> bool {
        matches!(self, Match::Runs { .. })
    }
}

/// What in a commit message stops runs for push and pull request.
const SKIP: [&str; 5] = ["[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]"];

/// Activities an event without `types` stands for, where those are not all.
const DEFAULT_TYPES: [(&str, &[&str]); 2] = [
    ("pull_request", &["opened", "synchronize", "reopened"]),
    ("pull_request_target", &["opened", "synchronize", "reopened"]),
];

/// The word of a commit message that asks for no run, if it holds one.
pub fn skip_word(message: &str) -> Option<&'static str> {
    let message = message.to_lowercase();
    SKIP.into_iter().find(|word| message.contains(word))
}

/// Whether the event starts the workflow.
pub fn matches(workflow: &Workflow, event: &TriggerEvent) -> Match {
    let Some(trigger) = workflow.trigger(&event.name) else {
        let place = workflow.triggers.first().map_or(Place::file(&workflow.file), |first| first.place.clone());
        return Match::Skips { reason: format!("\"{}\" is not among the events of \"on\"", event.name), place };
    };
    match refused(trigger, event) {
        Some((reason, place)) => Match::Skips { reason, place },
        None => Match::Runs { place: trigger.place.clone() },
    }
}

type Refusal = Option<(String, Place)>;

fn refused(trigger: &Trigger, event: &TriggerEvent) -> Refusal {
    let stoppable = matches!(event.name.as_str(), "push" | "pull_request");
    if let Some(word) = skip_word(&event.message).filter(|_| stoppable) {
        return Some((format!("the commit message says {word}"), trigger.place.clone()));
    }
    refused_type(trigger, event)
        .or_else(|| refused_ref(trigger, event))
        .or_else(|| refused_paths(trigger, event))
        .or_else(|| listed(&trigger.workflows, event.workflow.as_deref(), "workflow", trigger))
        .or_else(|| listed(&trigger.names, event.image.as_deref(), "image", trigger))
        .or_else(|| listed(&trigger.versions, event.version.as_deref(), "version", trigger))
        .or_else(|| refused_cron(trigger, event))
}

fn refused_type(trigger: &Trigger, event: &TriggerEvent) -> Refusal {
    let action = event.action.as_deref()?;
    match &trigger.types {
        Some(types) => {
            let found = types.iter().any(|one| one.value == action);
            let place = types.first().map_or(&trigger.place, |one| &one.place);
            (!found).then(|| (format!("activity \"{action}\" is not among \"types\""), place.clone()))
        }
        None => {
            let (_, types) = DEFAULT_TYPES.iter().find(|(name, _)| *name == trigger.event)?;
            let default = types.join(", ");
            (!types.contains(&action)).then(|| {
                let reason = format!("activity \"{action}\" is not among those meant without \"types\": {default}");
                (reason, trigger.place.clone())
            })
        }
    }
}

fn refused_ref(trigger: &Trigger, event: &TriggerEvent) -> Refusal {
    if let Some(tag) = event.git_ref.strip_prefix("refs/tags/") {
        if trigger.tags.is_empty() && !trigger.branches.is_empty() {
            let reason = format!("\"{tag}\" is a tag, and only branches are filtered for");
            return Some((reason, first(&trigger.branches, trigger)));
        }
        return filtered(&trigger.tags, &[tag], "tag", trigger);
    }
    let branch = event.git_ref.strip_prefix("refs/heads/").unwrap_or(&event.git_ref);
    if trigger.branches.is_empty() && !trigger.tags.is_empty() {
        let reason = format!("\"{branch}\" is a branch, and only tags are filtered for");
        return Some((reason, first(&trigger.tags, trigger)));
    }
    filtered(&trigger.branches, &[branch], "branch", trigger)
}

/// Path filters do not apply to tags.
fn refused_paths(trigger: &Trigger, event: &TriggerEvent) -> Refusal {
    let changed = event.changed.as_ref().filter(|_| !event.git_ref.starts_with("refs/tags/"))?;
    let paths: Vec<&str> = changed.iter().map(String::as_str).collect();
    filtered(&trigger.paths, &paths, "path", trigger)
}

fn first(filter: &Filter, trigger: &Trigger) -> Place {
    let patterns = filter.only.iter().chain(&filter.ignore).flatten().next();
    patterns.map_or(&trigger.place, |pattern| &pattern.place).clone()
}

/// At least one name must pass. With `-ignore`, a name passes that no pattern matches.
fn filtered(filter: &Filter, names: &[&str], what: &str, trigger: &Trigger) -> Refusal {
    let wanted = |patterns: &[Spanned<String>], name: &str| selected(patterns, name).is_some_and(|(on, _)| on);
    if let Some(patterns) = &filter.only
        && !names.iter().any(|name| wanted(patterns, name))
    {
        let negated = names.iter().find_map(|name| selected(patterns, name).map(|(_, pattern)| pattern));
        let place = negated.map_or_else(|| first(filter, trigger), |pattern| pattern.place.clone());
        return Some((refusal(names, what, "matches no pattern"), place));
    }
    if let Some(patterns) = &filter.ignore
        && names.iter().all(|name| wanted(patterns, name))
    {
        let by = names.first().and_then(|name| selected(patterns, name)).map(|(_, pattern)| pattern);
        let place = by.map_or_else(|| first(filter, trigger), |pattern| pattern.place.clone());
        return Some((refusal(names, what, "is ignored"), place));
    }
    None
}

fn refusal(names: &[&str], what: &str, verb: &str) -> String {
    match names {
        [] => format!("no changed {what} {verb}"),
        [name] => format!("{what} \"{name}\" {verb}"),
        _ => format!("none of {} changed {what}s is wanted: every one {verb}", names.len()),
    }
}

/// Whether the last pattern that matches selects or (with `!`) deselects a name, and which one that is.
fn selected<'a>(patterns: &'a [Spanned<String>], name: &str) -> Option<(bool, &'a Spanned<String>)> {
    patterns.iter().rev().find_map(|pattern| {
        let (on, text) = match pattern.value.strip_prefix('!') {
            Some(text) => (false, text),
            None => (true, pattern.value.as_str()),
        };
        Pattern::parse(text).ok()?.matches(name).then_some((on, pattern))
    })
}

fn listed(patterns: &[Spanned<String>], name: Option<&str>, what: &str, trigger: &Trigger) -> Refusal {
    let name = name.filter(|_| !patterns.is_empty())?;
    let found = selected(patterns, name).is_some_and(|(on, _)| on);
    let place = patterns.first().map_or(&trigger.place, |pattern| &pattern.place);
    (!found).then(|| (format!("{what} \"{name}\" is not listed"), place.clone()))
}

fn refused_cron(trigger: &Trigger, event: &TriggerEvent) -> Refusal {
    let due = event.cron.as_deref().filter(|_| !trigger.schedule.is_empty())?;
    let found = trigger.schedule.iter().any(|line| line.cron.value == due);
    (!found).then(|| (format!("no line of the schedule is \"{due}\""), trigger.place.clone()))
}

/// Patterns of a workflow's filters that cannot be read.
pub(crate) fn check_patterns(trigger: &Trigger) -> Vec<Diagnostic> {
    let filters = [&trigger.branches, &trigger.tags, &trigger.paths];
    let patterns = filters.into_iter().flat_map(|filter| filter.only.iter().chain(&filter.ignore).flatten());
    let all = patterns.chain(&trigger.names).chain(&trigger.versions);
    all.filter_map(|pattern| {
        let text = pattern.value.strip_prefix('!').unwrap_or(&pattern.value);
        let problem = Pattern::parse(text).err()?;
        let message = format!("invalid pattern '{}': {problem}", pattern.value);
        Some(Diagnostic::error("pattern", message, pattern.place.clone()))
    })
    .collect()
}
