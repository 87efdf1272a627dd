//! Plans and states in the form of Terraform's `show -json`: plan format 1.2, state format 1.0.
//!
//! Sensitive values are replaced before anything is written: the shape says where they are, the document never what.

use crate::plan::{Change, OutputChange, Plan, SealedPlan, output_differs};
use crate::project::Project;
use crate::state::{Object, State};
use lem_engine_hcl::config::Variable;
use lem_engine_hcl::value::json::{Encoded, encode};
use lem_engine_hcl::value::{Entries, Value};
use lem_engine_hcl::{Mode, ModuleAddress, ResourceAddress};
use lem_model::resource::ResourceAction;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::str::FromStr;

/// What stands where a value must not be shown.
pub const HIDDEN: &str = "(sensitive value)";
/// What stands in a text where only the apply will tell.
pub const LATER: &str = "(known after apply)";

/// A plan as Terraform writes it. The configuration is not in it: it stands in the files.
pub fn plan(sealed: &SealedPlan, state: &State) -> Json {
    let plan = sealed.plan();
    let changed = plan.changes.iter().filter(|c| c.action != ResourceAction::NoOp || c.parts.mode == Mode::Managed);
    let outputs = plan.outputs.iter().map(|(name, output)| (name.clone(), output_change(output)));
    let second = jiff::Timestamp::from_second(plan.made.as_second()).unwrap_or(plan.made);
    let mut out = json!({
        "format_version": "1.2",
        "terraform_version": crate::state::TERRAFORM_VERSION,
        "variables": variables(sealed.project()),
        "planned_values": planned_values(plan),
        "resource_changes": changed.map(resource_change).collect::<Vec<_>>(),
        "output_changes": outputs.collect::<Map<_, _>>(),
        "prior_state": self::state(state),
        "checks": checks(plan),
        "timestamp": second.to_string(),
        "applyable": !plan.is_empty(),
        "complete": true,
        "errored": false,
    });
    if !plan.drift.is_empty() {
        out["resource_drift"] = drift(plan);
    }
    out
}

/// What changed outside, in the form of a plan's changes.
pub fn drift(plan: &Plan) -> Json {
    plan.drift.iter().map(resource_change).collect()
}

/// Variables of the root module as they were given, or their defaults.
fn variables(project: &Project) -> Json {
    let value = |variable: &Variable| {
        let value = project.inputs.get(&variable.name).or(variable.default.as_ref())?;
        let encoded = encode(value);
        Some(if variable.sensitive { Json::from(HIDDEN) } else { hide(&encoded.value, &encoded.sensitive) })
    };
    let all = project.config.root.variables.values();
    all.filter_map(|v| Some((v.name.to_string(), json!({"value": value(v)?})))).collect::<Map<_, _>>().into()
}

fn checks(plan: &Plan) -> Vec<Json> {
    let one = |check: &crate::plan::Checked| {
        let problems: Vec<Json> = check.problems.iter().map(|p| json!({"message": p})).collect();
        let name = check.address.strip_prefix("check.").unwrap_or(&check.address);
        let mut instance = json!({"address": {"to_display": check.address}, "status": check.status});
        if !problems.is_empty() {
            instance["problems"] = problems.into();
        }
        json!({"address": {"kind": "check", "name": name, "to_display": check.address},
               "status": check.status, "instances": [instance]})
    };
    plan.checks.iter().map(one).collect()
}

fn actions(action: ResourceAction) -> &'static [&'static str] {
    match action {
        ResourceAction::NoOp => &["no-op"],
        ResourceAction::Create => &["create"],
        ResourceAction::Read => &["read"],
        ResourceAction::Update => &["update"],
        ResourceAction::Delete => &["delete"],
        ResourceAction::DeleteCreate => &["delete", "create"],
        ResourceAction::CreateDelete => &["create", "delete"],
        ResourceAction::Forget => &["forget"],
    }
}

fn resource_change(change: &Change) -> Json {
    let before = change.before.as_ref().map(|o| encode(&Value::object(o.clone())));
    let after = change.after.as_ref().map(|o| encode(&Value::object(o.clone())));
    let of = |encoded: &Option<Encoded>| encoded.as_ref().map_or(Json::Null, |e| hide(&e.value, &e.sensitive));
    let marks = |encoded: &Option<Encoded>| encoded.as_ref().map_or(Json::Bool(false), |e| e.sensitive.clone());
    let mut inner = json!({
        "actions": actions(change.action),
        "before": of(&before),
        "after": of(&after),
        "after_unknown": after.as_ref().map_or(Json::Bool(false), |e| e.unknown.clone()),
        "before_sensitive": marks(&before),
        "after_sensitive": marks(&after),
    });
    if !change.replaced_by.is_empty() {
        let paths: Vec<Json> = change.replaced_by.iter().map(|name| json!([name])).collect();
        inner["replace_paths"] = paths.into();
    }
    let mut out = json!({
        "address": change.address,
        "mode": if change.parts.mode == Mode::Data { "data" } else { "managed" },
        "type": &*change.parts.kind,
        "name": &*change.parts.name,
        "provider_name": provider_name(&change.provider),
        "change": inner,
    });
    let optional = [
        ("module_address", crate::plan::module_text(&change.parts.module).map(Json::from)),
        ("index", crate::plan::key_json(change.parts.key.as_ref())),
        ("previous_address", change.previous.clone().map(Json::from)),
        ("deposed", change.deposed.clone().map(Json::from)),
        ("action_reason", change.reason.map(Json::from)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            out[name] = value;
        }
    }
    out
}

/// `registry.terraform.io/hashicorp/random` of `provider["..."]`.
fn provider_name(provider: &str) -> &str {
    provider.split('"').nth(1).unwrap_or(provider)
}

fn output_change(output: &OutputChange) -> Json {
    let after = output.after.as_ref().map(encode);
    let hidden = output.sensitive;
    let action = match (&output.before, &output.after) {
        _ if !output_differs(output) => "no-op",
        (None, _) => "create",
        (Some(_), None) => "delete",
        (Some(_), Some(_)) => "update",
    };
    let before = output.before.as_ref().map(|b| b.value.clone());
    let show =
        |value: Option<Json>| if hidden && value.is_some() { Json::from(HIDDEN) } else { value.unwrap_or_default() };
    json!({
        "actions": [action],
        "before": show(before),
        "after": show(after.as_ref().map(|e| hide(&e.value, &e.sensitive))),
        "after_unknown": after.as_ref().map_or(Json::Bool(false), |e| e.unknown.clone()),
        "before_sensitive": hidden,
        "after_sensitive": hidden,
    })
}

/// The value with everything a shape of marks names replaced.
pub(crate) fn hide(value: &Json, marks: &Json) -> Json {
    match (value, marks) {
        (Json::Null, _) => Json::Null,
        (_, Json::Bool(true)) => Json::from(HIDDEN),
        (Json::Object(map), Json::Object(marks)) => {
            let hidden = |(k, v): (&String, &Json)| (k.clone(), marks.get(k).map_or_else(|| v.clone(), |m| hide(v, m)));
            Json::Object(map.iter().map(hidden).collect())
        }
        (Json::Array(items), Json::Array(marks)) => {
            let none = Json::Bool(false);
            let pairs = items.iter().enumerate();
            Json::Array(pairs.map(|(i, v)| hide(v, marks.get(i).unwrap_or(&none))).collect())
        }
        (other, _) => other.clone(),
    }
}

fn planned_values(plan: &Plan) -> Json {
    let kept = plan.changes.iter().filter(|c| c.after.is_some() && c.deposed.is_none());
    let resources: Vec<Json> = kept
        .map(|change| {
            let encoded = encode(&Value::object(change.after.clone().unwrap_or_default()));
            let values = hide(&encoded.value, &encoded.sensitive);
            let mut out = json!({
                "address": change.address,
                "mode": if change.parts.mode == Mode::Data { "data" } else { "managed" },
                "type": &*change.parts.kind,
                "name": &*change.parts.name,
                "provider_name": provider_name(&change.provider),
                "values": values,
                "sensitive_values": encoded.sensitive,
            });
            if let Some(index) = crate::plan::key_json(change.parts.key.as_ref()) {
                out["index"] = index;
            }
            if let Some(kind) = crate::builtin::kind(change.parts.mode, &change.parts.kind) {
                out["schema_version"] = kind.schema().version.into();
            }
            out
        })
        .collect();
    let outputs = plan.outputs.iter().filter_map(|(name, output)| {
        let after = output.after.as_ref()?;
        let mut told = json!({"sensitive": output.sensitive});
        if after.is_wholly_known() {
            let encoded = encode(after);
            told["type"] = after.ty().to_json();
            told["value"] =
                if output.sensitive { Json::from(HIDDEN) } else { hide(&encoded.value, &encoded.sensitive) };
        }
        Some((name.clone(), told))
    });
    json!({"outputs": outputs.collect::<Map<_, _>>(), "root_module": tree(resources)})
}

/// Modules nested as Terraform nests them, each with its whole address.
fn tree(resources: Vec<Json>) -> Json {
    let mut modules: BTreeMap<String, (Option<String>, Vec<Json>)> = BTreeMap::new();
    modules.insert(String::new(), (None, vec![]));
    for resource in resources {
        let parts = resource["address"].as_str().and_then(|a| ResourceAddress::from_str(a).ok());
        let own = parts.map_or_else(ModuleAddress::root, |p| p.module);
        let mut at = own.clone();
        while let Some(parent) = at.parent() {
            modules.entry(at.to_string()).or_insert_with(|| (Some(parent.to_string()), vec![]));
            at = parent;
        }
        let name = own.to_string();
        modules.entry(name).or_default().1.push(resource);
    }
    branch("", &mut modules)
}

/// One module with those below it. Every module is taken out once, so this ends.
fn branch(name: &str, modules: &mut BTreeMap<String, (Option<String>, Vec<Json>)>) -> Json {
    let (_, resources) = modules.remove(name).unwrap_or_default();
    let mut out = json!({});
    if !name.is_empty() {
        out["address"] = name.into();
    }
    if !resources.is_empty() {
        out["resources"] = resources.into();
    }
    let below: Vec<String> =
        modules.iter().filter(|(_, (parent, _))| parent.as_deref() == Some(name)).map(|(n, _)| n.clone()).collect();
    let children: Vec<Json> = below.iter().map(|child| branch(child, modules)).collect();
    if !children.is_empty() {
        out["child_modules"] = children.into();
    }
    out
}

/// A state as Terraform writes it, sensitive values replaced.
pub fn state(state: &State) -> Json {
    let resources = state.objects.iter().filter_map(|(address, object)| stored(address, object));
    let outputs = state.outputs.iter().map(|(name, output)| {
        let value = if output.sensitive { Json::from(HIDDEN) } else { output.value.clone() };
        (name.clone(), json!({"sensitive": output.sensitive, "value": value, "type": output.kind}))
    });
    json!({
        "format_version": "1.0",
        "terraform_version": state.terraform_version,
        "values": {"outputs": outputs.collect::<Map<_, _>>(), "root_module": tree(resources.collect())},
    })
}

fn stored(address: &str, object: &Object) -> Option<Json> {
    let current = object.current.as_ref()?;
    let shown = shown_object(object);
    let mut out = json!({
        "address": address,
        "mode": if object.data { "data" } else { "managed" },
        "type": object.kind,
        "name": object.name,
        "provider_name": provider_name(&object.provider),
        "schema_version": current.schema_version,
        "values": shown.0,
        "sensitive_values": shown.1,
    });
    if let Some(key) = &object.key {
        out["index"] = key.clone();
    }
    if !current.dependencies.is_empty() {
        out["depends_on"] = current.dependencies.clone().into();
    }
    if current.is_tainted() {
        out["tainted"] = true.into();
    }
    Some(out)
}

/// Attributes of a stored object with what is sensitive replaced, and where that is. Without a schema of the type only
/// the marks of the state itself are known.
pub fn shown_object(object: &Object) -> (Json, Json) {
    let Some(current) = &object.current else { return (Json::Null, Json::Bool(false)) };
    let mode = if object.data { Mode::Data } else { Mode::Managed };
    let known = crate::builtin::kind(mode, &object.kind)
        .and_then(|kind| crate::object::from_state(kind.schema(), current).ok())
        .map(Value::object);
    let value = known.unwrap_or_else(|| {
        let plain = lem_engine_hcl::value::json::implied(&Json::Object(current.attributes.clone()));
        lem_engine_hcl::value::json::mark_paths(plain, &current.sensitive_attributes)
    });
    let encoded = encode(&value);
    (hide(&encoded.value, &encoded.sensitive), encoded.sensitive)
}

/// One value as people read it: never what is sensitive, never what is unknown, however deep it lies.
pub fn shown(value: &Value) -> String {
    let list = |items: &[Value]| format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", "));
    match value {
        Value::Sensitive(_) => HIDDEN.to_owned(),
        Value::Unknown(_) => LATER.to_owned(),
        Value::List(_, items) | Value::Set(_, items) | Value::Tuple(items) => list(items),
        Value::Map(_, entries) | Value::Object(entries) => {
            let pair =
                |(name, value): (&std::sync::Arc<str>, &Value)| format!("{} = {}", Json::from(&**name), shown(value));
            let pairs: Vec<String> = entries.iter().map(pair).collect();
            if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
        }
        plain => lem_engine_hcl::value::json::to_json(plain).to_string(),
    }
}

/// Attributes by name, for the text of a plan.
pub(crate) fn attribute<'a>(object: Option<&'a Entries>, name: &str) -> Option<&'a Value> {
    object?.get(name).filter(|v| !v.is_null())
}
