//! Documents of a module: inputs, outputs, resources, providers, calls and the graph, as Markdown.
//!
//! In: a configuration. Out: text, and a file with that text between two markers. Checking writes nothing.

use crate::ProvisionError;
use crate::order::Order;
use lem_engine_hcl::config::Configuration;
use lem_engine_hcl::docs::{ModuleDocs, docs};
use std::fmt::Write as _;
use std::path::Path;

/// Where the text begins in a file.
pub const BEGIN: &str = "<!-- BEGIN_TF_DOCS -->";
/// Where it ends.
pub const END: &str = "<!-- END_TF_DOCS -->";
/// Blocks a drawn graph has at most; a larger one cannot be read by people.
pub const MAX_DRAWN: usize = 200;

/// The document of a root module.
pub fn markdown(config: &Configuration) -> Result<String, ProvisionError> {
    let made = docs(&config.root);
    let mut out = String::new();
    requirements(&mut out, &made);
    inputs(&mut out, &made);
    section(
        &mut out,
        "Outputs",
        &["Name", "Description", "Sensitive"],
        made.outputs.iter().map(|o| vec![o.name.clone(), cell(&o.description), yes(o.sensitive)]),
    );
    section(
        &mut out,
        "Resources",
        &["Name", "Kind", "Place"],
        made.resources.iter().map(|r| {
            let kind = if r.data { "data source" } else { "resource" };
            vec![format!("`{}.{}`", r.kind, r.name), kind.to_owned(), r.place.to_string()]
        }),
    );
    section(
        &mut out,
        "Modules",
        &["Name", "Source", "Version"],
        made.modules.iter().map(|m| {
            vec![m.name.clone(), format!("`{}`", m.source), m.version.clone().unwrap_or_else(|| "-".to_owned())]
        }),
    );
    out += &graph(&Order::of(config)?);
    Ok(out.trim_end().to_owned() + "\n")
}

fn requirements(out: &mut String, made: &ModuleDocs) {
    let mut rows: Vec<Vec<String>> =
        made.required_version.iter().map(|v| vec!["terraform".to_owned(), "-".to_owned(), cell(v)]).collect();
    rows.extend(made.providers.iter().map(|p| {
        let text = |t: &Option<String>| t.as_deref().map_or_else(|| "-".to_owned(), cell);
        vec![p.name.clone(), text(&p.source), text(&p.version)]
    }));
    section(out, "Providers", &["Name", "Source", "Version"], rows.into_iter());
}

fn inputs(out: &mut String, made: &ModuleDocs) {
    let mut rows = vec![];
    for input in &made.inputs {
        let default = match (&input.default, input.required) {
            (_, true) => "required".to_owned(),
            (Some(text), _) => format!("`{}`", cell(text)),
            (None, _) => "`null`".to_owned(),
        };
        let name = input.name.clone();
        rows.push(vec![
            name,
            cell(&input.description),
            format!("`{}`", cell(&input.ty)),
            default,
            yes(input.sensitive),
        ]);
        for (field, ty) in &input.fields {
            rows.push(vec![
                format!("{}.{field}", input.name),
                String::new(),
                format!("`{}`", cell(ty)),
                String::new(),
                String::new(),
            ]);
        }
    }
    section(out, "Inputs", &["Name", "Description", "Type", "Default", "Sensitive"], rows.into_iter());
}

fn section(out: &mut String, title: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let rows: Vec<Vec<String>> = rows.collect();
    let _ = writeln!(out, "## {title}\n");
    if rows.is_empty() {
        out.push_str("None.\n\n");
        return;
    }
    let _ = writeln!(out, "| {} |\n|{}", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out.push('\n');
}

fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn yes(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

fn graph(order: &Order) -> String {
    let mut out = String::from("## Graph\n\n");
    if order.blocks.len() > MAX_DRAWN {
        let _ = writeln!(out, "{} blocks: more than the {MAX_DRAWN} that are drawn.\n", order.blocks.len());
        return out;
    }
    out.push_str("```mermaid\nflowchart LR\n");
    let mut names: Vec<&str> = order.blocks.iter().map(|b| b.name.as_str()).collect();
    names.sort_unstable();
    let number = |name: &str| names.binary_search(&name).ok();
    for (i, name) in names.iter().enumerate() {
        let _ = writeln!(out, "  n{i}[\"{name}\"]");
    }
    for (i, name) in names.iter().enumerate() {
        for needed in order.needs(name).iter().filter_map(|n| number(n)) {
            let _ = writeln!(out, "  n{needed} --> n{i}");
        }
    }
    out + "```\n"
}

/// The file's text with the document between its markers; at the end when it has none.
pub fn inject(file: &str, document: &str) -> String {
    let block = format!("{BEGIN}\n{document}{END}");
    match (file.find(BEGIN), file.find(END)) {
        (Some(begin), Some(end)) if begin < end => format!("{}{block}{}", &file[..begin], &file[end + END.len()..]),
        _ if file.trim().is_empty() => format!("{block}\n"),
        _ => format!("{}\n\n{block}\n", file.trim_end()),
    }
}

/// Whether a file changes when the document is put into it; with `write` it then does.
pub fn update(path: &Path, document: &str, write: Write) -> Result<bool, ProvisionError> {
    let old = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other.map_err(crate::error::io("read", path))?,
    };
    let new = inject(&old, document);
    let changes = old != new;
    if changes && write == Write::Yes {
        std::fs::write(path, new).map_err(crate::error::io("write", path))?;
    }
    Ok(changes)
}

/// Whether a document is written or only compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Written.
    Yes,
    /// Compared.
    No,
}
