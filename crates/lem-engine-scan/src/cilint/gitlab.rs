//! `.gitlab-ci.yml`.

use super::rules::*;
use super::text;
use crate::Found;
use lem_engine_yaml::Node;

/// Keys at the top that are no jobs.
const NO_JOBS: [&str; 9] =
    ["stages", "variables", "include", "workflow", "default", "image", "services", "cache", "spec"];

pub(super) fn judge(file: &str, tree: &Node, found: &mut Vec<Found>) {
    let mut report =
        |rule, at: &Node, within: &Node, what: &str| found.push(super::rules::found(rule, file, at, within, what));
    let include = tree.get("include");
    let single = include.filter(|i| i.items().is_none());
    for item in include.and_then(Node::items).unwrap_or_default().iter().chain(single) {
        let direct = item.text().filter(|t| t.starts_with("http"));
        let remote = direct.or_else(|| text(item, "remote").filter(|_| item.get("integrity").is_none()));
        if let Some(address) = remote {
            report(GITLAB_REMOTE, item, item, address);
        }
        let moving = text(item, "project").is_some() && !text(item, "ref").is_some_and(is_commit);
        if moving {
            report(GITLAB_REMOTE, item, item, text(item, "project").unwrap_or_default());
        }
    }
    let default = tree.get("default").into_iter();
    let jobs = tree
        .entries()
        .unwrap_or_default()
        .iter()
        .filter(|e| e.key.text().is_some_and(|name| !NO_JOBS.contains(&name)) && e.value.entries().is_some());
    for holder in std::iter::once(tree).chain(default).chain(jobs.map(|e| &e.value)) {
        if let Some(image) = holder.get("image") {
            let name = image.get("name").unwrap_or(image);
            if let Some(written) = name.text().filter(|n| !n.contains('@') && !n.contains('$')) {
                report(GITLAB_IMAGE, name, name, written);
            }
        }
        for key in ["before_script", "script", "after_script"] {
            let Some(script) = holder.get(key) else { continue };
            for line in script.items().unwrap_or_default().iter().chain(Some(script)) {
                let identity = ["$CI_JOB_TOKEN", "${CI_JOB_TOKEN", "$CI_JOB_JWT", "${CI_JOB_JWT"];
                let sent = |l: &str| l.contains("curl") && identity.iter().any(|name| l.contains(name));
                if let Some(bad) = line.text().and_then(|t| t.lines().find(|l| sent(l))) {
                    report(GITLAB_CURL, line, line, bad);
                }
            }
        }
    }
}

fn is_commit(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|b| b.is_ascii_hexdigit())
}
