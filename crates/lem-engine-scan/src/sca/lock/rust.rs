//! `Cargo.lock`, versions 1 to 4.

use super::{Lines, Lockfile, toml, unsupported};
use crate::sca::{Ecosystem, Package};
use ::toml::Spanned;
use serde::Deserialize;

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    version: Option<u32>,
    #[serde(default)]
    package: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: Spanned<String>,
    version: String,
    #[serde(default)]
    source: Option<String>,
}

pub(super) fn cargo(file: &str, text: &str, lock: &mut Lockfile) {
    let document: Document = match toml(file, text) {
        Ok(document) => document,
        Err(diagnostic) => return lock.diagnostics.push(diagnostic),
    };
    if let Some(version) = document.version.filter(|v| *v > 4) {
        return lock.diagnostics.push(unsupported(file, &version.to_string(), "versions 1 to 4"));
    }
    let lines = Lines::of(text);
    lock.packages.extend(document.package.into_iter().map(|entry| Package {
        ecosystem: Ecosystem::Crates,
        line: lines.at(entry.name.span().start),
        name: entry.name.into_inner(),
        version: entry.version,
        dev: false,
        registry: entry.source.is_some_and(|s| s.starts_with("registry+") || s.starts_with("sparse+")),
    }));
}
