//! pip, Poetry, uv and Pipenv.

use super::{Lines, Lockfile, broken, line_of, toml};
use crate::Unknown;
use crate::sca::{Ecosystem, Package};
use ::toml::Spanned;
use lem_model::Place;
use serde::Deserialize;
use serde_json::Value;

fn package(name: &str, version: &str, line: u32, dev: bool) -> Package {
    let (name, version) = (name.to_owned(), version.to_owned());
    Package { ecosystem: Ecosystem::PyPI, name, version, line, dev, registry: true }
}

/// `requirements.txt`: `name==1.2.3` is a package, any other requirement is unknown.
pub(super) fn requirements(file: &str, text: &str, lock: &mut Lockfile) {
    let mut continued = false;
    for (index, raw) in text.lines().enumerate() {
        let line = raw.split(" #").next().unwrap_or_default().trim();
        let belongs_above = std::mem::replace(&mut continued, raw.trim_end().ends_with('\\'));
        if belongs_above || line.is_empty() || line.starts_with('#') || line.starts_with('-') {
            continue;
        }
        let at = index as u32 + 1;
        let spec = line.trim_end_matches('\\').split(';').next().unwrap_or_default();
        let spec = spec.split(" --").next().unwrap_or_default().trim();
        let pinned = spec.split_once("===").or_else(|| spec.split_once("=="));
        match pinned {
            Some((name, version)) if !version.contains(['*', ',', '<', '>']) => {
                let name = name.split('[').next().unwrap_or_default().trim();
                lock.packages.push(package(name, version.trim(), at, false));
            }
            _ => lock.unknown.push(Unknown {
                rule: "not-pinned".into(),
                subject: spec.to_owned(),
                place: Place::new(file, at, 1),
                why: format!("{spec:?} names no single version; pin it with =="),
            }),
        }
    }
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    package: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: Spanned<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    groups: Option<Vec<String>>,
    #[serde(default)]
    source: Option<::toml::Table>,
}

/// `poetry.lock`, versions 1 and 2.
pub(super) fn poetry(file: &str, text: &str, lock: &mut Lockfile) {
    entries(file, text, lock, |entry| {
        let dev = entry.category.as_deref() == Some("dev");
        let grouped = entry.groups.as_ref().is_some_and(|g| !g.is_empty() && !g.iter().any(|g| g == "main"));
        let kind = entry.source.as_ref().and_then(|s| s.get("type")).and_then(::toml::Value::as_str);
        (dev || grouped, !matches!(kind, Some("git" | "directory" | "file" | "url")))
    });
}

/// `uv.lock`.
pub(super) fn uv(file: &str, text: &str, lock: &mut Lockfile) {
    entries(file, text, lock, |entry| {
        (false, entry.source.as_ref().is_none_or(|source| source.contains_key("registry")))
    });
}

fn entries(file: &str, text: &str, lock: &mut Lockfile, what: impl Fn(&Entry) -> (bool, bool)) {
    let document: Document = match toml(file, text) {
        Ok(document) => document,
        Err(diagnostic) => return lock.diagnostics.push(diagnostic),
    };
    let lines = Lines::of(text);
    for entry in document.package {
        let (dev, registry) = what(&entry);
        let Some(version) = &entry.version else { continue };
        let line = lines.at(entry.name.span().start);
        lock.packages.push(Package { registry, ..package(entry.name.get_ref(), version, line, dev) });
    }
}

/// `Pipfile.lock`.
pub(super) fn pipfile(file: &str, text: &str, lock: &mut Lockfile) {
    let document: Value = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(e) => return lock.diagnostics.push(broken(file, e.line() as u32, e.column() as u32, &e.to_string())),
    };
    for (section, dev) in [("default", false), ("develop", true)] {
        for (name, entry) in document.get(section).and_then(Value::as_object).into_iter().flatten() {
            let Some(version) = entry.get("version").and_then(Value::as_str) else { continue };
            let line = text.find(&format!("\"{name}\": {{")).map_or(0, |at| line_of(text, at));
            lock.packages.push(package(name, version.trim_start_matches('='), line, dev));
        }
    }
}
