//! Values of a YAML file by span: a Kubernetes manifest, a Helm values file, `lem.yaml`.

use super::{Edit, NoPatch};
use lem_engine_yaml::{Mark, Node, Options, Style, parse};

/// Which document of a file: by kind and name, as Kubernetes identifies an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object<'a> {
    /// `Deployment`.
    pub kind: &'a str,
    /// `metadata.name`.
    pub name: &'a str,
}

/// Sets requests and limits of a container of a workload. Only values that are written are changed, except that missing
/// requests are added under `resources` when that is written as a block.
pub fn container_resources(
    file: &str,
    text: &str,
    object: &Object<'_>,
    container: &str,
    values: &[(&str, &str)],
) -> Result<String, NoPatch> {
    let documents = documents(file, text)?;
    let is_it = |d: &&Node| {
        d.get("kind").and_then(Node::text) == Some(object.kind)
            && d.get("metadata").and_then(|m| m.get("name")).and_then(Node::text) == Some(object.name)
    };
    let found: Vec<&Node> = documents.iter().filter(is_it).collect();
    let what = format!("{} {}", object.kind, object.name);
    let document = only(file, &what, &found)?;
    let containers = containers(document).unwrap_or_default();
    let matching: Vec<&Node> =
        containers.iter().filter(|c| c.get("name").and_then(Node::text) == Some(container)).collect();
    let node = only(file, &format!("container {container} in {what}"), &matching)?;
    let mut edits = vec![];
    for (path, value) in values {
        edits.push(set(file, text, node, path, value)?);
    }
    Ok(super::edited(text, edits))
}

/// Sets the value at a path of keys.
pub fn value(file: &str, text: &str, path: &[&str], value: &str) -> Result<String, NoPatch> {
    let documents = documents(file, text)?;
    let [document] = &documents[..] else {
        return Err(NoPatch::Ambiguous { file: file.to_owned(), what: path.join("."), count: documents.len() });
    };
    let edit = set(file, text, document, &path.join("."), value)?;
    Ok(super::edited(text, vec![edit]))
}

fn documents(file: &str, text: &str) -> Result<Vec<Node>, NoPatch> {
    let (documents, found) = parse(text, file, Options::default());
    match found.into_iter().find(lem_model::Diagnostic::is_error) {
        Some(error) => Err(NoPatch::Unreadable { file: file.to_owned(), why: error.message }),
        None => Ok(documents),
    }
}

fn only<'a>(file: &str, what: &str, found: &[&'a Node]) -> Result<&'a Node, NoPatch> {
    match found {
        [one] => Ok(one),
        [] => Err(NoPatch::Missing { file: file.to_owned(), what: what.to_owned() }),
        more => Err(NoPatch::Ambiguous { file: file.to_owned(), what: what.to_owned(), count: more.len() }),
    }
}

fn containers(document: &Node) -> Option<&[Node]> {
    let spec = document.get("spec")?;
    let template = spec.get("jobTemplate").and_then(|j| j.get("spec")).unwrap_or(spec).get("template");
    template.and_then(|t| t.get("spec")).unwrap_or(spec).get("containers")?.items()
}

fn set(file: &str, text: &str, from: &Node, path: &str, value: &str) -> Result<Edit, NoPatch> {
    let missing = || NoPatch::Missing { file: file.to_owned(), what: path.to_owned() };
    let elsewhere =
        |why: &str| NoPatch::Elsewhere { file: file.to_owned(), what: path.to_owned(), why: why.to_owned() };
    let node = path.split('.').try_fold(from, |at, step| at.get(step)).ok_or_else(missing)?;
    if node.aliased {
        return Err(elsewhere("an alias"));
    }
    let Some(scalar) = node.scalar() else { return Err(elsewhere(node.kind())) };
    if scalar.text.contains("{{") || scalar.text.contains("${") {
        return Err(elsewhere("a template"));
    }
    let start = offset(text, node.mark);
    let rest = text.get(start..).unwrap_or_default();
    // A parser's end mark of a quoted scalar may lie after the comment that follows it.
    let length = match scalar.style {
        Style::Plain => rest.starts_with(&scalar.text).then_some(scalar.text.len()),
        Style::SingleQuoted => closing(rest, '\'', None),
        Style::DoubleQuoted => closing(rest, '"', Some('\\')),
        Style::Literal | Style::Folded => None,
    };
    let Some(length) = length else { return Err(elsewhere("written over several lines")) };
    let shown = match scalar.style {
        Style::DoubleQuoted => format!("\"{value}\""),
        Style::SingleQuoted => format!("'{value}'"),
        _ => value.to_owned(),
    };
    Ok(Edit { span: start..start + length, text: shown })
}

/// Bytes up to and including the closing quote.
fn closing(text: &str, quote: char, escape: Option<char>) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if Some(c) == escape {
            chars.next();
        } else if c == quote {
            return Some(at + c.len_utf8());
        }
    }
    None
}

/// Byte offset of a mark.
fn offset(text: &str, mark: Mark) -> usize {
    let line_start: usize = text.split_inclusive('\n').take(mark.line as usize - 1).map(str::len).sum();
    let rest = &text[line_start..];
    let column = rest.char_indices().nth(mark.column as usize - 1).map_or(rest.len(), |(at, _)| at);
    line_start + column
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const MANIFEST: &str = "# the shop\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: shop\nspec:\n  template:\n    spec:\n      containers:\n        - name: web # in front\n          resources:\n            requests: {cpu: 500m, memory: \"256Mi\"} # measured in May\n            limits:\n              memory: '512Mi'   # never more\n        - name: log\n          image: \"{{ .Values.image }}\"\n---\nkind: Service\nmetadata: {name: shop}\n";

    fn set(container: &str, values: &[(&str, &str)]) -> Result<String, NoPatch> {
        container_resources("k8s.yml", MANIFEST, &Object { kind: "Deployment", name: "shop" }, container, values)
    }

    #[test]
    fn only_the_bytes_of_the_values_change() {
        let new = set(
            "web",
            &[
                ("resources.requests.cpu", "587m"),
                ("resources.requests.memory", "1Gi"),
                ("resources.limits.memory", "2Gi"),
            ],
        )
        .unwrap();
        let expect = MANIFEST.replace("500m", "587m").replace("\"256Mi\"", "\"1Gi\"").replace("'512Mi'", "'2Gi'");
        assert_eq!(new, expect);
        let patch = super::super::diff("k8s.yml", MANIFEST, &new).unwrap();
        assert!(patch.contains("-            requests: {cpu: 500m, memory: \"256Mi\"} # measured in May\n"), "{patch}");
    }

    #[test]
    fn what_is_not_written_there_is_not_patched() {
        assert_eq!(
            set("web", &[("resources.limits.cpu", "1")]).unwrap_err().to_string(),
            "k8s.yml has no resources.limits.cpu"
        );
        assert_eq!(set("db", &[]).unwrap_err().to_string(), "k8s.yml has no container db in Deployment shop");
        let said = set("log", &[("image", "x")]).unwrap_err().to_string();
        assert_eq!(said, "image in k8s.yml is a template; change it where it is defined");
        let twice = format!("{MANIFEST}---\n{MANIFEST}");
        let object = Object { kind: "Deployment", name: "shop" };
        let said = container_resources("k8s.yml", &twice, &object, "web", &[]).unwrap_err().to_string();
        assert_eq!(said, "Deployment shop stands 2 times in k8s.yml");
    }

    #[test]
    fn a_value_of_a_plain_file_is_set_by_its_path() {
        let text = "deploy:\n  shop:\n    instances: 2 # for now\n";
        assert_eq!(value("lem.yaml", text, &["deploy", "shop", "instances"], "3").unwrap(), text.replace("2 #", "3 #"));
    }
}
