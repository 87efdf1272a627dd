//! Steps into values: attributes, indexes, splats.

use super::{Evaluated, Evaluator, Scope, error, names::named_error};
use crate::syntax::{Pos, Step};
use crate::value::{Type, Value, convert};

impl Evaluator<'_> {
    pub(super) fn walk(&self, start: Value, steps: &[Step], scope: &Scope<'_>) -> Evaluated {
        let mut value = start;
        for step in steps {
            value = match step {
                Step::Attribute(name, pos) => attribute(&value, name, pos)?,
                Step::Index(key) => index(&value, &self.evaluate(key, scope)?, &key.pos)?,
                Step::Splat(each, pos) => return self.splat_rest(&value, each, steps, step, pos, scope),
            };
        }
        Ok(value)
    }

    /// A splat and, for `.*`, the steps behind it, which apply to its result.
    fn splat_rest(
        &self,
        value: &Value,
        each: &[Step],
        all: &[Step],
        at: &Step,
        pos: &Pos,
        scope: &Scope<'_>,
    ) -> Evaluated {
        let used = all.iter().position(|s| std::ptr::eq(s, at)).map_or(all.len(), |i| i + 1);
        let result = self.splat(value, each, pos, scope)?;
        self.walk(result, &all[used..], scope)
    }

    fn splat(&self, value: &Value, each: &[Step], _: &Pos, scope: &Scope<'_>) -> Evaluated {
        let (plain, mark) = value.unmark();
        let one = |item: &Value| self.walk(item.clone(), each, scope);
        let result = match plain {
            Value::Unknown(unknown) => Value::unknown(Type::Any, unknown.why.clone()),
            Value::Null(_) => Value::tuple(vec![]),
            Value::List(ty, items) | Value::Set(ty, items) => {
                let items: Vec<Value> = items.iter().map(one).collect::<Result<_, _>>()?;
                let element =
                    items.first().map_or_else(|| if each.is_empty() { ty.clone() } else { Type::Any }, Value::ty);
                Value::list(element, items)
            }
            Value::Tuple(items) => Value::tuple(items.iter().map(one).collect::<Result<_, _>>()?),
            single => Value::tuple(vec![one(single)?]),
        };
        Ok(result.marked(mark))
    }
}

/// `.name`
pub(super) fn attribute(value: &Value, name: &str, pos: &Pos) -> Evaluated {
    let (plain, mark) = value.unmark();
    let found = match plain {
        Value::Unknown(unknown) => {
            let ty = match &unknown.ty {
                Type::Any => Type::Any,
                Type::Map(element) => (**element).clone(),
                Type::Object(object) => match object.attributes.get(name) {
                    Some(ty) => ty.clone(),
                    None => {
                        let known = object.attributes.keys().map(|k| &**k);
                        return Err(unsupported(name, known, pos));
                    }
                },
                other => return no_attributes(&other.word(), name, pos),
            };
            Value::unknown(ty, unknown.why.clone())
        }
        Value::Object(entries) => match entries.get(name) {
            Some(found) => found.clone(),
            None => return Err(unsupported(name, entries.keys().map(|k| &**k), pos)),
        },
        Value::Map(_, entries) => match entries.get(name) {
            Some(found) => found.clone(),
            None => {
                let known = entries.keys().map(|k| &**k).filter(|_| !mark);
                let message = format!("the map has no element with the key \"{name}\"");
                return Err(named_error("invalid-index", message, name, known, pos));
            }
        },
        Value::Null(_) => return error("null-value", format!("the value is null and has no \"{name}\""), pos),
        Value::List(..) | Value::Set(..) | Value::Tuple(_) => {
            let message = format!("a list has no attribute \"{name}\"; its elements are reached by index or [*]");
            return error("unsupported-attribute", message, pos);
        }
        other => return no_attributes(&other.ty().word(), name, pos),
    };
    Ok(found.marked(mark))
}

#[expect(clippy::unnecessary_box_returns, reason = "errors of evaluation are boxed")]
fn unsupported<'n>(name: &str, known: impl Iterator<Item = &'n str>, pos: &Pos) -> Box<lem_model::Diagnostic> {
    named_error("unsupported-attribute", format!("the object has no attribute \"{name}\""), name, known, pos)
}

fn no_attributes(word: &str, name: &str, pos: &Pos) -> Evaluated {
    error("unsupported-attribute", format!("a {word} has no attributes, so no \"{name}\""), pos)
}

/// `[key]`
pub(super) fn index(value: &Value, key: &Value, pos: &Pos) -> Evaluated {
    let (plain, mark) = value.unmark();
    let (key, key_mark) = key.unmark();
    Ok(plain_index(plain, key, pos)?.marked(mark || key_mark))
}

fn plain_index(value: &Value, key: &Value, pos: &Pos) -> Evaluated {
    if key.is_null() {
        return error("invalid-index", "an index must not be null", pos);
    }
    match (value, key) {
        (Value::Null(_), _) => error("null-value", "the value is null and has no elements", pos),
        (Value::Unknown(unknown), _) => {
            let ty = match &unknown.ty {
                Type::List(element) | Type::Map(element) => (**element).clone(),
                Type::Object(object) => {
                    let name = key.as_str();
                    name.and_then(|n| object.attributes.get(n)).cloned().unwrap_or_default()
                }
                _ => Type::Any,
            };
            Ok(Value::unknown(ty, unknown.why.clone()))
        }
        (Value::List(element, _) | Value::Map(element, _), Value::Unknown(unknown)) => {
            Ok(Value::unknown(element.clone(), unknown.why.clone()))
        }
        (_, Value::Unknown(unknown)) => Ok(Value::unknown(Type::Any, unknown.why.clone())),
        (Value::List(_, items) | Value::Tuple(items), key) => {
            let number = convert(key, &Type::Number).ok();
            let Some(number) = number.as_ref().and_then(Value::as_number) else {
                return error("invalid-index", "the index of a list is a number", pos);
            };
            match number.as_usize().and_then(|i| items.get(i)) {
                Some(item) => Ok(item.clone()),
                None => {
                    let message = format!("the index is outside of the list, which has {} elements", items.len());
                    error("invalid-index", message, pos)
                }
            }
        }
        (Value::Map(..) | Value::Object(_), key) => {
            let text = convert(key, &Type::String).ok();
            match text.as_ref().and_then(Value::as_str) {
                Some(name) => attribute_by_key(value, name, pos),
                None => error("invalid-index", "the key of a map is a string", pos),
            }
        }
        (Value::Set(..), _) => error("invalid-index", "elements of a set have no index; tolist() makes a list", pos),
        (other, _) => error("invalid-index", format!("a {} has no elements", other.ty().word()), pos),
    }
}

fn attribute_by_key(value: &Value, name: &str, pos: &Pos) -> Evaluated {
    let entries = value.entries().expect("only maps and objects come here");
    match entries.get(name) {
        Some(found) => Ok(found.clone()),
        None => {
            let known = entries.keys().map(|k| &**k);
            Err(named_error("invalid-index", format!("there is no element with the key \"{name}\""), name, known, pos))
        }
    }
}
