//! Infrastructure as every stage sees it: resources with their attributes, whatever language described them.
//!
//! Provision makes the graph from Terraform, CloudFormation and Kubernetes files; secure judges it, optimize prices it.
//! An attribute that is not known stays [`Attribute::Unknown`] and says why; a sensitive one never shows its value.

use crate::diagnostic::Place;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// The language a resource was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Terraform or OpenTofu.
    Terraform,
    /// AWS CloudFormation.
    CloudFormation,
    /// Kubernetes manifests.
    Kubernetes,
}

/// Where the facts about a resource come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Files alone.
    Source,
    /// A plan: files, variables and state.
    Plan,
    /// What really exists.
    Live,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "value")]
pub enum Attribute {
    /// Explicitly nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A number in the decimal form of its source.
    Number(serde_json::Number),
    /// Text.
    String(String),
    /// An ordered list, a set or a tuple.
    List(Vec<Attribute>),
    /// A map, an object or a block.
    Map(IndexMap<String, Attribute>),
    /// Not known before an apply, or because of what is named: `var.region has no value`.
    Unknown(String),
    /// A value that must not be shown. Rules may look at it; nothing may print or store it.
    #[serde(skip)]
    Sensitive(Box<Attribute>),
}

impl Attribute {
    /// The value behind a sensitive mark, for decisions; never for output.
    pub fn revealed(&self) -> &Self {
        match self {
            Self::Sensitive(inner) => inner.revealed(),
            other => other,
        }
    }

    /// One step down a path: a key of a map or an index of a list. A block list of one answers for its only member.
    pub fn get(&self, step: &str) -> Option<&Self> {
        match self.revealed() {
            Self::Map(map) => map.get(step),
            Self::List(list) => match step.parse::<usize>() {
                Ok(index) => list.get(index),
                Err(_) if list.len() == 1 => list[0].get(step),
                Err(_) => None,
            },
            _ => None,
        }
    }

    /// The text, when it is known text.
    pub fn as_str(&self) -> Option<&str> {
        match self.revealed() {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// True or false, when it is known; text `true` and `false` count as in Terraform.
    pub fn as_bool(&self) -> Option<bool> {
        match self.revealed() {
            Self::Bool(value) => Some(*value),
            Self::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The number, when it is known; numeric text counts as in Terraform.
    pub fn as_f64(&self) -> Option<f64> {
        match self.revealed() {
            Self::Number(number) => number.as_f64(),
            Self::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Whether it, or for a list or map anything in it, is unknown; the reason of the first.
    pub fn unknown(&self) -> Option<&str> {
        match self.revealed() {
            Self::Unknown(why) => Some(why),
            Self::List(list) => list.iter().find_map(Self::unknown),
            Self::Map(map) => map.values().find_map(Self::unknown),
            _ => None,
        }
    }

    /// For output: what is sensitive is replaced by `(sensitive)`, what is unknown by `(unknown)`.
    pub fn shown(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::String(text) => Value::String(text.clone()),
            Self::List(list) => Value::Array(list.iter().map(Self::shown).collect()),
            Self::Map(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), v.shown())).collect()),
            Self::Unknown(_) => Value::String("(unknown)".into()),
            Self::Sensitive(_) => Value::String("(sensitive)".into()),
        }
    }
}

/// What a plan does to a resource, in Terraform's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceAction {
    /// Nothing.
    NoOp,
    /// Made.
    Create,
    /// Read: a data source.
    Read,
    /// Changed in place.
    Update,
    /// Destroyed and made again, in this order.
    DeleteCreate,
    /// Made and then the old one destroyed.
    CreateDelete,
    /// Destroyed.
    Delete,
    /// No longer managed, and left alone.
    Forget,
}

impl ResourceAction {
    /// The word people read.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoOp => "unchanged",
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::DeleteCreate | Self::CreateDelete => "replace",
            Self::Delete => "delete",
            Self::Forget => "forget",
        }
    }
}

/// One resource instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Whole address: `module.db.aws_db_instance.main["eu"]`; for CloudFormation the logical id, for Kubernetes
    /// `namespace/Kind/name`.
    pub address: String,
    /// `aws_db_instance`, `AWS::RDS::DBInstance`, `apps/v1/Deployment`.
    pub kind: String,
    /// Language of its file.
    pub language: Language,
    /// Whether it is only read: a data source.
    pub data: bool,
    /// Provider: `aws`, `google`, `terraform_data`'s `terraform`; `kubernetes` and `aws` for the other languages.
    pub provider: String,
    /// Region, where the files say one.
    pub region: Option<Attribute>,
    /// Attributes and nested blocks; a block type that may repeat is a list of maps.
    pub attributes: IndexMap<String, Attribute>,
    /// Where each top-level attribute and block is written, by its name (`ingress.0`, `tags`).
    pub places: IndexMap<String, Place>,
    /// Where the block begins.
    pub place: Place,
    /// Last line of the block, for skip comments and patches.
    pub end_line: u32,
    /// Module calls that lead here, outermost first, each with its place.
    pub calls: Vec<Place>,
    /// Addresses of resources it refers to.
    pub depends_on: Vec<String>,
    /// What the plan does; `None` for a graph of files alone.
    pub action: Option<ResourceAction>,
    /// Attributes before the plan, for what exists already.
    pub before: Option<IndexMap<String, Attribute>>,
}

impl Resource {
    /// The attribute at a dotted path, `versioning.enabled`. `None` when nothing is written there.
    pub fn at(&self, path: &str) -> Option<&Attribute> {
        let mut steps = path.split('.');
        let first = self.attributes.get(steps.next()?)?;
        steps.try_fold(first, |attribute, step| match attribute.revealed() {
            Attribute::Unknown(_) => Some(attribute),
            _ => attribute.get(step),
        })
    }

    /// Place of the attribute a path begins with; of the block when it is not written.
    pub fn place_of(&self, path: &str) -> &Place {
        let first = path.split('.').next().unwrap_or(path);
        self.places.get(path).or_else(|| self.places.get(first)).unwrap_or(&self.place)
    }
}

/// Resources of one root with their dependencies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceGraph {
    /// Folder or file it was made from, relative to the repository.
    pub root: String,
    /// Environment whose variables and state were used, if one was.
    pub environment: Option<crate::EnvironmentName>,
    /// Every instance, in order of address.
    pub resources: Vec<Resource>,
    /// What could not be evaluated or read, with its place.
    pub diagnostics: Vec<crate::Diagnostic>,
}

impl ResourceGraph {
    /// A resource by its address.
    pub fn resource(&self, address: &str) -> Option<&Resource> {
        self.resources.iter().find(|r| r.address == address)
    }

    /// Resources of a type.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Resource> {
        self.resources.iter().filter(move |r| r.kind == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, Attribute)]) -> Attribute {
        Attribute::Map(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect())
    }

    #[test]
    fn a_path_goes_through_blocks_and_stops_at_the_unknown() {
        let block = Attribute::List(vec![map(&[("enabled", Attribute::Bool(true))])]);
        assert_eq!(block.get("enabled").and_then(Attribute::as_bool), Some(true));
        let unknown = map(&[("region", Attribute::Unknown("var.region has no value".into()))]);
        assert_eq!(unknown.unknown(), Some("var.region has no value"));
    }

    #[test]
    fn a_sensitive_value_is_never_shown() {
        let secret = Attribute::Sensitive(Box::new(Attribute::String("hunter2".into())));
        assert_eq!(map(&[("password", secret.clone())]).shown()["password"], "(sensitive)");
        assert_eq!(secret.as_str(), Some("hunter2"), "rules may look");
        assert!(serde_json::to_string(&secret).is_err(), "nothing may store it");
    }
}
