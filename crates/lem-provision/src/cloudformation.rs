//! CloudFormation templates, YAML with short tags or JSON, as a resource graph.
//!
//! In: a template and values for its parameters. Out: one [`ResourceGraph`] whose values only AWS knows are unknown and
//! say why. It calls nothing and never guesses: a function it does not evaluate leaves an unknown behind.

mod intrinsic;
mod template;

use lem_engine_yaml::{DuplicateKeys, MergeKeys, Node, Options, parse_one};
use lem_model::Diagnostic;
use lem_model::resource::{Attribute, Language, Resource, ResourceGraph};
use std::collections::{BTreeMap, BTreeSet};
use template::Template;

/// Resources in one template: the limit of CloudFormation itself.
pub const MAX_RESOURCES: usize = 500;

/// Keys of a resource beside its properties that rules look at.
const POLICIES: [&str; 3] = ["DeletionPolicy", "UpdateReplacePolicy", "Metadata"];

/// Reads a template. `parameters` win over the template's defaults.
pub(crate) fn read(file: &str, text: &str, parameters: &BTreeMap<String, String>) -> ResourceGraph {
    let options = Options { duplicate_keys: DuplicateKeys::LastWins, merge_keys: MergeKeys::Keep };
    let (tree, mut diagnostics) = parse_one(text, file, options);
    let mut graph = ResourceGraph { root: file.to_owned(), ..ResourceGraph::default() };
    if let Some(tree) = tree {
        let template = Template::new(file, &tree, parameters, &mut diagnostics);
        graph.resources = resources(&template, &tree, &mut diagnostics);
    }
    graph.diagnostics = diagnostics;
    graph
}

fn resources(template: &Template<'_>, tree: &Node, diagnostics: &mut Vec<Diagnostic>) -> Vec<Resource> {
    let Some(section) = tree.get("Resources") else {
        let message = "a template needs \"Resources\"";
        diagnostics.push(Diagnostic::error("missing-key", message, tree.place(template.file)));
        return vec![];
    };
    let Some(entries) = section.entries() else {
        let message = format!("Resources must be a mapping, not {}", section.kind());
        diagnostics.push(Diagnostic::error("wrong-type", message, section.place(template.file)));
        return vec![];
    };
    if entries.len() > MAX_RESOURCES {
        let message = format!("a template has at most {MAX_RESOURCES} resources, this one {}", entries.len());
        diagnostics.push(Diagnostic::error("too-many", message, section.place(template.file)));
    }
    let read = entries.iter().take(MAX_RESOURCES).filter_map(|entry| {
        let name = entry.key.text()?;
        resource(template, name, &entry.key, &entry.value, diagnostics)
    });
    let mut found: Vec<Resource> = read.collect();
    found.sort_by(|a, b| a.address.cmp(&b.address));
    found
}

fn resource(
    template: &Template<'_>,
    name: &str,
    key: &Node,
    node: &Node,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Resource> {
    if name.starts_with("Fn::") {
        let message = format!("{name} is not evaluated; its resources are not in the graph");
        diagnostics.push(Diagnostic::warning("unsupported-function", message, key.place(template.file)));
        return None;
    }
    let Some(kind) = node.get("Type").and_then(Node::text) else {
        let message = format!("resource {name} needs \"Type\"");
        diagnostics.push(Diagnostic::error("missing-key", message, key.place(template.file)));
        return None;
    };
    let condition = node.get("Condition").and_then(Node::text);
    if condition.is_some_and(|c| template.condition(c) == Some(false)) {
        return None;
    }
    let mut resource = Resource {
        address: name.to_owned(),
        kind: kind.to_owned(),
        language: Language::CloudFormation,
        data: false,
        provider: "aws".to_owned(),
        region: Some(template.pseudo("AWS::Region")),
        attributes: indexmap::IndexMap::new(),
        places: indexmap::IndexMap::new(),
        place: key.place(template.file),
        end_line: last_line(node),
        calls: vec![],
        depends_on: vec![],
        action: None,
        before: None,
    };
    let mut needs: BTreeSet<String> = depends_on(node);
    for entry in node.get("Properties").and_then(Node::entries).unwrap_or_default() {
        add(template, &mut resource, &mut needs, entry);
    }
    let policies = node.entries().unwrap_or_default().iter();
    for entry in policies.filter(|e| e.key.text().is_some_and(|k| POLICIES.contains(&k))) {
        add(template, &mut resource, &mut needs, entry);
    }
    needs.remove(name);
    resource.depends_on = needs.into_iter().collect();
    for problem in template.take_problems() {
        diagnostics.push(problem);
    }
    Some(resource)
}

fn add(template: &Template<'_>, resource: &mut Resource, needs: &mut BTreeSet<String>, entry: &lem_engine_yaml::Entry) {
    let Some(key) = entry.key.text() else { return };
    if resource.attributes.contains_key(key) {
        return;
    }
    if let Some(value) = template.value(&entry.value, needs) {
        resource.attributes.insert(key.to_owned(), value);
        resource.places.insert(key.to_owned(), entry.key.place(template.file));
    }
}

fn depends_on(node: &Node) -> BTreeSet<String> {
    let Some(found) = node.get("DependsOn") else { return BTreeSet::new() };
    let many = found.items().unwrap_or(std::slice::from_ref(found));
    many.iter().filter_map(|n| n.text().map(str::to_owned)).collect()
}

/// Last line a node has text on; its end mark stands behind the last token.
pub(crate) fn last_line(node: &Node) -> u32 {
    let deepest = match &node.content {
        lem_engine_yaml::Content::Scalar(_) if node.end.column <= 1 => node.end.line.saturating_sub(1),
        lem_engine_yaml::Content::Scalar(_) => node.end.line,
        lem_engine_yaml::Content::Sequence(items) => items.iter().map(last_line).max().unwrap_or(node.end.line),
        lem_engine_yaml::Content::Mapping(entries) => {
            entries.iter().map(|e| last_line(&e.value)).max().unwrap_or(node.end.line)
        }
    };
    deepest.max(node.mark.line)
}

/// Plain data of a node, without functions.
pub(crate) fn plain(node: &Node) -> Attribute {
    use lem_engine_yaml::{Content, Resolved};
    match &node.content {
        Content::Scalar(scalar) => match scalar.resolve() {
            Resolved::Null => Attribute::Null,
            Resolved::Bool(value) => Attribute::Bool(value),
            Resolved::Int(value) => Attribute::Number(value.into()),
            Resolved::Float(value) => serde_json::Number::from_f64(value)
                .map_or_else(|| Attribute::String(scalar.text.clone()), Attribute::Number),
            Resolved::Text(text) => Attribute::String(text),
        },
        Content::Sequence(items) => Attribute::List(items.iter().map(plain).collect()),
        Content::Mapping(entries) => {
            let pairs = entries.iter().filter_map(|e| Some((e.key.text()?.to_owned(), plain(&e.value))));
            Attribute::Map(pairs.collect())
        }
    }
}
