//! The expression language (`${{ ... }}`).
//!
//! [`Expr::parse`] reads a text against the [`Names`] that are legal where it stands; [`Expr::evaluate`] gives its
//! [`Value`] under a [`Context`]. Errors know their [`Phase`] and offset.

mod ast;
mod context;
mod eval;
mod format;
mod funcs;
mod lexer;
mod number;
mod parser;
mod value;

pub use ast::Ast;
pub use context::{Context, Host, Names, NoHost, Status};
pub use number::{number_to_text, text_to_number};
pub use value::{Object, Value};

use std::fmt;

/// Longest expression that is read, in UTF-16 units as the service counts them.
pub const MAX_LENGTH: usize = 21_000;
/// Deepest nesting that is read.
pub const MAX_DEPTH: usize = 50;
/// Longest chain of comparisons on one level: `a == b == c`.
pub const MAX_CHAIN: usize = 500;
/// Largest text a function may build, in bytes.
pub const MAX_RESULT_BYTES: usize = 10 * 1024 * 1024;

/// When an error was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// A character that starts no word of the language.
    Lexing,
    /// Words in an order that means nothing, and names that are not legal here.
    Parsing,
    /// A value no function can work with.
    Evaluation,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Lexing => "lexing",
            Phase::Parsing => "parsing",
            Phase::Evaluation => "evaluation",
        })
    }
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[error("{message}")]
pub struct EvalError {
    /// When it was found.
    pub phase: Phase,
    /// What is wrong, in the words of the service.
    pub message: String,
    /// Where, in characters from the start of the expression; `None` when the whole of it is meant.
    pub offset: Option<usize>,
}

impl EvalError {
    pub(crate) fn new(phase: Phase, message: impl Into<String>, offset: Option<usize>) -> Self {
        Self { phase, message: message.into(), offset }
    }

    /// The message with the position and the expression, as the service writes it.
    pub fn located(&self, source: &str) -> String {
        match self.offset {
            _ if self.message.contains(". Located at position") => self.message.clone(),
            Some(offset) => {
                format!("{}. Located at position {} within expression: {source}", self.message, offset + 1)
            }
            None => format!("{}. Located within expression: {source}", self.message),
        }
    }
}

/// An expression that was read.
#[derive(Clone, Debug)]
pub struct Expr {
    source: String,
    ast: Option<Ast>,
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Expr {
    /// Reads an expression. `names` says which contexts and functions are legal where it stands.
    pub fn parse(source: &str, names: &Names) -> Result<Self, EvalError> {
        let words = lexer::words(source)?;
        let ast = parser::parse(&words, names)?;
        Ok(Self { source: source.to_owned(), ast })
    }

    /// The text it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The value under a context.
    pub fn evaluate(&self, context: &Context) -> Result<Value, EvalError> {
        match &self.ast {
            Some(ast) => eval::evaluate(ast, context),
            None => Ok(Value::Null),
        }
    }

    /// Whether `success`, `failure`, `cancelled` or `always` is called anywhere in it.
    pub fn calls_status(&self) -> bool {
        let status = ["success", "failure", "cancelled", "always"];
        self.ast.as_ref().is_some_and(|ast| ast.calls(&|name| status.iter().any(|s| name.eq_ignore_ascii_case(s))))
    }

    /// Names of the contexts it reads, lower case, each once.
    pub fn contexts(&self) -> Vec<String> {
        let mut found = vec![];
        if let Some(ast) = &self.ast {
            ast.visit_contexts(&mut |name| {
                let name = name.to_ascii_lowercase();
                if !found.contains(&name) {
                    found.push(name);
                }
            });
        }
        found
    }
}

/// Reads and evaluates in one go; every context of `context` is legal.
pub fn eval(source: &str, context: &Context) -> Result<Value, EvalError> {
    Expr::parse(source, &context.names())?.evaluate(context)
}
