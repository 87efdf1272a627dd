//! The values of a workflow file after its schema was checked: a YAML tree in which expressions are parsed.
//!
//! A [`Token`] knows its place, so that whatever goes wrong later (an evaluation error, a job that is skipped) can be
//! shown at the line that caused it. [`Token::evaluate`] turns it into a [`Value`] under a [`Context`].

use crate::expr::{Context, EvalError, Expr, Value};
use lem_model::Place;
use std::sync::Arc;

/// A value of the file with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Where it starts.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Text without an expression.
    String(String),
    /// `${{ ... }}`, alone or within text. Text around it is already folded into a call of `format`.
    Expression(Arc<Expr>),
    /// `${{ insert }}` as a key: the entries of its value are inserted here.
    Insert,
    /// A list.
    Sequence(Vec<Token>),
    /// Keys and values in source order.
    Mapping(Vec<(Token, Token)>),
}

impl Token {
    /// A token at a place.
    pub fn new(place: Place, kind: Kind) -> Self {
        Self { place, kind }
    }

    /// The text, if it is a string without expressions.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.kind {
            Kind::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self.kind {
            Kind::Number(value) => Some(value),
            _ => None,
        }
    }

    /// The expression, if it is one.
    pub fn as_expr(&self) -> Option<&Arc<Expr>> {
        match &self.kind {
            Kind::Expression(expr) => Some(expr),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn items(&self) -> Option<&[Token]> {
        match &self.kind {
            Kind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if it is a mapping.
    pub fn entries(&self) -> Option<&[(Token, Token)]> {
        match &self.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a key, if it is a mapping that has it. Keys of a schema ignore case.
    pub fn get(&self, key: &str) -> Option<&Token> {
        let entries = self.entries()?;
        entries.iter().find(|(k, _)| k.as_str().is_some_and(|t| t.eq_ignore_ascii_case(key))).map(|(_, value)| value)
    }

    /// Whether an expression stands in it anywhere.
    pub fn has_expression(&self) -> bool {
        match &self.kind {
            Kind::Expression(_) | Kind::Insert => true,
            Kind::Sequence(items) => items.iter().any(Token::has_expression),
            Kind::Mapping(entries) => entries.iter().any(|(k, v)| k.has_expression() || v.has_expression()),
            _ => false,
        }
    }

    /// The value under a context. Expressions are evaluated, `${{ insert }}` is expanded.
    pub fn evaluate(&self, context: &Context) -> Result<Value, TokenError> {
        match &self.kind {
            Kind::Null | Kind::Insert => Ok(Value::Null),
            Kind::Bool(value) => Ok(Value::Bool(*value)),
            Kind::Number(value) => Ok(Value::Number(*value)),
            Kind::String(text) => Ok(Value::from(text.as_str())),
            Kind::Expression(expr) => {
                expr.evaluate(context).map_err(|error| TokenError { place: self.place.clone(), error })
            }
            Kind::Sequence(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| item.evaluate(context)).collect();
                Ok(Value::array(items?))
            }
            Kind::Mapping(entries) => {
                let mut pairs = vec![];
                for (key, value) in entries {
                    let evaluated = value.evaluate(context)?;
                    match (&key.kind, &evaluated) {
                        (Kind::Insert, Value::Object(inserted)) => {
                            pairs.extend(inserted.iter().map(|(k, v)| (k.to_owned(), v.clone())));
                        }
                        (Kind::Insert, _) => {}
                        _ => pairs.push((key.evaluate(context)?.to_text(), evaluated)),
                    }
                }
                Ok(Value::object(pairs))
            }
        }
    }

    /// The value as text, as it is handed to a process.
    pub fn evaluate_text(&self, context: &Context) -> Result<String, TokenError> {
        Ok(self.evaluate(context)?.to_text())
    }
}

/// An expression that failed, with the place of the value it stands in.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{place}: {error}")]
pub struct TokenError {
    /// Place of the value.
    pub place: Place,
    /// What went wrong.
    #[source]
    pub error: EvalError,
}
