//! What a template's names mean: parameters, mappings, conditions, resources, pseudo parameters.

use super::plain;
use lem_engine_yaml::Node;
use lem_model::Diagnostic;
use lem_model::resource::Attribute;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Deepest nesting of conditions that name conditions.
const MAX_CONDITION_DEPTH: usize = 32;

/// A template with everything its functions may name.
pub(super) struct Template<'a> {
    pub(super) file: &'a str,
    parameters: HashMap<String, Attribute>,
    mappings: Option<&'a Node>,
    conditions: Option<&'a Node>,
    resources: BTreeSet<String>,
    pub(super) problems: RefCell<Vec<Diagnostic>>,
}

impl<'a> Template<'a> {
    pub(super) fn new(
        file: &'a str,
        tree: &'a Node,
        given: &BTreeMap<String, String>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut parameters = HashMap::new();
        for entry in tree.get("Parameters").and_then(Node::entries).unwrap_or_default() {
            let Some(name) = entry.key.text() else { continue };
            parameters.insert(name.to_owned(), parameter(name, &entry.value, given.get(name)));
        }
        if let Some(node) = tree.get("Transform") {
            let message = "macros of Transform are not expanded; what they would add is not in the graph";
            diagnostics.push(Diagnostic::warning("unsupported-transform", message, node.place(file)));
        }
        let names = tree.get("Resources").and_then(Node::entries).unwrap_or_default();
        Self {
            file,
            parameters,
            mappings: tree.get("Mappings"),
            conditions: tree.get("Conditions"),
            resources: names.iter().filter_map(|e| e.key.text().map(str::to_owned)).collect(),
            problems: RefCell::default(),
        }
    }

    pub(super) fn take_problems(&self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.problems.borrow_mut())
    }

    /// What `Ref` of a name gives; a resource becomes one of `needs`.
    pub(super) fn reference(&self, name: &str, at: &Node, needs: &mut BTreeSet<String>) -> Attribute {
        if let Some(value) = self.parameters.get(name) {
            return value.clone();
        }
        if name.starts_with("AWS::") {
            return self.pseudo(name);
        }
        if self.resources.contains(name) {
            needs.insert(name.to_owned());
            return Attribute::Unknown(format!("Ref of {name} is known after it is created"));
        }
        let known = self.parameters.keys().chain(&self.resources).map(String::as_str);
        let mut problem = Diagnostic::error(
            "unknown-reference",
            format!("{name} is neither a parameter nor a resource of this template"),
            at.place(self.file),
        );
        if let Some(near) = lem_model::diagnostic::nearest(name, known) {
            problem = problem.with_hint(format!("did you mean {near}?"));
        }
        self.problems.borrow_mut().push(problem);
        Attribute::Unknown(format!("{name} is not defined"))
    }

    /// A pseudo parameter. Only what is the same everywhere is known.
    pub(super) fn pseudo(&self, name: &str) -> Attribute {
        match self.parameters.get(name) {
            Some(value) => value.clone(),
            None => Attribute::Unknown(format!("{name} is known when the stack is deployed")),
        }
    }

    /// One value of a mapping.
    pub(super) fn mapping(&self, map: &str, first: &str, second: &str) -> Option<Attribute> {
        self.mappings?.get(map)?.get(first)?.get(second).map(plain)
    }

    /// Whether a condition holds, where that can be known.
    pub(super) fn condition(&self, name: &str) -> Option<bool> {
        self.condition_below(name, 0)
    }

    fn condition_below(&self, name: &str, depth: usize) -> Option<bool> {
        if depth > MAX_CONDITION_DEPTH {
            return None;
        }
        self.test(self.conditions?.get(name)?, depth + 1)
    }

    /// Evaluates the expression of a condition.
    pub(super) fn test(&self, node: &Node, depth: usize) -> Option<bool> {
        let Some((function, argument)) = super::intrinsic::call(node) else {
            return plain(node).as_bool();
        };
        let many = argument.items().unwrap_or(std::slice::from_ref(argument));
        match function {
            "Condition" => self.condition_below(argument.text()?, depth),
            "Fn::Not" => self.test(many.first()?, depth).map(|value| !value),
            "Fn::And" => all(many.iter().map(|n| self.test(n, depth)), false),
            "Fn::Or" => all(many.iter().map(|n| self.test(n, depth)), true),
            "Fn::Equals" => {
                let mut ignored = BTreeSet::new();
                let left = self.value(many.first()?, &mut ignored)?;
                let right = self.value(many.get(1)?, &mut ignored)?;
                (left.unknown().is_none() && right.unknown().is_none()).then(|| text(&left) == text(&right))
            }
            _ => None,
        }
    }
}

/// The answer that one decisive member gives, the opposite when all are known, unknown otherwise.
fn all(members: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut unknown = false;
    for member in members {
        match member {
            Some(value) if value == decisive => return Some(decisive),
            None => unknown = true,
            Some(_) => {}
        }
    }
    (!unknown).then_some(!decisive)
}

fn text(value: &Attribute) -> serde_json::Value {
    match value.revealed() {
        Attribute::Bool(b) => b.to_string().into(),
        Attribute::Number(n) => n.to_string().into(),
        other => other.shown(),
    }
}

fn parameter(name: &str, node: &Node, given: Option<&String>) -> Attribute {
    let kind = node.get("Type").and_then(Node::text).unwrap_or("String");
    let written = given.map(String::as_str).or_else(|| node.get("Default").and_then(Node::text));
    let value = match written {
        None => Attribute::Unknown(format!("parameter {name} has no value")),
        Some(_) if kind.starts_with("AWS::SSM::") => {
            Attribute::Unknown(format!("parameter {name} is read when the stack is deployed"))
        }
        Some(text) if kind == "CommaDelimitedList" || kind.starts_with("List<") => {
            Attribute::List(text.split(',').map(|item| Attribute::String(item.trim().to_owned())).collect())
        }
        Some(text) if kind == "Number" => text
            .parse()
            .map_or_else(|_| Attribute::String(text.to_owned()), |n: serde_json::Number| Attribute::Number(n)),
        Some(text) => Attribute::String(text.to_owned()),
    };
    let hidden = node.get("NoEcho").and_then(Node::text).is_some_and(|t| t.eq_ignore_ascii_case("true"));
    if hidden { Attribute::Sensitive(Box::new(value)) } else { value }
}
