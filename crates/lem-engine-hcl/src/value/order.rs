//! One order over all values, so that sets and everything made of them come out the same every time.

use super::Value;
use std::cmp::Ordering;

/// Compares two values: numbers by size, text by bytes, known before null before unknown.
pub(super) fn compare(a: &Value, b: &Value) -> Ordering {
    use Value::{Bool, List, Map, Number, Object, Set, String, Tuple};
    match (a.revealed(), b.revealed()) {
        (Bool(a), Bool(b)) => a.cmp(b),
        (Number(a), Number(b)) => a.cmp(b),
        (String(a), String(b)) => a.cmp(b),
        (List(_, a) | Set(_, a) | Tuple(a), List(_, b) | Set(_, b) | Tuple(b)) => {
            let unequal = a.iter().zip(b.iter()).map(|(a, b)| compare(a, b)).find(|o| o.is_ne());
            unequal.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Map(_, a) | Object(a), Map(_, b) | Object(b)) => {
            let pairs = a.iter().zip(b.iter());
            let unequal = pairs.map(|((ka, a), (kb, b))| ka.cmp(kb).then_with(|| compare(a, b))).find(|o| o.is_ne());
            unequal.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Bool(_) => 0,
        Value::Number(_) => 1,
        Value::String(_) => 2,
        Value::List(..) | Value::Set(..) | Value::Tuple(_) => 3,
        Value::Map(..) | Value::Object(_) => 4,
        Value::Null(_) => 5,
        Value::Unknown(_) => 6,
        Value::Sensitive(inner) => rank(inner),
    }
}
