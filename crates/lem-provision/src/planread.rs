//! Plans of an installed Terraform or OpenTofu, read from `show -json` into the one resource graph.
//!
//! Any format 1.x is read and fields we do not know are ignored. What a plan says to be sensitive stays marked.

use crate::ProvisionError;
use crate::planjson::{HIDDEN, hide};
use indexmap::IndexMap;
use lem_model::Place;
use lem_model::fact::{MAX_CHANGES, PlanCounts, ResourceChange};
use lem_model::resource::{Attribute, Language, Resource, ResourceAction, ResourceGraph};
use serde_json::Value as Json;

/// Largest plan that is read.
pub const MAX_PLAN_BYTES: usize = 256 * 1024 * 1024;

/// The document of a plan; `name` is its file, for messages.
pub fn document(name: &str, text: &str) -> Result<Json, ProvisionError> {
    if text.len() > MAX_PLAN_BYTES {
        return Err(wrong(name, format!("{} bytes; at most {MAX_PLAN_BYTES} are read", text.len())));
    }
    let document: Json = serde_json::from_str(text).map_err(|error| wrong(name, format!("not JSON: {error}")))?;
    match document.get("format_version").and_then(Json::as_str) {
        Some(version) if version.starts_with("1.") => Ok(document),
        Some(version) => Err(wrong(name, format!("plan format {version}; only 1.x is read"))),
        None => {
            let why = "no plan: it has no \"format_version\"; terraform show -json PLAN writes one";
            Err(wrong(name, why.to_owned()))
        }
    }
}

fn wrong(name: &str, why: String) -> ProvisionError {
    ProvisionError::Document { what: name.to_owned(), why }
}

/// The graph of a plan; `name` is its file, for messages and places.
pub fn graph(name: &str, document: &Json) -> Result<ResourceGraph, ProvisionError> {
    let changes = document.get("resource_changes").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut resources = vec![];
    for (number, change) in changes.iter().enumerate() {
        let incomplete = || wrong(name, format!("resource_changes[{number}] is not whole"));
        resources.push(resource(name, change).ok_or_else(incomplete)?);
    }
    resources.sort_by(|a: &Resource, b| a.address.cmp(&b.address));
    Ok(ResourceGraph { root: name.to_owned(), environment: None, resources, diagnostics: vec![] })
}

/// Parts of a document that hold no values.
const PLAIN: [&str; 7] =
    ["format_version", "terraform_version", "applyable", "complete", "errored", "timestamp", "checks"];

/// What of a document may be shown: values that it says to be sensitive are replaced; variables and the configuration,
/// which hold values in clear, are left out.
pub fn shown(document: &Json) -> Json {
    let mut out = serde_json::Map::new();
    for name in PLAIN {
        out.extend(document.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    let of_all = |name: &str| document.get(name).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    for name in ["resource_changes", "resource_drift"] {
        let changes = of_all(name).iter().map(|change| {
            let mut change = change.clone();
            hide_change(&mut change["change"]);
            change
        });
        out.insert(name.to_owned(), changes.collect());
    }
    let mut outputs = document.get("output_changes").cloned().unwrap_or_default();
    outputs.as_object_mut().into_iter().flatten().for_each(|(_, change)| hide_change(change));
    out.insert("output_changes".to_owned(), outputs);
    for (name, path) in [("planned_values", "/planned_values"), ("prior_state", "/prior_state/values")] {
        if let Some(mut values) = document.pointer(path).cloned() {
            hide_values(&mut values);
            let held = if name == "prior_state" {
                serde_json::json!({"format_version": "1.0", "values": values})
            } else {
                values
            };
            out.insert(name.to_owned(), held);
        }
    }
    Json::Object(out)
}

fn hide_change(change: &mut Json) {
    for (side, marks) in [("before", "before_sensitive"), ("after", "after_sensitive")] {
        let hidden = change.get(side).map(|value| hide(value, change.get(marks).unwrap_or(&Json::Bool(false))));
        if let (Some(hidden), Some(change)) = (hidden, change.as_object_mut()) {
            change.insert(side.to_owned(), hidden);
        }
    }
}

fn hide_values(values: &mut Json) {
    for (_, output) in values.get_mut("outputs").and_then(Json::as_object_mut).into_iter().flatten() {
        if output["sensitive"] == true {
            output["value"] = HIDDEN.into();
        }
    }
    hide_module(&mut values["root_module"]);
}

fn hide_module(module: &mut Json) {
    for resource in module.get_mut("resources").and_then(Json::as_array_mut).into_iter().flatten() {
        let hidden = hide(&resource["values"], resource.get("sensitive_values").unwrap_or(&Json::Bool(false)));
        resource["values"] = hidden;
    }
    for child in module.get_mut("child_modules").and_then(Json::as_array_mut).into_iter().flatten() {
        hide_module(child);
    }
}

fn resource(file: &str, change: &Json) -> Option<Resource> {
    let text = |key: &str| change.get(key)?.as_str().map(str::to_owned);
    let inner = change.get("change")?;
    let nothing = Json::Bool(false);
    let part = |key: &str| inner.get(key).unwrap_or(&nothing);
    let entries = |value: &str, unknown: &Json, hidden: &str| -> Option<IndexMap<String, Attribute>> {
        match attribute(inner.get(value)?, unknown, part(hidden)) {
            Attribute::Map(map) => Some(map),
            _ => None,
        }
    };
    let provider = text("provider_name").unwrap_or_default();
    Some(Resource {
        address: text("address")?,
        kind: text("type")?,
        language: Language::Terraform,
        data: text("mode").as_deref() == Some("data"),
        provider: provider.rsplit('/').next().unwrap_or_default().to_owned(),
        region: None,
        attributes: entries("after", part("after_unknown"), "after_sensitive").unwrap_or_default(),
        places: IndexMap::new(),
        place: Place::file(file),
        end_line: 0,
        calls: vec![],
        depends_on: vec![],
        action: Some(action(inner.get("actions")?)?),
        before: entries("before", &nothing, "before_sensitive"),
    })
}

fn action(actions: &Json) -> Option<ResourceAction> {
    let words: Vec<&str> = actions.as_array()?.iter().filter_map(Json::as_str).collect();
    Some(match words.as_slice() {
        ["no-op"] => ResourceAction::NoOp,
        ["create"] => ResourceAction::Create,
        ["read"] => ResourceAction::Read,
        ["update"] => ResourceAction::Update,
        ["delete"] => ResourceAction::Delete,
        ["delete", "create"] => ResourceAction::DeleteCreate,
        ["create", "delete"] => ResourceAction::CreateDelete,
        ["forget"] => ResourceAction::Forget,
        _ => return None,
    })
}

/// A value with the two shapes that say what of it is unknown and what must not be shown.
fn attribute(value: &Json, unknown: &Json, hidden: &Json) -> Attribute {
    if *hidden == Json::Bool(true) {
        return Attribute::Sensitive(Box::new(attribute(value, unknown, &Json::Bool(false))));
    }
    if *unknown == Json::Bool(true) {
        return Attribute::Unknown("known after apply".to_owned());
    }
    let nothing = Json::Bool(false);
    match (value, unknown) {
        (Json::Object(map), _) => {
            let mut all: IndexMap<String, Attribute> = IndexMap::new();
            let shape = |shape: &Json, key: &str| shape.get(key).cloned().unwrap_or(Json::Bool(false));
            for (key, inner) in map {
                all.insert(key.clone(), attribute(inner, &shape(unknown, key), &shape(hidden, key)));
            }
            // What is unknown is left out of the value and stands in the shape alone.
            for (key, inner) in unknown.as_object().into_iter().flatten().filter(|(key, _)| !map.contains_key(*key)) {
                all.insert(key.clone(), attribute(&Json::Null, inner, &shape(hidden, key)));
            }
            Attribute::Map(all)
        }
        (Json::Array(items), _) => {
            let at = |shape: &Json, i: usize| shape.get(i).cloned().unwrap_or(Json::Bool(false));
            let pairs = items.iter().enumerate();
            Attribute::List(pairs.map(|(i, v)| attribute(v, &at(unknown, i), &at(hidden, i))).collect())
        }
        (Json::Null, Json::Object(shape)) if !shape.is_empty() => {
            Attribute::Map(shape.iter().map(|(k, s)| (k.clone(), attribute(&Json::Null, s, &nothing))).collect())
        }
        (Json::Null, _) => Attribute::Null,
        (Json::Bool(b), _) => Attribute::Bool(*b),
        (Json::Number(n), _) => Attribute::Number(n.clone()),
        (Json::String(text), _) => Attribute::String(text.clone()),
    }
}

/// Whether a plan changes a resource.
pub fn is_change(resource: &Resource) -> bool {
    !matches!(resource.action, None | Some(ResourceAction::NoOp | ResourceAction::Read))
}

/// Changes as facts may tell them: names and places, no values.
pub fn told(graph: &ResourceGraph) -> Vec<ResourceChange> {
    let changed = graph.resources.iter().filter(|r| is_change(r)).take(MAX_CHANGES);
    let one = |resource: &Resource| {
        let before = resource.before.as_ref();
        let mut attributes: Vec<String> =
            resource.attributes.keys().chain(before.into_iter().flat_map(IndexMap::keys)).cloned().collect();
        attributes.sort();
        attributes.dedup();
        attributes.retain(|name| before.and_then(|b| b.get(name)) != resource.attributes.get(name));
        ResourceChange {
            address: resource.address.clone(),
            kind: resource.kind.clone(),
            action: resource.action.unwrap_or(ResourceAction::NoOp),
            attributes,
            place: resource.place.to_string(),
        }
    };
    changed.map(one).collect()
}

/// How many of what a graph of a plan does.
pub fn counts(graph: &ResourceGraph) -> PlanCounts {
    let mut counts = PlanCounts::default();
    for resource in graph.resources.iter().filter(|r| !r.data) {
        match resource.action {
            Some(ResourceAction::Create) => counts.create += 1,
            Some(ResourceAction::Update) => counts.update += 1,
            Some(ResourceAction::DeleteCreate | ResourceAction::CreateDelete) => counts.replace += 1,
            Some(ResourceAction::Delete) => counts.delete += 1,
            Some(ResourceAction::NoOp) => counts.unchanged += 1,
            Some(ResourceAction::Read | ResourceAction::Forget) | None => {}
        }
    }
    counts
}
