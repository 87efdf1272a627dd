//! Lists, sets, maps.

mod sets;

pub(super) use sets::{setintersection, setproduct, setsubtract, setunion};

use super::number::whole;
use super::string::text;
use super::{Context, Fault, Outcome};
use crate::eval::equal;
use crate::value::{Entries, Number, Type, Value, convert, unify};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Members of a result at most.
pub(super) const MAX_MEMBERS: usize = 1_000_000;

pub(super) fn members(args: &[Value], at: usize) -> Result<&[Value], Fault> {
    args.get(at).and_then(Value::items).ok_or_else(|| Fault::from("a list, set or tuple is required").at(at))
}

fn entries(args: &[Value], at: usize) -> Result<&Entries, Fault> {
    args.get(at).and_then(Value::entries).ok_or_else(|| Fault::from("a map or object is required").at(at))
}

/// The same kind of sequence with other members.
fn like(model: &Value, items: Vec<Value>) -> Value {
    match model {
        Value::List(ty, _) | Value::Set(ty, _) => Value::list(ty.clone(), items),
        _ => Value::tuple(items),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    equal(a, b) == Ok(true)
}

fn every(args: &[Value], wanted: bool) -> Outcome {
    let mut unknown = None;
    for item in members(args, 0)? {
        match convert(item, &Type::Bool).map_err(|e| Fault::from(e.to_string()))?.revealed() {
            Value::Bool(value) if *value == wanted => {}
            Value::Unknown(u) => unknown = Some(Arc::clone(&u.why)),
            Value::Null(_) if !wanted => {}
            _ => return Ok(Value::Bool(!wanted)),
        }
    }
    Ok(unknown.map_or(Value::Bool(wanted), |why| Value::unknown(Type::Bool, why)))
}

pub(super) fn alltrue(args: &[Value], _: &Context) -> Outcome {
    every(args, true)
}

pub(super) fn anytrue(args: &[Value], _: &Context) -> Outcome {
    every(args, false)
}

pub(super) fn chunklist(args: &[Value], _: &Context) -> Outcome {
    let items = members(args, 0)?;
    let size = usize::try_from(whole(args, 1)?).map_err(|_| Fault::from("a size is not negative").at(1))?;
    let size = if size == 0 { items.len().max(1) } else { size };
    let chunks: Vec<Value> = items.chunks(size).map(|chunk| like(&args[0], chunk.to_vec())).collect();
    Ok(match &args[0] {
        Value::List(ty, _) | Value::Set(ty, _) => Value::list(Type::list(ty.clone()), chunks),
        _ => Value::tuple(chunks),
    })
}

/// The first argument that is neither null nor an empty text, in the type all have in common.
pub(super) fn coalesce(args: &[Value], _: &Context) -> Outcome {
    let ty = unify(args.iter().map(Value::ty)).ok_or_else(|| Fault::from("the arguments have no common type"))?;
    for arg in args {
        let arg = convert(arg, &ty).map_err(|e| Fault::from(e.to_string()))?;
        if arg.is_unknown() {
            return Ok(arg);
        }
        if !arg.is_null() && arg.as_str() != Some("") {
            return Ok(arg);
        }
    }
    Err("every argument is null or empty".into())
}

pub(super) fn coalescelist(args: &[Value], _: &Context) -> Outcome {
    for at in 0..args.len() {
        if !members(args, at)?.is_empty() {
            return Ok(args[at].clone());
        }
    }
    Err("every list is empty".into())
}

pub(super) fn compact(args: &[Value], _: &Context) -> Outcome {
    let list = convert(&args[0], &Type::list(Type::String)).map_err(|e| Fault::from(e.to_string()))?;
    let kept = list.items().unwrap_or_default().iter().filter_map(Value::as_str).filter(|t| !t.is_empty());
    Ok(Value::strings(kept))
}

pub(super) fn concat(args: &[Value], _: &Context) -> Outcome {
    let mut all = vec![];
    for at in 0..args.len() {
        all.extend_from_slice(members(args, at)?);
    }
    if all.len() > MAX_MEMBERS {
        return Err(format!("at most {MAX_MEMBERS} members are possible").into());
    }
    let lists = args.iter().all(|a| matches!(a, Value::List(..) | Value::Set(..)));
    match unify(args.iter().map(Value::ty)) {
        Some(Type::List(element) | Type::Set(element)) if lists => {
            convert(&Value::tuple(all), &Type::List(element)).map_err(|e| e.to_string().into())
        }
        _ => Ok(Value::tuple(all)),
    }
}

pub(super) fn contains(args: &[Value], _: &Context) -> Outcome {
    let mut unknown = None;
    for item in members(args, 0)? {
        match equal(item, &args[1]) {
            Ok(true) => return Ok(Value::Bool(true)),
            Ok(false) => {}
            Err(why) => unknown = Some(why),
        }
    }
    Ok(unknown.map_or(Value::Bool(false), |why| Value::unknown(Type::Bool, why)))
}

pub(super) fn distinct(args: &[Value], _: &Context) -> Outcome {
    let list = convert(&args[0], &Type::list(Type::Any)).map_err(|e| Fault::from(e.to_string()))?;
    let mut kept: Vec<Value> = vec![];
    for item in list.items().unwrap_or_default() {
        if !kept.iter().any(|k| same(k, item)) {
            kept.push(item.clone());
        }
    }
    Ok(like(&list, kept))
}

/// The index wraps around.
pub(super) fn element(args: &[Value], _: &Context) -> Outcome {
    if matches!(args[0], Value::Set(..)) {
        return Err(Fault::from("a list is required, not a set").at(0));
    }
    let items = members(args, 0)?;
    if items.is_empty() {
        return Err(Fault::from("an empty list has no elements").at(0));
    }
    let index = usize::try_from(whole(args, 1)?).map_err(|_| Fault::from("an index is not negative").at(1))?;
    Ok(items[index % items.len()].clone())
}

pub(super) fn flatten(args: &[Value], _: &Context) -> Outcome {
    let mut flat = vec![];
    members(args, 0)?;
    match flatten_into(&args[0], &mut flat, false)? {
        Some(why) => Ok(Value::unknown(Type::Any, why)),
        None => Ok(Value::tuple(flat)),
    }
}

fn flatten_into(value: &Value, flat: &mut Vec<Value>, mark: bool) -> Result<Option<Arc<str>>, Fault> {
    for item in value.items().unwrap_or_default() {
        let mark = mark || item.unmark().1;
        match item.revealed() {
            Value::Unknown(u) if !u.ty.is_primitive() && !matches!(u.ty, Type::Object(_) | Type::Map(_)) => {
                return Ok(Some(Arc::clone(&u.why)));
            }
            Value::List(..) | Value::Set(..) | Value::Tuple(_) => {
                if let Some(why) = flatten_into(item, flat, mark)? {
                    return Ok(Some(why));
                }
            }
            plain => flat.push(plain.clone().marked(mark)),
        }
        if flat.len() > MAX_MEMBERS {
            return Err(format!("at most {MAX_MEMBERS} members are possible").into());
        }
    }
    Ok(None)
}

pub(super) fn index(args: &[Value], _: &Context) -> Outcome {
    let found = members(args, 0)?.iter().position(|item| same(item, &args[1]));
    found.map(|i| Value::int(i as i64)).ok_or_else(|| Fault::from("the list does not have this value").at(1))
}

pub(super) fn keys(args: &[Value], _: &Context) -> Outcome {
    let names: Vec<Value> = entries(args, 0)?.keys().map(|k| Value::String(Arc::clone(k))).collect();
    Ok(match &args[0] {
        Value::Object(_) => Value::tuple(names),
        _ => Value::list(Type::String, names),
    })
}

pub(super) fn values(args: &[Value], _: &Context) -> Outcome {
    let items: Vec<Value> = entries(args, 0)?.values().cloned().collect();
    Ok(match &args[0] {
        Value::Map(ty, _) => Value::list(ty.clone(), items),
        _ => Value::tuple(items),
    })
}

pub(super) fn length(args: &[Value], _: &Context) -> Outcome {
    use unicode_segmentation::UnicodeSegmentation as _;
    let count = match &args[0] {
        Value::String(text) => text.graphemes(true).count(),
        Value::Set(_, items) if items.iter().any(|i| !i.is_wholly_known()) => {
            let why = args[0].first_unknown().map_or_else(|| Arc::from(""), |u| Arc::clone(&u.why));
            return Ok(Value::unknown(Type::Number, why));
        }
        value => match (value.items(), value.entries()) {
            (Some(items), _) => items.len(),
            (_, Some(entries)) => entries.len(),
            _ => return Err(Fault::from("a text, list, set, tuple, map or object is required").at(0)),
        },
    };
    Ok(Value::int(count as i64))
}

pub(super) fn lookup(args: &[Value], _: &Context) -> Outcome {
    let found = entries(args, 0)?.get(text(args, 1));
    match (found, args.get(2), &args[0]) {
        (Some(found), _, _) => Ok(found.clone()),
        (None, Some(default), Value::Map(ty, _)) => convert(default, ty).map_err(|e| Fault::from(e.to_string()).at(2)),
        (None, Some(default), _) => Ok(default.clone()),
        (None, None, _) => Err(Fault::from("the map does not have this key, and there is no default").at(1)),
    }
}

pub(super) fn matchkeys(args: &[Value], _: &Context) -> Outcome {
    let (values, keys, wanted) = (members(args, 0)?, members(args, 1)?, members(args, 2)?);
    if values.len() != keys.len() {
        return Err(Fault::from("values and keys must have the same length").at(1));
    }
    let pairs = values.iter().zip(keys);
    let kept = pairs.filter(|(_, key)| wanted.iter().any(|w| same(w, key))).map(|(v, _)| v.clone()).collect();
    convert(&like(&args[0], kept), &Type::list(Type::Any)).map_err(|e| e.to_string().into())
}

/// Later arguments win; null ones do not count. Maps of one type stay a map.
pub(super) fn merge(args: &[Value], _: &Context) -> Outcome {
    let mut merged = Entries::new();
    let mut types = vec![];
    for (at, arg) in args.iter().enumerate().filter(|(_, a)| !a.is_null()) {
        types.push(arg.ty());
        for (key, value) in entries(args, at)? {
            merged.insert(Arc::clone(key), value.clone());
        }
    }
    match types.first() {
        Some(Type::Map(element)) if types.iter().all(|t| *t == types[0]) => Ok(Value::map((**element).clone(), merged)),
        _ => Ok(Value::object(merged)),
    }
}

pub(super) fn one(args: &[Value], _: &Context) -> Outcome {
    match members(args, 0)? {
        [] => Ok(Value::null()),
        [only] => Ok(only.clone()),
        _ => Err(Fault::from("a list of none or one element is required").at(0)),
    }
}

pub(super) fn range(args: &[Value], _: &Context) -> Outcome {
    let numbers: Vec<&Number> = args.iter().filter_map(Value::as_number).collect();
    let (zero, one) = (Number::from(0), Number::from(1));
    let (start, limit, step) = match numbers.as_slice() {
        [limit] => (&zero, *limit, if **limit < zero { Number::from(-1) } else { one }),
        [start, limit] => (*start, *limit, if *limit < *start { Number::from(-1) } else { one }),
        [start, limit, step] => (*start, *limit, (*step).clone()),
        _ => return Err(Fault { code: "bad-arguments", ..Fault::from("takes 1 to 3 arguments") }),
    };
    let up = step.signum() > 0;
    if step.is_zero() || (up && limit < start) || (!up && limit > start) {
        return Err(Fault::from("the step must lead from the start to the limit").at(args.len() - 1));
    }
    let mut items = vec![];
    let mut at = start.clone();
    while if up { at < *limit } else { at > *limit } {
        if items.len() >= 1024 {
            return Err("more than 1024 numbers".into());
        }
        items.push(Value::Number(at.clone()));
        at = at.add(&step)?;
    }
    Ok(Value::list(Type::Number, items))
}

pub(super) fn reverse(args: &[Value], _: &Context) -> Outcome {
    Ok(like(&args[0], members(args, 0)?.iter().rev().cloned().collect()))
}

pub(super) fn slice(args: &[Value], _: &Context) -> Outcome {
    let items = members(args, 0)?;
    let (start, end) = (whole(args, 1)?, whole(args, 2)?);
    if start < 0 || end < start || end > items.len() as i64 {
        let message =
            format!("start and end must be within the list of {} elements, start not behind end", items.len());
        return Err(Fault::from(message).at(1));
    }
    Ok(like(&args[0], items[start as usize..end as usize].to_vec()))
}

pub(super) fn sort(args: &[Value], _: &Context) -> Outcome {
    let mut items = super::string::texts(args, 0)?;
    items.sort_unstable();
    Ok(Value::strings(items))
}

pub(super) fn transpose(args: &[Value], _: &Context) -> Outcome {
    let mut turned: BTreeMap<Arc<str>, Vec<Arc<str>>> = BTreeMap::new();
    for (key, list) in entries(args, 0)? {
        let list = convert(list, &Type::list(Type::String)).map_err(|e| Fault::from(e.to_string()))?;
        for item in list.items().unwrap_or_default() {
            let Value::String(item) = item else { return Err("a text in the map is null".into()) };
            turned.entry(Arc::clone(item)).or_default().push(Arc::clone(key));
        }
    }
    let lists = turned.into_iter().map(|(k, items)| (k, Value::strings(items)));
    Ok(Value::map(Type::list(Type::String), lists.collect()))
}

pub(super) fn zipmap(args: &[Value], _: &Context) -> Outcome {
    let (names, items) = (super::string::texts(args, 0)?, members(args, 1)?);
    if names.len() != items.len() {
        return Err(Fault::from("keys and values must have the same length").at(1));
    }
    let zipped: Entries = names.into_iter().map(Arc::from).zip(items.iter().cloned()).collect();
    Ok(match &args[1] {
        Value::List(ty, _) | Value::Set(ty, _) => Value::map(ty.clone(), zipped),
        _ => Value::object(zipped),
    })
}
