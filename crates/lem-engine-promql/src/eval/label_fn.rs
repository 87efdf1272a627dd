//! `label_replace` and `label_join`.

use super::{Eval, Evaluator, Grid, Val, merge_same_labels};
use crate::ast::{Call, Expr, StringLiteral};
use crate::error::QueryError;
use crate::labels::{METRIC_NAME, anchored_regex};

/// The text argument at a place; arguments were type-checked before.
pub(super) fn text_arg(call: &Call, i: usize) -> Eval<&StringLiteral> {
    match call.args.get(i).map(Expr::unwrap_paren) {
        Some(Expr::String(literal)) => Ok(literal),
        _ => Err(QueryError::execution("expected a string literal")),
    }
}

pub(super) fn is_valid_label_name(literal: &StringLiteral) -> bool {
    literal.raw.is_none() && !literal.value.is_empty()
}

impl Evaluator<'_> {
    pub(super) fn label_replace(&mut self, call: &Call, grid: Grid) -> Eval<Val> {
        let target = text_arg(call, 1)?;
        let template = &text_arg(call, 2)?.value;
        let source = &text_arg(call, 3)?.value;
        let pattern = &text_arg(call, 4)?.value;
        let regex = anchored_regex(pattern)
            .map_err(|_| QueryError::execution(format!("invalid regular expression in label_replace(): {pattern}")))?;
        if !is_valid_label_name(target) {
            return Err(QueryError::execution(format!(
                "invalid destination label name in label_replace(): {}",
                target.value
            )));
        }
        let mut columns = self.vector(&call.args[0], grid)?;
        for column in &mut columns {
            let Some(captures) = regex.captures(column.labels.get(source)) else {
                continue;
            };
            let mut value = String::new();
            captures.expand(template, &mut value);
            column.labels = column.labels.with(&target.value, &value);
            if target.value == METRIC_NAME {
                column.drop_name = false;
            }
        }
        Ok(Val::Vector(merge_same_labels(columns)?))
    }

    pub(super) fn label_join(&mut self, call: &Call, grid: Grid) -> Eval<Val> {
        let target = text_arg(call, 1)?;
        let separator = &text_arg(call, 2)?.value;
        let mut sources = Vec::new();
        for i in 3..call.args.len() {
            let source = text_arg(call, i)?;
            if !is_valid_label_name(source) {
                return Err(QueryError::execution(format!(
                    "invalid source label name in label_join(): {}",
                    source.value
                )));
            }
            sources.push(&source.value);
        }
        if !is_valid_label_name(target) {
            return Err(QueryError::execution(format!(
                "invalid destination label name in label_join(): {}",
                target.value
            )));
        }
        let mut columns = self.vector(&call.args[0], grid)?;
        for column in &mut columns {
            let values: Vec<&str> = sources.iter().map(|s| column.labels.get(s)).collect();
            let value = values.join(separator);
            column.labels = column.labels.with(&target.value, &value);
            if target.value == METRIC_NAME {
                column.drop_name = false;
            }
        }
        Ok(Val::Vector(merge_same_labels(columns)?))
    }
}
