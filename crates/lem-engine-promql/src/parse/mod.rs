//! The parser: tokens to a checked syntax tree. Precedence climbing; the wording and places of
//! errors follow the reference.

mod check;
mod duration;
mod operand;
mod selector;

pub(crate) use duration::millis;

use std::collections::BTreeSet;

use crate::ast::{BinOp, Binary, Cardinality, Expr, Matching, NumberLiteral, Span, Unary};
use crate::error::ParseError;
use crate::lex::{Kind, LexError, Token, lex};

/// Deepest nesting of parentheses, calls and signs.
pub const MAX_NESTING: usize = 120;
/// Most binary operators in one query; they bound the depth of the tree.
pub const MAX_OPERATORS: usize = 250;

/// Language features that are off unless asked for, by their upstream flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// `promql-experimental-functions`
    pub experimental_functions: bool,
    /// `promql-extended-range-selectors`
    pub extended_range_selectors: bool,
    /// `promql-binop-fill-modifiers`
    pub binop_fill_modifiers: bool,
}

impl Features {
    /// Everything on.
    pub const ALL: Self =
        Self { experimental_functions: true, extended_range_selectors: true, binop_fill_modifiers: true };

    /// From upstream flag names; unknown names are the caller's to report.
    pub fn from_flags(flags: &BTreeSet<String>) -> Self {
        Self {
            experimental_functions: flags.contains("promql-experimental-functions"),
            extended_range_selectors: flags.contains("promql-extended-range-selectors"),
            binop_fill_modifiers: flags.contains("promql-binop-fill-modifiers"),
        }
    }
}

/// Reads and checks a query.
pub fn parse(src: &str, features: &Features) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(src, *features);
    if parser.tokens.first().is_none_or(|t| t.kind == Kind::End) && parser.lex_error.is_none() {
        return Err(parser.error(Span::new(0, 0), "no expression found in input"));
    }
    let mut expr = parser.expression(0)?;
    if parser.peek().kind != Kind::End || parser.lex_failed_here() {
        return Err(parser.unexpected("", ""));
    }
    check::check(&parser, &mut expr)?;
    Ok(expr)
}

/// Reads a bare selector such as `up{job="x"}`; the API's `match[]` parameter.
pub fn parse_selector(src: &str) -> Result<Vec<crate::labels::Matcher>, ParseError> {
    match parse(src, &Features::default())? {
        Expr::Vector(selector) if !selector.time.has_offset && selector.time.at.is_none() => Ok(selector.matchers),
        other => Err(ParseError::new(src, other.span(), "expected only a vector selector")),
    }
}

/// Reads a series name such as `up{job="x"}` or `{}` into labels.
pub(crate) fn parse_metric(src: &str) -> Result<crate::labels::Labels, ParseError> {
    let mut parser = Parser::new(src, Features::ALL);
    let first = parser.peek();
    let name = if first.kind == Kind::LeftBrace {
        None
    } else if first.kind == Kind::Text {
        return Err(parser.unexpected("series description", ""));
    } else {
        parser.next();
        Some(first)
    };
    let selector = match parser.vector_selector(name)? {
        Expr::Vector(selector) if parser.peek().kind == Kind::End && !parser.lex_failed_here() => selector,
        _ => return Err(parser.unexpected("series description", "")),
    };
    Ok(crate::labels::Labels::new(selector.matchers.into_iter().map(|m| (m.name, m.value)).collect()))
}

pub(crate) struct Parser<'a> {
    src: &'a str,
    tokens: Vec<Token>,
    lex_error: Option<LexError>,
    at: usize,
    features: Features,
    next_selector: u32,
    nesting: usize,
    operators: usize,
}

type Parsed<T> = Result<T, ParseError>;

impl<'a> Parser<'a> {
    fn new(src: &'a str, features: Features) -> Self {
        let lexed = lex(src);
        Self {
            src,
            tokens: lexed.tokens,
            lex_error: lexed.error,
            at: 0,
            features,
            next_selector: 0,
            nesting: 0,
            operators: 0,
        }
    }

    fn error(&self, span: Span, message: impl Into<String>) -> ParseError {
        ParseError::new(self.src, span, message)
    }

    /// Whether the next thing is what the lexer could not read.
    fn lex_failed_here(&self) -> bool {
        self.at >= self.tokens.len() && self.lex_error.is_some()
    }

    fn end_token(&self) -> Token {
        let end = self.src.len();
        Token { kind: Kind::End, span: Span::new(end, end) }
    }

    fn peek(&self) -> Token {
        self.tokens.get(self.at).copied().unwrap_or_else(|| self.end_token())
    }

    fn peek_second(&self) -> Token {
        self.tokens.get(self.at + 1).copied().unwrap_or_else(|| self.end_token())
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn text(&self, token: Token) -> &'a str {
        &self.src[token.span.start..token.span.end]
    }

    fn peek_word(&self) -> String {
        let token = self.peek();
        if matches!(token.kind, Kind::Ident) { self.text(token).to_ascii_lowercase() } else { String::new() }
    }

    fn last_end(&self) -> usize {
        self.at.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or(0, |t| t.span.end)
    }

    /// The error for the token at hand, or the lexer's own when that is what stands there.
    fn unexpected(&self, context: &str, expected: &str) -> ParseError {
        if self.lex_failed_here()
            && let Some(error) = &self.lex_error
        {
            return self.error(error.span, error.message.clone());
        }
        let token = self.peek();
        let mut message = format!("unexpected {}", self.describe(token));
        if !context.is_empty() {
            message.push_str(&format!(" in {context}"));
        }
        if !expected.is_empty() {
            message.push_str(&format!(", expected {expected}"));
        }
        self.error(token.span, message)
    }

    fn describe(&self, token: Token) -> String {
        let text = self.text(token);
        let quoted = crate::number::quote(text);
        match token.kind {
            Kind::End => "end of input".to_owned(),
            Kind::Ident => match text.to_ascii_lowercase().as_str() {
                "offset" | "by" | "without" | "on" | "ignoring" | "group_left" | "group_right" | "bool"
                | "anchored" | "smoothed" => format!("<{text}>"),
                word if operand::aggregator(word).is_some() => format!("<aggr:{text}>"),
                "start" | "end" | "step" | "range" => quoted,
                _ => format!("identifier {quoted}"),
            },
            Kind::MetricIdent => format!("metric identifier {quoted}"),
            Kind::Number => format!("number {}", shortened(text)),
            Kind::Duration => format!("duration {}", shortened(text)),
            Kind::Text => format!("string {}", shortened(text)),
            Kind::Op(_) => format!("<op:{text}>"),
            _ => quoted,
        }
    }

    fn expect(&mut self, kind: Kind, context: &str, expected: &str) -> Parsed<Token> {
        if self.peek().kind == kind { Ok(self.next()) } else { Err(self.unexpected(context, expected)) }
    }

    fn enter(&mut self) -> Parsed<()> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            let span = self.peek().span;
            return Err(self.error(span, format!("expression is nested more than {MAX_NESTING} levels deep")));
        }
        Ok(())
    }

    fn count_operator(&mut self) -> Parsed<()> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            let span = self.peek().span;
            return Err(self.error(span, format!("expression has more than {MAX_OPERATORS} operators")));
        }
        Ok(())
    }

    /// An expression whose operators bind at least as tightly as `min`.
    pub(crate) fn expression(&mut self, min: u8) -> Parsed<Expr> {
        self.enter()?;
        let mut lhs = self.unary()?;
        while let Kind::Op(op) = self.peek().kind {
            let precedence = op.precedence();
            if precedence < min {
                break;
            }
            self.count_operator()?;
            self.next();
            let (matching, return_bool) = self.binary_modifiers()?;
            let next_min = if op == BinOp::Pow { precedence } else { precedence + 1 };
            let rhs = self.expression(next_min)?;
            let span = Span::new(lhs.span().start, rhs.span().end);
            lhs = Expr::Binary(Binary {
                op,
                lhs: Box::new(lhs),
                rhs: Box::new(rhs),
                matching: Some(matching),
                return_bool,
                span,
            });
        }
        self.nesting -= 1;
        Ok(lhs)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let token = self.peek();
        let negative = match token.kind {
            Kind::Op(BinOp::Add) => false,
            Kind::Op(BinOp::Sub) => true,
            _ => return self.postfix(),
        };
        self.next();
        // A sign binds like multiplication: `-1 ^ 2` is `-(1 ^ 2)`.
        let expr = self.expression(BinOp::Pow.precedence())?;
        let span = Span::new(token.span.start, expr.span().end);
        if let Expr::Number(number) = expr {
            let value = if negative { -number.value } else { number.value };
            return Ok(Expr::Number(NumberLiteral { value, span, ..number }));
        }
        Ok(Expr::Unary(Unary { negative, expr: Box::new(expr), span }))
    }

    fn binary_modifiers(&mut self) -> Parsed<(Matching, bool)> {
        let mut matching = Matching {
            card: Cardinality::OneToOne,
            on: false,
            labels: Vec::new(),
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        let return_bool = self.peek_word() == "bool";
        if return_bool {
            self.next();
        }
        let word = self.peek_word();
        if word == "on" || word == "ignoring" {
            self.next();
            matching.on = word == "on";
            matching.labels = self.label_list()?;
            let group = self.peek_word();
            if group == "group_left" || group == "group_right" {
                self.next();
                matching.card = if group == "group_left" { Cardinality::ManyToOne } else { Cardinality::OneToMany };
                if self.peek().kind == Kind::LeftParen {
                    matching.include = self.label_list()?;
                }
            }
        }
        self.fill_modifiers(&mut matching)?;
        Ok((matching, return_bool))
    }

    fn fill_modifiers(&mut self, matching: &mut Matching) -> Parsed<()> {
        loop {
            let word = self.peek_word();
            if !matches!(word.as_str(), "fill" | "fill_left" | "fill_right")
                || self.peek_second().kind != Kind::LeftParen
            {
                return Ok(());
            }
            let token = self.next();
            if !self.features.binop_fill_modifiers {
                return Err(self.error(token.span, "binop fill modifiers are experimental and not enabled"));
            }
            self.next();
            let value = self.signed_number("fill modifier")?;
            self.expect(Kind::RightParen, "fill modifier", "\")\"")?;
            if word != "fill_right" {
                matching.fill_left = Some(value);
            }
            if word != "fill_left" {
                matching.fill_right = Some(value);
            }
        }
    }

    fn signed_number(&mut self, context: &str) -> Parsed<f64> {
        let negative = match self.peek().kind {
            Kind::Op(BinOp::Sub) => {
                self.next();
                true
            }
            Kind::Op(BinOp::Add) => {
                self.next();
                false
            }
            _ => false,
        };
        let token = self.peek();
        if !matches!(token.kind, Kind::Number | Kind::Duration) {
            return Err(self.unexpected(context, "number"));
        }
        self.next();
        let value = self.number_value(token)?.value;
        Ok(if negative { -value } else { value })
    }

    fn number_value(&self, token: Token) -> Parsed<NumberLiteral> {
        let text = self.text(token);
        if token.kind == Kind::Duration {
            let ms = crate::number::parse_duration_ms(text).map_err(|message| self.error(token.span, message))?;
            return Ok(NumberLiteral { value: ms as f64 / 1000.0, is_duration: true, span: token.span });
        }
        let value = crate::number::parse_float(text).ok_or_else(|| {
            self.error(
                token.span,
                format!(
                    "error parsing number: strconv.ParseFloat: parsing {}: invalid syntax",
                    crate::number::quote(text)
                ),
            )
        })?;
        Ok(NumberLiteral { value, is_duration: false, span: token.span })
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() > 10 {
        let head: String = text.chars().take(10).collect();
        format!("{}...", crate::number::quote(&head))
    } else {
        crate::number::quote(text)
    }
}
