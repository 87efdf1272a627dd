//! A plan in the form of `terraform show -json`, as a resource graph: what a plan file costs can be said anywhere.

use indexmap::IndexMap;
use lem_model::resource::{Attribute, Language, Resource, ResourceAction, ResourceGraph};
use lem_model::{Diagnostic, Place};
use serde_json::{Map, Value};

/// Bytes of a plan.
pub const MAX_PLAN_BYTES: usize = 128 * 1024 * 1024;
/// Depth of nested values.
const MAX_DEPTH: usize = 64;

/// Reads a plan.
pub fn read(file: &str, text: &str) -> Result<ResourceGraph, Diagnostic> {
    let error = |message: String| Diagnostic::error("plan-json", message, Place::file(file));
    if text.len() > MAX_PLAN_BYTES {
        return Err(error(format!("plan has {} bytes; at most {MAX_PLAN_BYTES} are read", text.len())));
    }
    let plan: Value = serde_json::from_str(text).map_err(|e| {
        let place = Place::new(file, e.line() as u32, e.column() as u32);
        Diagnostic::error("plan-json", format!("not JSON: {e}"), place).with_hint("terraform show -json PLAN makes it")
    })?;
    let changes = plan["resource_changes"].as_array().ok_or_else(|| {
        error("no resource_changes: this is no plan".into()).with_hint("terraform show -json PLAN makes it")
    })?;
    let regions = regions(&plan);
    let resources = changes.iter().filter_map(|change| resource(file, change, &regions)).collect();
    Ok(ResourceGraph { root: file.to_owned(), resources, ..ResourceGraph::default() })
}

/// Regions of providers, where the configuration or a variable says them plainly.
fn regions(plan: &Value) -> Map<String, Value> {
    let mut found = Map::new();
    let Some(providers) = plan["configuration"]["provider_config"].as_object() else { return found };
    for config in providers.values() {
        let expression = &config["expressions"]["region"];
        let variable = expression["references"][0].as_str().and_then(|r| r.strip_prefix("var."));
        let value = match variable {
            Some(name) => plan["variables"][name]["value"].clone(),
            None => expression["constant_value"].clone(),
        };
        if let (Some(name), true) = (config["name"].as_str(), value.is_string()) {
            found.entry(name.to_owned()).or_insert(value);
        }
    }
    found
}

fn resource(file: &str, change: &Value, regions: &Map<String, Value>) -> Option<Resource> {
    let text = |key: &str| change[key].as_str().unwrap_or_default().to_owned();
    let provider = text("provider_name").rsplit('/').next().unwrap_or_default().to_owned();
    let action = action(&change["change"]["actions"])?;
    let after = attributes(&change["change"]["after"], &change["change"]["after_unknown"]);
    let before = change["change"]["before"].is_object().then(|| attributes(&change["change"]["before"], &Value::Null));
    let attributes = match action {
        ResourceAction::Delete | ResourceAction::Forget => before.clone().unwrap_or_default(),
        _ => after,
    };
    let own = attributes.get("region").filter(|r| r.as_str().is_some()).cloned();
    let region = own.or_else(|| regions.get(&provider)?.as_str().map(|r| Attribute::String(r.to_owned())));
    Some(Resource {
        address: text("address"),
        kind: text("type"),
        language: Language::Terraform,
        data: change["mode"] == "data",
        provider,
        region,
        attributes,
        places: IndexMap::new(),
        place: Place::file(file),
        end_line: 0,
        calls: vec![],
        depends_on: vec![],
        action: Some(action),
        before,
    })
}

fn action(actions: &Value) -> Option<ResourceAction> {
    let words: Vec<&str> = actions.as_array()?.iter().filter_map(Value::as_str).collect();
    match words[..] {
        ["no-op"] => Some(ResourceAction::NoOp),
        ["create"] => Some(ResourceAction::Create),
        ["read"] => Some(ResourceAction::Read),
        ["update"] => Some(ResourceAction::Update),
        ["delete", "create"] => Some(ResourceAction::DeleteCreate),
        ["create", "delete"] => Some(ResourceAction::CreateDelete),
        ["delete"] => Some(ResourceAction::Delete),
        ["forget"] => Some(ResourceAction::Forget),
        _ => None,
    }
}

/// Values with what is unknown until apply marked as such.
fn attributes(values: &Value, unknown: &Value) -> IndexMap<String, Attribute> {
    match attribute(values, unknown, 0) {
        Attribute::Map(map) => map,
        _ => IndexMap::new(),
    }
}

fn attribute(value: &Value, unknown: &Value, depth: usize) -> Attribute {
    if unknown == &Value::Bool(true) {
        return Attribute::Unknown("the provider decides".into());
    }
    if depth > MAX_DEPTH {
        return Attribute::Unknown(format!("nested deeper than {MAX_DEPTH}"));
    }
    match value {
        Value::Null if unknown.is_object() => attribute(&Value::Object(Map::new()), unknown, depth),
        Value::Null => Attribute::Null,
        Value::Bool(value) => Attribute::Bool(*value),
        Value::Number(number) => Attribute::Number(number.clone()),
        Value::String(text) => Attribute::String(text.clone()),
        Value::Array(items) => {
            Attribute::List(items.iter().enumerate().map(|(i, v)| attribute(v, &unknown[i], depth + 1)).collect())
        }
        Value::Object(map) => {
            let mut known: IndexMap<String, Attribute> =
                map.iter().map(|(k, v)| (k.clone(), attribute(v, &unknown[k.as_str()], depth + 1))).collect();
            for (key, mark) in unknown.as_object().into_iter().flatten() {
                if !known.contains_key(key) && mark == &Value::Bool(true) {
                    known.insert(key.clone(), attribute(&Value::Null, mark, depth + 1));
                }
            }
            Attribute::Map(known)
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_plan_reads_with_its_actions_regions_and_unknowns() {
        let text = r#"{"variables":{"region":{"value":"eu-west-1"}},
          "configuration":{"provider_config":{"aws":{"name":"aws","expressions":{"region":{"references":["var.region"]}}}}},
          "resource_changes":[
            {"address":"aws_instance.web","mode":"managed","type":"aws_instance","provider_name":"registry.terraform.io/hashicorp/aws",
             "change":{"actions":["update"],"before":{"instance_type":"t3.micro"},"after":{"instance_type":"t3.small"},"after_unknown":{"id":true}}},
            {"address":"aws_eip.old","mode":"managed","type":"aws_eip","provider_name":"aws","change":{"actions":["delete"],"before":{"domain":"vpc"},"after":null}},
            {"address":"x.y","type":"x","change":{"actions":["dance"]}}]}"#;
        let graph = read("plan.json", text).unwrap();
        assert_eq!(graph.resources.len(), 2, "an action nobody knows is no resource");
        let web = &graph.resources[0];
        assert_eq!(
            (web.action, web.region.as_ref().and_then(Attribute::as_str)),
            (Some(ResourceAction::Update), Some("eu-west-1"))
        );
        assert!(web.at("id").unwrap().unknown().is_some());
        assert_eq!(web.before.as_ref().unwrap()["instance_type"].as_str(), Some("t3.micro"));
        assert_eq!(graph.resources[1].at("domain").and_then(Attribute::as_str), Some("vpc"));
    }

    #[test]
    fn what_is_no_plan_is_said_with_its_place() {
        let said = read("p.json", "{\n  \"a\": }").unwrap_err().to_string();
        assert!(said.starts_with("p.json:2:8: not JSON: ") && said.contains("terraform show -json"), "{said}");
        assert!(read("p.json", "{}").unwrap_err().to_string().contains("no resource_changes"));
    }
}
