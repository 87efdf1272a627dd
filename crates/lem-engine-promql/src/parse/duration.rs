//! Duration expressions: in brackets, and after `offset`.

use super::{Parsed, Parser};
use crate::ast::{BinOp, DurationExpr, DurationOp, DurationValue, Span};
use crate::lex::Kind;

/// Largest duration in milliseconds (what fits into nanoseconds).
const MAX_DURATION_MS: f64 = (i64::MAX / 1_000_000) as f64;

impl Parser<'_> {
    /// A range or step inside brackets.
    pub(super) fn duration_value(&mut self, context: &str) -> Parsed<DurationValue> {
        if matches!(self.peek().kind, Kind::RightBracket | Kind::Colon) {
            return Err(self.unexpected(context, "number, duration, step(), or range()"));
        }
        let expr = self.duration_sum(context)?;
        let DurationExpr::Number(number) = expr else {
            return Ok(DurationValue { ms: 0, expr: Some(expr) });
        };
        if number.value.is_nan() || number.value.abs() * 1000.0 > MAX_DURATION_MS {
            return Err(self.error(number.span, "duration out of range"));
        }
        if number.value <= 0.0 {
            return Err(self.error(number.span, "duration must be greater than 0"));
        }
        Ok(DurationValue { ms: millis(number.value), expr: None })
    }

    /// What follows `offset`: one operand with an optional sign.
    pub(super) fn offset_value(&mut self) -> Parsed<DurationValue> {
        let start = self.peek().span.start;
        let sign = self.duration_sign();
        let atom = self.duration_atom("offset")?;
        if let DurationExpr::Number(number) = &atom {
            let value = if sign == Some(true) { -number.value } else { number.value };
            if value.is_nan() || value.abs() * 1000.0 > MAX_DURATION_MS {
                return Err(self.error(number.span, "duration out of range"));
            }
            return Ok(DurationValue { ms: millis(value), expr: None });
        }
        let expr = match sign {
            Some(negative) => {
                DurationExpr::Sign { negative, span: Span::new(start, atom.span().end), expr: Box::new(atom) }
            }
            None => atom,
        };
        Ok(DurationValue { ms: 0, expr: Some(expr) })
    }

    fn duration_sign(&mut self) -> Option<bool> {
        let negative = match self.peek().kind {
            Kind::Op(BinOp::Add) => false,
            Kind::Op(BinOp::Sub) => true,
            _ => return None,
        };
        self.next();
        Some(negative)
    }

    fn duration_sum(&mut self, context: &str) -> Parsed<DurationExpr> {
        self.enter()?;
        let mut lhs = self.duration_product(context)?;
        loop {
            let op = match self.peek().kind {
                Kind::Op(BinOp::Add) => DurationOp::Add,
                Kind::Op(BinOp::Sub) => DurationOp::Sub,
                _ => break,
            };
            self.count_operator()?;
            self.next();
            let rhs = self.duration_product(context)?;
            lhs = binary(op, lhs, rhs);
        }
        self.nesting -= 1;
        Ok(lhs)
    }

    fn duration_product(&mut self, context: &str) -> Parsed<DurationExpr> {
        let mut lhs = self.duration_signed(context)?;
        loop {
            let op = match self.peek().kind {
                Kind::Op(BinOp::Mul) => DurationOp::Mul,
                Kind::Op(BinOp::Div) => DurationOp::Div,
                Kind::Op(BinOp::Mod) => DurationOp::Mod,
                _ => return Ok(lhs),
            };
            self.count_operator()?;
            self.next();
            let rhs = self.duration_signed(context)?;
            lhs = binary(op, lhs, rhs);
        }
    }

    fn duration_signed(&mut self, context: &str) -> Parsed<DurationExpr> {
        let start = self.peek().span.start;
        if let Some(negative) = self.duration_sign() {
            self.enter()?;
            let expr = self.duration_signed(context)?;
            self.nesting -= 1;
            let span = Span::new(start, expr.span().end);
            if let DurationExpr::Number(mut number) = expr {
                if negative {
                    number.value = -number.value;
                }
                number.span = span;
                return Ok(DurationExpr::Number(number));
            }
            return Ok(DurationExpr::Sign { negative, expr: Box::new(expr), span });
        }
        let base = self.duration_atom(context)?;
        if self.peek().kind == Kind::Op(BinOp::Pow) {
            self.next();
            self.enter()?;
            let exponent = self.duration_signed(context)?;
            self.nesting -= 1;
            return Ok(binary(DurationOp::Pow, base, exponent));
        }
        Ok(base)
    }

    fn duration_atom(&mut self, context: &str) -> Parsed<DurationExpr> {
        let token = self.peek();
        match token.kind {
            Kind::Number | Kind::Duration => {
                self.next();
                Ok(DurationExpr::Number(self.number_value(token)?))
            }
            Kind::LeftParen => {
                self.next();
                let inner = self.duration_sum(context)?;
                let close = self.expect(Kind::RightParen, context, "\")\"")?;
                let span = Span::new(token.span.start, close.span.end);
                Ok(DurationExpr::Paren(Box::new(inner), span))
            }
            Kind::Ident => self.duration_call(context),
            _ => Err(self.unexpected(context, "number, duration, step(), or range()")),
        }
    }

    fn duration_call(&mut self, context: &str) -> Parsed<DurationExpr> {
        let start = self.peek().span.start;
        let word = self.peek_word();
        let op = match word.as_str() {
            "step" | "range" => None,
            "min_of" => Some(DurationOp::Min),
            "max_of" => Some(DurationOp::Max),
            _ => return Err(self.unexpected(context, "number, duration, step(), or range()")),
        };
        self.next();
        self.expect(Kind::LeftParen, context, "\"(\"")?;
        let Some(op) = op else {
            let close = self.expect(Kind::RightParen, context, "\")\"")?;
            let span = Span::new(start, close.span.end);
            return Ok(if word == "step" { DurationExpr::Step(span) } else { DurationExpr::Range(span) });
        };
        let lhs = self.duration_sum(context)?;
        self.expect(Kind::Comma, context, "\",\"")?;
        let rhs = self.duration_sum(context)?;
        let close = self.expect(Kind::RightParen, context, "\")\"")?;
        Ok(DurationExpr::Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs), span: Span::new(start, close.span.end) })
    }
}

fn binary(op: DurationOp, lhs: DurationExpr, rhs: DurationExpr) -> DurationExpr {
    let span = Span::new(lhs.span().start, rhs.span().end);
    DurationExpr::Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs), span }
}

/// Seconds to whole milliseconds, rounded to the nanosecond first.
pub(crate) fn millis(seconds: f64) -> i64 {
    ((seconds * 1e9).round() / 1e6) as i64
}
