//! `steps:` of a canary; each has exactly one kind.

use super::canary::Routing;
use super::{Templates, count, duration_ms};
use crate::model::{CanaryScale, HeaderMatch, Step, ValueMatch, WEIGHT_TOTAL};
use lem_engine_yaml::{Node, Reader};
use lem_model::diagnostic::nearest;

/// Kinds of steps Argo Rollouts has.
const KINDS: [&str; 8] =
    ["setWeight", "pause", "experiment", "analysis", "setCanaryScale", "setHeaderRoute", "setMirrorRoute", "plugin"];

pub(super) fn step(reader: &Reader, node: &Node, routing: &Routing, templates: &Templates) -> Option<Step> {
    let Some(entries) = node.entries() else {
        reader.error(node, "wrong-type", format!("a step must be a mapping, not {}", node.kind()));
        return None;
    };
    let [entry] = entries else {
        let kinds: Vec<&str> = entries.iter().filter_map(|e| e.key.text()).collect();
        let message = match kinds.as_slice() {
            [] => "a step needs a kind, such as setWeight or pause".to_owned(),
            kinds => format!("a step has one kind, not {}: {}", kinds.len(), kinds.join(", ")),
        };
        reader.error(node, "one-step-kind", message);
        return None;
    };
    let (kind, value) = (entry.key.text().unwrap_or_default(), &entry.value);
    match kind {
        "setWeight" => set_weight(reader, value),
        "pause" => pause(reader, value),
        "analysis" => {
            let mut fields = reader.fields(value, "analysis")?;
            let analysis = templates.analysis(reader, value, &mut fields);
            fields.finish();
            analysis.map(Step::Analysis)
        }
        "setCanaryScale" => needs_routing(reader, &entry.key, kind, routing).then(|| canary_scale(reader, value))?,
        "setHeaderRoute" => {
            needs_routing(reader, &entry.key, kind, routing).then(|| header_route(reader, value, routing))?
        }
        "setMirrorRoute" | "experiment" | "plugin" => {
            needs_routing_for(reader, &entry.key, kind, routing);
            reader.error(&entry.key, "unsupported-step", format!("step {kind} is not supported"));
            None
        }
        other => {
            let message = format!("unknown step kind \"{other}\"");
            match nearest(other, KINDS) {
                Some(near) => {
                    reader.error_with_hint(&entry.key, "unknown-step", message, format!("did you mean \"{near}\"?"));
                }
                None => reader.error(&entry.key, "unknown-step", message),
            }
            None
        }
    }
}

fn needs_routing_for(reader: &Reader, key: &Node, kind: &str, routing: &Routing) {
    if kind == "setMirrorRoute" {
        needs_routing(reader, key, kind, routing);
    }
}

fn needs_routing(reader: &Reader, key: &Node, kind: &str, routing: &Routing) -> bool {
    if !routing.given {
        let message = format!("{kind} needs trafficRouting");
        reader.error_with_hint(key, "needs-routing", message, "add trafficRouting: {} to the canary");
    }
    routing.given
}

fn set_weight(reader: &Reader, node: &Node) -> Option<Step> {
    let weight = reader.integer(node, "setWeight")?;
    let found = u32::try_from(weight).ok().filter(|w| *w <= WEIGHT_TOTAL);
    if found.is_none() {
        reader.error(node, "out-of-range", format!("setWeight must be between 0 and {WEIGHT_TOTAL}, not {weight}"));
    }
    found.map(Step::SetWeight)
}

fn pause(reader: &Reader, node: &Node) -> Option<Step> {
    if node.is_null() {
        return Some(Step::Pause(None));
    }
    let mut fields = reader.fields(node, "pause")?;
    let duration = fields.take("duration");
    fields.finish();
    match duration {
        None => Some(Step::Pause(None)),
        Some(n) => duration_ms(reader, n, "duration").map(|ms| Step::Pause(Some(ms))),
    }
}

fn canary_scale(reader: &Reader, node: &Node) -> Option<Step> {
    let mut fields = reader.fields(node, "setCanaryScale")?;
    let replicas = fields.take("replicas").map(|n| count(reader, n, "replicas").map(CanaryScale::Replicas));
    let weight = fields.take("weight").map(|n| count(reader, n, "weight").map(CanaryScale::Weight));
    let matches = fields.take("matchTrafficWeight").map(|n| reader.boolean(n, "matchTrafficWeight"));
    fields.finish();
    let matching = matches.map(|m| m.filter(|yes| *yes).map(|_| CanaryScale::MatchTrafficWeight));
    let mut given = [replicas, weight, matching].into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(scale), None) => scale.map(Step::CanaryScale),
        _ => {
            let message = "setCanaryScale needs exactly one of replicas, weight and matchTrafficWeight: true";
            reader.error(node, "one-scale", message);
            None
        }
    }
}

fn header_route(reader: &Reader, node: &Node, routing: &Routing) -> Option<Step> {
    let mut fields = reader.fields(node, "setHeaderRoute")?;
    let name_node = fields.require("name");
    let list = fields.take("match").and_then(|n| reader.items(n, "match")).unwrap_or_default();
    fields.finish();
    let name = name_node.and_then(|n| reader.string(n, "name"))?;
    if let Some(n) = name_node.filter(|_| !routing.managed.contains(&name)) {
        let hint = format!("add {{name: {name}}} to trafficRouting.managedRoutes");
        reader.error_with_hint(n, "unmanaged-route", format!("header route {name} is not in managedRoutes"), hint);
    }
    let matches: Option<Vec<HeaderMatch>> = list.iter().map(|n| header_match(reader, n)).collect();
    Some(Step::HeaderRoute { name, matches: matches? })
}

fn header_match(reader: &Reader, node: &Node) -> Option<HeaderMatch> {
    let mut fields = reader.fields(node, "match")?;
    let header = fields.require("headerName").and_then(|n| reader.string(n, "headerName"));
    let value = fields.require("headerValue");
    fields.finish();
    let value = value?;
    let mut f = reader.fields(value, "headerValue")?;
    let exact = f.take("exact").map(|n| reader.string(n, "exact").map(ValueMatch::Exact));
    let prefix = f.take("prefix").map(|n| reader.string(n, "prefix").map(ValueMatch::Prefix));
    let regex = f.take("regex");
    f.finish();
    let given = [exact.is_some(), prefix.is_some(), regex.is_some()].into_iter().filter(|g| *g).count();
    if given != 1 {
        reader.error(value, "one-match", "headerValue needs exactly one of exact, prefix and regex");
        return None;
    }
    if let Some(n) = regex {
        reader.error(n, "unsupported-key", "regex is not supported by the embedded router; use exact or prefix");
        return None;
    }
    Some(HeaderMatch { header: header?, value: exact.or(prefix)?? })
}
