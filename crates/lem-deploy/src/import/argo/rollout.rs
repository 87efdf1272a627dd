//! The manifest around the strategy.

use super::{Templates, canary, count, seconds_ms};
use crate::model::{Method, Slack, Step, Strategy};
use lem_engine_yaml::{Fields, Node, Reader};

/// `progressDeadlineSeconds`.
const PROGRESS_DEADLINE_MS: u64 = 600_000;
/// `scaleDownDelaySeconds` and `abortScaleDownDelaySeconds`.
pub(super) const SCALE_DOWN_DELAY_MS: u64 = 30_000;
/// `maxSurge` and `maxUnavailable`.
pub(super) const SLACK: Slack = Slack::Percent(25);
/// `revisionHistoryLimit`.
const HISTORY: u32 = 10;

pub(super) fn read(reader: &Reader, node: &Node, templates: &Templates) -> Option<Strategy> {
    if node.get("kind").is_none() && node.get("spec").is_none() {
        return spec(reader, node, templates);
    }
    let mut fields = reader.fields(node, "the manifest")?;
    for key in ["apiVersion", "kind", "metadata", "status"] {
        fields.take(key);
    }
    let spec_node = fields.require("spec");
    fields.finish();
    spec(reader, spec_node?, templates)
}

fn spec(reader: &Reader, node: &Node, templates: &Templates) -> Option<Strategy> {
    let mut fields = reader.fields(node, "the rollout")?;
    // Only Kubernetes needs these.
    for key in ["selector", "template", "workloadRef", "restartAt", "progressDeadlineAbort"] {
        fields.take(key);
    }
    let mut strategy = Strategy {
        method: Method::Canary,
        replicas: fields.take("replicas").and_then(|n| count(reader, n, "replicas")),
        progress_deadline_ms: PROGRESS_DEADLINE_MS,
        min_ready_ms: fields
            .take("minReadySeconds")
            .and_then(|n| seconds_ms(reader, n, "minReadySeconds"))
            .unwrap_or(0),
        scale_down_delay_ms: SCALE_DOWN_DELAY_MS,
        abort_scale_down_delay_ms: Some(SCALE_DOWN_DELAY_MS),
        history: HISTORY,
        steps: vec![],
        background: None,
        max_surge: SLACK,
        max_unavailable: SLACK,
    };
    let deadline = fields.take("progressDeadlineSeconds");
    if let Some(ms) = deadline.and_then(|n| seconds_ms(reader, n, "progressDeadlineSeconds")) {
        strategy.progress_deadline_ms = ms;
    }
    if strategy.progress_deadline_ms <= strategy.min_ready_ms {
        let at = deadline.unwrap_or(node);
        reader.error(at, "deadline-too-short", "progressDeadlineSeconds must be greater than minReadySeconds");
    }
    if let Some(n) = fields.take("revisionHistoryLimit").and_then(|n| count(reader, n, "revisionHistoryLimit")) {
        strategy.history = n;
    }
    if let Some(n) = fields.take("paused").filter(|n| reader.boolean(n, "paused") == Some(true)) {
        reader.error_with_hint(
            n,
            "unsupported-key",
            "paused: true is not supported",
            "pause a rollout with lem deploy",
        );
    }
    if let Some(mut f) = fields.take("analysis").and_then(|n| reader.fields(n, "analysis")) {
        f.take("successfulRunHistoryLimit").map(|n| count(reader, n, "successfulRunHistoryLimit"));
        f.take("unsuccessfulRunHistoryLimit").map(|n| count(reader, n, "unsuccessfulRunHistoryLimit"));
        f.finish();
    }
    if let Some(n) = fields.take("rollbackWindow") {
        reader.warning(
            n,
            "unused-key",
            "rollbackWindow counts revisions; the window of lem.yaml, rollback.window, counts",
        );
    }
    let found = fields.require("strategy").is_some_and(|n| method(reader, n, templates, &mut strategy));
    fields.finish();
    found.then_some(strategy)
}

fn method(reader: &Reader, node: &Node, templates: &Templates, strategy: &mut Strategy) -> bool {
    let Some(mut fields) = reader.fields(node, "strategy") else { return false };
    let (canary_node, blue_green) = (entry(node, "canary"), entry(node, "blueGreen"));
    fields.take("canary");
    fields.take("blueGreen");
    let kubernetes = fields.take("type");
    let rolling = fields.take("rollingUpdate");
    fields.finish();
    match (canary_node, blue_green, kubernetes) {
        (Some(n), None, None) => canary::canary(reader, n, templates, strategy),
        (None, Some(n), None) => canary::blue_green(reader, n, templates, strategy),
        (None, None, Some(n)) => return kubernetes_type(reader, n, rolling, strategy),
        _ => {
            reader.error(node, "one-strategy", "strategy needs exactly one of canary and blueGreen");
            return false;
        }
    }
    true
}

/// The value of a key even when it is null: `canary: {}` and `canary:` are both a canary without steps.
fn entry<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    node.get(key)
}

/// `type: Recreate` and `type: RollingUpdate` of a Deployment.
fn kubernetes_type(reader: &Reader, node: &Node, rolling: Option<&Node>, strategy: &mut Strategy) -> bool {
    match node.text() {
        Some("Recreate") => {
            strategy.method = Method::Recreate;
            strategy.steps = vec![Step::Recreate];
        }
        Some("RollingUpdate") => {
            strategy.method = Method::Rolling;
            strategy.steps = vec![Step::Roll];
            if let Some(mut fields) = rolling.and_then(|n| reader.fields(n, "rollingUpdate")) {
                slack(reader, &mut fields, node, strategy);
                fields.finish();
            }
        }
        _ => {
            reader.error(node, "unknown-strategy", "type must be Recreate or RollingUpdate");
            return false;
        }
    }
    true
}

/// `maxSurge` and `maxUnavailable`.
pub(super) fn slack(reader: &Reader, fields: &mut Fields<'_>, node: &Node, strategy: &mut Strategy) {
    if let Some(found) = fields.take("maxSurge").and_then(|n| int_or_percent(reader, n, "maxSurge")) {
        strategy.max_surge = found;
    }
    if let Some(found) = fields.take("maxUnavailable").and_then(|n| int_or_percent(reader, n, "maxUnavailable")) {
        strategy.max_unavailable = found;
    }
    let none = |s: Slack| matches!(s, Slack::Count(0) | Slack::Percent(0));
    if none(strategy.max_surge) && none(strategy.max_unavailable) {
        reader.error(node, "no-slack", "maxSurge and maxUnavailable must not both be 0");
    }
}

pub(super) fn int_or_percent(reader: &Reader, node: &Node, what: &str) -> Option<Slack> {
    let Some(percent) = node.text().and_then(|t| t.strip_suffix('%')) else {
        return count(reader, node, what).map(Slack::Count);
    };
    let found = percent.parse().ok().map(Slack::Percent);
    if found.is_none() {
        reader.error(node, "wrong-type", format!("{what} must be a whole number or percent such as 25%"));
    }
    found
}
