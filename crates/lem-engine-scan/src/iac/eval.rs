//! Does a test hold for a resource?

use super::graph::Links;
use super::predicate;
use super::rule::{Absent, Form, Operator, Test};
use super::truth::Truth;
use super::view::{Found, View, list};
use lem_model::resource::{Attribute, Resource};

/// The resource a test is asked of, and where its paths begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) links: &'a Links<'a>,
    pub(crate) resource: &'a Resource,
    pub(crate) view: View<'a>,
}

impl<'a> Subject<'a> {
    pub(crate) fn narrowed(self, value: &'a Attribute) -> Self {
        Self { view: View::Value(value), ..self }
    }
}

/// Decides a test.
pub(crate) fn holds(test: &Test, subject: Subject<'_>) -> Truth {
    let Some(form) = test.form() else { return Truth::Unknown("the rule is malformed".into()) };
    match form {
        Form::All(tests) => Truth::all(tests.iter().map(|t| holds(t, subject))),
        Form::Any(tests) => Truth::any(tests.iter().map(|t| holds(t, subject))),
        Form::Not(test) => holds(test, subject).not(),
        Form::Value { at, op, value, absent } => compare(subject.view.at(at), op, value, absent),
        Form::Each(at, test) => over(subject, at, |items| Truth::all(items.map(|item| part(test, subject, item)))),
        Form::Some(at, test) => over(subject, at, |items| Truth::any(items.map(|item| part(test, subject, item)))),
        Form::Linked(kinds, test) => Truth::any(subject.links.of(subject.resource, kinds).map(|other| {
            let subject = Subject { resource: other, view: View::of(other), ..subject };
            test.map_or(Truth::True, |test| holds(test, subject))
        })),
        Form::Check { name, at, value } => match predicate::named(name) {
            Some(predicate) => predicate(subject, at, value),
            None => Truth::Unknown(format!("no predicate {name}")),
        },
    }
}

fn part<'a>(test: &Test, subject: Subject<'a>, item: &'a Attribute) -> Truth {
    match item.revealed() {
        Attribute::Unknown(why) => Truth::Unknown(why.clone()),
        _ => holds(test, subject.narrowed(item)),
    }
}

fn over<'a>(
    subject: Subject<'a>,
    at: &str,
    decide: impl FnOnce(&mut dyn Iterator<Item = &'a Attribute>) -> Truth,
) -> Truth {
    match subject.view.items(at) {
        Ok(items) => decide(&mut items.into_iter()),
        Err(why) => Truth::Unknown(why.to_owned()),
    }
}

fn compare(found: Found<'_>, op: Operator, wanted: Option<&toml::Value>, absent: Absent) -> Truth {
    let value = match found {
        Found::Hidden(why) => return Truth::Unknown(why.to_owned()),
        // A reference is written there, whatever it will be.
        Found::Unknown(_) if op == Operator::Exists => return Truth::True,
        Found::Unknown(_) if op == Operator::NotExists => return Truth::False,
        Found::Unknown(why) => return Truth::Unknown(why.to_owned()),
        Found::Absent => {
            return match (op, absent) {
                (Operator::Exists, _) => Truth::False,
                (Operator::NotExists, _) | (_, Absent::Pass) => Truth::True,
                (_, Absent::Fail) => Truth::False,
                (_, Absent::Unknown) => Truth::Unknown("not written".into()),
            };
        }
        Found::Known(value) => value,
    };
    match op {
        Operator::Exists => Truth::of(value.as_str() != Some("")),
        Operator::NotExists => Truth::of(value.as_str() == Some("")),
        Operator::IsTrue => Truth::of(truthy(value)),
        Operator::IsFalse => Truth::of(!truthy(value)),
        _ => wanted.map_or(Truth::Unknown("the rule names no value".into()), |wanted| judge(value, op, wanted)),
    }
}

fn judge(value: &Attribute, op: Operator, wanted: &toml::Value) -> Truth {
    let text = || wanted.as_str().unwrap_or_default();
    match op {
        Operator::Equals => equals(value, wanted),
        Operator::NotEquals => equals(value, wanted).not(),
        Operator::Within => any_of(value, wanted),
        Operator::NotWithin => any_of(value, wanted).not(),
        Operator::Contains => contains(value, wanted),
        Operator::NotContains => contains(value, wanted).not(),
        Operator::Superset => Truth::all(wanted.as_array().into_iter().flatten().map(|wanted| contains(value, wanted))),
        Operator::StartingWith => on_text(value, |t| t.starts_with(text())),
        Operator::EndingWith => on_text(value, |t| t.ends_with(text())),
        Operator::RegexMatch => matches(value, text()),
        Operator::NotRegexMatch => matches(value, text()).not(),
        Operator::GreaterThan => on_number(value, wanted, |a, b| a > b),
        Operator::GreaterThanOrEqual => on_number(value, wanted, |a, b| a >= b),
        Operator::LessThan => on_number(value, wanted, |a, b| a < b),
        Operator::LessThanOrEqual => on_number(value, wanted, |a, b| a <= b),
        Operator::Exists | Operator::NotExists | Operator::IsTrue | Operator::IsFalse => Truth::True,
    }
}

fn truthy(value: &Attribute) -> bool {
    match value.revealed() {
        Attribute::Bool(value) => *value,
        Attribute::String(text) => !text.is_empty() && text != "false",
        Attribute::Number(number) => number.as_f64() != Some(0.0),
        Attribute::List(items) => !items.is_empty(),
        Attribute::Map(map) => !map.is_empty(),
        _ => false,
    }
}

fn equals(value: &Attribute, wanted: &toml::Value) -> Truth {
    match value.revealed() {
        Attribute::Unknown(why) => Truth::Unknown(why.clone()),
        // A list of one is what it holds, as blocks and single values are written alike.
        Attribute::List(items) if items.len() == 1 && !wanted.is_array() => equals(&items[0], wanted),
        Attribute::List(items) => {
            let Some(all) = wanted.as_array() else { return Truth::False };
            let same = items.iter().zip(all).map(|(item, wanted)| equals(item, wanted));
            if items.len() == all.len() { Truth::all(same) } else { Truth::False }
        }
        known => Truth::of(same(known, wanted)),
    }
}

fn same(value: &Attribute, wanted: &toml::Value) -> bool {
    match wanted {
        toml::Value::Boolean(wanted) => value.as_bool() == Some(*wanted),
        toml::Value::Integer(wanted) => value.as_f64() == Some(*wanted as f64),
        toml::Value::Float(wanted) => value.as_f64() == Some(*wanted),
        toml::Value::String(wanted) => match value {
            Attribute::String(text) => text == wanted,
            Attribute::Bool(value) => value.to_string() == *wanted,
            Attribute::Number(number) => number.to_string() == *wanted,
            _ => false,
        },
        _ => false,
    }
}

fn any_of(value: &Attribute, wanted: &toml::Value) -> Truth {
    Truth::any(wanted.as_array().into_iter().flatten().map(|wanted| equals(value, wanted)))
}

fn contains(value: &Attribute, wanted: &toml::Value) -> Truth {
    match value.revealed() {
        Attribute::String(text) => Truth::of(wanted.as_str().is_some_and(|wanted| text.contains(wanted))),
        Attribute::Map(map) => Truth::of(wanted.as_str().is_some_and(|wanted| map.contains_key(wanted))),
        _ => Truth::any(list(value).into_iter().map(|item| equals(item, wanted))),
    }
}

fn on_text(value: &Attribute, holds: impl Fn(&str) -> bool) -> Truth {
    Truth::of(value.as_str().is_some_and(holds))
}

fn matches(value: &Attribute, pattern: &str) -> Truth {
    // Few rules have one, and each is compiled once per resource at most.
    regex::Regex::new(pattern)
        .map_or(Truth::Unknown("the rule's expression is wrong".into()), |re| on_text(value, |t| re.is_match(t)))
}

fn on_number(value: &Attribute, wanted: &toml::Value, holds: impl Fn(f64, f64) -> bool) -> Truth {
    let wanted = wanted.as_integer().map(|n| n as f64).or_else(|| wanted.as_float());
    Truth::of(value.as_f64().zip(wanted).is_some_and(|(a, b)| holds(a, b)))
}
