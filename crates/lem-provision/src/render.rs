//! A plan as text, as Terraform's users expect it: `+` create, `~` update, `-` delete, `-/+` and `+/-` replace.

use crate::plan::{Change, Plan, output_differs};
use crate::planjson::{HIDDEN, attribute, shown};
use lem_model::fact::PlanCounts;
use lem_model::resource::ResourceAction;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Changes that are shown one by one.
pub const MAX_SHOWN: usize = 1_000;

/// What others say about a plan, put where it belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Lines under a resource, by its address.
    pub resources: BTreeMap<String, Vec<String>>,
    /// Lines at the end.
    pub end: Vec<String>,
}

/// The whole plan.
pub fn plan(plan: &Plan) -> String {
    annotated(plan, &Notes::default())
}

/// The whole plan, with what others say about it. A resource they speak of is named even when nothing happens to it.
pub fn annotated(plan: &Plan, notes: &Notes) -> String {
    let mut out = String::new();
    for drift in &plan.drift {
        let what = if drift.after.is_some() { "has changed" } else { "is gone" };
        let _ = writeln!(out, "{} {what} outside ({})", drift.address, drift.place);
    }
    if !plan.drift.is_empty() {
        out.push('\n');
    }
    let shown = |c: &&Change| c.is_change() || c.action == ResourceAction::Read;
    let changes: Vec<&Change> = plan.changes.iter().filter(shown).collect();
    for change in changes.iter().take(MAX_SHOWN) {
        block(&mut out, change);
        said(&mut out, notes, &change.address);
        out.push('\n');
    }
    if changes.len() > MAX_SHOWN {
        let _ = writeln!(out, "... and {} more; --output json has all of them\n", changes.len() - MAX_SHOWN);
    }
    let still = plan.changes.iter().filter(|c| !shown(c) && notes.resources.contains_key(&c.address));
    for change in still.take(MAX_SHOWN) {
        let _ = writeln!(out, "  # {} stays as it is ({})", change.address, change.place);
        said(&mut out, notes, &change.address);
        out.push('\n');
    }
    outputs(&mut out, plan);
    for check in plan.checks.iter().filter(|c| c.status == "fail") {
        let _ = writeln!(out, "{} fails: {}", check.address, check.problems.join("; "));
    }
    out += &summary(plan);
    for line in &notes.end {
        let _ = writeln!(out, "{line}");
    }
    out
}

fn said(out: &mut String, notes: &Notes, address: &str) {
    for line in notes.resources.get(address).into_iter().flatten() {
        let _ = writeln!(out, "      {line}");
    }
}

/// `Plan: 1 to add, 0 to change, 0 to destroy.`
pub fn summary(plan: &Plan) -> String {
    if plan.is_empty() {
        return "No changes. What exists matches the configuration.\n".to_owned();
    }
    let PlanCounts { create, update, replace, delete, .. } = plan.counts();
    format!("Plan: {} to add, {update} to change, {} to destroy.\n", create + replace, delete + replace)
}

fn sign(action: ResourceAction) -> &'static str {
    match action {
        ResourceAction::Create => "  +",
        ResourceAction::Read => " <=",
        ResourceAction::Update => "  ~",
        ResourceAction::Delete => "  -",
        ResourceAction::DeleteCreate => "-/+",
        ResourceAction::CreateDelete => "+/-",
        ResourceAction::Forget => "  .",
        ResourceAction::NoOp => "   ",
    }
}

fn block(out: &mut String, change: &Change) {
    let what = match change.action {
        ResourceAction::Create => "will be created",
        ResourceAction::Read => "will be read during apply",
        ResourceAction::Update => "will be updated in place",
        ResourceAction::Delete => "will be destroyed",
        ResourceAction::DeleteCreate | ResourceAction::CreateDelete => "must be replaced",
        ResourceAction::Forget => "will be forgotten and left alone",
        ResourceAction::NoOp => "has moved",
    };
    let _ = writeln!(out, "  # {} {what} ({})", change.address, change.place);
    if let Some(previous) = &change.previous {
        let _ = writeln!(out, "  # (moved from {previous})");
    }
    if let Some(reason) = change.reason.filter(|r| *r != "replace_because_cannot_update") {
        let _ = writeln!(out, "  # ({})", reason.replace('_', " "));
    }
    let word = if change.parts.mode == lem_engine_hcl::Mode::Data { "data" } else { "resource" };
    let _ = writeln!(out, "{} {word} \"{}\" \"{}\" {{", sign(change.action), change.parts.kind, change.parts.name);
    let names: BTreeSet<&str> =
        change.before.iter().chain(&change.after).flat_map(|o| o.keys().map(|k| &**k)).collect();
    let width = names.iter().map(|n| n.len()).max().unwrap_or(0);
    let mut unchanged = 0;
    for name in names {
        let before = attribute(change.before.as_ref(), name);
        let after = attribute(change.after.as_ref(), name);
        let forces = if change.replaced_by.iter().any(|r| r == name) { " # forces replacement" } else { "" };
        match (before, after) {
            (None, None) => {}
            (Some(old), Some(new)) if old == new => unchanged += 1,
            (None, Some(new)) => {
                let _ = writeln!(out, "      + {name:<width$} = {}{forces}", shown(new));
            }
            (Some(old), None) => {
                let _ = writeln!(out, "      - {name:<width$} = {} -> null{forces}", shown(old));
            }
            (Some(old), Some(new)) => {
                let _ = writeln!(out, "      ~ {name:<width$} = {} -> {}{forces}", shown(old), shown(new));
            }
        }
    }
    if unchanged > 0 {
        let _ = writeln!(out, "        # ({unchanged} unchanged attributes hidden)");
    }
    out.push_str("    }\n");
}

fn outputs(out: &mut String, plan: &Plan) {
    let changed: Vec<_> = plan.outputs.iter().filter(|(_, o)| output_differs(o)).collect();
    if changed.is_empty() {
        return;
    }
    out.push_str("Changes to outputs:\n");
    for (name, output) in changed {
        let old =
            output.before.as_ref().map(|b| if output.sensitive { HIDDEN.to_owned() } else { b.value.to_string() });
        let new = output.after.as_ref().map(|v| if output.sensitive { HIDDEN.to_owned() } else { shown(v) });
        let _ = match (old, new) {
            (None, Some(new)) => writeln!(out, "  + {name} = {new}"),
            (Some(old), None) => writeln!(out, "  - {name} = {old} -> null"),
            (old, new) => writeln!(out, "  ~ {name} = {} -> {}", old.unwrap_or_default(), new.unwrap_or_default()),
        };
    }
    out.push('\n');
}
