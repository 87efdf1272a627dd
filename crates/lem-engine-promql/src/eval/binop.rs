//! Binary operators: on two points, and between scalars and vectors.

use std::sync::Arc;

use super::{Column, Eval, Evaluator, Grid, Point, Val, merge_same_labels};
use crate::annotations::Note;
use crate::ast::{BinOp, Binary, Expr};
use crate::error::QueryError;
use crate::histogram::{CounterReset, FloatHistogram, Trim};
use crate::number::is_stale;

/// An operation's outcome: the point, and whether a comparison lets it through.
pub(super) struct Outcome {
    pub(super) point: Point,
    pub(super) keep: bool,
}

/// An operator on two floats; comparisons yield the left side.
pub(super) fn float_op(op: BinOp, a: f64, b: f64) -> (f64, bool) {
    match op {
        BinOp::Add => (a + b, true),
        BinOp::Sub => (a - b, true),
        BinOp::Mul => (a * b, true),
        BinOp::Div => (a / b, true),
        BinOp::Mod => (a % b, true),
        BinOp::Pow => (a.powf(b), true),
        BinOp::Atan2 => (a.atan2(b), true),
        BinOp::Eq => (a, a == b),
        BinOp::Ne => (a, a != b),
        BinOp::Lt => (a, a < b),
        BinOp::Le => (a, a <= b),
        BinOp::Gt => (a, a > b),
        BinOp::Ge => (a, a >= b),
        BinOp::TrimUpper | BinOp::TrimLower | BinOp::And | BinOp::Or | BinOp::Unless => (a, false),
    }
}

/// An operator on two points; notes what cannot be done.
pub(super) fn point_op(op: BinOp, a: &Point, b: &Point, note: &mut Option<Note>) -> Option<Outcome> {
    let kind = |p: &Point| match p {
        Point::Float(_) => "float",
        Point::Hist(_) => "histogram",
    };
    let kept = |h: FloatHistogram| Some(Outcome { point: Point::hist(h), keep: true });
    match (a, b) {
        (Point::Float(a), Point::Float(b)) if !matches!(op, BinOp::TrimUpper | BinOp::TrimLower) => {
            let (value, keep) = float_op(op, *a, *b);
            return Some(Outcome { point: Point::Float(value), keep });
        }
        (Point::Float(factor), Point::Hist(h)) | (Point::Hist(h), Point::Float(factor)) if op == BinOp::Mul => {
            let mut h = (**h).clone();
            h.mul(*factor);
            h.compact();
            return kept(h);
        }
        (Point::Hist(h), Point::Float(divisor)) if op == BinOp::Div => {
            let mut h = (**h).clone();
            h.div(*divisor);
            h.compact();
            return kept(h);
        }
        (Point::Hist(h), Point::Float(at)) if matches!(op, BinOp::TrimUpper | BinOp::TrimLower) => {
            let trim = if op == BinOp::TrimUpper { Trim::KeepBelow } else { Trim::KeepAbove };
            let mut h = (**h).clone();
            h.trim(*at, trim);
            h.compact();
            return kept(h);
        }
        (Point::Hist(a), Point::Hist(b)) => match op {
            BinOp::Add | BinOp::Sub => return add_sub(op, a, b, note),
            BinOp::Eq | BinOp::Ne => {
                return Some(Outcome { point: Point::Hist(Arc::clone(a)), keep: a.same_data(b) == (op == BinOp::Eq) });
            }
            _ => {}
        },
        _ => {}
    }
    *note = Some(Note::IncompatibleTypes { left: kind(a), op: op.symbol(), right: kind(b) });
    None
}

fn add_sub(op: BinOp, a: &FloatHistogram, b: &FloatHistogram, note: &mut Option<Note>) -> Option<Outcome> {
    let mut result = a.clone();
    let (combined, word) = if op == BinOp::Add { (result.add(b), "addition") } else { (result.sub(b), "subtraction") };
    let Ok(combined) = combined else {
        *note = Some(Note::MixedSchemas { metric: String::new() });
        return None;
    };
    if op == BinOp::Sub {
        result.counter_reset = CounterReset::Gauge;
    }
    if combined.bounds_reconciled {
        *note = Some(Note::BoundsReconciled(word));
    }
    if combined.reset_collision {
        *note = Some(Note::ResetCollision(word));
    }
    result.compact();
    Some(Outcome { point: Point::hist(result), keep: true })
}

impl Evaluator<'_> {
    /// Long chains lean to the left, so that side is followed in a loop, not by recursion.
    pub(super) fn binary(&mut self, binary: &Binary, grid: Grid) -> Eval<Val> {
        let mut chain = vec![binary];
        let mut leftmost = &*binary.lhs;
        while let Expr::Binary(inner) = leftmost {
            chain.push(inner);
            leftmost = &inner.lhs;
        }
        let mut value = self.eval(leftmost, grid)?;
        while let Some(node) = chain.pop() {
            let rhs = self.eval(&node.rhs, grid)?;
            value = self.combine(node, value, rhs, grid)?;
        }
        Ok(value)
    }

    fn combine(&mut self, binary: &Binary, lhs: Val, rhs: Val, grid: Grid) -> Eval<Val> {
        match (lhs, rhs) {
            (Val::Scalar(a), Val::Scalar(b)) => Ok(Val::Scalar(scalars(binary, &a, &b)?)),
            (Val::Vector(columns), Val::Scalar(scalar)) => {
                Ok(Val::Vector(self.vector_scalar(binary, columns, &scalar, Side::Right)?))
            }
            (Val::Scalar(scalar), Val::Vector(columns)) => {
                Ok(Val::Vector(self.vector_scalar(binary, columns, &scalar, Side::Left)?))
            }
            (Val::Vector(a), Val::Vector(b)) => {
                let out = if binary.op.is_set() {
                    super::matching::set_operation(binary, a, b, grid)
                } else {
                    self.vector_vector(binary, a, b, grid)?
                };
                self.account(out.len() * grid.n)?;
                Ok(Val::Vector(out))
            }
            _ => Err(QueryError::execution("binary expression must contain only scalar and instant vector types")),
        }
    }

    /// `scalar_side` is where the scalar stands.
    fn vector_scalar(
        &mut self,
        binary: &Binary,
        columns: Vec<Column>,
        scalar: &[f64],
        scalar_side: Side,
    ) -> Eval<Vec<Column>> {
        let op = binary.op;
        let mut out = Vec::with_capacity(columns.len());
        for column in columns {
            let mut result = Column::empty(column.labels.clone(), column.floats.len());
            result.drop_name = column.drop_name;
            if op.changes_metric() || binary.return_bool {
                self.drop_name(&mut result);
            }
            for (i, s) in scalar.iter().enumerate() {
                let Some(point) = column.point(i) else {
                    continue;
                };
                let other = Point::Float(*s);
                let (a, b) = match scalar_side {
                    Side::Right => (&point, &other),
                    Side::Left => (&other, &point),
                };
                let mut note = None;
                let outcome = point_op(op, a, b, &mut note);
                let noted = note.is_some();
                if let Some(note) = note {
                    self.note(note, binary.span);
                }
                let value = match outcome {
                    _ if binary.return_bool && !noted => {
                        let yes = outcome.is_some_and(|o| o.keep);
                        Some(Point::Float(f64::from(u8::from(yes))))
                    }
                    Some(o) if o.keep && op.is_comparison() => Some(point),
                    Some(o) if o.keep => Some(o.point),
                    _ => None,
                };
                if let Some(value) = value {
                    result.set(i, value);
                }
            }
            if !result.is_empty() {
                out.push(result);
            }
        }
        self.account(out.len() * scalar.len())?;
        merge_same_labels(out)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

fn scalars(binary: &Binary, a: &[f64], b: &[f64]) -> Eval<Vec<f64>> {
    if matches!(binary.op, BinOp::TrimUpper | BinOp::TrimLower) {
        return Err(QueryError::execution(format!(
            "operator {} not allowed for Scalar operations",
            crate::number::quote(binary.op.symbol())
        )));
    }
    Ok(a.iter()
        .zip(b)
        .map(|(a, b)| {
            let (value, keep) = float_op(binary.op, *a, *b);
            let value = if binary.op.is_comparison() { f64::from(u8::from(keep)) } else { value };
            // A marker could only come from a marker; a plain value takes its place.
            if is_stale(value) { f64::NAN } else { value }
        })
        .collect())
}
