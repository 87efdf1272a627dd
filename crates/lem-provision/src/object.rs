//! Objects between the state file and the language: attributes by the schema of their type.

use crate::schema::Schema;
use crate::state::InstanceState;
use lem_engine_hcl::value::json::{decode, implied, mark_paths, sensitive_paths, to_json};
use lem_engine_hcl::value::{Entries, Type, Value};
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

/// The object of a stored instance. Attributes the schema does not know are left out; they stay in the state.
pub(crate) fn from_state(schema: &Schema, stored: &InstanceState) -> Result<Entries, String> {
    let mut object = Entries::new();
    for attribute in &schema.attributes {
        let json = stored.attributes.get(attribute.name).unwrap_or(&Json::Null);
        let value = match &attribute.ty {
            Type::Any => dynamic(json),
            ty => decode(json, ty).map_err(|error| format!("attribute {}: {error}", attribute.name))?,
        };
        object.insert(Arc::from(attribute.name), value.marked(attribute.sensitive));
    }
    match mark_paths(Value::object(object), &stored.sensitive_attributes) {
        Value::Object(entries) => Ok(entries.as_ref().clone()),
        _ => Err("the whole object is marked as sensitive".to_owned()),
    }
}

/// A value of any type is stored with its type.
fn dynamic(json: &Json) -> Value {
    let (Some(value), Some(ty)) = (json.get("value"), json.get("type").and_then(Type::from_json)) else {
        return implied(json);
    };
    decode(value, &ty).unwrap_or_else(|_| implied(value))
}

/// The object as a state file stores it, in clear: it goes nowhere else.
pub(crate) fn to_state(schema: &Schema, object: &Entries) -> InstanceState {
    let mut attributes = Map::new();
    for attribute in &schema.attributes {
        let value = object.get(attribute.name).cloned().unwrap_or_else(Value::null);
        let json = match attribute.ty {
            Type::Any if !value.is_null() => json!({"value": to_json(&value), "type": value.ty().to_json()}),
            _ => to_json(&value),
        };
        attributes.insert(attribute.name.to_owned(), json);
    }
    InstanceState {
        schema_version: schema.version,
        attributes,
        sensitive_attributes: sensitive_paths(&Value::object(object.clone())),
        ..InstanceState::default()
    }
}
