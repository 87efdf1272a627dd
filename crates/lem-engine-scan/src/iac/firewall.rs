//! Firewall rules of Google Cloud and Azure.

use super::eval::Subject;
use super::truth::Truth;
use super::view::{Found, View};
use lem_model::resource::Attribute;

/// Words and ranges by which everybody is meant, in small letters.
const ANYBODY: [&str; 7] = ["*", "0.0.0.0", "0.0.0.0/0", "::/0", "/0", "any", "internet"];

fn port(value: Option<&toml::Value>) -> i64 {
    value.and_then(toml::Value::as_integer).unwrap_or(-1)
}

/// A text at a path, in small letters; `None` when nothing is written.
fn word(view: View<'_>, path: &str) -> Result<Option<String>, String> {
    match view.at(path) {
        Found::Known(value) => Ok(text(value)),
        Found::Absent => Ok(None),
        Found::Unknown(why) | Found::Hidden(why) => Err(why.to_owned()),
    }
}

fn text(value: &Attribute) -> Option<String> {
    match value.revealed() {
        Attribute::Number(number) => Some(number.to_string()),
        other => other.as_str().map(str::to_lowercase),
    }
}

/// Whether a word at a path is one of these; `absent` when nothing is written.
fn is(view: View<'_>, path: &str, wanted: &[&str], absent: Truth) -> Truth {
    match word(view, path) {
        Ok(Some(found)) => Truth::of(wanted.contains(&found.as_str())),
        Ok(None) => absent,
        Err(why) => Truth::Unknown(why),
    }
}

/// Whether one of the texts at a path is so.
fn some(view: View<'_>, path: &str, so: impl Fn(&str) -> bool) -> Truth {
    match view.items(path) {
        Err(why) => Truth::Unknown(why.to_owned()),
        Ok(items) => Truth::any(items.into_iter().map(|item| match item.revealed() {
            Attribute::Unknown(why) => Truth::Unknown(why.clone()),
            _ => Truth::of(text(item).is_some_and(|t| so(&t))),
        })),
    }
}

/// Whether `22`, `20-25` or `*` has a port in it.
fn has_port(written: &str, port: i64) -> bool {
    let number = |text: &str| text.trim().parse::<i64>().ok();
    match written.split_once('-') {
        _ if written == "*" => true,
        Some((from, to)) => number(from).zip(number(to)).is_some_and(|(from, to)| (from..=to).contains(&port)),
        None => number(written) == Some(port),
    }
}

fn anybody(text: &str) -> bool {
    ANYBODY.contains(&text)
}

/// No rule of a `google_compute_firewall` lets everybody in to a port.
pub(crate) fn google_port_closed(subject: Subject<'_>, _at: &str, value: Option<&toml::Value>) -> Truth {
    let (view, port) = (subject.view, port(value));
    let inward = Truth::all([
        is(view, "direction", &["egress"], Truth::False).not(),
        match view.at("disabled") {
            Found::Known(value) => Truth::of(value.as_bool() != Some(true)),
            Found::Absent => Truth::True,
            Found::Unknown(why) | Found::Hidden(why) => Truth::Unknown(why.to_owned()),
        },
    ]);
    let open = match view.items("allow") {
        Err(why) => Truth::Unknown(why.to_owned()),
        Ok(rules) => Truth::any(rules.into_iter().map(|rule| {
            let rule = View::Value(rule);
            let protocol = is(rule, "protocol", &["tcp", "all", "6"], Truth::False);
            let ports = match rule.at("ports") {
                Found::Absent => Truth::True,
                _ => some(rule, "ports", |written| has_port(written, port)),
            };
            Truth::all([protocol, ports])
        })),
    };
    Truth::all([inward, some(view, "source_ranges", anybody), open]).not()
}

/// No rule of an Azure network security group, or of a rule resource, lets everybody in to a port.
pub(crate) fn azure_port_closed(subject: Subject<'_>, _at: &str, value: Option<&toml::Value>) -> Truth {
    let port = port(value);
    if subject.resource.kind != "azurerm_network_security_group" {
        return azure_rule(subject.view, port);
    }
    match subject.view.items("security_rule") {
        Err(why) => Truth::Unknown(why.to_owned()),
        Ok(rules) => Truth::all(rules.into_iter().map(|rule| azure_rule(View::Value(rule), port))),
    }
}

fn azure_rule(rule: View<'_>, port: i64) -> Truth {
    let has = |written: &str| has_port(written, port);
    Truth::all([
        is(rule, "direction", &["inbound"], Truth::False),
        is(rule, "access", &["allow"], Truth::False),
        is(rule, "protocol", &["tcp", "*"], Truth::False),
        Truth::any([some(rule, "destination_port_range", has), some(rule, "destination_port_ranges", has)]),
        Truth::any([some(rule, "source_address_prefix", anybody), some(rule, "source_address_prefixes", anybody)]),
    ])
    .not()
}
