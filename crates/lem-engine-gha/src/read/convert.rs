//! From tokens to the workflow.

use super::job::job;
use super::problems::Problems;
use super::trigger::triggers;
use crate::model::{Access, Concurrency, Defaults, Job, Permissions, Queue, Spanned, Workflow};
use crate::token::{Kind, Token};
use std::collections::BTreeMap;

/// How much is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checks {
    /// Everything that is known to be wrong with a file, in one pass.
    #[default]
    All,
    /// What the service's own reader reports, and in its order: it stops after the schema when that finds errors.
    Service,
}

/// Longest name of a concurrency group.
const GROUP_CHARS: usize = 400;

/// Scopes `read-all` and `write-all` stand for.
const SCOPES: [&str; 13] = [
    "actions",
    "checks",
    "contents",
    "deployments",
    "discussions",
    "issues",
    "packages",
    "pages",
    "pull-requests",
    "repository-projects",
    "statuses",
    "security-events",
    "id-token",
];

pub(super) struct Converter<'a> {
    pub(super) problems: &'a mut Problems,
    pub(super) checks: Checks,
    /// Jobs of all files so far, and how many there may be.
    pub(super) jobs: &'a mut usize,
    pub(super) max_jobs: usize,
}

/// A string with its place.
pub(super) fn spanned(token: &Token) -> Option<Spanned<String>> {
    token.as_str().map(|text| Spanned::new(text.to_owned(), token.place.clone()))
}

/// One string or a list of them.
pub(super) fn spanned_list(token: &Token) -> Vec<Spanned<String>> {
    match token.items() {
        Some(items) => items.iter().filter_map(spanned).collect(),
        None => spanned(token).into_iter().collect(),
    }
}

impl Converter<'_> {
    pub(super) fn workflow(&mut self, root: &Token, file: &str) -> Workflow {
        let get = |key: &str| root.get(key);
        let triggers = get("on").map(|on| triggers(self, on)).unwrap_or_default();
        let concurrency = get("concurrency").map(|token| self.concurrency(token));
        let jobs = get("jobs").map(|jobs| self.jobs(jobs)).unwrap_or_default();
        Workflow {
            file: file.to_owned(),
            name: get("name").and_then(spanned),
            run_name: get("run-name").cloned(),
            triggers,
            permissions: get("permissions").map(permissions),
            env: get("env").cloned(),
            defaults: get("defaults").map(defaults),
            concurrency,
            jobs,
        }
    }

    fn jobs(&mut self, token: &Token) -> Vec<Job> {
        let entries = token.entries().unwrap_or_default();
        for (id, _) in entries {
            *self.jobs += 1;
            if *self.jobs == self.max_jobs + 1 {
                let max = self.max_jobs;
                let message = format!("Workflows may not contain more than {max} jobs across all referenced files");
                self.problems.token(id, "too-many-jobs", &message);
            }
        }
        let jobs: Vec<Job> = entries.iter().filter_map(|(id, body)| job(self, &spanned(id)?, body)).collect();
        if self.checks == Checks::All || !self.problems.any() {
            self.check_needs(token, &jobs);
        }
        jobs
    }

    /// Every job can start once what it needs is done.
    fn check_needs(&mut self, token: &Token, jobs: &[Job]) {
        // With all checks the needs themselves say more than that none of the jobs can start.
        let says_all = self.checks == Checks::Service || jobs.is_empty();
        if says_all && jobs.iter().all(|job| !job.needs.is_empty()) {
            let message = "The workflow must contain at least one job with no dependencies.";
            self.problems.token(token, "needs", message);
            return;
        }
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        let mut done: Vec<&str> = vec![];
        loop {
            let ready = |job: &&Job| job.needs.iter().all(|need| done.iter().any(|id| same(id, &need.value)));
            let new: Vec<&str> = jobs.iter().filter(ready).map(|job| job.id.value.as_str()).collect();
            let more = new.into_iter().filter(|id| !done.contains(id)).collect::<Vec<_>>();
            if more.is_empty() {
                break;
            }
            done.extend(more);
        }
        let known = |id: &str| jobs.iter().any(|job| same(&job.id.value, id));
        for job in jobs.iter().filter(|job| !done.contains(&job.id.value.as_str())) {
            for need in job.needs.iter().filter(|need| !done.iter().any(|id| same(id, &need.value))) {
                let (id, need_id) = (&job.id.value, &need.value);
                let message = if known(need_id) {
                    format!("Job '{id}' depends on job '{need_id}' which creates a cycle in the dependency graph.")
                } else {
                    format!("Job '{id}' depends on unknown job '{need_id}'.")
                };
                let ids = jobs.iter().map(|job| job.id.value.as_str()).filter(|other| other != id && other.len() > 2);
                let near = lem_model::diagnostic::nearest(need_id, ids).filter(|_| !known(need_id));
                let hint = near.map(|near| format!("did you mean \"{near}\"?"));
                self.problems.with_hint(&need.place, "needs", &message, hint);
            }
        }
    }

    pub(super) fn concurrency(&mut self, token: &Token) -> Concurrency {
        let group = token.get("group").unwrap_or(token);
        if group.as_str().is_some_and(|name| name.chars().count() > GROUP_CHARS) {
            let message = "Concurrency group name must be less than 400 characters";
            self.problems.token(token, "concurrency", message);
        }
        let queue = match token.get("queue").and_then(Token::as_str) {
            Some("max") => Queue::Max,
            _ => Queue::Single,
        };
        let cancel = token.get("cancel-in-progress");
        if self.checks == Checks::All
            && queue == Queue::Max
            && let Some(cancel) = cancel.filter(|cancel| cancel.as_bool() != Some(false))
        {
            let message = "'queue: max' and 'cancel-in-progress' exclude each other";
            self.problems.token(cancel, "concurrency", message);
        }
        Concurrency { group: group.clone(), cancel_in_progress: cancel.cloned(), queue, raw: token.clone() }
    }
}

pub(super) fn defaults(token: &Token) -> Defaults {
    let run = token.get("run");
    let get = |key: &str| run.and_then(|run| run.get(key)).cloned();
    Defaults { shell: get("shell"), working_directory: get("working-directory"), raw: token.clone() }
}

fn access(text: &str) -> Access {
    match text {
        "read" | "read-all" => Access::Read,
        "write" | "write-all" => Access::Write,
        _ => Access::None,
    }
}

pub(super) fn permissions(token: &Token) -> Permissions {
    let scopes: BTreeMap<String, Access> = match &token.kind {
        Kind::String(all) => SCOPES.iter().map(|scope| ((*scope).to_owned(), access(all))).collect(),
        Kind::Mapping(entries) => entries
            .iter()
            .filter_map(|(scope, level)| Some((scope.as_str()?.to_owned(), access(level.as_str()?))))
            .collect(),
        _ => BTreeMap::new(),
    };
    let rest = token.as_str().map_or(Access::None, access);
    Permissions { scopes: scopes.into_iter().filter(|(_, level)| *level != Access::None).collect(), rest }
}

/// What a caller that says nothing allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PermissionsPolicy {
    /// Reading of contents and packages.
    #[default]
    LimitedRead,
    /// Everything.
    Write,
}

impl PermissionsPolicy {
    pub(super) fn permissions(self) -> Permissions {
        let scopes: &[&str] = match self {
            PermissionsPolicy::LimitedRead => &["contents", "packages"],
            PermissionsPolicy::Write => &SCOPES,
        };
        let (level, rest) = match self {
            PermissionsPolicy::LimitedRead => (Access::Read, Access::None),
            PermissionsPolicy::Write => (Access::Write, Access::Write),
        };
        Permissions { scopes: scopes.iter().map(|scope| ((*scope).to_owned(), level)).collect(), rest }
    }
}

/// What is asked for beyond what is allowed, as the service writes it: asked, allowed.
pub(super) fn excess(asked: &Permissions, allowed: &Permissions) -> Option<(String, String)> {
    let word = |level: Access| match level {
        Access::None => "none",
        Access::Read => "read",
        Access::Write => "write",
    };
    // The service's order: newer scopes that come early in the alphabet stand behind `actions`.
    let named = |late: bool| {
        let others = asked.scopes.keys().map(String::as_str).filter(|scope| !SCOPES.contains(scope));
        others.filter(move |scope| (*scope > "checks") == late)
    };
    let scopes = SCOPES[..1].iter().copied().chain(named(false)).chain(SCOPES[1..].iter().copied()).chain(named(true));
    let over: Vec<&str> = scopes.filter(|scope| asked.access(scope) > allowed.access(scope)).collect();
    let list = |of: &Permissions| {
        let levels: Vec<String> = over.iter().map(|scope| format!("{scope}: {}", word(of.access(scope)))).collect();
        levels.join(", ")
    };
    (!over.is_empty()).then(|| (list(asked), list(allowed)))
}
