//! Planning one instance: prior object and configuration become a planned object and an action. Pure.

use crate::builtin::Kind;
use crate::schema::Given;
use lem_engine_hcl::config::{IgnoreChanges, PathStep};
use lem_engine_hcl::value::{Entries, Value};
use lem_model::resource::ResourceAction;
use std::sync::Arc;

/// What the planner knows of an instance beside its configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances<'a> {
    /// The object that exists; `None` when there is none.
    pub prior: Option<&'a Entries>,
    /// Whether it must be replaced because making it had failed.
    pub tainted: bool,
    /// Whether somebody asked for a replacement.
    pub asked: bool,
    /// Whether something it is triggered by changes.
    pub triggered: bool,
    /// Whether a replacement is made before the old object goes.
    pub create_first: bool,
}

/// The decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// What happens.
    pub action: ResourceAction,
    /// The planned object; unknown where only the apply will tell.
    pub planned: Entries,
    /// Attributes that force the replacement.
    pub replaced_by: Vec<String>,
    /// Why, in the words of Terraform's plan format.
    pub reason: Option<&'static str>,
}

/// Decides what happens to an instance.
pub fn decide(address: &str, kind: &dyn Kind, config: &Entries, around: Circumstances<'_>) -> Decided {
    let Some(prior) = around.prior else {
        return Decided {
            action: ResourceAction::Create,
            planned: fresh(address, kind, config),
            replaced_by: vec![],
            reason: None,
        };
    };
    let planned = proposed(address, kind, prior, config);
    let schema = kind.schema();
    let differs = |name: &str| prior.get(name) != planned.get(name);
    let replaced_by: Vec<String> =
        schema.attributes.iter().filter(|a| a.replaces && differs(a.name)).map(|a| a.name.to_owned()).collect();
    let reason = if around.tainted {
        Some("replace_because_tainted")
    } else if around.asked {
        Some("replace_by_request")
    } else if around.triggered {
        Some("replace_by_triggers")
    } else if !replaced_by.is_empty() {
        Some("replace_because_cannot_update")
    } else {
        None
    };
    if reason.is_some() {
        let action = if around.create_first { ResourceAction::CreateDelete } else { ResourceAction::DeleteCreate };
        return Decided { action, planned: fresh(address, kind, config), replaced_by, reason };
    }
    let same = schema.attributes.iter().all(|a| !differs(a.name));
    let action = if same { ResourceAction::NoOp } else { ResourceAction::Update };
    Decided { action, planned, replaced_by, reason }
}

/// A new object: what the configuration leaves to the provider is not known yet.
fn fresh(address: &str, kind: &dyn Kind, config: &Entries) -> Entries {
    let mut planned = config.clone();
    for attribute in kind.schema().attributes.iter().filter(|a| a.is_computed()) {
        let entry = planned.entry(Arc::from(attribute.name)).or_insert_with(|| Value::Null(attribute.ty.clone()));
        if entry.is_null() {
            *entry = later(address, attribute);
        }
    }
    planned
}

fn later(address: &str, attribute: &crate::schema::Attribute) -> Value {
    let why = format!("{address}.{} is known after apply", attribute.name);
    Value::unknown(attribute.ty.clone(), why).marked(attribute.sensitive)
}

/// The object after a change in place: the configuration wins, what it leaves to the provider stays as it was.
fn proposed(address: &str, kind: &dyn Kind, prior: &Entries, config: &Entries) -> Entries {
    let mut planned = config.clone();
    for attribute in &kind.schema().attributes {
        let keeps = match attribute.given {
            Given::Computed => true,
            Given::OptionalComputed => planned.get(attribute.name).is_none_or(Value::is_null),
            Given::Required | Given::Optional => false,
        };
        if keeps && let Some(value) = prior.get(attribute.name) {
            planned.insert(Arc::from(attribute.name), value.clone());
        }
    }
    for name in kind.unsettle(prior, &planned) {
        if let Some(attribute) = kind.schema().attribute(name) {
            planned.insert(Arc::from(name), later(address, attribute));
        }
    }
    planned
}

/// Puts prior values where changes are to be ignored.
pub(crate) fn ignore_changes(rule: &IgnoreChanges, prior: Option<&Entries>, config: &mut Entries) {
    let Some(prior) = prior else { return };
    match rule {
        IgnoreChanges::None => {}
        IgnoreChanges::All => {
            for (name, value) in prior {
                config.insert(Arc::clone(name), value.clone());
            }
        }
        IgnoreChanges::Paths(paths) => {
            for path in paths {
                if let [PathStep::Attribute(first), rest @ ..] = path.as_slice() {
                    let old = prior.get(first).cloned().unwrap_or_else(Value::null);
                    let new = config.get(first).cloned().unwrap_or_else(Value::null);
                    config.insert(Arc::clone(first), overlay(&new, &old, rest));
                }
            }
        }
    }
}

/// `new` with the part of `old` at a path.
fn overlay(new: &Value, old: &Value, path: &[PathStep]) -> Value {
    let Some((step, rest)) = path.split_first() else { return old.clone() };
    let (plain, mark) = new.unmark();
    let value = match (step, plain) {
        (PathStep::Attribute(name) | PathStep::Key(name), Value::Map(_, entries) | Value::Object(entries)) => {
            let mut entries = entries.as_ref().clone();
            match old.get(name) {
                Some(kept) => {
                    let inner = entries.get(name).cloned().unwrap_or_else(Value::null);
                    entries.insert(Arc::clone(name), overlay(&inner, kept, rest));
                }
                None if rest.is_empty() => drop(entries.remove(name)),
                None => {}
            }
            if let Value::Map(ty, _) = plain { Value::map(ty.clone(), entries) } else { Value::object(entries) }
        }
        _ => plain.clone(),
    };
    value.marked(mark)
}
