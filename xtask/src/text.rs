//! Rules about the text of the project: sizes, silenced lints, machine paths, event ownership.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Longest source file that still reads as one room.
const MAX_LINES: usize = 600;

pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let mut problems = vec![];
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in tracked(root)? {
        let Ok(text) = std::fs::read_to_string(root.join(&path)) else { continue };
        words(&path, &text, &mut problems);
        if path.ends_with(".rs") {
            source(&path, &text, &mut problems);
        }
        if path.ends_with("/src/events.rs") {
            for fact in owned(&text) {
                owners.entry(fact).or_default().push(path.clone());
            }
        }
    }
    for (fact, files) in owners.into_iter().filter(|(_, files)| files.len() > 1) {
        problems.push(format!("{fact} has more than one owner: {}", files.join(", ")));
    }
    Ok(problems)
}

fn tracked(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git").arg("-C").arg(root).args(["ls-files", "-z"]).output().context("git ls-files")?;
    Ok(String::from_utf8_lossy(&output.stdout).split('\0').filter(|p| !p.is_empty()).map(str::to_owned).collect())
}

fn source(path: &str, text: &str, problems: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > MAX_LINES {
        problems.push(format!("{path}: {lines} lines; at most {MAX_LINES} read as one room"));
    }
    if (path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs")) && !text.starts_with("//!") {
        problems.push(format!("{path}: the first lines say what this crate is"));
    }
    let silenced = concat!("#[", "allow(");
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with(silenced) || line.trim_start().starts_with(concat!("#![", "allow(")) {
            problems.push(format!("{path}:{}: use #[expect(..., reason = \"...\")]", number + 1));
        }
    }
}

/// Paths of somebody's machine and hosts of package registries belong to no tracked file. Lock files name the registry
/// by necessity.
fn words(path: &str, text: &str, problems: &mut Vec<String>) {
    if path.ends_with("Cargo.lock") || path.starts_with("xtask/") {
        return;
    }
    let unwanted =
        [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("registry.npm", "js.org"), concat!("pypi.", "org")];
    for (number, line) in text.lines().enumerate() {
        for word in unwanted.iter().filter(|word| line.contains(**word)) {
            problems.push(format!("{path}:{}: {word} does not belong here", number + 1));
        }
    }
}

/// Facts that a stage's `events.rs` re-exports from the model as its own.
fn owned(text: &str) -> Vec<String> {
    let Some((_, list)) = text.split_once("// owned facts") else { return vec![] };
    let list = list.split_once("// heard").map_or(list, |(own, _)| own);
    let inner = list.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(inner, _)| inner);
    inner.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_facts_are_read_from_the_marked_list() {
        let text = "// owned facts\npub use lem_model::fact::{A, B};\n// heard\npub use lem_model::fact::{C};\n";
        assert_eq!(owned(text), ["A", "B"]);
    }

    #[test]
    fn machine_paths_are_found() {
        let mut problems = vec![];
        words("docs/x.md", concat!("see /ro", "ot/here"), &mut problems);
        assert_eq!(problems.len(), 1);
    }
}
