//! JSON syntax: the same tree from `.tf.json`. Strings are templates; which properties are blocks is decided by whoever
//! reads a body, except at the top level, where the language fixes it.

use super::guard;
use super::{Attribute, Block, Body, Expr, ExprKind, Pos, Source, parse_template};
use crate::value::{Number, Value};
use lem_engine_yaml::{DuplicateKeys, Entry, MergeKeys, Node, Options, Resolved, Style, parse_one};
use lem_model::Diagnostic;
use std::sync::Arc;

/// Block types of the language and how many labels each has.
const BLOCKS: [(&str, usize); 21] = [
    ("resource", 2),
    ("data", 2),
    ("variable", 1),
    ("output", 1),
    ("module", 1),
    ("provider", 1),
    ("check", 1),
    ("locals", 0),
    ("terraform", 0),
    ("moved", 0),
    ("removed", 0),
    ("import", 0),
    ("lifecycle", 0),
    ("validation", 0),
    ("precondition", 0),
    ("postcondition", 0),
    ("assert", 0),
    ("provisioner", 1),
    ("connection", 0),
    ("required_providers", 0),
    ("backend", 1),
];

struct Reader<'a> {
    file: &'a Arc<str>,
    text: Arc<str>,
    diagnostics: Vec<Diagnostic>,
}

/// A file in JSON syntax. `top` says whether its properties are the language's own blocks, or arguments as in
/// `terraform.tfvars.json`.
pub fn parse_json(bytes: &[u8], file: &str, top: bool) -> (Body, Vec<Diagnostic>) {
    let file: Arc<str> = file.into();
    let text = match guard::text(bytes, &file) {
        Ok(text) => text,
        Err(diagnostic) => return (Body::default(), vec![diagnostic]),
    };
    // The tree's parser reads more than JSON does; what is no JSON is refused first, with JSON's own message.
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        let place = lem_model::Place::new(&*file, error.line() as u32, error.column() as u32);
        return (Body::default(), vec![Diagnostic::error("json-syntax", error.to_string(), place)]);
    }
    let options = Options { duplicate_keys: DuplicateKeys::Refuse, merge_keys: MergeKeys::Keep };
    let (node, diagnostics) = parse_one(&text, &file, options);
    let mut reader = Reader { file: &file, text: text.as_str().into(), diagnostics };
    let body = node.map(|node| reader.body(&node, top)).unwrap_or_default();
    (body, reader.diagnostics)
}

impl Reader<'_> {
    fn pos(&self, node: &Node) -> Pos {
        Pos { file: Arc::clone(self.file), line: node.mark.line, column: node.mark.column }
    }

    fn body(&mut self, node: &Node, blocks: bool) -> Body {
        let mut body = Body::default();
        let Some(entries) = node.entries() else {
            let message = format!("an object is expected here, not {}", node.kind());
            self.diagnostics.push(Diagnostic::error("json-shape", message, self.pos(node).place()));
            return body;
        };
        for entry in entries {
            let name = entry.key.text().unwrap_or_default();
            if name == "//" {
                continue;
            }
            let labels = BLOCKS.iter().find(|(kind, _)| *kind == name && blocks).map(|(_, labels)| *labels);
            match labels {
                Some(labels) => self.blocks(name, entry, &entry.value, labels, &mut vec![], &mut body),
                None => body.attributes.push(self.attribute(entry)),
            }
        }
        body
    }

    fn attribute(&mut self, entry: &Entry) -> Attribute {
        let name = entry.key.text().unwrap_or_default().into();
        Attribute { name, expr: self.value(&entry.value), pos: self.pos(&entry.key) }
    }

    fn blocks(
        &mut self,
        kind: &str,
        at: &Entry,
        node: &Node,
        labels: usize,
        path: &mut Vec<Arc<str>>,
        body: &mut Body,
    ) {
        if let Some(items) = node.items() {
            for item in items {
                self.blocks(kind, at, item, labels, path, body);
            }
            return;
        }
        if path.len() < labels {
            for entry in node.entries().unwrap_or_default() {
                path.push(entry.key.text().unwrap_or_default().into());
                self.blocks(kind, entry, &entry.value, labels, path, body);
                path.pop();
            }
            return;
        }
        let inner =
            !matches!(kind, "locals" | "required_providers" | "backend" | "connection" | "provider" | "provisioner");
        body.blocks.push(Block {
            kind: kind.into(),
            labels: path.clone(),
            body: self.body(node, inner),
            pos: self.pos(&at.key),
            end_line: node.end.line,
        });
    }

    fn value(&mut self, node: &Node) -> Expr {
        let pos = self.pos(node);
        let source = Source { text: Arc::clone(&self.text), start: 0, end: 0 };
        let kind = if let Some(items) = node.items() {
            ExprKind::Tuple(items.iter().map(|i| self.value(i)).collect())
        } else if let Some(entries) = node.entries() {
            let pairs = entries.iter().map(|e| (self.value(&e.key), self.value(&e.value)));
            ExprKind::Object(pairs.collect())
        } else {
            match node.scalar() {
                Some(s) if s.style != Style::Plain => return self.string(&s.text, pos, source),
                Some(s) => ExprKind::Literal(match s.resolve() {
                    Resolved::Null => Value::null(),
                    Resolved::Bool(b) => Value::Bool(b),
                    Resolved::Int(_) | Resolved::Float(_) => {
                        Number::parse(&s.text).map_or_else(|_| Value::null(), Value::Number)
                    }
                    Resolved::Text(text) => Value::string(text),
                }),
                None => ExprKind::Literal(Value::null()),
            }
        };
        Expr { kind, pos, source }
    }

    fn string(&mut self, text: &str, pos: Pos, source: Source) -> Expr {
        if !text.contains("${") && !text.contains("%{") {
            return Expr { kind: ExprKind::Literal(Value::string(text)), pos, source };
        }
        match parse_template(text, &pos.file, pos.line, pos.column + 1) {
            Ok(expr) => expr,
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                Expr { kind: ExprKind::Literal(Value::null()), pos, source }
            }
        }
    }
}
