//! Kubernetes manifests as a resource graph: many documents in a file, lists flattened.
//!
//! In: a manifest. Out: one [`ResourceGraph`]. A chart's template is no manifest and is said so; nothing is rendered.

use crate::cloudformation::{last_line, plain};
use indexmap::IndexMap;
use lem_engine_yaml::{DuplicateKeys, Node, Options, parse};
use lem_model::Diagnostic;
use lem_model::resource::{Attribute, Language, Resource, ResourceGraph};

/// Objects in one file.
pub const MAX_OBJECTS: usize = 10_000;
/// Lists within lists.
const MAX_LIST_DEPTH: usize = 4;

/// Reads a file of manifests.
pub(crate) fn read(file: &str, text: &str) -> ResourceGraph {
    let mut graph = ResourceGraph { root: file.to_owned(), ..ResourceGraph::default() };
    if is_chart_template(text) {
        let message = "this is a template of a chart; render it to have its objects judged";
        let hint = "helm template . > manifests.yaml";
        graph
            .diagnostics
            .push(Diagnostic::warning("unrendered-template", message, lem_model::Place::file(file)).with_hint(hint));
        return graph;
    }
    let options = Options { duplicate_keys: DuplicateKeys::LastWins, ..Options::default() };
    let (documents, diagnostics) = parse(text, file, options);
    graph.diagnostics = diagnostics;
    for document in &documents {
        objects(file, document, 0, &mut graph);
    }
    graph.resources.sort_by(|a, b| a.address.cmp(&b.address));
    graph
}

fn is_chart_template(text: &str) -> bool {
    text.contains("{{") && (text.contains(".Values") || text.contains(".Release") || text.contains("{{- "))
}

fn objects(file: &str, node: &Node, depth: usize, graph: &mut ResourceGraph) {
    if node.is_null() {
        return;
    }
    let kind = node.get("kind").and_then(Node::text);
    let version = node.get("apiVersion").and_then(Node::text);
    let (Some(kind), Some(version)) = (kind, version) else {
        let message = "an object needs \"apiVersion\" and \"kind\"";
        graph.diagnostics.push(Diagnostic::warning("not-an-object", message, node.place(file)));
        return;
    };
    if let Some(items) = node.get("items").and_then(Node::items).filter(|_| kind.ends_with("List")) {
        if depth < MAX_LIST_DEPTH {
            for item in items {
                objects(file, item, depth + 1, graph);
            }
        }
        return;
    }
    if graph.resources.len() >= MAX_OBJECTS {
        if graph.resources.len() == MAX_OBJECTS {
            let message = format!("at most {MAX_OBJECTS} objects of a file are read");
            graph.diagnostics.push(Diagnostic::error("too-many", message, node.place(file)));
        }
        return;
    }
    graph.resources.push(object(file, node, kind, version));
}

fn object(file: &str, node: &Node, kind: &str, version: &str) -> Resource {
    let metadata = |key: &str| node.get("metadata").and_then(|m| m.get(key)).and_then(Node::text);
    let name = metadata("name").or_else(|| metadata("generateName")).unwrap_or("unnamed");
    let namespace = metadata("namespace").unwrap_or("default");
    let (mut attributes, mut places) = (IndexMap::new(), IndexMap::new());
    for entry in node.entries().unwrap_or_default() {
        let Some(key) = entry.key.text() else { continue };
        let hidden = kind == "Secret" && matches!(key, "data" | "stringData");
        let value = plain(&entry.value);
        attributes.insert(key.to_owned(), if hidden { each_sensitive(value) } else { value });
        places.insert(key.to_owned(), entry.key.place(file));
    }
    Resource {
        address: format!("{namespace}/{kind}/{name}"),
        kind: format!("{version}/{kind}"),
        language: Language::Kubernetes,
        data: false,
        provider: "kubernetes".to_owned(),
        region: None,
        attributes,
        places,
        place: node.place(file),
        end_line: last_line(node),
        calls: vec![],
        depends_on: vec![],
        action: None,
        before: None,
    }
}

/// The keys of a secret may be seen, its values may not.
fn each_sensitive(value: Attribute) -> Attribute {
    match value {
        Attribute::Map(map) => Attribute::Map(map.into_iter().map(|(k, v)| (k, hide(v))).collect()),
        other => hide(other),
    }
}

fn hide(value: Attribute) -> Attribute {
    Attribute::Sensitive(Box::new(value))
}
