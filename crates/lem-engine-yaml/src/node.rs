//! The tree.

use lem_model::Place;
use serde_json::{Map, Number, Value};

/// A position in the text; line and column start at 1, columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Mark {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `text`
    Plain,
    /// `'text'`
    SingleQuoted,
    /// `"text"`
    DoubleQuoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// A scalar as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Text after unquoting and folding.
    pub text: String,
    /// Style.
    pub style: Style,
}

/// What a plain scalar means under the core schema of YAML 1.2 (section 10.3.2).
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Decimal, `0o` octal or `0x` hexadecimal integer.
    Int(i64),
    /// Any other number, `.inf` and `.nan` included.
    Float(f64),
    /// Everything else, and everything quoted.
    Text(String),
}

impl Scalar {
    /// The meaning under the core schema.
    pub fn resolve(&self) -> Resolved {
        if self.style != Style::Plain {
            return Resolved::Text(self.text.clone());
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
            "true" | "True" | "TRUE" => return Resolved::Bool(true),
            "false" | "False" | "FALSE" => return Resolved::Bool(false),
            ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Resolved::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
            _ => {}
        }
        integer(&self.text)
            .map(Resolved::Int)
            .or_else(|| float(&self.text).map(Resolved::Float))
            .unwrap_or_else(|| Resolved::Text(self.text.clone()))
    }
}

fn integer(text: &str) -> Option<i64> {
    if let Some(octal) = text.strip_prefix("0o") {
        return i64::from_str_radix(octal, 8).ok();
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok();
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn float(text: &str) -> Option<f64> {
    let shape = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    (shape && text.bytes().any(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Key.
    pub key: Node,
    /// Value.
    pub value: Node,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A scalar.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in source order, merge keys already applied.
    Mapping(Vec<Entry>),
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it starts.
    pub mark: Mark,
    /// Where it ends, exclusive.
    pub end: Mark,
    /// Explicit tag, handle and suffix: `!reference`.
    pub tag: Option<String>,
    /// Whether it stands here through an alias (`*name`).
    pub aliased: bool,
    /// Contents.
    pub content: Content,
}

impl Node {
    /// The place in a file.
    pub fn place(&self, file: &str) -> Place {
        Place::new(file, self.mark.line, self.mark.column)
    }

    /// The scalar, if it is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.content {
            Content::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The scalar's text, if it is one; `5` and `"5"` alike.
    pub fn text(&self) -> Option<&str> {
        self.scalar().map(|s| s.text.as_str())
    }

    /// The items, if it is a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.content {
            Content::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if it is a mapping.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.content {
            Content::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a key, if it is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|e| e.key.text() == Some(key)).map(|e| &e.value)
    }

    /// Whether it is an empty scalar or `null`.
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(|s| s.resolve() == Resolved::Null)
    }

    /// `a mapping`, `a list`, `a string`, for messages.
    pub fn kind(&self) -> &'static str {
        match &self.content {
            Content::Mapping(_) => "a mapping",
            Content::Sequence(_) => "a list",
            Content::Scalar(s) => match s.resolve() {
                Resolved::Null => "nothing",
                Resolved::Bool(_) => "a boolean",
                Resolved::Int(_) | Resolved::Float(_) => "a number",
                Resolved::Text(_) => "a string",
            },
        }
    }

    /// The same as JSON under the core schema; numbers JSON cannot hold become strings.
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(s) => match s.resolve() {
                Resolved::Null => Value::Null,
                Resolved::Bool(b) => Value::Bool(b),
                Resolved::Int(i) => Value::Number(i.into()),
                Resolved::Float(f) => Number::from_f64(f).map_or_else(|| Value::String(s.text.clone()), Value::Number),
                Resolved::Text(t) => Value::String(t),
            },
            Content::Sequence(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Content::Mapping(entries) => {
                let pairs = entries.iter().map(|e| (e.key.text().unwrap_or_default().to_owned(), e.value.to_json()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }
}
