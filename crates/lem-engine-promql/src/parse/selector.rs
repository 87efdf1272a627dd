//! Selectors: label matchers, `offset`, `@`, `anchored` and `smoothed`.

use super::{Parsed, Parser};
use crate::ast::{At, BinOp, Expr, Extended, Span, TimeModifiers, VectorSelector};
use crate::labels::{METRIC_NAME, MatchOp, Matcher};
use crate::lex::{Kind, Token};
use crate::number::quote;

const CONTEXT: &str = "label matching";

impl Parser<'_> {
    pub(super) fn vector_selector(&mut self, name: Option<Token>) -> Parsed<Expr> {
        let start = self.peek().span.start;
        let mut selector = VectorSelector {
            id: self.next_selector,
            name: String::new(),
            matchers: Vec::new(),
            time: TimeModifiers::default(),
            extended: None,
            span: Span::new(start, start),
        };
        self.next_selector += 1;
        if let Some(token) = name {
            selector.span = token.span;
            self.text(token).clone_into(&mut selector.name);
        }
        if self.peek().kind == Kind::LeftBrace {
            self.label_matchers(&mut selector)?;
            selector.span.end = self.last_end();
        }
        if name.is_some() {
            if let Some(twice) = selector.matchers.iter().find(|m| m.name == METRIC_NAME) {
                return Err(self.error(
                    selector.span,
                    format!("metric name must not be set twice: {} or {}", quote(&selector.name), quote(&twice.value)),
                ));
            }
            selector.matchers.push(Matcher::equal(METRIC_NAME, &selector.name));
        }
        Ok(Expr::Vector(selector))
    }

    fn label_matchers(&mut self, selector: &mut VectorSelector) -> Parsed<()> {
        self.next();
        loop {
            let token = self.peek();
            match token.kind {
                Kind::RightBrace => {
                    self.next();
                    return Ok(());
                }
                Kind::Ident => {
                    self.next();
                    let name = self.text(token).to_owned();
                    self.one_matcher(selector, &name, token)?;
                }
                Kind::Text => {
                    self.next();
                    let literal = self.string_literal(token)?;
                    if matches!(self.peek().kind, Kind::Comma | Kind::RightBrace) {
                        self.quoted_name(selector, literal.value, token)?;
                    } else {
                        self.one_matcher(selector, &literal.value, token)?;
                    }
                }
                _ => return Err(self.unexpected(CONTEXT, "identifier or \"}\"")),
            }
            match self.peek().kind {
                Kind::Comma => {
                    self.next();
                }
                Kind::RightBrace => {}
                _ => return Err(self.unexpected(CONTEXT, "\",\" or \"}\"")),
            }
        }
    }

    fn quoted_name(&self, selector: &mut VectorSelector, name: String, at: Token) -> Parsed<()> {
        let earlier = selector
            .matchers
            .iter()
            .find(|m| m.name == METRIC_NAME)
            .map(|m| m.value.clone())
            .or_else(|| (!selector.name.is_empty()).then(|| selector.name.clone()));
        if let Some(earlier) = earlier {
            return Err(self.error(
                at.span,
                format!("metric name must not be set twice: {} or {}", quote(&earlier), quote(&name)),
            ));
        }
        selector.matchers.push(Matcher::equal(METRIC_NAME, &name));
        selector.name = name;
        Ok(())
    }

    fn one_matcher(&mut self, selector: &mut VectorSelector, name: &str, at: Token) -> Parsed<()> {
        let op = match self.peek().kind {
            Kind::Equal => MatchOp::Equal,
            Kind::Op(BinOp::Ne) => MatchOp::NotEqual,
            Kind::EqualRegex => MatchOp::Regex,
            Kind::NotRegex => MatchOp::NotRegex,
            _ => return Err(self.unexpected(CONTEXT, "label matching operator")),
        };
        self.next();
        let token = self.peek();
        if token.kind != Kind::Text {
            return Err(self.unexpected(CONTEXT, "string"));
        }
        self.next();
        let value = self.string_literal(token)?.value;
        let span = Span::new(at.span.start, token.span.end);
        let matcher = Matcher::new(op, name, &value)
            .map_err(|error| self.error(span, format!("error parsing regexp: {}", regex_reason(&error))))?;
        selector.matchers.push(matcher);
        Ok(())
    }

    pub(super) fn offset_modifier(&mut self, expr: &mut Expr, keyword: Token) -> Parsed<()> {
        let value = self.offset_value()?;
        let end = self.last_end();
        let span = Span::new(keyword.span.start, end);
        let source = self.src;
        let fail = |m: &str| crate::error::ParseError::new(source, span, m);
        let Some(time) = time_modifiers(expr, end) else {
            return Err(fail(
                "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            ));
        };
        if time.has_offset {
            return Err(fail("offset may not be set multiple times"));
        }
        time.offset = value;
        time.has_offset = true;
        Ok(())
    }

    pub(super) fn at_modifier(&mut self, expr: &mut Expr, keyword: Token) -> Parsed<()> {
        let word = self.peek_word();
        let at = if (word == "start" || word == "end") && self.peek_second().kind == Kind::LeftParen {
            self.next();
            self.next();
            self.expect(Kind::RightParen, "@", "\")\"")?;
            if word == "start" { At::Start } else { At::End }
        } else {
            if !matches!(self.peek().kind, Kind::Number | Kind::Duration | Kind::Op(BinOp::Add | BinOp::Sub)) {
                return Err(self.unexpected("@", "timestamp"));
            }
            let seconds = self.signed_number("@")?;
            let limit = crate::engine::MAX_TIME_MS as f64 / 1000.0;
            if !seconds.is_finite() || seconds.abs() >= limit {
                let span = Span::new(keyword.span.start, self.last_end());
                return Err(self.error(span, format!("timestamp out of bounds for @ modifier: {seconds:.6}")));
            }
            At::Time((seconds * 1000.0).round() as i64)
        };
        let end = self.last_end();
        let span = Span::new(keyword.span.start, end);
        let source = self.src;
        let fail = |m: &str| crate::error::ParseError::new(source, span, m);
        let Some(time) = time_modifiers(expr, end) else {
            return Err(fail(
                "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            ));
        };
        if time.at.is_some() {
            return Err(fail("@ <timestamp> may not be set multiple times"));
        }
        time.at = Some(at);
        Ok(())
    }

    pub(super) fn extended_modifier(&mut self, expr: &mut Expr, keyword: Token, extended: Extended) -> Parsed<()> {
        self.next();
        let word = match extended {
            Extended::Anchored => "anchored",
            Extended::Smoothed => "smoothed",
        };
        let fail = |m: String| Err(self.error(keyword.span, m));
        if !self.features.extended_range_selectors {
            return fail(format!("{word} modifier is experimental and not enabled"));
        }
        let (selector, outer) = match expr {
            Expr::Vector(v) => {
                if extended == Extended::Anchored {
                    return fail("anchored modifier must be preceded by a range vector selector".to_owned());
                }
                (v, None)
            }
            Expr::Matrix(m) => (&mut m.vector, Some(&mut m.span)),
            Expr::Subquery(_) => {
                return fail(format!("{word} modifier is not supported for subqueries"));
            }
            _ => {
                return fail(format!("{word} modifier must be preceded by a range vector selector"));
            }
        };
        if selector.extended.is_some_and(|e| e != extended) {
            return fail("anchored and smoothed modifiers cannot be used together".to_owned());
        }
        selector.extended = Some(extended);
        match outer {
            Some(span) => span.end = keyword.span.end,
            None => selector.span.end = keyword.span.end,
        }
        Ok(())
    }
}

fn time_modifiers(expr: &mut Expr, end: usize) -> Option<&mut TimeModifiers> {
    match expr {
        Expr::Vector(v) => {
            v.span.end = end;
            Some(&mut v.time)
        }
        Expr::Matrix(m) => {
            m.span.end = end;
            Some(&mut m.vector.time)
        }
        Expr::Subquery(s) => {
            s.span.end = end;
            Some(&mut s.time)
        }
        _ => None,
    }
}

fn regex_reason(error: &regex::Error) -> String {
    match error {
        regex::Error::Syntax(text) => {
            text.lines().rev().find_map(|line| line.trim().strip_prefix("error: ")).unwrap_or(text).to_owned()
        }
        other => other.to_string(),
    }
}
