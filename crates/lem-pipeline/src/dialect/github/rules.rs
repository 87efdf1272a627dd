//! Whether a job runs, and which jobs its matrix gives.

use super::{GithubPlan, context};
use crate::machine::{Before, Leg, Legs, NodeResult, Rules, Scope, Verdict};
use lem_engine_gha::matrix::{Combination, expand};
use lem_engine_gha::{Context, Job, Kind, Status, Token};

impl Rules for GithubPlan {
    fn verdict(&self, node: usize, scope: &Scope<'_>) -> Result<Verdict, String> {
        let job = self.job(node);
        let condition = &job.condition;
        if !condition.calls_status
            && let Some(why) = held_back(scope)
        {
            return Ok(Verdict { run: false, why });
        }
        let mut context = context::of_node(self, scope);
        if scope.before == Before::Skipped {
            context.status = status_when_skipped(condition.expr.source());
        }
        let value = condition.expr.evaluate(&context).map_err(|error| format!("{}: {error}", condition.place))?;
        let shown = if condition.source.is_empty() { "success()" } else { condition.source.trim() };
        let what = if value.is_truthy() { "holds" } else { "does not hold" };
        Ok(Verdict { run: value.is_truthy(), why: format!("its condition {shown} {what} ({})", condition.place) })
    }

    fn legs(&self, node: usize, scope: &Scope<'_>) -> Result<Legs, String> {
        let job = self.job(node);
        let context = context::of_node(self, scope);
        let strategy = job.strategy.as_ref();
        let value = |token: Option<&Token>| token.map(|t| t.evaluate(&context).map_err(|e| e.to_string())).transpose();
        let fail_fast = value(strategy.and_then(|s| s.fail_fast.as_ref()))?.is_none_or(|v| v.is_truthy());
        let max_parallel = value(strategy.and_then(|s| s.max_parallel.as_ref()))?.map(|v| v.to_number());
        let max_parallel = max_parallel.filter(|n| *n >= 1.0).map(|n| n as usize);
        let legs = match strategy.and_then(|s| s.matrix.as_ref()) {
            None => vec![Self::leg(job, None, &context)],
            Some(matrix) => {
                let value = matrix.evaluate(&context).map_err(|e| e.to_string())?;
                let combinations = expand(&value).map_err(|e| format!("{}: {e}", matrix.place))?;
                combinations.into_iter().map(|c| Self::leg(job, Some(c), &context)).collect()
            }
        };
        Ok(Legs { legs: distinct(legs), fail_fast, max_parallel })
    }
}

impl GithubPlan {
    /// A leg with its name: the job's, with the matrix values in brackets unless the name uses expressions itself.
    fn leg(job: &Job, combination: Option<Combination>, context: &Context) -> Leg {
        let id = &job.id.value;
        let Some(combination) = combination else {
            let name = job.name.as_ref().and_then(|token| token.evaluate_text(context).ok());
            return Leg { key: id.clone(), name: name.unwrap_or_else(|| id.clone()), matrix: serde_json::Value::Null };
        };
        let context = context.clone().with("matrix", combination.values.clone());
        let name = match job.name.as_ref().map(|token| (token.evaluate_text(&context), token.has_expression())) {
            Some((Ok(text), true)) => text,
            Some((Ok(text), false)) => combination.name(&text),
            _ => combination.name(id),
        };
        Leg { key: combination.name(id), name, matrix: combination.values.to_json() }
    }
}

/// Whether the combinations of a matrix depend on what other jobs give.
pub(super) fn is_dynamic(token: &Token) -> bool {
    match &token.kind {
        Kind::Expression(expr) => expr.contexts().iter().any(|c| c == "needs"),
        Kind::Sequence(items) => items.iter().any(is_dynamic),
        Kind::Mapping(entries) => entries.iter().any(|(k, v)| is_dynamic(k) || is_dynamic(v)),
        _ => false,
    }
}

/// Two combinations may look alike; keys may not.
fn distinct(mut legs: Vec<Leg>) -> Vec<Leg> {
    let mut seen = std::collections::HashMap::new();
    for leg in &mut legs {
        let count = seen.entry(leg.key.clone()).and_modify(|n| *n += 1).or_insert(1);
        if *count > 1 {
            leg.key = format!("{} #{count}", leg.key);
        }
    }
    legs
}

/// Why a job whose condition calls no status function does not run, when that follows from its needs alone.
fn held_back(scope: &Scope<'_>) -> Option<String> {
    match scope.before {
        Before::Success => None,
        Before::Cancelled => Some("the run was cancelled".into()),
        Before::Failure | Before::Skipped => {
            let did = |result| match result {
                NodeResult::Failure => "failed",
                NodeResult::Cancelled => "was cancelled",
                _ => "was skipped",
            };
            let held = scope.needs.iter().find(|need| need.result != NodeResult::Success);
            Some(match held {
                Some(need) => format!("needs {}, which {} ({})", need.id, did(need.result), need.place),
                None => "an earlier job failed".into(),
            })
        }
    }
}

/// After a skipped need `success()`, `failure()` and `cancelled()` are all false. The evaluator knows three states of
/// which each makes one of them true; the one whose function the condition does not call gives the right value.
fn status_when_skipped(source: &str) -> Status {
    let source = source.to_ascii_lowercase();
    if !source.contains("success") {
        Status::Success
    } else if !source.contains("failure") {
        Status::Failure
    } else {
        Status::Cancelled
    }
}
