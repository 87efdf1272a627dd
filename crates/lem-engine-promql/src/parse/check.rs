//! Type checks on a finished tree.

use super::{Parsed, Parser};
use crate::ast::{AggOp, Aggregate, Binary, Call, Cardinality, Expr, Span, ValueType, VectorSelector};
use crate::number::quote;

pub(super) fn check(parser: &Parser<'_>, expr: &mut Expr) -> Parsed<ValueType> {
    match expr {
        Expr::Number(_) | Expr::String(_) => {}
        Expr::Vector(selector) => check_selector(parser, selector)?,
        Expr::Matrix(matrix) => check_selector(parser, &matrix.vector)?,
        Expr::Paren(inner, _) => {
            check(parser, inner)?;
        }
        Expr::Subquery(subquery) => {
            let inner = check(parser, &mut subquery.expr)?;
            if inner != ValueType::Vector {
                return Err(parser.error(
                    subquery.span,
                    format!("subquery is only allowed on instant vector, got {} instead", type_name(inner)),
                ));
            }
        }
        Expr::Unary(unary) => {
            let inner = check(parser, &mut unary.expr)?;
            if !matches!(inner, ValueType::Scalar | ValueType::Vector) {
                return Err(parser.error(
                    unary.span,
                    format!(
                        "unary expression only allowed on expressions of type scalar or instant vector, got {}",
                        quote(inner.documented())
                    ),
                ));
            }
        }
        Expr::Aggregate(aggregate) => check_aggregate(parser, aggregate)?,
        Expr::Binary(binary) => check_binary(parser, binary)?,
        Expr::Call(call) => check_call(parser, call)?,
    }
    Ok(expr.value_type())
}

fn type_name(value: ValueType) -> &'static str {
    match value {
        ValueType::Scalar => "scalar",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
        ValueType::String => "string",
    }
}

fn expect_type(parser: &Parser<'_>, expr: &mut Expr, want: ValueType, context: &str) -> Parsed<()> {
    let got = check(parser, expr)?;
    if got == want {
        return Ok(());
    }
    Err(parser
        .error(expr.span(), format!("expected type {} in {context}, got {}", want.documented(), got.documented())))
}

fn check_selector(parser: &Parser<'_>, selector: &VectorSelector) -> Parsed<()> {
    if selector.name.is_empty() && selector.matchers.iter().all(|m| m.matches("")) {
        return Err(parser.error(selector.span, "vector selector must contain at least one non-empty matcher"));
    }
    Ok(())
}

fn check_aggregate(parser: &Parser<'_>, aggregate: &mut Aggregate) -> Parsed<()> {
    expect_type(parser, &mut aggregate.expr, ValueType::Vector, "aggregation expression")?;
    let Some(param) = &mut aggregate.param else {
        return Ok(());
    };
    let want = if aggregate.op == AggOp::CountValues { ValueType::String } else { ValueType::Scalar };
    expect_type(parser, param, want, "aggregation parameter")
}

fn operator_span(parser: &Parser<'_>, binary: &Binary) -> Span {
    let between = &parser.src[binary.lhs.span().end..binary.rhs.span().start];
    let start = binary.lhs.span().end + (between.len() - between.trim_start().len());
    Span::new(start, binary.lhs.span().end + between.trim_end().len())
}

fn check_binary(parser: &Parser<'_>, binary: &mut Binary) -> Parsed<()> {
    let left = check(parser, &mut binary.lhs)?;
    let right = check(parser, &mut binary.rhs)?;
    let op = binary.op;
    let fail = |span: Span, message: String| Err(parser.error(span, message));
    if binary.return_bool && !op.is_comparison() {
        return fail(
            operator_span(parser, binary),
            "bool modifier can only be used on comparison operators".to_owned(),
        );
    }
    let both_scalar = left == ValueType::Scalar && right == ValueType::Scalar;
    if op.is_comparison() && !binary.return_bool && both_scalar {
        return fail(operator_span(parser, binary), "comparisons between scalars must use BOOL modifier".to_owned());
    }
    let span = operator_span(parser, binary);
    for side in [(&binary.lhs, left), (&binary.rhs, right)] {
        if !matches!(side.1, ValueType::Scalar | ValueType::Vector) {
            return fail(
                side.0.span(),
                "binary expression must contain only scalar and instant vector types".to_owned(),
            );
        }
    }
    let Some(matching) = &mut binary.matching else {
        return Ok(());
    };
    if op.is_set() && matching.card == Cardinality::OneToOne {
        matching.card = Cardinality::ManyToMany;
    }
    if let Some(label) = matching.labels.iter().find(|l| matching.on && matching.include.contains(l)) {
        let message = format!("label {} must not occur in ON and GROUP clause at once", quote(label));
        return fail(span, message);
    }
    let has_fill = matching.fill_left.is_some() || matching.fill_right.is_some();
    let has_labels = !matching.labels.is_empty();
    let card = matching.card;
    if left != ValueType::Vector || right != ValueType::Vector {
        if has_labels {
            return fail(binary.span, "vector matching only allowed between instant vectors".to_owned());
        }
        if has_fill {
            return fail(binary.span, "filling in missing series only allowed between instant vectors".to_owned());
        }
        binary.matching = None;
    } else if op.is_set() {
        if matches!(card, Cardinality::OneToMany | Cardinality::ManyToOne) {
            return fail(binary.span, format!("no grouping allowed for {} operation", quote(op.symbol())));
        }
        if has_fill {
            return fail(binary.span, "filling in missing series not allowed for set operators".to_owned());
        }
    }
    if op.is_set() && (left == ValueType::Scalar || right == ValueType::Scalar) {
        return fail(
            binary.span,
            format!("set operator {} not allowed in binary scalar expression", quote(op.symbol())),
        );
    }
    Ok(())
}

fn check_call(parser: &Parser<'_>, call: &mut Call) -> Parsed<()> {
    let Some(signature) = crate::funcs::signature(call.func) else {
        return Ok(());
    };
    let (wanted, got) = (signature.args.len(), call.args.len());
    let name = quote(call.func);
    let fail = |span: Span, message: String| Err(parser.error(span, message));
    if signature.variadic == 0 {
        if wanted != got {
            return fail(call.span, format!("expected {wanted} argument(s) in call to {name}, got {got}"));
        }
    } else {
        let least = wanted - 1;
        let most = least + signature.variadic.max(0) as usize;
        if got < least {
            return fail(call.span, format!("expected at least {least} argument(s) in call to {name}, got {got}"));
        }
        if signature.variadic > 0 && got > most {
            return fail(call.span, format!("expected at most {most} argument(s) in call to {name}, got {got}"));
        }
    }
    for (i, arg) in call.args.iter_mut().enumerate() {
        if call.func == "info" && i == 1 {
            match arg {
                Expr::Vector(selector) if selector.name.is_empty() => continue,
                Expr::Vector(_) => {
                    return fail(arg.span(), "expected label selectors only, got vector selector instead".to_owned());
                }
                _ => return fail(arg.span(), "expected label selectors only".to_owned()),
            }
        }
        let want = signature.args[i.min(wanted - 1)];
        let got = check(parser, arg)?;
        if got != want {
            return fail(
                arg.span(),
                format!("expected type {} in call to function {name}, got {}", want.documented(), got.documented()),
            );
        }
    }
    Ok(())
}
