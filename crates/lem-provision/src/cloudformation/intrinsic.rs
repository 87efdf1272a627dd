//! The functions of the template language.

use super::plain;
use super::template::Template;
use lem_engine_yaml::{Content, Node};
use lem_model::resource::Attribute;
use std::collections::BTreeSet;

/// A call: the function's long name and its argument. `None` for plain data.
pub(super) fn call(node: &Node) -> Option<(&str, &Node)> {
    if let Some(tag) = node.tag.as_deref().and_then(long_name) {
        return Some((tag, node));
    }
    let [entry] = node.entries()? else { return None };
    let name = entry.key.text()?;
    (name == "Ref" || name == "Condition" || name.starts_with("Fn::")).then_some((name, &entry.value))
}

fn long_name(tag: &str) -> Option<&'static str> {
    Some(match tag {
        "!Ref" => "Ref",
        "!Condition" => "Condition",
        "!GetAtt" => "Fn::GetAtt",
        "!Sub" => "Fn::Sub",
        "!Join" => "Fn::Join",
        "!Split" => "Fn::Split",
        "!Select" => "Fn::Select",
        "!If" => "Fn::If",
        "!And" => "Fn::And",
        "!Or" => "Fn::Or",
        "!Not" => "Fn::Not",
        "!Equals" => "Fn::Equals",
        "!FindInMap" => "Fn::FindInMap",
        "!ImportValue" => "Fn::ImportValue",
        "!Base64" => "Fn::Base64",
        "!Cidr" => "Fn::Cidr",
        "!GetAZs" => "Fn::GetAZs",
        "!Transform" => "Fn::Transform",
        "!Length" => "Fn::Length",
        "!ToJsonString" => "Fn::ToJsonString",
        _ => return None,
    })
}

impl Template<'_> {
    /// The value of a node. `None` is `AWS::NoValue`: as if nothing were written.
    pub(super) fn value(&self, node: &Node, needs: &mut BTreeSet<String>) -> Option<Attribute> {
        if let Some((function, argument)) = call(node) {
            return self.apply(function, argument, node, needs);
        }
        Some(match &node.content {
            Content::Scalar(_) => plain(node),
            Content::Sequence(items) => {
                Attribute::List(items.iter().filter_map(|item| self.value(item, needs)).collect())
            }
            Content::Mapping(entries) => {
                let pairs =
                    entries.iter().filter_map(|e| Some((e.key.text()?.to_owned(), self.value(&e.value, needs)?)));
                Attribute::Map(pairs.collect())
            }
        })
    }

    fn apply(&self, function: &str, argument: &Node, at: &Node, needs: &mut BTreeSet<String>) -> Option<Attribute> {
        match function {
            "Ref" if argument.text() == Some("AWS::NoValue") => None,
            "Ref" => Some(self.reference(argument.text().unwrap_or_default(), at, needs)),
            "Fn::If" => self.choose(argument, needs),
            "Fn::GetAtt" => Some(self.get_att(argument, at, needs)),
            "Fn::Sub" => Some(self.substitute(argument, at, needs)),
            _ => {
                let arguments = self.arguments(argument, needs);
                let hidden = arguments.iter().any(|a| matches!(a, Attribute::Sensitive(_)));
                let value = self.pure(function, &arguments);
                Some(if hidden { Attribute::Sensitive(Box::new(value)) } else { value })
            }
        }
    }

    /// Arguments of an ordinary function, each evaluated; a single one counts as a list of one.
    fn arguments(&self, node: &Node, needs: &mut BTreeSet<String>) -> Vec<Attribute> {
        match &node.content {
            Content::Sequence(items) => items.iter().filter_map(|item| self.value(item, needs)).collect(),
            Content::Scalar(_) => vec![plain(node)],
            Content::Mapping(_) => self.value(node, needs).into_iter().collect(),
        }
    }

    fn choose(&self, argument: &Node, needs: &mut BTreeSet<String>) -> Option<Attribute> {
        let items = argument.items().unwrap_or_default();
        let [condition, yes, no] = items else {
            return Some(Attribute::Unknown("Fn::If needs a condition and two values".to_owned()));
        };
        let name = condition.text().unwrap_or_default();
        match self.condition(name) {
            Some(true) => self.value(yes, needs),
            Some(false) => self.value(no, needs),
            None => {
                // Both arms may come to be, so what either needs is needed.
                let (_, _) = (self.value(yes, needs), self.value(no, needs));
                Some(Attribute::Unknown(format!("condition {name} is not known")))
            }
        }
    }

    fn get_att(&self, argument: &Node, at: &Node, needs: &mut BTreeSet<String>) -> Attribute {
        let path = match argument.items() {
            Some(items) => items.iter().filter_map(Node::text).collect::<Vec<_>>().join("."),
            None => argument.text().unwrap_or_default().to_owned(),
        };
        let name = path.split('.').next().unwrap_or_default();
        // The reference reports a name that nothing has.
        let _checked = self.reference(name, at, needs);
        Attribute::Unknown(format!("{path} is known after {name} is created"))
    }

    /// `Fn::Sub`: text with `${Name}`, `${Name.Attribute}`, and `${!literal}`.
    fn substitute(&self, argument: &Node, at: &Node, needs: &mut BTreeSet<String>) -> Attribute {
        let items = argument.items().unwrap_or(std::slice::from_ref(argument));
        let text = items.first().and_then(Node::text).unwrap_or_default();
        let local = items.get(1);
        let (mut out, mut unknown, mut hidden) = (String::new(), None, false);
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            out += before;
            let Some((name, tail)) = after.split_once('}') else {
                out += "${";
                rest = after;
                continue;
            };
            rest = tail;
            if let Some(literal) = name.strip_prefix('!') {
                out += &format!("${{{literal}}}");
                continue;
            }
            let value = match local.and_then(|l| l.get(name.trim())) {
                Some(node) => self.value(node, needs).unwrap_or(Attribute::Null),
                None => self.named(name.trim(), at, needs),
            };
            hidden |= matches!(value, Attribute::Sensitive(_));
            match value.revealed() {
                Attribute::Unknown(why) => unknown = unknown.or_else(|| Some(why.clone())),
                Attribute::String(text) => out += text,
                other => out += &other.shown().to_string(),
            }
        }
        out += rest;
        let value = unknown.map_or(Attribute::String(out), Attribute::Unknown);
        if hidden { Attribute::Sensitive(Box::new(value)) } else { value }
    }

    fn named(&self, name: &str, at: &Node, needs: &mut BTreeSet<String>) -> Attribute {
        match name.split_once('.') {
            Some((resource, _)) => {
                let _checked = self.reference(resource, at, needs);
                Attribute::Unknown(format!("{name} is known after {resource} is created"))
            }
            None => self.reference(name, at, needs),
        }
    }

    /// Functions of their arguments alone.
    fn pure(&self, function: &str, arguments: &[Attribute]) -> Attribute {
        if let Some(why) = arguments.iter().find_map(Attribute::unknown)
            && function != "Fn::Select"
        {
            return Attribute::Unknown(why.to_owned());
        }
        let unknown = |why: &str| Attribute::Unknown(format!("{function}: {why}"));
        let strings = |a: Option<&Attribute>| -> Option<Vec<String>> {
            match a?.revealed() {
                Attribute::List(list) => list.iter().map(scalar).collect(),
                _ => None,
            }
        };
        match function {
            "Fn::Join" => match (arguments.first().and_then(scalar), strings(arguments.get(1))) {
                (Some(by), Some(list)) => Attribute::String(list.join(&by)),
                _ => unknown("needs a delimiter and a list of strings"),
            },
            "Fn::Split" => match (arguments.first().and_then(scalar), arguments.get(1).and_then(scalar)) {
                (Some(by), Some(text)) if !by.is_empty() => {
                    Attribute::List(text.split(&by).map(|part| Attribute::String(part.to_owned())).collect())
                }
                _ => unknown("needs a delimiter and a string"),
            },
            "Fn::Select" => select(arguments),
            "Fn::FindInMap" => {
                let names: Option<Vec<String>> = arguments.iter().take(3).map(scalar).collect();
                match names.as_deref() {
                    Some([map, first, second]) => self
                        .mapping(map, first, second)
                        .unwrap_or_else(|| unknown(&format!("{map} has no {first}.{second}"))),
                    _ => unknown("needs a map and two keys"),
                }
            }
            "Fn::Base64" => {
                use base64::Engine as _;
                let text = arguments.first().and_then(scalar);
                text.map_or_else(
                    || unknown("needs a string"),
                    |text| Attribute::String(base64::engine::general_purpose::STANDARD.encode(text)),
                )
            }
            "Fn::Length" => match arguments.first().map(Attribute::revealed) {
                Some(Attribute::List(list)) => Attribute::Number(list.len().into()),
                _ => Attribute::Number(arguments.len().into()),
            },
            "Fn::ToJsonString" => {
                arguments.first().map_or_else(|| unknown("needs a value"), |v| Attribute::String(v.shown().to_string()))
            }
            "Fn::ImportValue" => unknown("the value is exported by another stack"),
            "Fn::GetAZs" => unknown("the zones are known when the stack is deployed"),
            _ => unknown("is not evaluated"),
        }
    }
}

fn select(arguments: &[Attribute]) -> Attribute {
    let index = arguments.first().and_then(Attribute::as_f64);
    let list = match arguments.get(1).map(Attribute::revealed) {
        Some(Attribute::List(list)) => list,
        Some(Attribute::Unknown(why)) => return Attribute::Unknown(why.clone()),
        _ => return Attribute::Unknown("Fn::Select needs an index and a list".to_owned()),
    };
    match index.and_then(|i| list.get(i as usize)) {
        Some(value) => value.clone(),
        None => Attribute::Unknown("Fn::Select names an item the list does not have".to_owned()),
    }
}

/// Text of a scalar; booleans and numbers as they are written.
fn scalar(value: &Attribute) -> Option<String> {
    match value.revealed() {
        Attribute::String(text) => Some(text.clone()),
        Attribute::Bool(b) => Some(b.to_string()),
        Attribute::Number(n) => Some(n.to_string()),
        _ => None,
    }
}
