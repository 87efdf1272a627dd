//! Values of the language. Not known yet and sensitive are states of a value, never a guess and never a plain null.
//!
//! Large parts are shared: cloning a value is cheap, whatever its size.

pub mod convert;
pub mod json;
mod number;
mod order;
mod types;

pub use convert::{convert, unify};
pub use number::{MAX_DIGITS, Number, NumberError, PRECISION_BITS};
pub use types::{ObjectType, Type};

use std::collections::BTreeMap;
use std::sync::Arc;

/// Attributes or entries by name, in byte order.
pub type Entries = BTreeMap<Arc<str>, Value>;

/// A value.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// Not known before an apply, or because of what the reason names.
    Unknown(Unknown),
    /// Nothing, of a type.
    Null(Type),
    /// True or false.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text in Unicode normal form C.
    String(Arc<str>),
    /// Values of one type in order.
    List(Type, Arc<Vec<Value>>),
    /// Different values of one type, sorted; made by [`Value::set`].
    Set(Type, Arc<Vec<Value>>),
    /// Values of one type by name.
    Map(Type, Arc<Entries>),
    /// Values of any types in order.
    Tuple(Arc<Vec<Value>>),
    /// Values of any types by name.
    Object(Arc<Entries>),
    /// A value that must not be shown; never directly inside another mark. Made by [`Value::sensitive`].
    Sensitive(Arc<Value>),
}

/// A value that is not known.
#[derive(Clone, Debug)]
pub struct Unknown {
    /// Its type, [`Type::Any`] when not even that is known.
    pub ty: Type,
    /// What makes it so: `var.region has no value`, or the address of the resource it comes from.
    pub why: Arc<str>,
}

impl PartialEq for Unknown {
    /// The reason is for people and does not count.
    fn eq(&self, other: &Self) -> bool {
        self.ty == other.ty
    }
}

impl std::fmt::Debug for Value {
    /// As JSON-like text; what is sensitive stays hidden even here.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown(unknown) => write!(f, "unknown({})", unknown.why),
            Self::Null(_) => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::String(text) => write!(f, "{text:?}"),
            Self::List(_, items) | Self::Tuple(items) => f.debug_list().entries(items.iter()).finish(),
            Self::Set(_, items) => f.debug_set().entries(items.iter()).finish(),
            Self::Map(_, entries) | Self::Object(entries) => f.debug_map().entries(entries.iter()).finish(),
            Self::Sensitive(_) => f.write_str("(sensitive)"),
        }
    }
}

impl Value {
    /// Text.
    pub fn string(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        match unicode_normalization::is_nfc_quick(text.chars()) {
            unicode_normalization::IsNormalized::Yes => Self::String(text.into()),
            _ => Self::String(unicode_normalization::UnicodeNormalization::nfc(text).collect::<String>().into()),
        }
    }

    /// A whole number.
    pub fn int(value: i64) -> Self {
        Self::Number(Number::from(value))
    }

    /// Not known, with the reason.
    pub fn unknown(ty: Type, why: impl Into<Arc<str>>) -> Self {
        Self::Unknown(Unknown { ty, why: why.into() })
    }

    /// Nothing, of no particular type.
    pub fn null() -> Self {
        Self::Null(Type::Any)
    }

    /// Values of any types in order.
    pub fn tuple(items: Vec<Self>) -> Self {
        Self::Tuple(Arc::new(items))
    }

    /// A list of values that all have the type `element`.
    pub fn list(element: Type, items: Vec<Self>) -> Self {
        Self::List(element, Arc::new(items))
    }

    /// A list of texts.
    pub fn strings<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::list(Type::String, items.into_iter().map(Self::string).collect())
    }

    /// A set of values that all have the type `element`. Marks of members move to the set. A set with an unknown member
    /// keeps it, so that its length is not known.
    pub fn set(element: Type, items: Vec<Self>) -> Self {
        let marked = items.iter().any(Self::has_sensitive);
        let mut plain: Vec<Self> = if marked { items.iter().map(Self::revealed_deep).collect() } else { items };
        plain.sort_by(order::compare);
        plain.dedup();
        Self::Set(element, Arc::new(plain)).marked(marked)
    }

    /// A map of values that all have the type `element`.
    pub fn map(element: Type, entries: Entries) -> Self {
        Self::Map(element, Arc::new(entries))
    }

    /// Values of any types by name.
    pub fn object(entries: Entries) -> Self {
        Self::Object(Arc::new(entries))
    }

    /// The same, not to be shown.
    pub fn sensitive(self) -> Self {
        match self {
            Self::Sensitive(_) => self,
            plain => Self::Sensitive(Arc::new(plain)),
        }
    }

    /// The same, not to be shown if `mark` says so.
    pub fn marked(self, mark: bool) -> Self {
        if mark { self.sensitive() } else { self }
    }

    /// The value behind its own mark, and whether it had one. Marks further inside stay.
    pub fn unmark(&self) -> (&Self, bool) {
        match self {
            Self::Sensitive(inner) => (inner, true),
            plain => (plain, false),
        }
    }

    /// The value behind its own mark.
    pub fn revealed(&self) -> &Self {
        self.unmark().0
    }

    /// The value without any mark.
    pub fn revealed_deep(&self) -> Self {
        if !self.has_sensitive() {
            return self.clone();
        }
        self.revealed().map_children(Self::revealed_deep)
    }

    /// Whether it or anything in it must not be shown.
    pub fn has_sensitive(&self) -> bool {
        matches!(self, Self::Sensitive(_)) || self.children().any(Self::has_sensitive)
    }

    /// Whether it is not known as a whole.
    pub fn is_unknown(&self) -> bool {
        matches!(self.revealed(), Self::Unknown(_))
    }

    /// Whether it and everything in it is known.
    pub fn is_wholly_known(&self) -> bool {
        self.first_unknown().is_none()
    }

    /// The first thing in it that is not known.
    pub fn first_unknown(&self) -> Option<&Unknown> {
        match self.revealed() {
            Self::Unknown(unknown) => Some(unknown),
            plain => plain.children().find_map(Self::first_unknown),
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.revealed(), Self::Null(_))
    }

    /// Members of a list, set, tuple, map or object, in order.
    pub fn children(&self) -> Box<dyn Iterator<Item = &Self> + '_> {
        match self {
            Self::Sensitive(inner) => inner.children(),
            Self::List(_, items) | Self::Set(_, items) | Self::Tuple(items) => Box::new(items.iter()),
            Self::Map(_, entries) | Self::Object(entries) => Box::new(entries.values()),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// The same with every member replaced; types of elements stay as they are, a set is sorted again.
    pub fn map_children(&self, change: impl Fn(&Self) -> Self) -> Self {
        match self {
            Self::List(ty, items) => Self::list(ty.clone(), items.iter().map(change).collect()),
            Self::Set(ty, items) => Self::set(ty.clone(), items.iter().map(change).collect()),
            Self::Tuple(items) => Self::tuple(items.iter().map(change).collect()),
            Self::Map(ty, entries) => {
                Self::map(ty.clone(), entries.iter().map(|(k, v)| (Arc::clone(k), change(v))).collect())
            }
            Self::Object(entries) => Self::object(entries.iter().map(|(k, v)| (Arc::clone(k), change(v))).collect()),
            Self::Sensitive(inner) => inner.map_children(change).sensitive(),
            other => other.clone(),
        }
    }

    /// Its type.
    pub fn ty(&self) -> Type {
        match self {
            Self::Unknown(unknown) => unknown.ty.clone(),
            Self::Null(ty) => ty.clone(),
            Self::Bool(_) => Type::Bool,
            Self::Number(_) => Type::Number,
            Self::String(_) => Type::String,
            Self::List(ty, _) => Type::list(ty.clone()),
            Self::Set(ty, _) => Type::set(ty.clone()),
            Self::Map(ty, _) => Type::map(ty.clone()),
            Self::Tuple(items) => Type::Tuple(items.iter().map(Self::ty).collect()),
            Self::Object(entries) => Type::object(entries.iter().map(|(k, v)| (Arc::clone(k), v.ty())).collect()),
            Self::Sensitive(inner) => inner.ty(),
        }
    }

    /// The text, when it is known text; marks do not matter.
    pub fn as_str(&self) -> Option<&str> {
        match self.revealed() {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// True or false, when it is known.
    pub fn as_bool(&self) -> Option<bool> {
        match self.revealed() {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, when it is known.
    pub fn as_number(&self) -> Option<&Number> {
        match self.revealed() {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Members of a known list, set or tuple.
    pub fn items(&self) -> Option<&[Self]> {
        match self.revealed() {
            Self::List(_, items) | Self::Set(_, items) | Self::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// Entries of a known map or object.
    pub fn entries(&self) -> Option<&Entries> {
        match self.revealed() {
            Self::Map(_, entries) | Self::Object(entries) => Some(entries),
            _ => None,
        }
    }

    /// An attribute or entry of a known map or object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.entries()?.get(name)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
