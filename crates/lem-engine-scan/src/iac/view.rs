//! Looking into attributes by path.

use indexmap::IndexMap;
use lem_model::resource::{Attribute, Language, Resource};

/// What a path is followed from: a resource, or a part of one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum View<'a> {
    Fields(&'a IndexMap<String, Attribute>),
    Value(&'a Attribute),
}

/// What stands at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Found<'a> {
    /// Nothing, `null` or an empty list.
    Absent,
    /// A value; things inside it may be unknown.
    Known(&'a Attribute),
    /// The value itself is not known.
    Unknown(&'a str),
    /// Something above it is not known, so it may not even be there.
    Hidden(&'a str),
}

impl<'a> View<'a> {
    /// Where the paths of a rule begin: below `Properties` for CloudFormation, at the top for the others.
    pub(crate) fn of(resource: &'a Resource) -> Self {
        match resource.attributes.get("Properties") {
            Some(properties) if resource.language == Language::CloudFormation => Self::Value(properties),
            _ => Self::Fields(&resource.attributes),
        }
    }

    fn field(self, name: &str) -> Option<&'a Attribute> {
        match self {
            Self::Fields(fields) => fields.get(name),
            Self::Value(value) => step(value, name),
        }
    }

    /// What stands at a dotted path. A block that repeats answers with its first, as the reference rules read it.
    pub(crate) fn at(self, path: &str) -> Found<'a> {
        if path.is_empty() {
            return match self {
                Self::Value(value) => seen(value),
                Self::Fields(_) => Found::Absent,
            };
        }
        let mut steps = path.split('.');
        let Some(mut value) = steps.next().and_then(|name| self.field(name)) else { return self.missing() };
        for name in steps {
            if let Attribute::Unknown(why) = value.revealed() {
                return Found::Hidden(why);
            }
            match step(value, name) {
                Some(next) => value = next,
                None => return Self::Value(value).missing(),
            }
        }
        seen(value)
    }

    fn missing(self) -> Found<'a> {
        match self {
            Self::Value(value) => match first(value).map(Attribute::revealed) {
                Some(Attribute::Unknown(why)) => Found::Hidden(why),
                _ => Found::Absent,
            },
            Self::Fields(_) => Found::Absent,
        }
    }

    /// The items at a path: of a list, or the one value that stands there.
    pub(crate) fn items(self, path: &str) -> Result<Vec<&'a Attribute>, &'a str> {
        match self.at(path) {
            Found::Absent => Ok(vec![]),
            Found::Unknown(why) | Found::Hidden(why) => Err(why),
            Found::Known(value) => Ok(list(value)),
        }
    }
}

/// A value as a list; one that is none is a list of itself.
pub(crate) fn list(value: &Attribute) -> Vec<&Attribute> {
    match value.revealed() {
        Attribute::List(items) => items.iter().collect(),
        Attribute::Null => vec![],
        _ => vec![value],
    }
}

fn first(value: &Attribute) -> Option<&Attribute> {
    match value.revealed() {
        Attribute::List(items) => items.first(),
        _ => Some(value),
    }
}

fn step<'a>(value: &'a Attribute, name: &str) -> Option<&'a Attribute> {
    match value.revealed() {
        Attribute::Map(map) => map.get(name),
        Attribute::List(items) => match name.parse::<usize>() {
            Ok(index) => items.get(index),
            Err(_) => items.first().and_then(|item| step(item, name)),
        },
        _ => None,
    }
}

fn seen(value: &Attribute) -> Found<'_> {
    match value.revealed() {
        Attribute::Null => Found::Absent,
        Attribute::List(items) if items.is_empty() => Found::Absent,
        Attribute::Unknown(why) => Found::Unknown(why),
        _ => Found::Known(value),
    }
}
