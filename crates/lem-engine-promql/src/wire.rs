//! The syntax tree as JSON, in the shape of the reference's `parse_query` answer.

use serde_json::{Value, json};

use crate::ast::{At, Cardinality, Expr, Extended, TimeModifiers, ValueType, VectorSelector};
use crate::number::{format_plain, format_sample};

/// The tree in the shape of `/api/v1/parse_query`.
pub fn ast_json(expr: &Expr) -> Value {
    match expr {
        Expr::Number(n) => json!({"type": "numberLiteral", "val": format_plain(n.value)}),
        Expr::String(s) => json!({"type": "stringLiteral", "val": s.value}),
        Expr::Paren(inner, _) => json!({"type": "parenExpr", "expr": ast_json(inner)}),
        Expr::Unary(unary) => json!({
            "type": "unaryExpr",
            "op": if unary.negative { "-" } else { "+" },
            "expr": ast_json(&unary.expr),
        }),
        Expr::Vector(v) => {
            let mut out = selector(v);
            out["type"] = "vectorSelector".into();
            out
        }
        Expr::Matrix(m) => {
            let mut out = selector(&m.vector);
            out["type"] = "matrixSelector".into();
            out["range"] = m.range.ms.into();
            out
        }
        Expr::Subquery(s) => json!({
            "type": "subquery",
            "expr": ast_json(&s.expr),
            "range": s.range.ms,
            "offset": s.time.offset.ms,
            "step": s.step.as_ref().map_or(0, |step| step.ms),
            "timestamp": timestamp(&s.time),
            "startOrEnd": start_or_end(&s.time),
        }),
        Expr::Call(call) => {
            let signature = crate::funcs::signature(call.func);
            let arg_types: Vec<&str> =
                signature.map(|s| s.args.iter().map(|t| type_name(*t)).collect()).unwrap_or_default();
            json!({
                "type": "call",
                "func": {
                    "name": call.func,
                    "argTypes": arg_types,
                    "variadic": signature.map_or(0, |s| s.variadic),
                    "returnType": signature.map(|s| type_name(s.returns)),
                },
                "args": call.args.iter().map(ast_json).collect::<Vec<_>>(),
            })
        }
        Expr::Aggregate(a) => json!({
            "type": "aggregation",
            "op": a.op.name(),
            "expr": ast_json(&a.expr),
            "param": a.param.as_ref().map(|p| ast_json(p)),
            "grouping": a.grouping.labels,
            "without": a.grouping.without,
        }),
        Expr::Binary(b) => json!({
            "type": "binaryExpr",
            "op": b.op.symbol(),
            "lhs": ast_json(&b.lhs),
            "rhs": ast_json(&b.rhs),
            "matching": b.matching.as_ref().map(|m| json!({
                "card": cardinality(m.card),
                "labels": m.labels,
                "on": m.on,
                "include": m.include,
                "fillValues": {
                    "lhs": m.fill_left.map(format_sample),
                    "rhs": m.fill_right.map(format_sample),
                },
            })),
            "bool": b.return_bool,
        }),
    }
}

fn selector(v: &VectorSelector) -> Value {
    let matchers: Vec<Value> =
        v.matchers.iter().map(|m| json!({"name": m.name, "value": m.value, "type": m.op.symbol()})).collect();
    json!({
        "name": v.name,
        "offset": v.time.offset.ms,
        "matchers": matchers,
        "timestamp": timestamp(&v.time),
        "startOrEnd": start_or_end(&v.time),
        "anchored": v.extended == Some(Extended::Anchored),
        "smoothed": v.extended == Some(Extended::Smoothed),
    })
}

fn timestamp(time: &TimeModifiers) -> Option<i64> {
    match time.at {
        Some(At::Time(ms)) => Some(ms),
        Some(At::Start | At::End) | None => None,
    }
}

fn start_or_end(time: &TimeModifiers) -> Option<&'static str> {
    match time.at {
        Some(At::Start) => Some("start"),
        Some(At::End) => Some("end"),
        Some(At::Time(_)) | None => None,
    }
}

fn cardinality(card: Cardinality) -> &'static str {
    match card {
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    }
}

fn type_name(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Scalar => "scalar",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
        ValueType::String => "string",
    }
}
