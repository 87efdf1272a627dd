//! The same query pinned with `@`, evaluated at other times: the result must not change.

use crate::ast::{At, Expr, TimeModifiers};
use crate::parse::{Features, parse};

/// The query with every selector pinned to `t_ms`, and the times to evaluate it at. Nothing when
/// a function in it depends on the evaluation time.
pub(super) fn variants(query: &str, t_ms: i64) -> Option<(String, Vec<i64>)> {
    let mut expr = parse(query, &Features::ALL).ok()?;
    if depends_on_time(&expr) {
        return None;
    }
    pin(&mut expr, t_ms);
    let times = if t_ms == 0 { vec![-1000, 1000] } else { vec![-10 * t_ms, 0, t_ms / 5, t_ms, 10 * t_ms] };
    Some((expr.to_string(), times))
}

fn depends_on_time(expr: &Expr) -> bool {
    let own = match expr {
        Expr::Call(call) => {
            crate::funcs::depends_on_time(call.func, 0)
                || matches!(call.func, "start" | "end" | "step" | "range" | "info")
        }
        _ => false,
    };
    own || expr.children().into_iter().any(depends_on_time)
}

fn pin_time(time: &mut TimeModifiers, t_ms: i64) {
    time.at.get_or_insert(At::Time(t_ms));
}

fn pin(expr: &mut Expr, t_ms: i64) {
    match expr {
        Expr::Number(_) | Expr::String(_) => {}
        Expr::Vector(selector) => pin_time(&mut selector.time, t_ms),
        Expr::Matrix(matrix) => pin_time(&mut matrix.vector.time, t_ms),
        // What is inside is pinned by the subquery.
        Expr::Subquery(subquery) => pin_time(&mut subquery.time, t_ms),
        Expr::Call(call) => call.args.iter_mut().for_each(|arg| pin(arg, t_ms)),
        Expr::Aggregate(aggregate) => {
            if let Some(param) = &mut aggregate.param {
                pin(param, t_ms);
            }
            pin(&mut aggregate.expr, t_ms);
        }
        Expr::Binary(binary) => {
            pin(&mut binary.lhs, t_ms);
            pin(&mut binary.rhs, t_ms);
        }
        Expr::Unary(unary) => pin(&mut unary.expr, t_ms),
        Expr::Paren(inner, _) => pin(inner, t_ms),
    }
}
