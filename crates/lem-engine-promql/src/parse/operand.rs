//! Operands: literals, parentheses, calls, aggregations, and what may follow them.

use super::{Parsed, Parser};
use crate::ast::{
    AggOp, Aggregate, BinOp, Call, Expr, Extended, Grouping, MatrixSelector, Span, StringLiteral, Subquery,
    TimeModifiers,
};
use crate::lex::{Kind, Token, unquote};

/// The aggregation operator of a lower-case word.
pub(crate) fn aggregator(word: &str) -> Option<AggOp> {
    AggOp::ALL.into_iter().find(|op| op.name() == word)
}

/// Keywords that cannot name a metric.
fn is_reserved(word: &str) -> bool {
    matches!(word, "on" | "ignoring" | "group_left" | "group_right" | "bool")
}

impl Parser<'_> {
    pub(super) fn postfix(&mut self) -> Parsed<Expr> {
        let mut expr = self.operand()?;
        loop {
            let token = self.peek();
            match token.kind {
                Kind::LeftBracket => expr = self.bracket(expr)?,
                Kind::At => {
                    self.next();
                    self.at_modifier(&mut expr, token)?;
                }
                Kind::Ident => match self.peek_word().as_str() {
                    "offset" => {
                        self.next();
                        self.offset_modifier(&mut expr, token)?;
                    }
                    "anchored" => self.extended_modifier(&mut expr, token, Extended::Anchored)?,
                    "smoothed" => self.extended_modifier(&mut expr, token, Extended::Smoothed)?,
                    _ => return Ok(expr),
                },
                _ => return Ok(expr),
            }
        }
    }

    fn operand(&mut self) -> Parsed<Expr> {
        let token = self.peek();
        match token.kind {
            Kind::Number | Kind::Duration => {
                self.next();
                Ok(Expr::Number(self.number_value(token)?))
            }
            Kind::Text => {
                self.next();
                Ok(Expr::String(self.string_literal(token)?))
            }
            Kind::LeftParen => {
                self.next();
                let inner = self.expression(0)?;
                let close = self.expect(Kind::RightParen, "", "\")\"")?;
                Ok(Expr::Paren(Box::new(inner), Span::new(token.span.start, close.span.end)))
            }
            Kind::LeftBrace => self.vector_selector(None),
            Kind::MetricIdent => {
                self.next();
                self.vector_selector(Some(token))
            }
            Kind::Ident => self.word(token),
            Kind::Op(BinOp::And | BinOp::Or | BinOp::Unless) => {
                self.next();
                self.vector_selector(Some(token))
            }
            _ => Err(self.unexpected("", "")),
        }
    }

    pub(super) fn string_literal(&self, token: Token) -> Parsed<StringLiteral> {
        let bytes = unquote(self.text(token)).map_err(|m| self.error(token.span, m))?;
        Ok(match String::from_utf8(bytes) {
            Ok(value) => StringLiteral { value, raw: None, span: token.span },
            Err(error) => {
                let raw = error.into_bytes();
                StringLiteral { value: String::from_utf8_lossy(&raw).into_owned(), raw: Some(raw), span: token.span }
            }
        })
    }

    fn word(&mut self, token: Token) -> Parsed<Expr> {
        let text = self.text(token);
        let lower = text.to_ascii_lowercase();
        let second = self.peek_second();
        if let Some(op) = aggregator(&lower) {
            let grouped = second.kind == Kind::Ident
                && matches!(self.text(second).to_ascii_lowercase().as_str(), "by" | "without");
            if grouped || second.kind == Kind::LeftParen {
                self.next();
                return self.aggregate(op, token);
            }
        }
        if second.kind == Kind::LeftParen && !is_reserved(&lower) {
            self.next();
            return self.call(token);
        }
        if is_reserved(&lower) {
            return Err(self.unexpected("", ""));
        }
        self.next();
        self.vector_selector(Some(token))
    }

    fn arguments(&mut self, context: &str) -> Parsed<Vec<Expr>> {
        self.expect(Kind::LeftParen, context, "\"(\"")?;
        let mut args = Vec::new();
        if self.peek().kind == Kind::RightParen {
            self.next();
            return Ok(args);
        }
        loop {
            args.push(self.expression(0)?);
            match self.peek().kind {
                Kind::Comma => {
                    let comma = self.next();
                    if self.peek().kind == Kind::RightParen {
                        return Err(self.error(comma.span, "trailing commas not allowed in function call args"));
                    }
                }
                Kind::RightParen => {
                    self.next();
                    return Ok(args);
                }
                _ => return Err(self.unexpected("function call", "\",\" or \")\"")),
            }
        }
    }

    fn call(&mut self, name: Token) -> Parsed<Expr> {
        let text = self.text(name);
        let Some(signature) = crate::funcs::signature(text) else {
            let message = format!("unknown function with name {}", crate::number::quote(text));
            let hint =
                crate::funcs::closest(text).map(|close| format!("did you mean {}?", crate::number::quote(close)));
            return Err(self.error(name.span, message).with_hint(hint));
        };
        if signature.experimental && !self.features.experimental_functions {
            return Err(
                self.error(name.span, format!("function {} is not enabled", crate::number::quote(signature.name)))
            );
        }
        let args = self.arguments("function call")?;
        Ok(Expr::Call(Call { func: signature.name, args, span: Span::new(name.span.start, self.last_end()) }))
    }

    fn aggregate(&mut self, op: AggOp, name: Token) -> Parsed<Expr> {
        let mut grouping = self.grouping()?;
        let args = self.arguments("aggregation")?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let span = Span::new(name.span.start, self.last_end());
        if op.is_experimental() && !self.features.experimental_functions {
            return Err(self.error(
                span,
                format!(
                    "{}() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
                    op.name()
                ),
            ));
        }
        if args.is_empty() {
            return Err(self.error(span, "no arguments for aggregate expression provided"));
        }
        let desired = if op.has_param() { 2 } else { 1 };
        if args.len() != desired {
            return Err(self.error(
                span,
                format!(
                    "wrong number of arguments for aggregate expression provided, expected {desired}, got {}",
                    args.len()
                ),
            ));
        }
        let mut args = args.into_iter();
        let param = if op.has_param() { args.next().map(Box::new) } else { None };
        let Some(expr) = args.next() else {
            return Err(self.error(span, "no arguments for aggregate expression provided"));
        };
        Ok(Expr::Aggregate(Aggregate {
            op,
            expr: Box::new(expr),
            param,
            grouping: grouping.unwrap_or(Grouping { without: false, labels: Vec::new() }),
            span,
        }))
    }

    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        let word = self.peek_word();
        if word != "by" && word != "without" {
            return Ok(None);
        }
        self.next();
        Ok(Some(Grouping { without: word == "without", labels: self.label_list()? }))
    }

    /// A list of label names in parentheses; a trailing comma is fine.
    pub(super) fn label_list(&mut self) -> Parsed<Vec<String>> {
        const CONTEXT: &str = "grouping opts";
        self.expect(Kind::LeftParen, CONTEXT, "\"(\"")?;
        let mut labels = Vec::new();
        loop {
            let token = self.peek();
            match token.kind {
                Kind::RightParen => {
                    self.next();
                    return Ok(labels);
                }
                Kind::Text => {
                    self.next();
                    let literal = self.string_literal(token)?;
                    if literal.raw.is_some() || literal.value.is_empty() {
                        return Err(self.error(
                            token.span,
                            format!("invalid label name for grouping: {}", crate::number::quote(&literal.value)),
                        ));
                    }
                    labels.push(literal.value);
                }
                Kind::Ident => {
                    self.next();
                    labels.push(self.text(token).to_owned());
                }
                Kind::Op(BinOp::And | BinOp::Or | BinOp::Unless | BinOp::Atan2) => {
                    self.next();
                    labels.push(self.text(token).to_owned());
                }
                Kind::Number if self.text(token).starts_with(|c: char| c.is_alphabetic()) => {
                    self.next();
                    labels.push(self.text(token).to_owned());
                }
                _ => return Err(self.unexpected(CONTEXT, "label")),
            }
            match self.peek().kind {
                Kind::Comma => {
                    self.next();
                }
                Kind::RightParen => {}
                _ => return Err(self.unexpected(CONTEXT, "\",\" or \")\"")),
            }
        }
    }

    fn bracket(&mut self, expr: Expr) -> Parsed<Expr> {
        let open = self.next();
        let range = self.duration_value("subquery or range selector")?;
        if self.peek().kind == Kind::Colon {
            self.next();
            let step = if self.peek().kind == Kind::RightBracket {
                None
            } else {
                Some(self.duration_value("subquery selector")?)
            };
            let close = self.expect(Kind::RightBracket, "subquery selector", "\"]\"")?;
            let span = Span::new(expr.span().start, close.span.end);
            return Ok(Expr::Subquery(Subquery {
                expr: Box::new(expr),
                range,
                step,
                time: TimeModifiers::default(),
                span,
            }));
        }
        let close = self.expect(Kind::RightBracket, "subquery or range", "\":\" or \"]\"")?;
        let modifier_span = Span::new(open.span.start, close.span.end);
        let Expr::Vector(vector) = expr else {
            return Err(self.error(modifier_span, "ranges only allowed for vector selectors"));
        };
        if vector.time.has_offset {
            return Err(self.error(modifier_span, "no offset modifiers allowed before range"));
        }
        if vector.time.at.is_some() {
            return Err(self.error(modifier_span, "no @ modifiers allowed before range"));
        }
        let span = Span::new(vector.span.start, close.span.end);
        Ok(Expr::Matrix(MatrixSelector { vector, range, span }))
    }
}
