//! Files as trees of our own: compiled once, walked often, every node with its place.

mod compile;
mod guard;
mod json;
mod parse;

pub use guard::{MAX_FILE_BYTES, MAX_NESTING};
pub use json::parse_json;
pub use parse::{parse_body, parse_expression, parse_template};

use crate::value::Value;
use lem_model::Place;
use std::sync::Arc;

/// A place, with the file's name shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pos {
    /// Path as the user knows it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in characters.
    pub column: u32,
}

impl Pos {
    /// For a diagnostic.
    pub fn place(&self) -> Place {
        Place::new(&*self.file, self.line, self.column)
    }
}

/// Arguments and blocks between two braces, or of a file.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// `name = value`, in source order, each name once.
    pub attributes: Vec<Attribute>,
    /// Nested blocks in source order.
    pub blocks: Vec<Block>,
}

impl Body {
    /// An argument by name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| &*a.name == name)
    }

    /// Blocks of a type.
    pub fn blocks_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Block> {
        self.blocks.iter().filter(move |b| &*b.kind == kind)
    }
}

/// An argument.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// Name.
    pub name: Arc<str>,
    /// Value.
    pub expr: Expr,
    /// Where the name stands.
    pub pos: Pos,
}

/// A block.
#[derive(Clone, Debug)]
pub struct Block {
    /// `resource`, `ingress`.
    pub kind: Arc<str>,
    /// Labels behind the type.
    pub labels: Vec<Arc<str>>,
    /// What is in it.
    pub body: Body,
    /// Where the type stands.
    pub pos: Pos,
    /// Last line.
    pub end_line: u32,
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it does.
    pub kind: ExprKind,
    /// Where it begins.
    pub pos: Pos,
    /// Its text as written, for messages and documents; shared with the file.
    pub source: Source,
}

/// A part of a file's text.
#[derive(Clone)]
pub struct Source {
    text: Arc<str>,
    start: u32,
    end: u32,
}

impl Source {
    /// The text.
    pub fn text(&self) -> &str {
        self.text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

/// Kinds of expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A constant.
    Literal(Value),
    /// Text with interpolations and directives.
    Template(Vec<Part>),
    /// A name and the steps behind it: `var.a[0].b`, `aws_instance.web[*].id`.
    Reference {
        /// `var`, `aws_instance`, or the name of a `for` variable.
        root: Arc<str>,
        /// What follows.
        steps: Vec<Step>,
    },
    /// Steps behind any other expression.
    Traversal {
        /// The expression.
        base: Box<Expr>,
        /// What follows.
        steps: Vec<Step>,
    },
    /// A function call.
    Call {
        /// Name, with `core::` or `provider::x::` where written.
        name: Arc<str>,
        /// Arguments.
        args: Vec<Expr>,
        /// Whether `...` spreads the last one.
        spread: bool,
    },
    /// `condition ? yes : no`.
    Conditional(Box<[Expr; 3]>),
    /// `!` or `-`.
    Unary(UnaryOp, Box<Expr>),
    /// Any operator between two.
    Binary(BinaryOp, Box<[Expr; 2]>),
    /// `[a, b]`.
    Tuple(Vec<Expr>),
    /// `{a = b}`.
    Object(Vec<(Expr, Expr)>),
    /// `[for ...]` or `{for ...}`.
    For(Box<For>),
}

/// A part of a template.
#[derive(Clone, Debug)]
pub enum Part {
    /// Text.
    Text(Arc<str>),
    /// `${}`.
    Interpolation(Expr),
    /// `%{if}`.
    If(Box<(Expr, Vec<Part>, Vec<Part>)>),
    /// `%{for}`.
    For(Box<ForPart>),
}

/// `%{for key, value in collection}`.
#[derive(Clone, Debug)]
pub struct ForPart {
    /// Variable of the key.
    pub key: Option<Arc<str>>,
    /// Variable of the value.
    pub value: Arc<str>,
    /// What is walked.
    pub collection: Expr,
    /// What is written for each.
    pub parts: Vec<Part>,
}

/// A step of a traversal.
#[derive(Clone, Debug)]
pub enum Step {
    /// `.name`
    Attribute(Arc<str>, Pos),
    /// `[key]`, or the older `.0`.
    Index(Expr),
    /// `[*]` or `.*`, with the steps each element takes.
    Splat(Vec<Step>, Pos),
}

/// Operators before one expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `!`
    Not,
    /// `-`
    Negate,
}

/// Operators between two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the operators")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Eq,
    NotEq,
    Less,
    LessEq,
    Greater,
    GreaterEq,
    And,
    Or,
}

/// A `for` expression.
#[derive(Clone, Debug)]
pub struct For {
    /// Variable of the key.
    pub key: Option<Arc<str>>,
    /// Variable of the value.
    pub value: Arc<str>,
    /// What is walked.
    pub collection: Expr,
    /// Key of the result, for an object.
    pub key_expr: Option<Expr>,
    /// Value of the result.
    pub value_expr: Expr,
    /// Whether `...` gathers values of one key.
    pub group: bool,
    /// `if`.
    pub condition: Option<Expr>,
}
