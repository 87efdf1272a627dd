//! From tree to typed values, with a message for everything that does not fit.

use crate::node::{Content, Entry, Node, Resolved};
use lem_model::Diagnostic;
use lem_model::diagnostic::nearest;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Reads typed values out of one file and collects what is wrong with it. Every method that finds the wrong kind
/// of node reports it and returns `None`, so that one pass finds all errors of a file.
#[derive(Debug)]
pub struct Reader {
    file: String,
    diagnostics: RefCell<Vec<Diagnostic>>,
}

impl Reader {
    /// A reader for one file, whose name appears in every message.
    pub fn new(file: impl Into<String>) -> Self {
        Self { file: file.into(), diagnostics: RefCell::default() }
    }

    /// Name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What was found wrong.
    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics.into_inner()
    }

    /// Whether an error was found so far.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.borrow().iter().any(Diagnostic::is_error)
    }

    /// Reports anything.
    pub fn report(&self, diagnostic: Diagnostic) {
        self.diagnostics.borrow_mut().push(diagnostic);
    }

    /// Reports an error at a node.
    pub fn error(&self, at: &Node, code: &str, message: impl Into<String>) {
        self.report(Diagnostic::error(code, message, at.place(&self.file)));
    }

    /// Reports an error at a node with advice.
    pub fn error_with_hint(&self, at: &Node, code: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.report(Diagnostic::error(code, message, at.place(&self.file)).with_hint(hint));
    }

    /// Reports a warning at a node.
    pub fn warning(&self, at: &Node, code: &str, message: impl Into<String>) {
        self.report(Diagnostic::warning(code, message, at.place(&self.file)));
    }

    fn expected<T>(&self, at: &Node, what: &str, expected: &str) -> Option<T> {
        self.error(at, "wrong-type", format!("{what} must be {expected}, not {}", at.kind()));
        None
    }

    /// The fields of a mapping; `what` names it in messages.
    pub fn fields<'a>(&'a self, node: &'a Node, what: &'a str) -> Option<Fields<'a>> {
        match &node.content {
            Content::Mapping(entries) => {
                Some(Fields { reader: self, node, what, entries, taken: BTreeSet::new(), optional: vec![] })
            }
            _ => self.expected(node, what, "a mapping"),
        }
    }

    /// The items of a list.
    pub fn items<'a>(&self, node: &'a Node, what: &str) -> Option<&'a [Node]> {
        node.items().or_else(|| self.expected(node, what, "a list"))
    }

    /// A string; numbers and booleans are taken as they are written.
    pub fn string(&self, node: &Node, what: &str) -> Option<String> {
        match (node.text(), node.is_null()) {
            (Some(text), false) => Some(text.to_owned()),
            _ => self.expected(node, what, "a string"),
        }
    }

    /// One string or a list of them.
    pub fn strings(&self, node: &Node, what: &str) -> Option<Vec<String>> {
        match &node.content {
            Content::Scalar(_) => Some(vec![self.string(node, what)?]),
            Content::Sequence(items) => Some(items.iter().filter_map(|item| self.string(item, what)).collect()),
            Content::Mapping(_) => self.expected(node, what, "a string or a list of strings"),
        }
    }

    /// A mapping of strings to strings, in source order.
    pub fn string_map(&self, node: &Node, what: &str) -> Option<Vec<(String, String)>> {
        let entries = node.entries().or_else(|| self.expected(node, what, "a mapping"))?;
        Some(entries.iter().filter_map(|e| Some((self.string(&e.key, what)?, self.string(&e.value, what)?))).collect())
    }

    /// A boolean.
    pub fn boolean(&self, node: &Node, what: &str) -> Option<bool> {
        match node.scalar().map(crate::Scalar::resolve) {
            Some(Resolved::Bool(value)) => Some(value),
            _ => self.expected(node, what, "true or false"),
        }
    }

    /// A whole number.
    pub fn integer(&self, node: &Node, what: &str) -> Option<i64> {
        match node.scalar().map(crate::Scalar::resolve) {
            Some(Resolved::Int(value)) => Some(value),
            _ => self.expected(node, what, "a whole number"),
        }
    }

    /// Any number.
    pub fn number(&self, node: &Node, what: &str) -> Option<f64> {
        match node.scalar().map(crate::Scalar::resolve) {
            Some(Resolved::Int(value)) => Some(value as f64),
            Some(Resolved::Float(value)) => Some(value),
            _ => self.expected(node, what, "a number"),
        }
    }

    /// A duration such as `90s`, `1h30m` or `500ms`, in milliseconds. A bare number is seconds.
    pub fn duration_ms(&self, node: &Node, what: &str) -> Option<u64> {
        match node.text().and_then(parse_duration_ms) {
            Some(ms) => Some(ms),
            None => self.expected(node, what, "a duration such as 90s or 1h30m"),
        }
    }
}

/// `1h30m`, `90s`, `1.5s`, `500ms`, `2d`, `1w`, or bare seconds; `None` for anything else.
pub fn parse_duration_ms(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse::<u64>() {
        return seconds.checked_mul(1000);
    }
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let amount: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit_ms = match &rest[..letters] {
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 60e3,
            "h" => 3_600e3,
            "d" => 86_400e3,
            "w" => 604_800e3,
            "y" => 31_536_000e3,
            _ => return None,
        };
        total += amount * unit_ms;
        rest = &rest[letters..];
    }
    (!text.is_empty() && total < u64::MAX as f64).then_some(total.round() as u64)
}

/// The fields of one mapping. Take what you know; [`Fields::finish`] reports the rest by name.
#[derive(Debug)]
pub struct Fields<'a> {
    reader: &'a Reader,
    node: &'a Node,
    what: &'a str,
    entries: &'a [Entry],
    taken: BTreeSet<String>,
    optional: Vec<String>,
}

impl<'a> Fields<'a> {
    /// The mapping itself.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// The value of a key, when it is there and not null.
    pub fn take(&mut self, key: &str) -> Option<&'a Node> {
        let entry = self.entries.iter().find(|e| e.key.text() == Some(key));
        if entry.is_some() {
            self.taken.insert(key.to_owned());
        } else {
            self.optional.push(key.to_owned());
        }
        entry.map(|e| &e.value).filter(|n| !n.is_null())
    }

    /// The value of a key that must be there.
    pub fn require(&mut self, key: &str) -> Option<&'a Node> {
        let found = self.take(key);
        if found.is_none() {
            let message = format!("{} needs \"{key}\"", self.what);
            self.reader.error(self.node, "missing-key", message);
        }
        found
    }

    /// Keys that were not taken, with their values, for mappings whose keys are the user's own.
    pub fn rest(&mut self) -> Vec<(&'a str, &'a Node, &'a Node)> {
        let rest: Vec<_> = self
            .entries
            .iter()
            .filter_map(|e| e.key.text().map(|text| (text, &e.key, &e.value)))
            .filter(|(text, _, _)| !self.taken.contains(*text))
            .collect();
        self.taken.extend(rest.iter().map(|(text, _, _)| (*text).to_owned()));
        rest
    }

    /// Reports every key that nothing took.
    pub fn finish(self) {
        for entry in self.entries {
            let Some(key) = entry.key.text() else {
                self.reader.error(&entry.key, "wrong-type", format!("a key of {} must be a string", self.what));
                continue;
            };
            if self.taken.contains(key) {
                continue;
            }
            let message = format!("unknown key \"{key}\" in {}", self.what);
            match nearest(key, self.taken.iter().chain(&self.optional).map(String::as_str)) {
                Some(near) => {
                    self.reader.error_with_hint(
                        &entry.key,
                        "unknown-key",
                        message,
                        format!("did you mean \"{near}\"?"),
                    );
                }
                None => self.reader.error(&entry.key, "unknown-key", message),
            }
        }
    }
}
