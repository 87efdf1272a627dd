//! Sets.

use super::{MAX_MEMBERS, like, members, same};
use crate::functions::{Context, Fault, Outcome};
use crate::value::{Type, Value, convert, unify};

/// Arguments as sets of one element type.
fn sets(args: &[Value]) -> Result<(Type, Vec<Vec<Value>>), Fault> {
    let mut converted = vec![];
    for (at, arg) in args.iter().enumerate() {
        let set = convert(arg, &Type::set(Type::Any)).map_err(|e| Fault::from(e.to_string()).at(at))?;
        converted.push(set);
    }
    let ty = unify(converted.iter().map(Value::ty)).ok_or_else(|| Fault::from("the sets have no common type"))?;
    let Type::Set(element) = &ty else { return Err("sets are required".into()) };
    let items = |set: &Value| {
        let set = convert(set, &ty).map_err(|e| Fault::from(e.to_string()))?;
        Ok::<_, Fault>(set.items().unwrap_or_default().to_vec())
    };
    Ok(((**element).clone(), converted.iter().map(items).collect::<Result<_, _>>()?))
}

pub(in crate::functions) fn setunion(args: &[Value], _: &Context) -> Outcome {
    let (element, sets) = sets(args)?;
    Ok(Value::set(element, sets.concat()))
}

pub(in crate::functions) fn setintersection(args: &[Value], _: &Context) -> Outcome {
    let (element, sets) = sets(args)?;
    let (first, others) = sets.split_first().ok_or_else(|| Fault::from("a set is required"))?;
    let everywhere = |item: &&Value| others.iter().all(|set| set.iter().any(|other| same(item, other)));
    Ok(Value::set(element, first.iter().filter(everywhere).cloned().collect()))
}

pub(in crate::functions) fn setsubtract(args: &[Value], _: &Context) -> Outcome {
    let (element, sets) = sets(args)?;
    let kept = sets[0].iter().filter(|item| !sets[1].iter().any(|other| same(item, other)));
    Ok(Value::set(element, kept.cloned().collect()))
}

/// Every combination of one member of each argument, the last argument changing fastest.
pub(in crate::functions) fn setproduct(args: &[Value], _: &Context) -> Outcome {
    if args.len() < 2 {
        return Err(Fault { code: "bad-arguments", ..Fault::from("takes at least 2 arguments") });
    }
    let mut total: usize = 1;
    for at in 0..args.len() {
        total = total.saturating_mul(members(args, at)?.len());
    }
    if total > MAX_MEMBERS {
        return Err(format!("{total} combinations; at most {MAX_MEMBERS} are possible").into());
    }
    let mut rows: Vec<Vec<Value>> = vec![vec![]];
    for at in 0..args.len() {
        let items = members(args, at)?;
        rows = rows
            .iter()
            .flat_map(|row| items.iter().map(|i| [row.as_slice(), std::slice::from_ref(i)].concat()))
            .collect();
    }
    let rows: Vec<Value> = rows.into_iter().map(Value::tuple).collect();
    let all_sets = args.iter().all(|a| matches!(a, Value::Set(..)));
    let element = rows.first().map_or(Type::Any, Value::ty);
    if all_sets {
        return Ok(Value::set(element, rows));
    }
    let model = args.iter().find(|a| matches!(a, Value::Tuple(_))).unwrap_or(&args[0]);
    Ok(match like(model, rows) {
        Value::List(_, items) => Value::list(element, items.to_vec()),
        other => other,
    })
}
