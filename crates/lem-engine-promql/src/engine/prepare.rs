//! Before anything is read: duration expressions become durations, `start()` and `end()` become
//! times, and `info` gets its default selector.

use crate::ast::{At, DurationExpr, DurationOp, DurationValue, Expr, TimeModifiers, VectorSelector};
use crate::error::QueryError;
use crate::labels::{METRIC_NAME, Matcher};
use crate::parse::millis;

/// The info metric that is used when none is named.
const DEFAULT_INFO_METRIC: &str = "target_info";

#[derive(Debug, Clone, Copy)]
struct Query {
    start: i64,
    end: i64,
    step: i64,
}

pub(super) fn prepare(expr: &mut Expr, start: i64, end: i64, step: i64) -> Result<(), QueryError> {
    let mut next_id = 0;
    count_selectors(expr, &mut next_id);
    walk(expr, Query { start, end, step }, &mut next_id)
}

fn count_selectors(expr: &Expr, next_id: &mut u32) {
    match expr {
        Expr::Vector(v) => *next_id = (*next_id).max(v.id + 1),
        Expr::Matrix(m) => *next_id = (*next_id).max(m.vector.id + 1),
        other => {
            for child in other.children() {
                count_selectors(child, next_id);
            }
        }
    }
}

fn walk(expr: &mut Expr, query: Query, next_id: &mut u32) -> Result<(), QueryError> {
    match expr {
        Expr::Number(_) | Expr::String(_) => Ok(()),
        Expr::Vector(selector) => times(&mut selector.time, query),
        Expr::Matrix(matrix) => {
            times(&mut matrix.vector.time, query)?;
            positive(&mut matrix.range, query)
        }
        Expr::Subquery(subquery) => {
            times(&mut subquery.time, query)?;
            positive(&mut subquery.range, query)?;
            if let Some(step) = &mut subquery.step {
                positive(step, query)?;
            }
            walk(&mut subquery.expr, query, next_id)
        }
        Expr::Call(call) => {
            for arg in &mut call.args {
                walk(arg, query, next_id)?;
            }
            if call.func == "info" {
                info_selector(&mut call.args, next_id);
            }
            Ok(())
        }
        Expr::Aggregate(aggregate) => {
            if let Some(param) = &mut aggregate.param {
                walk(param, query, next_id)?;
            }
            walk(&mut aggregate.expr, query, next_id)
        }
        Expr::Binary(binary) => {
            walk(&mut binary.lhs, query, next_id)?;
            walk(&mut binary.rhs, query, next_id)
        }
        Expr::Unary(unary) => walk(&mut unary.expr, query, next_id),
        Expr::Paren(inner, _) => walk(inner, query, next_id),
    }
}

fn times(time: &mut TimeModifiers, query: Query) -> Result<(), QueryError> {
    match time.at {
        Some(At::Start) => time.at = Some(At::Time(query.start)),
        Some(At::End) => time.at = Some(At::Time(query.end)),
        Some(At::Time(_)) | None => {}
    }
    resolve(&mut time.offset, query, Sign::Any)
}

fn positive(value: &mut DurationValue, query: Query) -> Result<(), QueryError> {
    resolve(value, query, Sign::Positive)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Any,
    Positive,
}

fn fail<T>(expr: &DurationExpr, text: &str) -> Result<T, QueryError> {
    let span = expr.span();
    Err(QueryError::execution(format!("{}:{}: {text}", span.start, span.end)))
}

fn resolve(value: &mut DurationValue, query: Query, sign: Sign) -> Result<(), QueryError> {
    let Some(expr) = &value.expr else {
        return Ok(());
    };
    let seconds = seconds(expr, query)?;
    if sign == Sign::Positive && seconds <= 0.0 {
        return fail(expr, "duration must be greater than 0");
    }
    let limit = (i64::MAX / 1_000_000) as f64 / 1000.0;
    if seconds.is_nan() || seconds.abs() > limit {
        return fail(expr, "duration is out of range");
    }
    value.ms = millis(seconds);
    Ok(())
}

fn seconds(expr: &DurationExpr, query: Query) -> Result<f64, QueryError> {
    Ok(match expr {
        DurationExpr::Number(n) => n.value,
        DurationExpr::Step(_) => query.step as f64 / 1000.0,
        DurationExpr::Range(_) => (query.end - query.start) as f64 / 1000.0,
        DurationExpr::Paren(inner, _) => seconds(inner, query)?,
        DurationExpr::Sign { negative, expr, .. } => {
            let value = seconds(expr, query)?;
            if *negative { -value } else { value }
        }
        DurationExpr::Binary { op, lhs, rhs, .. } => {
            let (a, b) = (seconds(lhs, query)?, seconds(rhs, query)?);
            match op {
                DurationOp::Add => a + b,
                DurationOp::Sub => a - b,
                DurationOp::Mul => a * b,
                DurationOp::Div if b == 0.0 => return fail(expr, "division by zero"),
                DurationOp::Div => a / b,
                DurationOp::Mod if b == 0.0 => return fail(expr, "modulo by zero"),
                DurationOp::Mod => a % b,
                DurationOp::Pow => a.powf(b),
                DurationOp::Min => a.min(b),
                DurationOp::Max => a.max(b),
            }
        }
    })
}

/// Info series are looked up at the time of the first selector they are for.
fn info_selector(args: &mut Vec<Expr>, next_id: &mut u32) {
    let Some(first) = args.first() else { return };
    let time = first_selector(first).map(|v| v.time.clone()).unwrap_or_default();
    if args.len() == 1 {
        let span = args[0].span();
        args.push(Expr::Vector(VectorSelector {
            id: *next_id,
            name: String::new(),
            matchers: vec![Matcher::equal(METRIC_NAME, DEFAULT_INFO_METRIC)],
            time: TimeModifiers::default(),
            extended: None,
            span,
        }));
        *next_id += 1;
    }
    if let Some(Expr::Vector(selector)) = args.get_mut(1) {
        selector.time = time;
        if !selector.matchers.iter().any(|m| m.name == METRIC_NAME) {
            let name = Matcher::equal(METRIC_NAME, DEFAULT_INFO_METRIC);
            selector.matchers.push(name);
        }
    }
}

fn first_selector(expr: &Expr) -> Option<&VectorSelector> {
    match expr {
        Expr::Vector(v) => Some(v),
        Expr::Matrix(m) => Some(&m.vector),
        other => other.children().into_iter().find_map(first_selector),
    }
}
