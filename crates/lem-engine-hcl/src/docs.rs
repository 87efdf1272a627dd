//! What a document about a module says: inputs, outputs, resources, providers and modules with their places.

use crate::address::Mode;
use crate::config::{Module, Variable};
use crate::value::Type;
use lem_model::Place;

/// A module as a document shows it, everything in order of name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModuleDocs {
    /// Variables.
    pub inputs: Vec<Input>,
    /// Outputs.
    pub outputs: Vec<Output>,
    /// Resources and data sources.
    pub resources: Vec<Resource>,
    /// Providers it needs or uses.
    pub providers: Vec<Provider>,
    /// Modules it calls.
    pub modules: Vec<Call>,
    /// Version constraints of the language.
    pub required_version: Vec<String>,
}

/// A variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Name.
    pub name: String,
    /// Description.
    pub description: String,
    /// Type as written, `any` when none is.
    pub ty: String,
    /// Default as JSON; `None` when a value is required. A sensitive default is not shown.
    pub default: Option<String>,
    /// Whether a value is required.
    pub required: bool,
    /// Whether it is sensitive.
    pub sensitive: bool,
    /// Attributes of objects in its type, dotted: `rules[].port`.
    pub fields: Vec<(String, String)>,
    /// Place of the declaration.
    pub place: Place,
}

/// An output.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Name.
    pub name: String,
    /// Description.
    pub description: String,
    /// Whether it is sensitive.
    pub sensitive: bool,
    /// Place of the declaration.
    pub place: Place,
}

/// A resource or data source.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Type.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Whether it is only read.
    pub data: bool,
    /// Place of the block.
    pub place: Place,
}

/// A provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// Local name.
    pub name: String,
    /// `hashicorp/aws`.
    pub source: Option<String>,
    /// Version constraint.
    pub version: Option<String>,
    /// Where it is required or first used.
    pub place: Place,
}

/// A module call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Name.
    pub name: String,
    /// Source.
    pub source: String,
    /// Version constraint.
    pub version: Option<String>,
    /// Place of the call.
    pub place: Place,
}

/// The document of a module.
pub fn docs(module: &Module) -> ModuleDocs {
    let mut made = ModuleDocs {
        inputs: module.variables.values().map(input).collect(),
        outputs: module.outputs.values().map(output).collect(),
        resources: module.resources.values().map(resource).collect(),
        providers: providers(module),
        modules: module.calls.values().map(call).collect(),
        required_version: module.settings.required_version.iter().map(|(v, _)| v.clone()).collect(),
    };
    made.inputs.sort_by(|a, b| a.name.cmp(&b.name));
    made.outputs.sort_by(|a, b| a.name.cmp(&b.name));
    made.resources.sort_by(|a, b| (a.data, &a.kind, &a.name).cmp(&(b.data, &b.kind, &b.name)));
    made.modules.sort_by(|a, b| a.name.cmp(&b.name));
    made
}

fn input(variable: &Variable) -> Input {
    let shown =
        |v: &crate::Value| if variable.sensitive { "(sensitive)".into() } else { crate::value::json::encode_text(v) };
    let mut fields = vec![];
    if let Some(ty) = &variable.ty {
        collect_fields(ty, "", &mut fields);
    }
    Input {
        name: variable.name.to_string(),
        description: variable.description.clone().unwrap_or_default(),
        ty: variable.type_text.clone().unwrap_or_else(|| "any".into()),
        default: variable.default.as_ref().map(shown),
        required: variable.default.is_none(),
        sensitive: variable.sensitive,
        fields,
        place: variable.pos.place(),
    }
}

fn collect_fields(ty: &Type, path: &str, fields: &mut Vec<(String, String)>) {
    match ty {
        Type::List(element) | Type::Set(element) => collect_fields(element, &format!("{path}[]"), fields),
        Type::Map(element) => collect_fields(element, &format!("{path}{{}}"), fields),
        Type::Object(object) => {
            for (name, inner) in &object.attributes {
                let field = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
                fields.push((field.clone(), inner.to_string()));
                collect_fields(inner, &field, fields);
            }
        }
        _ => {}
    }
}

fn output(output: &crate::config::Output) -> Output {
    Output {
        name: output.name.to_string(),
        description: output.description.clone().unwrap_or_default(),
        sensitive: output.sensitive,
        place: output.pos.place(),
    }
}

fn resource(resource: &crate::config::Resource) -> Resource {
    Resource {
        kind: resource.kind.to_string(),
        name: resource.name.to_string(),
        data: resource.mode == Mode::Data,
        place: resource.pos.place(),
    }
}

fn call(call: &crate::config::ModuleCall) -> Call {
    Call {
        name: call.name.to_string(),
        source: call.source.clone(),
        version: call.version.clone(),
        place: call.pos.place(),
    }
}

fn providers(module: &Module) -> Vec<Provider> {
    let mut found: std::collections::BTreeMap<String, Provider> = std::collections::BTreeMap::new();
    for (name, required) in &module.settings.required_providers {
        let provider = Provider {
            name: name.to_string(),
            source: required.source.clone(),
            version: required.version.clone(),
            place: required.pos.place(),
        };
        found.insert(name.to_string(), provider);
    }
    for resource in module.resources.values() {
        let name = resource.provider_name().to_owned();
        let place = resource.pos.place();
        found.entry(name.clone()).or_insert(Provider { name, source: None, version: None, place });
    }
    found.into_values().collect()
}
