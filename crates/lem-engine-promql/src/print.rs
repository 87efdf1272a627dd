//! Expressions back to text: on one line, and laid out over several (`format_query`).

use std::fmt::{self, Write as _};

use crate::ast::{
    Aggregate, At, Binary, Call, Cardinality, DurationExpr, DurationOp, DurationValue, Expr, Extended, Grouping,
    Matching, MatrixSelector, Subquery, TimeModifiers, VectorSelector,
};
use crate::labels::{METRIC_NAME, MatchOp, is_legacy_label_name, is_legacy_metric_name};
use crate::number::{format_duration, format_plain, quote, quote_bytes};

/// Lines longer than this are broken.
pub const LINE_WIDTH: usize = 100;

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) if n.is_duration => f.write_str(&signed_duration(millis(n.value))),
            Self::Number(n) => f.write_str(&format_plain(n.value)),
            Self::String(s) => match &s.raw {
                Some(raw) => f.write_str(&quote_bytes(raw)),
                None => f.write_str(&quote(&s.value)),
            },
            Self::Vector(v) => f.write_str(&selector(v)),
            Self::Matrix(m) => f.write_str(&matrix(m)),
            Self::Subquery(s) => write!(f, "{}{}", s.expr, subquery_suffix(s)),
            Self::Call(c) => write!(f, "{}({})", c.func, arguments(c)),
            Self::Aggregate(a) => {
                write!(f, "{}(", aggregate_head(a))?;
                if let Some(param) = &a.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", a.expr)
            }
            Self::Binary(b) => write!(f, "{} {} {}", b.lhs, operator(b), b.rhs),
            Self::Unary(u) => write!(f, "{}{}", if u.negative { '-' } else { '+' }, u.expr),
            Self::Paren(inner, _) => write!(f, "({inner})"),
        }
    }
}

fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

fn signed_duration(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}", format_duration(ms))
}

fn arguments(call: &Call) -> String {
    let args: Vec<String> = call.args.iter().map(ToString::to_string).collect();
    args.join(", ")
}

fn label_names(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|n| if is_legacy_label_name(n) { n.clone() } else { quote(n) }).collect();
    names.join(", ")
}

fn aggregate_head(aggregate: &Aggregate) -> String {
    let name = aggregate.op.name();
    let Grouping { without, labels } = &aggregate.grouping;
    if *without {
        format!("{name} without ({}) ", label_names(labels))
    } else if labels.is_empty() {
        name.to_owned()
    } else {
        format!("{name} by ({}) ", label_names(labels))
    }
}

/// The operator with its modifiers.
fn operator(binary: &Binary) -> String {
    let mut out = binary.op.symbol().to_owned();
    if binary.return_bool {
        out.push_str(" bool");
    }
    if let Some(m) = &binary.matching {
        out.push_str(&matching(m));
    }
    out
}

fn matching(m: &Matching) -> String {
    let mut out = String::new();
    let grouped = match m.card {
        Cardinality::ManyToOne => Some("group_left"),
        Cardinality::OneToMany => Some("group_right"),
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
    };
    if !m.labels.is_empty() || m.on || grouped.is_some() {
        let word = if m.on { "on" } else { "ignoring" };
        let _ = write!(out, " {word} ({})", label_names(&m.labels));
    }
    if let Some(word) = grouped {
        let _ = write!(out, " {word} ({})", label_names(&m.include));
    }
    match (m.fill_left, m.fill_right) {
        (Some(a), Some(b)) if a.to_bits() == b.to_bits() => {
            let _ = write!(out, " fill ({})", format_plain(a));
        }
        (left, right) => {
            for (word, value) in [("fill_left", left), ("fill_right", right)] {
                if let Some(value) = value {
                    let _ = write!(out, " {word} ({})", format_plain(value));
                }
            }
        }
    }
    out
}

fn extended_word(extended: Option<Extended>) -> &'static str {
    match extended {
        None => "",
        Some(Extended::Anchored) => " anchored",
        Some(Extended::Smoothed) => " smoothed",
    }
}

fn name_and_matchers(v: &VectorSelector) -> String {
    let plain = is_legacy_metric_name(&v.name);
    let mut parts: Vec<String> = v
        .matchers
        .iter()
        .filter(|m| {
            let is_name = m.name == METRIC_NAME && m.op == MatchOp::Equal && m.value == v.name;
            !is_name || v.name.is_empty()
        })
        .map(ToString::to_string)
        .collect();
    parts.sort();
    if !plain && !v.name.is_empty() {
        parts.insert(0, quote(&v.name));
    }
    let name = if plain { v.name.as_str() } else { "" };
    if parts.is_empty() && plain {
        return name.to_owned();
    }
    format!("{name}{{{}}}", parts.join(","))
}

fn at(time: &TimeModifiers) -> String {
    match time.at {
        None => String::new(),
        Some(At::Start) => " @ start()".to_owned(),
        Some(At::End) => " @ end()".to_owned(),
        Some(At::Time(ms)) => format!(" @ {:.3}", ms as f64 / 1000.0),
    }
}

fn offset(time: &TimeModifiers) -> String {
    match &time.offset.expr {
        Some(expr) => format!(" offset {}", duration(expr)),
        None if time.offset.ms == 0 => String::new(),
        None => format!(" offset {}", signed_duration(time.offset.ms)),
    }
}

fn selector(v: &VectorSelector) -> String {
    format!("{}{}{}{}", name_and_matchers(v), at(&v.time), extended_word(v.extended), offset(&v.time))
}

fn duration_value(value: &DurationValue) -> String {
    value.expr.as_ref().map_or_else(|| signed_duration(value.ms), duration)
}

fn matrix(m: &MatrixSelector) -> String {
    format!(
        "{}[{}]{}{}{}",
        name_and_matchers(&m.vector),
        duration_value(&m.range),
        extended_word(m.vector.extended),
        at(&m.vector.time),
        offset(&m.vector.time)
    )
}

fn subquery_suffix(s: &Subquery) -> String {
    let step = s.step.as_ref().map(duration_value).unwrap_or_default();
    format!("[{}:{step}]{}{}", duration_value(&s.range), at(&s.time), offset(&s.time))
}

fn duration(expr: &DurationExpr) -> String {
    match expr {
        DurationExpr::Number(n) if n.is_duration => signed_duration(millis(n.value)),
        DurationExpr::Number(n) => format_plain(n.value),
        DurationExpr::Step(_) => "step()".to_owned(),
        DurationExpr::Range(_) => "range()".to_owned(),
        DurationExpr::Paren(inner, _) => format!("({})", duration(inner)),
        DurationExpr::Sign { negative, expr, .. } => {
            let sign = if *negative { "-" } else { "" };
            format!("{sign}{}", duration(expr))
        }
        DurationExpr::Binary { op, lhs, rhs, .. } => {
            let (a, b) = (duration(lhs), duration(rhs));
            let symbol = match op {
                DurationOp::Add => "+",
                DurationOp::Sub => "-",
                DurationOp::Mul => "*",
                DurationOp::Div => "/",
                DurationOp::Mod => "%",
                DurationOp::Pow => "^",
                DurationOp::Min => return format!("min_of({a}, {b})"),
                DurationOp::Max => return format!("max_of({a}, {b})"),
            };
            format!("{a} {symbol} {b}")
        }
    }
}

/// Lays an expression out: what fits on a line stays on one, the rest is broken and indented.
pub fn format_query(expr: &Expr) -> String {
    layout(expr, 0)
}

fn indent(level: usize) -> String {
    "  ".repeat(level)
}

fn layout(expr: &Expr, level: usize) -> String {
    let pad = indent(level);
    let line = expr.to_string();
    if line.chars().count() <= LINE_WIDTH {
        return format!("{pad}{line}");
    }
    match expr {
        Expr::Number(_) | Expr::String(_) | Expr::Vector(_) | Expr::Matrix(_) => {
            format!("{pad}{line}")
        }
        Expr::Paren(inner, _) => format!("{pad}(\n{}\n{pad})", layout(inner, level + 1)),
        Expr::Unary(unary) => {
            let inner = layout(&unary.expr, level);
            let sign = if unary.negative { '-' } else { '+' };
            format!("{pad}{sign}{}", inner.trim_start())
        }
        Expr::Subquery(subquery) => {
            format!("{}{}", layout(&subquery.expr, level), subquery_suffix(subquery))
        }
        Expr::Binary(binary) => {
            format!("{}\n{pad}{}\n{}", layout(&binary.lhs, level + 1), operator(binary), layout(&binary.rhs, level + 1))
                .trim_end()
                .to_owned()
        }
        Expr::Call(call) => {
            let args: Vec<String> = call.args.iter().map(|a| layout(a, level + 1)).collect();
            format!("{pad}{}(\n{}\n{pad})", call.func, args.join(",\n"))
        }
        Expr::Aggregate(aggregate) => {
            let mut parts = Vec::new();
            if let Some(param) = &aggregate.param {
                parts.push(layout(param, level + 1));
            }
            parts.push(layout(&aggregate.expr, level + 1));
            format!("{pad}{}(\n{}\n{pad})", aggregate_head(aggregate), parts.join(",\n"))
        }
    }
}
