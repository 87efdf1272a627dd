//! State: what was applied, in Terraform's state format 4.
//!
//! In: the text of a state file. Out: a [`State`] with one [`Object`] per resource instance, and the same text again,
//! fields we do not know included. A newer format, a damaged file and another lineage are refused, never repaired.

use crate::ProvisionError;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// The format we read and write.
pub const FORMAT: u64 = 4;
/// Largest state that is read.
pub const MAX_STATE_BYTES: u64 = 512 * 1024 * 1024;
/// The version we name as the writer: the language version whose state we write.
pub const TERRAFORM_VERSION: &str = "1.11.4";

/// State of one environment.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Counts writes.
    pub serial: u64,
    /// Identity of the environment; two lineages never mix.
    pub lineage: String,
    /// Version of the program that wrote it.
    pub terraform_version: String,
    /// Outputs of the root module.
    pub outputs: IndexMap<String, OutputState>,
    /// Objects by address, in order of address.
    pub objects: BTreeMap<String, Object>,
    check_results: Value,
    rest: Map<String, Value>,
}

/// An output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputState {
    /// Value.
    pub value: Value,
    /// Type as Terraform writes it.
    #[serde(rename = "type")]
    pub kind: Value,
    /// Whether it must not be shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
}

/// A resource instance: its current object and those waiting to be destroyed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// `module.a["x"]`, if it is in a module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Whether it was only read.
    pub data: bool,
    /// Type.
    pub kind: String,
    /// Name.
    pub name: String,
    /// `provider["registry.terraform.io/hashicorp/random"]`.
    pub provider: String,
    /// Key of `count` or `for_each`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
    /// The object, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<InstanceState>,
    /// Objects that were replaced and not yet destroyed, by their key.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub deposed: IndexMap<String, InstanceState>,
}

impl Object {
    /// Address of the resource block.
    pub fn resource_address(&self) -> String {
        let module = self.module.as_ref().map(|m| format!("{m}.")).unwrap_or_default();
        let data = if self.data { "data." } else { "" };
        format!("{module}{data}{}.{}", self.kind, self.name)
    }

    /// Address of the instance.
    pub fn address(&self) -> String {
        format!("{}{}", self.resource_address(), key_text(self.key.as_ref()))
    }
}

/// `[0]`, `["a"]` or nothing.
pub fn key_text(key: Option<&Value>) -> String {
    key.map(|key| format!("[{key}]")).unwrap_or_default()
}

/// One stored object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceState {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) index_key: Option<Value>,
    /// `tainted`, if it must be replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deposed: Option<String>,
    /// Version of the provider's schema.
    #[serde(default)]
    pub schema_version: u64,
    /// Attributes.
    #[serde(default)]
    pub attributes: Map<String, Value>,
    /// Paths of attributes that must not be shown.
    #[serde(default)]
    pub sensitive_attributes: Value,
    /// The provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<String>,
    /// Resources it was made after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<String>,
    /// Whether a replacement is made before it is destroyed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub create_before_destroy: bool,
    /// What we do not know.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl InstanceState {
    /// Whether the next plan replaces it.
    pub fn is_tainted(&self) -> bool {
        self.status.as_deref() == Some("tainted")
    }
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u64,
    #[serde(default)]
    terraform_version: String,
    #[serde(default)]
    serial: u64,
    #[serde(default)]
    lineage: String,
    #[serde(default)]
    outputs: IndexMap<String, OutputState>,
    #[serde(default)]
    resources: Vec<Block>,
    #[serde(default)]
    check_results: Value,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Block {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    module: Option<String>,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    provider: String,
    #[serde(default)]
    instances: Vec<InstanceState>,
}

impl State {
    /// An empty state of a new environment.
    pub fn new(lineage: impl Into<String>) -> Self {
        Self {
            serial: 0,
            lineage: lineage.into(),
            terraform_version: TERRAFORM_VERSION.to_owned(),
            outputs: IndexMap::new(),
            objects: BTreeMap::new(),
            check_results: Value::Null,
            rest: Map::new(),
        }
    }

    /// An empty state that has been written so many times.
    pub fn at(lineage: impl Into<String>, serial: u64) -> Self {
        Self { serial, ..Self::new(lineage) }
    }

    /// Reads a state file; `None` when there is none.
    pub fn load(path: &Path) -> Result<Option<Self>, ProvisionError> {
        let bytes = match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Ok(meta) if meta.len() > MAX_STATE_BYTES => {
                let why = format!("it has {} bytes; at most {MAX_STATE_BYTES} are read", meta.len());
                return Err(ProvisionError::State { path: path.to_owned(), why });
            }
            _ => std::fs::read(path).map_err(crate::error::io("read", path))?,
        };
        Self::parse(&bytes).map(Some).map_err(|why| ProvisionError::State { path: path.to_owned(), why })
    }

    /// Reads the bytes of a state file; the error says what is wrong and what to do.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Err("the file is empty: a write was cut off; restore it from its backup".to_owned());
        }
        let head: Value = serde_json::from_slice(bytes).map_err(|error| {
            format!(
                "line {}, column {}: not a whole JSON document ({error}); restore it from its backup",
                error.line(),
                error.column()
            )
        })?;
        match head.get("version").and_then(Value::as_u64) {
            Some(FORMAT) => {}
            Some(newer) if newer > FORMAT => {
                return Err(format!("format {newer} is newer than {FORMAT}, the newest this program reads"));
            }
            Some(older) => {
                return Err(format!("format {older} is older than {FORMAT}; let Terraform upgrade it first"));
            }
            None => return Err("it has no \"version\": this is no Terraform state".to_owned()),
        }
        let document: Document = serde_json::from_value(head).map_err(|error| format!("not a state: {error}"))?;
        if document.lineage.is_empty() {
            return Err("it has no \"lineage\": this is no whole state".to_owned());
        }
        Ok(Self::of(document))
    }

    fn of(document: Document) -> Self {
        let mut objects: BTreeMap<String, Object> = BTreeMap::new();
        for block in document.resources {
            for mut instance in block.instances {
                let (key, deposed) = (instance.index_key.take(), instance.deposed.take());
                if instance.sensitive_attributes.is_null() {
                    instance.sensitive_attributes = Value::Array(vec![]);
                }
                let object = Object {
                    module: block.module.clone(),
                    data: block.mode == "data",
                    kind: block.kind.clone(),
                    name: block.name.clone(),
                    provider: block.provider.clone(),
                    key,
                    current: None,
                    deposed: IndexMap::new(),
                };
                let object = objects.entry(object.address()).or_insert(object);
                match deposed {
                    Some(key) => drop(object.deposed.insert(key, instance)),
                    None => object.current = Some(instance),
                }
            }
        }
        Self {
            serial: document.serial,
            lineage: document.lineage,
            terraform_version: document.terraform_version,
            outputs: document.outputs,
            objects,
            check_results: document.check_results,
            rest: document.rest,
        }
    }

    /// The text of the state file.
    pub fn to_text(&self) -> String {
        let mut blocks: IndexMap<(Option<&str>, bool, &str, &str), Block> = IndexMap::new();
        for object in self.objects.values() {
            let place = (object.module.as_deref(), !object.data, object.kind.as_str(), object.name.as_str());
            let block = blocks.entry(place).or_insert_with(|| Block {
                module: object.module.clone(),
                mode: if object.data { "data" } else { "managed" }.to_owned(),
                kind: object.kind.clone(),
                name: object.name.clone(),
                provider: object.provider.clone(),
                instances: vec![],
            });
            let with_key = |instance: &InstanceState, deposed: Option<&String>| InstanceState {
                index_key: object.key.clone(),
                deposed: deposed.cloned(),
                sensitive_attributes: match &instance.sensitive_attributes {
                    Value::Null => Value::Array(vec![]),
                    other => other.clone(),
                },
                ..instance.clone()
            };
            block.instances.extend(object.current.as_ref().map(|current| with_key(current, None)));
            block.instances.extend(object.deposed.iter().map(|(key, old)| with_key(old, Some(key))));
        }
        blocks.sort_unstable_keys();
        let mut resources: Vec<Block> = blocks.into_values().filter(|b| !b.instances.is_empty()).collect();
        for block in &mut resources {
            block.instances.sort_by_key(|i| order(i.index_key.as_ref()));
        }
        let document = Document {
            version: FORMAT,
            terraform_version: self.terraform_version.clone(),
            serial: self.serial,
            lineage: self.lineage.clone(),
            outputs: self.outputs.clone(),
            resources,
            check_results: self.check_results.clone(),
            rest: self.rest.clone(),
        };
        let mut text = serde_json::to_string_pretty(&document).expect("a state has string keys only");
        text.push('\n');
        text
    }

    /// Objects of one resource block.
    pub fn instances<'a>(&'a self, resource: &'a str) -> impl Iterator<Item = (&'a String, &'a Object)> {
        let end = format!("{resource}\u{10ffff}");
        self.objects
            .range(resource.to_owned()..end)
            .filter(move |(address, _)| *address == resource || address[resource.len()..].starts_with('['))
    }
}

/// Whole numbers in order of number, before text in order of text.
fn order(key: Option<&Value>) -> (u64, String) {
    match key {
        Some(Value::Number(n)) => (n.as_u64().unwrap_or(0), String::new()),
        Some(Value::String(text)) => (0, text.clone()),
        _ => (0, String::new()),
    }
}
