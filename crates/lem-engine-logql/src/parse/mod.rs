//! The parser: recursive descent over the tokens, with the places of everything it refuses.

mod filter;
mod log;
mod metric;
mod words;

use crate::ast::Expr;
use crate::error::{ParseError, Span};
use crate::lex::{Token, lex};
use crate::limits;

/// How much more than LogQL is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Exactly LogQL: for rule files.
    Loki,
    /// Also `{}` and bare words.
    #[default]
    Extended,
}

/// Parses LogQL with the extensions.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_with(text, Dialect::Extended)
}

/// Parses in a dialect.
pub fn parse_with(text: &str, dialect: Dialect) -> Result<Expr, ParseError> {
    if text.len() > limits::QUERY_BYTES_MAX {
        let message = format!("the query has {} bytes; the limit is {}", text.len(), limits::QUERY_BYTES_MAX);
        return Err(ParseError::new(text, Span::default(), message));
    }
    if dialect == Dialect::Extended && words::looks_like_words(text) {
        return words::parse(text);
    }
    let mut parser = Parser { text, tokens: lex(text)?, at: 0, dialect, depth: 0 };
    let expr = parser.expr()?;
    parser.end()?;
    Ok(expr)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, Span)>,
    at: usize,
    dialect: Dialect,
    depth: usize,
}

type Parsed<T> = Result<T, ParseError>;

impl Parser<'_> {
    /// A log query, perhaps in parentheses, or a metric query.
    fn expr(&mut self) -> Parsed<Expr> {
        let first = self.tokens.iter().find(|(t, _)| *t != Token::Op("("));
        if first.is_some_and(|(t, _)| *t == Token::Op("{")) {
            return self.log_expr().map(Expr::Log);
        }
        self.metric().map(Expr::Metric)
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn peek_at(&self, ahead: usize) -> &Token {
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)].0
    }

    fn span(&self) -> Span {
        self.tokens[self.at].1
    }

    /// The token, and one step on; the end stays.
    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].0.clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn take(&mut self, op: &'static str) -> bool {
        let found = *self.peek() == Token::Op(op);
        if found {
            self.next();
        }
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Ident(name) if name == word);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, op: &'static str) -> Parsed<()> {
        if self.take(op) { Ok(()) } else { self.unexpected(op) }
    }

    fn ident(&mut self, what: &str) -> Parsed<String> {
        match self.peek() {
            Token::Ident(_) => match self.next() {
                Token::Ident(name) => Ok(name),
                _ => self.unexpected(what),
            },
            _ => self.unexpected(what),
        }
    }

    fn string(&mut self, what: &str) -> Parsed<String> {
        let Token::Text(text) = self.peek().clone() else { return self.unexpected(what) };
        self.next();
        Ok(text)
    }

    /// A number with its sign.
    fn number(&mut self, what: &str) -> Parsed<f64> {
        let sign = if self.take("-") {
            -1.0
        } else {
            self.take("+");
            1.0
        };
        let Token::Number(number) = *self.peek() else { return self.unexpected(what) };
        self.next();
        Ok(sign * number)
    }

    fn duration(&mut self) -> Parsed<i64> {
        let ns = match *self.peek() {
            Token::Duration(ns) if ns.abs() < 9e18 => ns,
            _ => return self.unexpected("a duration such as 5m"),
        };
        self.next();
        Ok(ns as i64)
    }

    fn end(&mut self) -> Parsed<()> {
        if *self.peek() == Token::End { Ok(()) } else { self.unexpected("an operator or the end of the query") }
    }

    fn unexpected<T>(&self, expected: &str) -> Parsed<T> {
        self.fail(self.span(), format!("unexpected {}, expecting {expected}", self.peek()))
    }

    fn fail<T>(&self, span: Span, message: impl Into<String>) -> Parsed<T> {
        Err(ParseError::new(self.text, span, message))
    }

    /// Guards recursion.
    fn deeper<T>(&mut self, body: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= limits::DEPTH_MAX {
            return self.fail(self.span(), format!("nested deeper than {} levels", limits::DEPTH_MAX));
        }
        self.depth += 1;
        let result = body(self);
        self.depth -= 1;
        result
    }
}
