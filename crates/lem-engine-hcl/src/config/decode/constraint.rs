//! Type constraints: `map(object({ name = string, port = optional(number, 80) }))`.

use crate::syntax::{Expr, ExprKind};
use crate::value::{ObjectType, Type, Value, convert};
use lem_model::Diagnostic;
use lem_model::diagnostic::nearest;
use std::sync::Arc;

type Read<T = Type> = Result<T, Box<Diagnostic>>;

/// The type an expression in a variable's `type` argument names.
pub fn constraint(expr: &Expr) -> Read {
    match &expr.kind {
        ExprKind::Reference { root, steps } if steps.is_empty() => word(root, expr),
        // Older files and JSON quote it.
        ExprKind::Literal(Value::String(text)) => match &**text {
            "list" => Ok(Type::list(Type::Any)),
            "map" => Ok(Type::map(Type::Any)),
            "string" | "number" | "bool" | "any" => word(text, expr),
            text => {
                let parsed = crate::syntax::parse_expression(text, &expr.pos.file, expr.pos.line, expr.pos.column + 1);
                match parsed.map_err(Box::new)? {
                    Expr { kind: ExprKind::Literal(_), .. } => fault("this is no type", expr),
                    parsed => constraint(&parsed),
                }
            }
        },
        ExprKind::Call { name, args, .. } => call(name, args, expr),
        ExprKind::Traversal { base, steps } if steps.is_empty() => constraint(base),
        _ => fault("this is no type", expr),
    }
}

fn word(name: &str, expr: &Expr) -> Read {
    match name {
        "string" => Ok(Type::String),
        "number" => Ok(Type::Number),
        "bool" => Ok(Type::Bool),
        "any" => Ok(Type::Any),
        "list" => Ok(Type::list(Type::Any)),
        "set" => Ok(Type::set(Type::Any)),
        "map" => Ok(Type::map(Type::Any)),
        other => unknown(other, expr),
    }
}

fn call(name: &str, args: &[Expr], expr: &Expr) -> Read {
    match (name, args) {
        ("list", [element]) => Ok(Type::list(constraint(element)?)),
        ("set", [element]) => Ok(Type::set(constraint(element)?)),
        ("map", [element]) => Ok(Type::map(constraint(element)?)),
        ("tuple", [Expr { kind: ExprKind::Tuple(items), .. }]) => {
            Ok(Type::Tuple(items.iter().map(constraint).collect::<Read<Vec<_>>>()?.into()))
        }
        ("object", [Expr { kind: ExprKind::Object(pairs), .. }]) => object(pairs),
        ("optional", _) => fault("optional() is for attributes of object()", expr),
        ("list" | "set" | "map" | "tuple" | "object", _) => fault(&format!("{name}() takes one type"), expr),
        (other, _) => unknown(other, expr),
    }
}

fn object(pairs: &[(Expr, Expr)]) -> Read {
    let mut made = ObjectType::default();
    for (key, value) in pairs {
        let ExprKind::Literal(Value::String(name)) = &key.kind else {
            return fault("the name of an attribute must be a constant", key);
        };
        let ty = match &value.kind {
            ExprKind::Call { name: function, args, .. } if &**function == "optional" => {
                let (ty, default) = optional(args, value)?;
                made.optional.insert(Arc::clone(name), default);
                ty
            }
            _ => constraint(value)?,
        };
        made.attributes.insert(Arc::clone(name), ty);
    }
    Ok(Type::Object(Arc::new(made)))
}

fn optional(args: &[Expr], expr: &Expr) -> Read<(Type, Value)> {
    match args {
        [ty] => Ok((constraint(ty)?, Value::null())),
        [ty, default] => {
            let ty = constraint(ty)?;
            let Some(value) = super::constant_value(default) else {
                return fault("a default must be a constant", default);
            };
            let value = convert(&value, &ty).or_else(|e| fault(&format!("default: {e}"), default))?;
            Ok((ty, value))
        }
        _ => fault("optional() takes a type and a default", expr),
    }
}

fn fault<T>(message: &str, expr: &Expr) -> Read<T> {
    Err(Box::new(Diagnostic::error("bad-type", message, expr.pos.place())))
}

fn unknown(name: &str, expr: &Expr) -> Read {
    let known = ["string", "number", "bool", "any", "list", "set", "map", "object", "tuple"];
    let diagnostic = Diagnostic::error("bad-type", format!("there is no type \"{name}\""), expr.pos.place());
    Err(Box::new(match nearest(name, known) {
        Some(near) => diagnostic.with_hint(format!("did you mean \"{near}\"?")),
        None => diagnostic,
    }))
}
