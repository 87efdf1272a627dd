//! Metric queries: functions over windows, aggregations, operators.

use super::{Parsed, Parser};
use crate::ast::{BinaryOp, Compare, Grouping, LogExpr, Matching, Metric, RangeExpr, RangeOp, Side, Unwrap, VectorOp};
use crate::error::Span;
use crate::lex::Token;
use crate::limits;

const RANGE_OPS: [(&str, RangeOp); 15] = [
    ("rate", RangeOp::Rate),
    ("rate_counter", RangeOp::RateCounter),
    ("count_over_time", RangeOp::Count),
    ("bytes_rate", RangeOp::BytesRate),
    ("bytes_over_time", RangeOp::Bytes),
    ("sum_over_time", RangeOp::Sum),
    ("avg_over_time", RangeOp::Avg),
    ("max_over_time", RangeOp::Max),
    ("min_over_time", RangeOp::Min),
    ("first_over_time", RangeOp::First),
    ("last_over_time", RangeOp::Last),
    ("stdvar_over_time", RangeOp::Stdvar),
    ("stddev_over_time", RangeOp::Stddev),
    ("quantile_over_time", RangeOp::Quantile),
    ("absent_over_time", RangeOp::Absent),
];

const VECTOR_OPS: [(&str, VectorOp); 12] = [
    ("sum", VectorOp::Sum),
    ("avg", VectorOp::Avg),
    ("min", VectorOp::Min),
    ("max", VectorOp::Max),
    ("count", VectorOp::Count),
    ("stddev", VectorOp::Stddev),
    ("stdvar", VectorOp::Stdvar),
    ("topk", VectorOp::Topk),
    ("bottomk", VectorOp::Bottomk),
    ("sort", VectorOp::Sort),
    ("sort_desc", VectorOp::SortDesc),
    ("approx_topk", VectorOp::ApproxTopk),
];

pub(super) fn is_function(name: &str) -> bool {
    matches!(name, "vector" | "label_replace")
        || RANGE_OPS.iter().any(|(n, _)| *n == name)
        || VECTOR_OPS.iter().any(|(n, _)| *n == name)
}

fn find<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(n, _)| *n == name).map(|(_, op)| *op)
}

impl Parser<'_> {
    pub(super) fn metric(&mut self) -> Parsed<Metric> {
        self.binary(0)
    }

    /// Precedence climbing; a higher rank binds tighter.
    fn binary(&mut self, min_rank: u8) -> Parsed<Metric> {
        let mut lhs = self.deeper(Self::unary)?;
        let mut chained = 0;
        while let Some((op, rank)) = binary_op(self.peek()) {
            if rank < min_rank {
                break;
            }
            chained += 1;
            if chained > limits::STAGES_MAX {
                return self.fail(self.span(), format!("more than {} operators in a row", limits::STAGES_MAX));
            }
            let span = self.span();
            self.next();
            let as_bool = self.take_word("bool");
            if as_bool && !matches!(op, BinaryOp::Compare(_)) {
                return self.fail(span, "bool goes with comparisons only");
            }
            let matching = self.matching(op)?;
            // Power associates to the right.
            let next_rank = if op == BinaryOp::Pow { rank } else { rank + 1 };
            let rhs = self.deeper(|p| p.binary(next_rank))?;
            let is_set = matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless);
            if is_set && (matches!(lhs, Metric::Number(_)) || matches!(rhs, Metric::Number(_))) {
                return self.fail(span, "set operators do not work on numbers");
            }
            lhs = Metric::Binary { op, as_bool, matching, lhs: Box::new(lhs), rhs: Box::new(rhs) };
        }
        Ok(lhs)
    }

    fn matching(&mut self, op: BinaryOp) -> Parsed<Matching> {
        let mut matching = Matching::default();
        if self.take_word("on") {
            matching.labels = Some(Grouping::By(self.names()?));
        } else if self.take_word("ignoring") {
            matching.labels = Some(Grouping::Without(self.names()?));
        }
        let span = self.span();
        let side = if self.take_word("group_left") {
            Side::Left
        } else if self.take_word("group_right") {
            Side::Right
        } else {
            return Ok(matching);
        };
        if matching.labels.is_none() {
            return self.fail(span, "group_left and group_right follow on() or ignoring()");
        }
        if matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless) {
            return self.fail(span, "set operators have no groups");
        }
        let labels = if *self.peek() == Token::Op("(") { self.names()? } else { Vec::new() };
        matching.many = Some((side, labels));
        Ok(matching)
    }

    fn unary(&mut self) -> Parsed<Metric> {
        match self.peek().clone() {
            Token::Number(n) => {
                self.next();
                Ok(Metric::Number(n))
            }
            Token::Op("-" | "+") => self.number("a number").map(Metric::Number),
            Token::Op("(") => {
                self.next();
                let inner = self.metric()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Ident(name) => self.function(&name),
            Token::Op("{") => {
                self.fail(self.span(), "a log query has no number; use a function such as count_over_time({...}[5m])")
            }
            _ => self.unexpected("a function, a number or a selector"),
        }
    }

    fn function(&mut self, name: &str) -> Parsed<Metric> {
        let span = self.span();
        if let Some(op) = find(&RANGE_OPS, name) {
            self.next();
            return self.range_function(op, name, span);
        }
        if let Some(op) = find(&VECTOR_OPS, name) {
            self.next();
            return self.aggregate(op, name, span);
        }
        match name {
            "vector" => {
                self.next();
                self.expect("(")?;
                let value = self.number("a number")?;
                self.expect(")")?;
                Ok(Metric::Vector(value))
            }
            "label_replace" => {
                self.next();
                self.label_replace()
            }
            _ => self.fail(span, format!("unknown function {name}")),
        }
    }

    fn label_replace(&mut self) -> Parsed<Metric> {
        self.expect("(")?;
        let inner = Box::new(self.metric()?);
        let mut texts = Vec::new();
        let mut last = self.span();
        for what in ["the target label", "the replacement", "the source label", "the regular expression"] {
            self.expect(",")?;
            last = self.span();
            texts.push(self.string(what)?);
        }
        self.expect(")")?;
        let mut texts = texts.into_iter();
        let mut text = || texts.next().unwrap_or_default();
        let (dst, replacement, src, regex) = (text(), text(), text(), text());
        self.check_regex(last, &regex)?;
        Ok(Metric::LabelReplace { inner, dst, replacement, src, regex })
    }

    fn aggregate(&mut self, op: VectorOp, name: &str, span: Span) -> Parsed<Metric> {
        let mut grouping = self.grouping()?;
        self.expect("(")?;
        let takes_k = matches!(op, VectorOp::Topk | VectorOp::Bottomk | VectorOp::ApproxTopk);
        let param = if takes_k {
            let span = self.span();
            let k = self.number("a number")?;
            if k < 1.0 || k.fract() != 0.0 {
                return self.fail(span, format!("{name} needs a whole number above 0"));
            }
            self.expect(",")?;
            Some(k)
        } else {
            None
        };
        let inner = Box::new(self.metric()?);
        if matches!(*inner, Metric::Number(_)) {
            return self.fail(span, format!("{name} needs a vector, not a number"));
        }
        self.expect(")")?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        if grouping.is_some() && matches!(op, VectorOp::Sort | VectorOp::SortDesc | VectorOp::ApproxTopk) {
            return self.fail(span, format!("grouping is not allowed for {name}"));
        }
        Ok(Metric::Aggregate { op, param, inner, grouping })
    }

    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        if self.take_word("by") {
            return self.names().map(|n| Some(Grouping::By(n)));
        }
        if self.take_word("without") {
            return self.names().map(|n| Some(Grouping::Without(n)));
        }
        Ok(None)
    }

    fn names(&mut self) -> Parsed<Vec<String>> {
        self.expect("(")?;
        let mut names = Vec::new();
        while !self.take(")") {
            if !names.is_empty() {
                self.expect(",")?;
            }
            names.push(self.ident("a label name")?);
        }
        Ok(names)
    }

    fn range_function(&mut self, op: RangeOp, name: &str, span: Span) -> Parsed<Metric> {
        self.expect("(")?;
        let param = if op == RangeOp::Quantile {
            let quantile = self.number("the quantile")?;
            self.expect(",")?;
            Some(quantile)
        } else {
            None
        };
        let (log, unwrap, range_ns, offset_ns) = self.window()?;
        self.expect(")")?;
        let group_span = self.span();
        let grouping = self.grouping()?;
        let expr = RangeExpr { op, param, log, unwrap, range_ns, offset_ns, grouping };
        match complaint(&expr) {
            None => Ok(Metric::Range(Box::new(expr))),
            Some(Complaint::Grouping) => self.fail(group_span, format!("grouping is not allowed for {name}")),
            Some(Complaint::NeedsUnwrap) => self.fail(span, format!("{name} needs | unwrap")),
            Some(Complaint::NoUnwrap) => self.fail(span, format!("{name} does not work with | unwrap")),
        }
    }

    /// `{...} stages [5m] offset 1h` or `{...}[5m] offset 1h stages`.
    fn window(&mut self) -> Parsed<(LogExpr, Option<Unwrap>, i64, i64)> {
        if *self.peek() == Token::Op("(") && self.parenthesised_window() {
            self.next();
            let inner = self.deeper(Self::window)?;
            self.expect(")")?;
            return Ok(inner);
        }
        let start = self.span().start;
        let mut log = if *self.peek() == Token::Op("(") {
            self.log_expr()?
        } else {
            LogExpr { selector: self.selector()?, stages: Vec::new(), span: Span::default() }
        };
        let mut range = self.range()?;
        log.stages.extend(self.stages()?);
        let unwrap = self.unwrap_stage()?;
        if range.is_none() {
            range = self.range()?;
        }
        log.span = Span { start, end: self.span().start };
        let Some((range_ns, offset_ns)) = range else { return self.unexpected("a range such as [5m]") };
        Ok((log, unwrap, range_ns, offset_ns))
    }

    /// True if the range stands inside the parenthesis that begins here.
    fn parenthesised_window(&self) -> bool {
        let mut depth = 0;
        for ahead in 0.. {
            match self.peek_at(ahead) {
                Token::Op("(") => depth += 1,
                Token::Op(")") if depth == 1 => return false,
                Token::Op(")") => depth -= 1,
                Token::Op("[") => return true,
                Token::End => return false,
                _ => {}
            }
        }
        false
    }

    fn range(&mut self) -> Parsed<Option<(i64, i64)>> {
        if !self.take("[") {
            return Ok(None);
        }
        let span = self.span();
        let range = self.duration()?;
        if range <= 0 {
            return self.fail(span, "the range has to be longer than 0");
        }
        self.expect("]")?;
        if !self.take_word("offset") {
            return Ok(Some((range, 0)));
        }
        let sign = if self.take("-") { -1 } else { 1 };
        Ok(Some((range, sign * self.duration()?)))
    }
}

enum Complaint {
    Grouping,
    NeedsUnwrap,
    NoUnwrap,
}

/// What the documentation does not allow.
fn complaint(expr: &RangeExpr) -> Option<Complaint> {
    use RangeOp::{Avg, Bytes, BytesRate, Count, First, Last, Max, Min, Quantile, RateCounter, Stddev, Stdvar, Sum};
    let unwrapped = expr.unwrap.is_some();
    match expr.op {
        Count | BytesRate | Bytes if unwrapped => return Some(Complaint::NoUnwrap),
        RateCounter | Sum | Avg | Max | Min | First | Last | Stdvar | Stddev | Quantile if !unwrapped => {
            return Some(Complaint::NeedsUnwrap);
        }
        _ => {}
    }
    let may_group = matches!(expr.op, Avg | Max | Min | First | Last | Stdvar | Stddev | Quantile);
    (expr.grouping.is_some() && !may_group).then_some(Complaint::Grouping)
}

fn binary_op(token: &Token) -> Option<(BinaryOp, u8)> {
    Some(match token {
        Token::Ident(n) if n == "or" => (BinaryOp::Or, 1),
        Token::Ident(n) if n == "and" => (BinaryOp::And, 2),
        Token::Ident(n) if n == "unless" => (BinaryOp::Unless, 2),
        Token::Op("==") => (BinaryOp::Compare(Compare::Equal), 3),
        Token::Op("!=" | ">" | ">=" | "<" | "<=") => (BinaryOp::Compare(super::filter::compare(token)?), 3),
        Token::Op("+") => (BinaryOp::Add, 4),
        Token::Op("-") => (BinaryOp::Sub, 4),
        Token::Op("*") => (BinaryOp::Mul, 5),
        Token::Op("/") => (BinaryOp::Div, 5),
        Token::Op("%") => (BinaryOp::Mod, 5),
        Token::Op("^") => (BinaryOp::Pow, 6),
        _ => return None,
    })
}
