//! What arguments a resource type takes: which are needed, which the provider fills, which replace the object.

use lem_engine_hcl::Type;
use lem_engine_hcl::value::{Entries, Value, convert};
use lem_model::diagnostic::nearest;
use std::sync::Arc;

/// Who gives an attribute its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// The configuration must.
    Required,
    /// The configuration may.
    Optional,
    /// The configuration may, else the provider does.
    OptionalComputed,
    /// The provider does.
    Computed,
}

/// An attribute.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// Name.
    pub name: &'static str,
    /// Type; [`Type::Any`] is stored with the type of its value.
    pub ty: Type,
    /// Who gives it.
    pub given: Given,
    /// Whether a change replaces the object.
    pub replaces: bool,
    /// Whether it must not be shown.
    pub sensitive: bool,
    /// Value when the configuration gives none.
    pub default: Option<Value>,
}

/// Attributes of a type.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Version, as in state files.
    pub version: u64,
    /// Attributes.
    pub attributes: Vec<Attribute>,
}

impl Attribute {
    fn new(name: &'static str, ty: Type, given: Given) -> Self {
        Self { name, ty, given, replaces: false, sensitive: false, default: None }
    }

    /// The configuration must give it.
    pub fn required(name: &'static str, ty: Type) -> Self {
        Self::new(name, ty, Given::Required)
    }

    /// The configuration may give it.
    pub fn optional(name: &'static str, ty: Type) -> Self {
        Self::new(name, ty, Given::Optional)
    }

    /// The provider gives it.
    pub fn computed(name: &'static str, ty: Type) -> Self {
        Self::new(name, ty, Given::Computed)
    }

    /// The configuration may give it, else the provider does.
    pub fn or_computed(name: &'static str, ty: Type) -> Self {
        Self::new(name, ty, Given::OptionalComputed)
    }

    /// With a value for when none is given.
    #[must_use]
    pub fn or(mut self, default: Value) -> Self {
        self.default = Some(default);
        self
    }

    /// A change replaces the object.
    #[must_use]
    pub fn replacing(mut self) -> Self {
        self.replaces = true;
        self
    }

    /// Not to be shown.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// Whether the provider may fill it.
    pub fn is_computed(&self) -> bool {
        matches!(self.given, Given::Computed | Given::OptionalComputed)
    }
}

/// What is wrong with an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Argument; `None` when one is missing.
    pub argument: Option<String>,
    /// Code of the diagnostic.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Schema {
    /// A schema of version 0.
    pub fn new(attributes: Vec<Attribute>) -> Self {
        Self { version: 0, attributes }
    }

    /// An attribute by name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.name == name)
    }

    /// Arguments as a whole object: converted to their types, what is not written null.
    pub fn config(&self, kind: &str, written: &Entries) -> (Entries, Vec<Wrong>) {
        let mut wrong: Vec<Wrong> = written.keys().filter_map(|name| self.refuse(kind, name)).collect();
        let mut config = Entries::new();
        for attribute in &self.attributes {
            let value = match written.get(attribute.name) {
                Some(value) if !value.is_null() => convert(value, &attribute.ty).unwrap_or_else(|error| {
                    let message = format!("{}: {error}", attribute.name);
                    let argument = Some(attribute.name.to_owned());
                    wrong.push(Wrong { argument, code: "type-mismatch", message, hint: None });
                    Value::Null(attribute.ty.clone())
                }),
                _ if attribute.given == Given::Required => {
                    let message = format!("{kind} needs \"{}\"", attribute.name);
                    wrong.push(Wrong { argument: None, code: "missing-argument", message, hint: None });
                    Value::Null(attribute.ty.clone())
                }
                _ => attribute.default.clone().unwrap_or(Value::Null(attribute.ty.clone())),
            };
            config.insert(Arc::from(attribute.name), value.marked(attribute.sensitive));
        }
        (config, wrong)
    }

    fn refuse(&self, kind: &str, name: &str) -> Option<Wrong> {
        let argument = Some(name.to_owned());
        match self.attribute(name) {
            None => {
                let known = self.attributes.iter().filter(|a| a.given != Given::Computed).map(|a| a.name);
                let hint = nearest(name, known).map(|near| format!("did you mean \"{near}\"?"));
                let message = format!("{kind} has no argument \"{name}\"");
                Some(Wrong { argument, code: "unknown-argument", message, hint })
            }
            Some(attribute) if attribute.given == Given::Computed => {
                let message = format!("{name} of {kind} is computed and cannot be set");
                Some(Wrong { argument, code: "computed-argument", message, hint: None })
            }
            Some(_) => None,
        }
    }
}
