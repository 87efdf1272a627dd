//! From the parser's tree to ours.

use super::guard::Lines;
use super::{Attribute, BinaryOp, Block, Body, Expr, ExprKind, For, ForPart, Part, Pos, Source, Step, UnaryOp};
use crate::value::{Number, Value};
use hcl_edit::Span;
use hcl_edit::expr::{self, Expression, ObjectKey, Traversal, TraversalOperator};
use hcl_edit::structure;
use hcl_edit::template::{Directive, Element, Strip, Template};
use lem_model::Diagnostic;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

pub(super) struct Compiler<'a> {
    lines: &'a Lines,
    names: HashMap<String, Arc<str>>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(lines: &'a Lines) -> Self {
        Self { lines, names: HashMap::new(), diagnostics: vec![] }
    }

    pub(super) fn finish(self) -> Vec<Diagnostic> {
        self.diagnostics
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = name.into();
        self.names.insert(name.to_owned(), Arc::clone(&shared));
        shared
    }

    fn pos(&self, span: Option<Range<usize>>) -> Pos {
        self.lines.pos(span.map_or(0, |s| s.start))
    }

    pub(super) fn body(&mut self, body: &structure::Body) -> Body {
        let mut made = Body::default();
        for part in body {
            match part {
                structure::Structure::Attribute(attribute) => {
                    let pos = self.pos(attribute.key.span());
                    let name = self.name(attribute.key.as_str());
                    let expr = self.expression(&attribute.value);
                    made.attributes.push(Attribute { name, expr, pos });
                }
                structure::Structure::Block(block) => made.blocks.push(self.block(block)),
            }
        }
        made
    }

    fn block(&mut self, block: &structure::Block) -> Block {
        let end = block.span().map_or(0, |s| s.end.saturating_sub(1).max(s.start));
        Block {
            kind: self.name(block.ident.as_str()),
            labels: block.labels.iter().map(|l| self.name(l.as_str())).collect(),
            body: self.body(&block.body),
            pos: self.pos(block.ident.span().or_else(|| block.span())),
            end_line: self.lines.pos(end).line,
        }
    }

    fn make(&self, kind: ExprKind, span: Option<Range<usize>>) -> Expr {
        let span = span.unwrap_or(0..0);
        let source = Source { text: Arc::clone(self.lines.text()), start: span.start as u32, end: span.end as u32 };
        Expr { kind, pos: self.lines.pos(span.start), source }
    }

    pub(super) fn expression(&mut self, expression: &Expression) -> Expr {
        let span = expression.span();
        let kind = match expression {
            Expression::Null(_) => ExprKind::Literal(Value::null()),
            Expression::Bool(value) => ExprKind::Literal(Value::Bool(**value)),
            Expression::Number(_) => ExprKind::Literal(self.number(span.clone())),
            Expression::String(text) => ExprKind::Literal(Value::string(text.as_str())),
            Expression::Array(items) => ExprKind::Tuple(items.iter().map(|e| self.expression(e)).collect()),
            Expression::Object(object) => ExprKind::Object(self.object(object)),
            Expression::StringTemplate(template) => {
                let elements: Vec<&Element> = template.iter().collect();
                self.template_kind(&elements, Literals::Quoted)
            }
            Expression::HeredocTemplate(heredoc) => {
                let elements: Vec<&Element> = heredoc.template.iter().collect();
                self.template_kind(&elements, Literals::Plain)
            }
            Expression::Parenthesis(inner) => {
                let inner = self.expression(inner.inner());
                ExprKind::Traversal { base: Box::new(inner), steps: vec![] }
            }
            Expression::Variable(name) => ExprKind::Reference { root: self.name(name.as_str()), steps: vec![] },
            Expression::Conditional(c) => ExprKind::Conditional(Box::new([
                self.expression(&c.cond_expr),
                self.expression(&c.true_expr),
                self.expression(&c.false_expr),
            ])),
            Expression::FuncCall(call) => self.call(call),
            Expression::Traversal(traversal) => self.traversal(traversal),
            Expression::UnaryOp(op) => {
                let kind = match op.operator.value() {
                    expr::UnaryOperator::Neg => UnaryOp::Negate,
                    expr::UnaryOperator::Not => UnaryOp::Not,
                };
                ExprKind::Unary(kind, Box::new(self.expression(&op.expr)))
            }
            Expression::BinaryOp(op) => ExprKind::Binary(
                binary(*op.operator.value()),
                Box::new([self.expression(&op.lhs_expr), self.expression(&op.rhs_expr)]),
            ),
            Expression::ForExpr(f) => self.for_expr(f),
        };
        self.make(kind, span)
    }

    /// The parser's numbers have 64 bits; the text has them all.
    fn number(&mut self, span: Option<Range<usize>>) -> Value {
        let text = span.clone().and_then(|s| self.lines.text().get(s)).unwrap_or_default().trim();
        match Number::parse(text) {
            Ok(number) => Value::Number(number),
            Err(error) => {
                let place = self.pos(span).place();
                self.diagnostics.push(Diagnostic::error("bad-number", error.to_string(), place));
                Value::null()
            }
        }
    }

    fn object(&mut self, object: &expr::Object) -> Vec<(Expr, Expr)> {
        let pair = |(key, value): (&ObjectKey, &expr::ObjectValue)| {
            let key = match key {
                ObjectKey::Ident(name) => {
                    let kind = ExprKind::Literal(Value::String(self.name(name.as_str())));
                    self.make(kind, name.span())
                }
                // A bare word in front of `=` is its own name; in parentheses it is a reference.
                ObjectKey::Expression(Expression::Variable(name)) => {
                    let kind = ExprKind::Literal(Value::String(self.name(name.as_str())));
                    self.make(kind, name.span())
                }
                ObjectKey::Expression(other) => self.expression(other),
            };
            (key, self.expression(value.expr()))
        };
        object.iter().map(pair).collect()
    }

    fn call(&mut self, call: &expr::FuncCall) -> ExprKind {
        let mut name = String::new();
        for part in &call.name.namespace {
            name.push_str(part.as_str());
            name.push_str("::");
        }
        name.push_str(call.name.name.as_str());
        let args = call.args.iter().map(|a| self.expression(a)).collect();
        ExprKind::Call { name: self.name(&name), args, spread: call.args.expand_final() }
    }

    fn traversal(&mut self, traversal: &Traversal) -> ExprKind {
        let steps = self.steps(&traversal.operators);
        match &traversal.expr {
            Expression::Variable(name) => ExprKind::Reference { root: self.name(name.as_str()), steps },
            other => ExprKind::Traversal { base: Box::new(self.expression(other)), steps },
        }
    }

    /// After `[*]` every step is taken by each element; after `.*` only attributes are, an index applies to the result.
    fn steps(&mut self, operators: &[hcl_edit::Decorated<TraversalOperator>]) -> Vec<Step> {
        let mut steps = vec![];
        let mut rest = operators;
        while let Some((operator, after)) = rest.split_first() {
            rest = after;
            let span = operator.span();
            match operator.value() {
                TraversalOperator::GetAttr(name) => {
                    steps.push(Step::Attribute(self.name(name.as_str()), self.pos(name.span().or(span))));
                }
                TraversalOperator::Index(key) => steps.push(Step::Index(self.expression(key))),
                TraversalOperator::LegacyIndex(index) => {
                    let number = ExprKind::Literal(Value::Number(Number::from_u64(**index)));
                    steps.push(Step::Index(self.make(number, span)));
                }
                TraversalOperator::FullSplat(_) => {
                    let each = self.steps(rest);
                    steps.push(Step::Splat(each, self.pos(span)));
                    rest = &[];
                }
                TraversalOperator::AttrSplat(_) => {
                    let is_attribute = |o: &&hcl_edit::Decorated<TraversalOperator>| {
                        matches!(o.value(), TraversalOperator::GetAttr(_))
                    };
                    let count = rest.iter().take_while(is_attribute).count();
                    let each = self.steps(&rest[..count]);
                    steps.push(Step::Splat(each, self.pos(span)));
                    rest = &rest[count..];
                }
            }
        }
        steps
    }

    fn for_expr(&mut self, f: &expr::ForExpr) -> ExprKind {
        ExprKind::For(Box::new(For {
            key: f.intro.key_var.as_ref().map(|k| self.name(k.as_str())),
            value: self.name(f.intro.value_var.as_str()),
            collection: self.expression(&f.intro.collection_expr),
            key_expr: f.key_expr.as_ref().map(|k| self.expression(k)),
            value_expr: self.expression(&f.value_expr),
            group: f.grouping,
            condition: f.cond.as_ref().map(|c| self.expression(&c.expr)),
        }))
    }

    pub(super) fn bare_template(&mut self, template: &Template) -> Expr {
        let elements: Vec<&Element> = template.iter().collect();
        let kind = self.template_kind(&elements, Literals::Plain);
        let whole = 0..self.lines.text().len();
        self.make(kind, Some(whole))
    }

    /// A template without interpolations is a constant; one that is a single interpolation stays a template, which
    /// returns its value unconverted.
    fn template_kind(&mut self, elements: &[&Element], literals: Literals) -> ExprKind {
        let parts = self.parts(elements, literals);
        match parts.as_slice() {
            [] => ExprKind::Literal(Value::string("")),
            [Part::Text(text)] => ExprKind::Literal(Value::string(text)),
            _ => ExprKind::Template(parts),
        }
    }

    fn parts(&mut self, elements: &[&Element], literals: Literals) -> Vec<Part> {
        let mut parts = vec![];
        for (i, element) in elements.iter().enumerate() {
            match element {
                Element::Literal(text) => {
                    let before = i.checked_sub(1).is_some_and(|b| strips(elements[b]).1);
                    let after = elements.get(i + 1).is_some_and(|e| strips(e).0);
                    let read: Cow<'_, str> =
                        if literals == Literals::Escaped { unescape(text).into() } else { text.as_str().into() };
                    let mut text = &*read;
                    if before {
                        text = text.trim_start();
                    }
                    if after {
                        text = text.trim_end();
                    }
                    if !text.is_empty() {
                        parts.push(Part::Text(text.into()));
                    }
                }
                Element::Interpolation(interpolation) => {
                    parts.push(Part::Interpolation(self.expression(&interpolation.expr)));
                }
                Element::Directive(directive) => parts.push(self.directive(directive, literals)),
            }
        }
        parts
    }

    fn directive(&mut self, directive: &Directive, literals: Literals) -> Part {
        let literals = if literals == Literals::Plain { literals } else { Literals::Escaped };
        match directive {
            Directive::If(d) => {
                let condition = self.expression(&d.if_expr.cond_expr);
                let close = d.else_expr.as_ref().map_or(d.endif_expr.strip, |e| e.strip);
                let yes = self.inner(&d.if_expr.template, d.if_expr.strip, close, literals);
                let no = d.else_expr.as_ref().map(|e| self.inner(&e.template, e.strip, d.endif_expr.strip, literals));
                Part::If(Box::new((condition, yes, no.unwrap_or_default())))
            }
            Directive::For(d) => Part::For(Box::new(ForPart {
                key: d.for_expr.key_var.as_ref().map(|k| self.name(k.as_str())),
                value: self.name(d.for_expr.value_var.as_str()),
                collection: self.expression(&d.for_expr.collection_expr),
                parts: self.inner(&d.for_expr.template, d.for_expr.strip, d.endfor_expr.strip, literals),
            })),
        }
    }

    /// The template between two tags, whose `~` trims its ends.
    fn inner(&mut self, template: &Template, open: Strip, close: Strip, literals: Literals) -> Vec<Part> {
        let elements: Vec<&Element> = template.iter().collect();
        let mut parts = self.parts(&elements, literals);
        if open.strip_end()
            && matches!(elements.first(), Some(Element::Literal(_)))
            && let Some(Part::Text(text)) = parts.first_mut()
        {
            *text = text.trim_start().into();
        }
        if close.strip_start()
            && matches!(elements.last(), Some(Element::Literal(_)))
            && let Some(Part::Text(text)) = parts.last_mut()
        {
            *text = text.trim_end().into();
        }
        parts
    }
}

/// What the texts of a template still need. Between the directives of a quoted template the parser leaves escapes as
/// they are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Literals {
    /// A heredoc or file: no escapes.
    Plain,
    /// Quoted, escapes already read.
    Quoted,
    /// Quoted, escapes still to be read.
    Escaped,
}

/// Reads the escapes of quoted text; what is no escape stays.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let code = |digits: usize| {
            let number = u32::from_str_radix(after.get(1..=digits)?, 16).ok()?;
            Some((char::from_u32(number)?, digits + 1))
        };
        let found = match after.chars().next() {
            Some('n') => Some(('\n', 1)),
            Some('r') => Some(('\r', 1)),
            Some('t') => Some(('\t', 1)),
            Some(c @ ('"' | '\\')) => Some((c, 1)),
            Some('u') => code(4),
            Some('U') => code(8),
            _ => None,
        };
        let (c, used) = found.unwrap_or(('\\', 0));
        out.push(c);
        rest = &after[used..];
    }
    out.push_str(rest);
    out
}

/// Whether a tag trims the text before it, and the text after it.
fn strips(element: &Element) -> (bool, bool) {
    match element {
        Element::Literal(_) => (false, false),
        Element::Interpolation(i) => (i.strip.strip_start(), i.strip.strip_end()),
        Element::Directive(d) => match &**d {
            Directive::If(d) => (d.if_expr.strip.strip_start(), d.endif_expr.strip.strip_end()),
            Directive::For(d) => (d.for_expr.strip.strip_start(), d.endfor_expr.strip.strip_end()),
        },
    }
}

fn binary(operator: expr::BinaryOperator) -> BinaryOp {
    use expr::BinaryOperator as O;
    match operator {
        O::Eq => BinaryOp::Eq,
        O::NotEq => BinaryOp::NotEq,
        O::LessEq => BinaryOp::LessEq,
        O::GreaterEq => BinaryOp::GreaterEq,
        O::Less => BinaryOp::Less,
        O::Greater => BinaryOp::Greater,
        O::Plus => BinaryOp::Add,
        O::Minus => BinaryOp::Sub,
        O::Mul => BinaryOp::Mul,
        O::Div => BinaryOp::Div,
        O::Mod => BinaryOp::Mod,
        O::And => BinaryOp::And,
        O::Or => BinaryOp::Or,
    }
}
