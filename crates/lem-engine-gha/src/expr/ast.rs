//! The tree of an expression.

use super::value::Value;

/// A node. Offsets are characters from the start of the expression.
#[derive(Clone, Debug)]
pub enum Ast {
    /// A literal.
    Literal(Value),
    /// A context by name.
    Context(String),
    /// `!`
    Not(Box<Ast>),
    /// `&&` over two or more.
    And(Vec<Ast>),
    /// `||` over two or more.
    Or(Vec<Ast>),
    /// A comparison.
    Compare(Box<Ast>, Comparison, Box<Ast>),
    /// `object.name`, `object[index]`.
    Index(Box<Ast>, Box<Ast>),
    /// `object.*`, `object[*]`.
    Star(Box<Ast>),
    /// A call.
    Call {
        /// Name as written.
        name: String,
        /// Where it stands.
        offset: usize,
        /// Arguments.
        args: Vec<Ast>,
    },
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Ast {
    fn children(&self) -> Vec<&Ast> {
        match self {
            Ast::Literal(_) | Ast::Context(_) => vec![],
            Ast::Not(inner) | Ast::Star(inner) => vec![inner],
            Ast::And(args) | Ast::Or(args) | Ast::Call { args, .. } => args.iter().collect(),
            Ast::Compare(left, _, right) | Ast::Index(left, right) => vec![left, right],
        }
    }

    pub(super) fn calls(&self, wanted: &dyn Fn(&str) -> bool) -> bool {
        matches!(self, Ast::Call { name, .. } if wanted(name)) || self.children().iter().any(|c| c.calls(wanted))
    }

    pub(super) fn visit_contexts(&self, visit: &mut dyn FnMut(&str)) {
        if let Ast::Context(name) = self {
            visit(name);
        }
        for child in self.children() {
            child.visit_contexts(visit);
        }
    }
}
