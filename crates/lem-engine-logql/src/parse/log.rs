//! Selectors and pipelines.

use super::{Dialect, Parsed, Parser};
use crate::ast::{Convert, Format, LineOp, LineTerm, LogExpr, MatchOp, Pick, Selector, Stage, Unwrap};
use crate::error::Span;
use crate::lex::Token;
use crate::limits;
use crate::pipeline;

impl Parser<'_> {
    /// `{...}` and stages, perhaps in parentheses.
    pub(super) fn log_expr(&mut self) -> Parsed<LogExpr> {
        let start = self.span().start;
        if self.take("(") {
            let mut inner = self.deeper(Self::log_expr)?;
            self.expect(")")?;
            inner.stages.extend(self.stages()?);
            return Ok(inner);
        }
        let selector = self.selector()?;
        let stages = self.stages()?;
        Ok(LogExpr { selector, stages, span: Span { start, end: self.span().start } })
    }

    pub(super) fn selector(&mut self) -> Parsed<Vec<Selector>> {
        let start = self.span().start;
        self.expect("{")?;
        let mut selector = Vec::new();
        while !self.take("}") {
            if !selector.is_empty() {
                self.expect(",")?;
                if self.take("}") {
                    break;
                }
            }
            let name = self.ident("a label name or }")?;
            let (op, value) = self.text_match()?;
            selector.push(Selector { name, op, value });
        }
        let span = Span { start, end: self.tokens[self.at.saturating_sub(1)].1.end };
        let picks = |s: &Selector| !pipeline::text_matches(s, "").unwrap_or(true);
        if self.dialect == Dialect::Loki && !selector.iter().any(picks) {
            return self.fail(
                span,
                "queries require at least one regexp or equality matcher that does not have an empty-compatible value. \
                 For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will",
            );
        }
        Ok(selector)
    }

    /// `= "x"` and its kin, the expression checked.
    fn text_match(&mut self) -> Parsed<(MatchOp, String)> {
        let op = match self.peek() {
            Token::Op("=" | "==") => MatchOp::Equal,
            Token::Op("!=") => MatchOp::NotEqual,
            Token::Op("=~") => MatchOp::Regex,
            Token::Op("!~") => MatchOp::NotRegex,
            _ => return self.unexpected("one of = != =~ !~"),
        };
        self.next();
        let span = self.span();
        let value = self.string("a string")?;
        if matches!(op, MatchOp::Regex | MatchOp::NotRegex) {
            self.check_regex(span, &value)?;
        }
        Ok((op, value))
    }

    pub(super) fn check_regex(&self, span: Span, regex: &str) -> Parsed<regex::Regex> {
        match regex::Regex::new(regex) {
            Ok(regex) => Ok(regex),
            Err(error) => self.fail(span, format!("bad regular expression: {error}")),
        }
    }

    /// Stages up to something that is none; `unwrap` is left alone.
    pub(super) fn stages(&mut self) -> Parsed<Vec<Stage>> {
        let mut stages = Vec::new();
        loop {
            if let Some(op) = line_op(self.peek()) {
                self.next();
                stages.push(self.line_filter(op)?);
            } else if *self.peek() == Token::Op("|") && !matches!(self.peek_at(1), Token::Ident(n) if n == "unwrap") {
                self.next();
                stages.push(self.stage()?);
            } else {
                return Ok(stages);
            }
            if stages.len() > limits::STAGES_MAX {
                return self.fail(self.span(), format!("more than {} stages", limits::STAGES_MAX));
            }
        }
    }

    fn line_filter(&mut self, op: LineOp) -> Parsed<Stage> {
        let mut terms = vec![self.line_term(op)?];
        while matches!(self.peek(), Token::Ident(n) if n == "or")
            && (matches!(self.peek_at(1), Token::Text(_)) || matches!(self.peek_at(1), Token::Ident(n) if n == "ip"))
        {
            self.next();
            terms.push(self.line_term(op)?);
        }
        Ok(Stage::Line { op, terms })
    }

    fn line_term(&mut self, op: LineOp) -> Parsed<LineTerm> {
        let span = self.span();
        if matches!(self.peek(), Token::Ident(n) if n == "ip") && *self.peek_at(1) == Token::Op("(") {
            if !matches!(op, LineOp::Contains | LineOp::NotContains) {
                return self.fail(span, "ip() goes with |= and != only");
            }
            return self.ip().map(LineTerm::Ip);
        }
        let text = self.string("a string")?;
        match op {
            LineOp::Matches | LineOp::NotMatches => {
                self.check_regex(span, &text)?;
            }
            LineOp::Pattern | LineOp::NotPattern => {
                if let Err(why) = pipeline::check_line_pattern(&text) {
                    return self.fail(span, why);
                }
            }
            LineOp::Contains | LineOp::NotContains | LineOp::Word => {}
        }
        Ok(LineTerm::Text(text))
    }

    /// `ip("...")`, checked.
    pub(super) fn ip(&mut self) -> Parsed<String> {
        self.next();
        self.expect("(")?;
        let span = self.span();
        let text = self.string("an address, a range or a network")?;
        self.expect(")")?;
        if let Err(why) = pipeline::check_ip(&text) {
            return self.fail(span, why);
        }
        Ok(text)
    }

    /// What follows a `|`.
    fn stage(&mut self) -> Parsed<Stage> {
        let span = self.span();
        let name = match self.peek() {
            Token::Ident(name) => name.clone(),
            Token::Op("(") => return self.label_filter().map(Stage::Label),
            _ => return self.unexpected("a stage or a label filter"),
        };
        let compares = matches!(self.peek_at(1), Token::Op("=" | "==" | "!=" | "=~" | "!~" | ">" | ">=" | "<" | "<="));
        // `| json != "x"` is the parser and then a line filter; no label filter has the name of a stage.
        match name.as_str() {
            "json" => {
                self.next();
                let pairs = self.extractions()?;
                for (_, path) in &pairs {
                    if let Err(why) = pipeline::check_json_path(path) {
                        return self.fail(span, why);
                    }
                }
                Ok(Stage::Json(pairs))
            }
            "logfmt" => {
                self.next();
                self.logfmt()
            }
            "regexp" => {
                self.next();
                let span = self.span();
                let text = self.string("a regular expression")?;
                let regex = self.check_regex(span, &text)?;
                if regex.capture_names().flatten().next().is_none() {
                    return self.fail(span, "at least one named capture must be supplied");
                }
                Ok(Stage::Regexp(text))
            }
            "pattern" => {
                self.next();
                let span = self.span();
                let text = self.string("a pattern")?;
                match pipeline::check_pattern(&text) {
                    Ok(()) => Ok(Stage::Pattern(text)),
                    Err(why) => self.fail(span, why),
                }
            }
            "unpack" if !compares => self.just(Stage::Unpack),
            "decolorize" if !compares => self.just(Stage::Decolorize),
            "line_format" => {
                self.next();
                self.template().map(Stage::LineFormat)
            }
            "label_format" => {
                self.next();
                self.label_format()
            }
            "drop" if !compares => {
                self.next();
                self.picks().map(Stage::Drop)
            }
            "keep" if !compares => {
                self.next();
                self.picks().map(Stage::Keep)
            }
            "xml" if !compares => self.fail(span, "the xml parser is not supported"),
            _ if compares => self.label_filter().map(Stage::Label),
            _ => self.fail(span, format!("unknown stage {name}, expecting json, logfmt, regexp, pattern, unpack, line_format, label_format, drop, keep, decolorize or a label filter")),
        }
    }

    fn just(&mut self, stage: Stage) -> Parsed<Stage> {
        self.next();
        Ok(stage)
    }

    /// `a="x.y", b`
    fn extractions(&mut self) -> Parsed<Vec<(String, String)>> {
        let mut pairs = Vec::new();
        while let Token::Ident(name) = self.peek().clone() {
            self.next();
            let path = if self.take("=") { self.string("a path")? } else { name.clone() };
            pairs.push((name, path));
            if !self.take(",") {
                break;
            }
        }
        Ok(pairs)
    }

    fn logfmt(&mut self) -> Parsed<Stage> {
        let (mut strict, mut keep_empty) = (false, false);
        while let Token::Flag(flag) = self.peek().clone() {
            match flag.as_str() {
                "strict" => strict = true,
                "keep-empty" => keep_empty = true,
                _ => {
                    return self
                        .fail(self.span(), format!("unknown flag --{flag}, expecting --strict or --keep-empty"));
                }
            }
            self.next();
        }
        Ok(Stage::Logfmt { strict, keep_empty, pairs: self.extractions()? })
    }

    fn template(&mut self) -> Parsed<String> {
        let span = self.span();
        let text = self.string("a template")?;
        match pipeline::check_template(&text) {
            Ok(()) => Ok(text),
            Err(why) => self.fail(span, format!("bad template: {why}")),
        }
    }

    fn label_format(&mut self) -> Parsed<Stage> {
        let mut formats: Vec<(String, Format)> = Vec::new();
        loop {
            let span = self.span();
            let name = self.ident("a label name")?;
            if formats.iter().any(|(n, _)| *n == name) {
                return self.fail(span, format!("label {name} is set twice in one label_format"));
            }
            self.expect("=")?;
            let format = match self.peek().clone() {
                Token::Ident(from) => {
                    self.next();
                    Format::Rename(from)
                }
                _ => Format::Template(self.template()?),
            };
            formats.push((name, format));
            if !self.take(",") {
                return Ok(Stage::LabelFormat(formats));
            }
        }
    }

    fn picks(&mut self) -> Parsed<Vec<Pick>> {
        let mut picks = Vec::new();
        loop {
            let name = self.ident("a label name")?;
            let has_value = matches!(self.peek(), Token::Op("=" | "==" | "!=" | "=~" | "!~"));
            let value = if has_value { Some(self.text_match()?) } else { None };
            picks.push(Pick { name, value });
            if !self.take(",") {
                return Ok(picks);
            }
        }
    }

    /// `| unwrap x | filters`, if it comes next.
    pub(super) fn unwrap_stage(&mut self) -> Parsed<Option<Unwrap>> {
        if *self.peek() != Token::Op("|") {
            return Ok(None);
        }
        self.next();
        self.next();
        let span = self.span();
        let name = self.ident("a label name")?;
        let (label, convert) = if self.take("(") {
            let convert = match name.as_str() {
                "duration" | "duration_seconds" => Convert::Duration,
                "bytes" => Convert::Bytes,
                _ => {
                    return self.fail(
                        span,
                        format!("unknown conversion {name}, expecting duration, duration_seconds or bytes"),
                    );
                }
            };
            let label = self.ident("a label name")?;
            self.expect(")")?;
            (label, convert)
        } else {
            (name, Convert::Number)
        };
        let mut filters = Vec::new();
        while *self.peek() == Token::Op("|") {
            let span = self.span();
            self.next();
            match self.stage()? {
                Stage::Label(filter) => filters.push(filter),
                _ => return self.fail(span, "only label filters may follow unwrap"),
            }
        }
        Ok(Some(Unwrap { label, convert, filters }))
    }

    pub(super) fn text_filter(&mut self, name: String) -> Parsed<Selector> {
        let (op, value) = self.text_match()?;
        Ok(Selector { name, op, value })
    }
}

fn line_op(token: &Token) -> Option<LineOp> {
    Some(match token {
        Token::Op("|=") => LineOp::Contains,
        Token::Op("!=") => LineOp::NotContains,
        Token::Op("|~") => LineOp::Matches,
        Token::Op("!~") => LineOp::NotMatches,
        Token::Op("|>") => LineOp::Pattern,
        Token::Op("!>") => LineOp::NotPattern,
        _ => return None,
    })
}
