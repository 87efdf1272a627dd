//! Plans of an installed Terraform or OpenTofu, read from `show -json` into the one resource graph.
//!
//! Any format 1.x is read and fields we do not know are ignored. What a plan says to be sensitive stays marked.

use crate::ProvisionError;
use indexmap::IndexMap;
use lem_model::Place;
use lem_model::fact::PlanCounts;
use lem_model::resource::{Attribute, Language, Resource, ResourceAction, ResourceGraph};
use serde_json::Value as Json;

/// Largest plan that is read.
pub const MAX_PLAN_BYTES: usize = 256 * 1024 * 1024;

/// The graph of a plan; `name` is its file, for messages and places.
pub fn read(name: &str, text: &str) -> Result<ResourceGraph, ProvisionError> {
    let fail = |why: String| ProvisionError::Document { what: name.to_owned(), why };
    if text.len() > MAX_PLAN_BYTES {
        return Err(fail(format!("{} bytes; at most {MAX_PLAN_BYTES} are read", text.len())));
    }
    let document: Json = serde_json::from_str(text).map_err(|error| fail(format!("not JSON: {error}")))?;
    match document.get("format_version").and_then(Json::as_str) {
        Some(version) if version.starts_with("1.") => {}
        Some(version) => return Err(fail(format!("plan format {version}; only 1.x is read"))),
        None => {
            return Err(fail("no plan: it has no \"format_version\"; terraform show -json PLAN writes one".to_owned()));
        }
    }
    let changes = document.get("resource_changes").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut resources = vec![];
    for (number, change) in changes.iter().enumerate() {
        resources.push(resource(name, change).ok_or_else(|| fail(format!("resource_changes[{number}] is not whole")))?);
    }
    resources.sort_by(|a: &Resource, b| a.address.cmp(&b.address));
    Ok(ResourceGraph { root: name.to_owned(), environment: None, resources, diagnostics: vec![] })
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
