//! GitHub Actions.

use super::rules::*;
use super::text;
use crate::Found;
use lem_engine_yaml::Node;
use regex::Regex;
use std::sync::LazyLock;

/// Contexts whose text a stranger chooses.
static STRANGERS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"github\.(?:head_ref|event\.(?:",
        r"issue\.(?:title|body)|discussion\.(?:title|body)|comment\.body|review\.body|review_comment\.body|",
        r"pages(?:\[\d+\]|\.\*)\.page_name|",
        r"commits(?:\[\d+\]|\.\*)\.(?:message|author\.(?:name|email))|head_commit\.(?:message|author\.(?:name|email))|",
        r"pull_request\.(?:title|body|head\.(?:ref|label|repo\.default_branch))|",
        r"workflow_run\.(?:head_branch|display_title|head_commit\.(?:message|author\.(?:name|email))|",
        r"head_repository\.description|pull_requests(?:\[\d+\]|\.\*)\.head\.ref)",
        r"))"
    ))
    .expect("a fixed expression")
});

static EXPRESSION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?s)\$\{\{(.*?)\}\}").expect("fixed"));

const DANGEROUS: [&str; 2] = ["pull_request_target", "workflow_run"];

pub(super) fn judge(file: &str, workflow: &Node, found: &mut Vec<Found>) {
    let mut lint = Lint { file, dangerous: triggers(workflow), found };
    lint.triggers(workflow);
    lint.environment(workflow, workflow);
    let granted = lint.permissions(workflow);
    for job in workflow.get("jobs").and_then(Node::entries).unwrap_or_default() {
        lint.job(job.key.text().unwrap_or_default(), &job.key, &job.value, granted);
    }
}

/// Which dangerous triggers a workflow has.
fn triggers(workflow: &Node) -> Vec<&'static str> {
    let Some(on) = workflow.get("on").or_else(|| workflow.get("true")) else { return vec![] };
    let named = |name: &str| {
        on.text() == Some(name)
            || on.items().is_some_and(|items| items.iter().any(|i| i.text() == Some(name)))
            || on.get(name).is_some()
    };
    DANGEROUS.into_iter().filter(|name| named(name)).collect()
}

struct Lint<'a> {
    file: &'a str,
    dangerous: Vec<&'static str>,
    found: &'a mut Vec<Found>,
}

impl Lint<'_> {
    fn report(&mut self, rule: Rule, at: &Node, within: &Node, discriminator: &str) {
        self.found.push(found(rule, self.file, at, within, discriminator));
    }

    fn triggers(&mut self, workflow: &Node) {
        let Some(on) = workflow.get("on") else { return };
        for name in self.dangerous.clone() {
            self.report(DANGEROUS_TRIGGERS, on, on, name);
        }
    }

    /// Whether the workflow says anything about permissions; `write-all` is reported.
    fn permissions(&mut self, holder: &Node) -> bool {
        let Some(permissions) = holder.get("permissions") else { return false };
        if permissions.text() == Some("write-all") {
            self.report(EXCESSIVE_PERMISSIONS, permissions, permissions, "write-all");
        }
        true
    }

    fn environment(&mut self, holder: &Node, within: &Node) {
        let Some(env) = holder.get("env") else { return };
        if let Some(on) = env.get("ACTIONS_ALLOW_UNSECURE_COMMANDS").filter(|n| !matches!(n.text(), Some("false" | "")))
        {
            let within = if std::ptr::eq(holder, within) { on } else { within };
            self.report(INSECURE_COMMANDS, on, within, "ACTIONS_ALLOW_UNSECURE_COMMANDS");
        }
    }

    fn job(&mut self, name: &str, key: &Node, job: &Node, granted: bool) {
        if !self.permissions(job) && !granted {
            self.report(EXCESSIVE_PERMISSIONS, key, key, name);
        }
        if let Some(secrets) = job.get("secrets").filter(|s| s.text() == Some("inherit")) {
            self.report(SECRETS_INHERIT, secrets, secrets, name);
        }
        if let Some(uses) = job.get("uses") {
            self.uses(uses, uses);
        }
        self.environment(job, job);
        self.runner(name, job);
        self.condition(job, key);
        self.containers(job);
        for step in job.get("steps").and_then(Node::items).unwrap_or_default() {
            self.step(step);
        }
    }

    fn runner(&mut self, name: &str, job: &Node) {
        let Some(runs_on) = job.get("runs-on") else { return };
        let hosted = |node: &Node| node.text() == Some("self-hosted");
        if hosted(runs_on) || runs_on.items().is_some_and(|items| items.iter().any(hosted)) {
            self.report(SELF_HOSTED, runs_on, runs_on, name);
        }
    }

    fn condition(&mut self, holder: &Node, within: &Node) {
        let Some(condition) = holder.get("if") else { return };
        let Some(written) = condition.text() else { return };
        let bot = written.contains("github.actor") && written.contains("[bot]");
        if bot && !written.contains("pull_request.user.login") {
            self.report(BOT_CONDITIONS, condition, within, written);
        }
        // Text around an expression makes a string, and a string that is not empty is true.
        let rest = EXPRESSION.replace_all(written, "");
        if EXPRESSION.is_match(written) && !rest.is_empty() && (rest.trim().is_empty() || !rest.contains(['(', '='])) {
            self.report(UNSOUND_CONDITION, condition, within, written);
        }
    }

    fn containers(&mut self, job: &Node) {
        let container = job.get("container").into_iter();
        let services = job.get("services").and_then(Node::entries).unwrap_or_default().iter().map(|e| &e.value);
        for holder in container.chain(services) {
            let image = holder.get("image").unwrap_or(holder);
            if let Some(name) = image.text().filter(|n| !n.contains('@') && !n.contains("${{") && !n.is_empty()) {
                self.report(UNPINNED_IMAGES, image, image, name);
            }
            let password = holder.get("credentials").and_then(|c| c.get("password"));
            if let Some(password) = password.filter(|p| p.text().is_some_and(|t| !t.is_empty() && !t.contains("${{"))) {
                // The value itself must not become part of anything.
                self.report(CONTAINER_CREDENTIALS, password, password, "container credentials");
            }
        }
    }

    fn step(&mut self, step: &Node) {
        self.environment(step, step);
        self.condition(step, step);
        if let Some(uses) = step.get("uses") {
            self.uses(uses, step);
            self.checkout(uses, step);
            let script = step.get("with").and_then(|with| with.get("script"));
            if let Some(script) =
                script.filter(|_| uses.text().is_some_and(|u| u.starts_with("actions/github-script@")))
            {
                self.injection(script, step);
            }
        }
        if let Some(run) = step.get("run") {
            self.injection(run, step);
            self.script(run, step);
        }
        self.secrets(step);
    }

    fn uses(&mut self, uses: &Node, within: &Node) {
        let Some(name) = uses.text() else { return };
        if name.starts_with("./") || name.starts_with("../") {
            return;
        }
        if let Some(image) = name.strip_prefix("docker://") {
            if !image.contains('@') {
                self.report(UNPINNED_IMAGES, uses, within, name);
            }
            return;
        }
        let pinned =
            name.split_once('@').is_some_and(|(_, r)| r.len() == 40 && r.bytes().all(|b| b.is_ascii_hexdigit()));
        if !pinned {
            self.report(UNPINNED_USES, uses, within, name);
        }
    }

    fn checkout(&mut self, uses: &Node, step: &Node) {
        if !uses.text().is_some_and(|name| name.starts_with("actions/checkout@")) {
            return;
        }
        let with = step.get("with");
        if with.and_then(|w| text(w, "persist-credentials")) != Some("false") {
            self.report(ARTIPACKED, uses, step, uses.text().unwrap_or_default());
        }
        let strange = |key: &str| {
            let value = with.and_then(|w| text(w, key)).unwrap_or_default();
            [
                "head.sha",
                "head.ref",
                "head_ref",
                "head_sha",
                "head_branch",
                "head.repo",
                "head_repository",
                "refs/pull/",
            ]
            .iter()
            .any(|word| value.contains(word))
        };
        if !self.dangerous.is_empty() && (strange("ref") || strange("repository")) {
            self.report(UNTRUSTED_CHECKOUT, uses, step, uses.text().unwrap_or_default());
        }
    }

    fn injection(&mut self, script: &Node, step: &Node) {
        let Some(written) = script.text() else { return };
        for expression in EXPRESSION.captures_iter(written) {
            if let Some(context) = STRANGERS.find(&expression[1]) {
                self.report(TEMPLATE_INJECTION, script, step, context.as_str());
            }
        }
    }

    fn script(&mut self, run: &Node, step: &Node) {
        let Some(script) = run.text() else { return };
        if let Some(line) = script.lines().find(|line| line.contains("curl") && line.contains("secret")) {
            self.report(SECRET_IN_CURL, run, step, &EXPRESSION.replace_all(line, "..."));
        }
        let writes = ["GITHUB_ENV", "GITHUB_PATH"].iter().any(|name| {
            script.lines().any(|line| line.contains(name) && (line.contains(">>") || line.contains("tee")))
        });
        if writes && !self.dangerous.is_empty() {
            self.report(GITHUB_ENV, run, step, "GITHUB_ENV");
        }
    }

    fn secrets(&mut self, step: &Node) {
        let mut texts = vec![];
        scalars(step, &mut texts);
        for (node, written) in texts {
            for expression in EXPRESSION.captures_iter(written) {
                let squeezed: String = expression[1].chars().filter(|c| !c.is_whitespace()).collect();
                let squeezed = squeezed.to_ascii_lowercase();
                if squeezed.contains("tojson(secrets)") {
                    self.report(ALL_SECRETS, node, step, "toJSON(secrets)");
                }
                if squeezed.contains("fromjson(secrets.") {
                    self.report(UNREDACTED_SECRETS, node, step, "fromJSON(secrets)");
                }
            }
        }
    }
}

fn scalars<'a>(node: &'a Node, into: &mut Vec<(&'a Node, &'a str)>) {
    if let Some(written) = node.text()
        && written.contains("${{")
    {
        into.push((node, written));
    }
    node.items().unwrap_or_default().iter().for_each(|item| scalars(item, into));
    node.entries().unwrap_or_default().iter().for_each(|entry| scalars(&entry.value, into));
}
