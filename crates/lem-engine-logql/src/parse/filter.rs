//! Label filters.
//!
//! The published grammar ranks `and` above `or`, both to the left, and gives the comma and plain juxtaposition no rank; a
//! parser generated from it then always goes on reading. So `a or b, c` is `a or (b, c)` and `a b or c` is `a (b or c)`.

use super::{Parsed, Parser};
use crate::ast::{Compare, LabelFilter};
use crate::lex::Token;

/// The operator to the left of what is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Or,
    And,
    Unranked,
}

impl Parser<'_> {
    pub(super) fn label_filter(&mut self) -> Parsed<LabelFilter> {
        self.filter_after(Left::Nothing)
    }

    fn filter_after(&mut self, left: Left) -> Parsed<LabelFilter> {
        let mut filter = self.filter_unit()?;
        loop {
            let op = match self.peek() {
                Token::Ident(n) if n == "or" => Left::Or,
                Token::Ident(n) if n == "and" => Left::And,
                Token::Op(",") => Left::Unranked,
                _ if self.starts_filter() => Left::Unranked,
                _ => return Ok(filter),
            };
            let reduce = match op {
                Left::And => left == Left::And,
                Left::Or => matches!(left, Left::And | Left::Or),
                Left::Nothing | Left::Unranked => false,
            };
            if reduce {
                return Ok(filter);
            }
            if !self.starts_filter() {
                self.next();
            }
            let right = Box::new(self.deeper(|p| p.filter_after(op))?);
            filter = match op {
                Left::Or => LabelFilter::Or(Box::new(filter), right),
                Left::Nothing | Left::And | Left::Unranked => LabelFilter::And(Box::new(filter), right),
            };
        }
    }

    /// A filter begins here: a name before a comparison, or a parenthesis.
    fn starts_filter(&self) -> bool {
        match self.peek() {
            Token::Op("(") => true,
            Token::Ident(name) => {
                name != "or"
                    && name != "and"
                    && matches!(self.peek_at(1), Token::Op("=" | "==" | "!=" | "=~" | "!~" | ">" | ">=" | "<" | "<="))
            }
            _ => false,
        }
    }

    fn filter_unit(&mut self) -> Parsed<LabelFilter> {
        if self.take("(") {
            let inner = self.deeper(Self::label_filter)?;
            self.expect(")")?;
            return Ok(inner);
        }
        let name = self.ident("a label name")?;
        if matches!(self.peek_at(1), Token::Text(_)) {
            return self.text_filter(name).map(LabelFilter::Text);
        }
        let span = self.span();
        let Some(compare) = compare(self.peek()) else { return self.unexpected("a comparison") };
        self.next();
        if matches!(self.peek(), Token::Ident(n) if n == "ip") {
            let positive = match compare {
                Compare::Equal => true,
                Compare::NotEqual => false,
                _ => return self.fail(span, "ip() goes with = and != only"),
            };
            return Ok(LabelFilter::Ip(name, positive, self.ip()?));
        }
        let sign = if self.take("-") { -1.0 } else { 1.0 };
        let filter = match *self.peek() {
            Token::Number(n) => LabelFilter::Number(name, compare, sign * n),
            Token::Duration(ns) => LabelFilter::Duration(name, compare, sign * ns),
            Token::Bytes(n) => LabelFilter::Bytes(name, compare, sign * n),
            _ => return self.unexpected("a string, number, duration or size"),
        };
        self.next();
        Ok(filter)
    }
}

pub(super) fn compare(token: &Token) -> Option<Compare> {
    Some(match token {
        Token::Op("=" | "==") => Compare::Equal,
        Token::Op("!=") => Compare::NotEqual,
        Token::Op(">") => Compare::Greater,
        Token::Op(">=") => Compare::GreaterOrEqual,
        Token::Op("<") => Compare::Less,
        Token::Op("<=") => Compare::LessOrEqual,
        _ => return None,
    })
}
