//! npm, pnpm and yarn.

use super::{Lockfile, broken, line_of, unsupported};
use crate::sca::{Ecosystem, Package};
use lem_engine_yaml::{MergeKeys, Node, Options, parse_one};
use serde_json::{Map, Value};

/// Deepest nesting of dependencies in a version 1 lockfile.
const MAX_DEPTH: usize = 64;

fn package(name: &str, version: &str, line: u32, dev: bool) -> Package {
    let (name, version) = (name.to_owned(), version.to_owned());
    Package { ecosystem: Ecosystem::Npm, name, version, line, dev, registry: true }
}

/// `package-lock.json`: `packages` of versions 2 and 3, `dependencies` of version 1.
pub(super) fn npm(file: &str, text: &str, lock: &mut Lockfile) {
    let document: Value = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(e) => return lock.diagnostics.push(broken(file, e.line() as u32, e.column() as u32, &e.to_string())),
    };
    let version = document.get("lockfileVersion").and_then(Value::as_u64).unwrap_or(1);
    if version > 3 {
        return lock.diagnostics.push(unsupported(file, &version.to_string(), "versions 1 to 3"));
    }
    let mut places = Places { text, from: 0 };
    if let Some(packages) = document.get("packages").and_then(Value::as_object) {
        for (key, entry) in packages {
            let line = places.of(key);
            let Some((_, name)) = key.rsplit_once("node_modules/") else { continue };
            let flag = |name: &str| entry.get(name).and_then(Value::as_bool) == Some(true);
            if flag("link") {
                continue;
            }
            // An alias installs one package under another name.
            let name = entry.get("name").and_then(Value::as_str).unwrap_or(name);
            let Some(version) = entry.get("version").and_then(Value::as_str) else { continue };
            lock.packages.push(package(name, version, line, flag("dev") || flag("devOptional")));
        }
        return;
    }
    let Some(dependencies) = document.get("dependencies").and_then(Value::as_object) else { return };
    nested(dependencies, &mut places, lock, 0);
}

fn nested(dependencies: &Map<String, Value>, places: &mut Places<'_>, lock: &mut Lockfile, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    for (name, entry) in dependencies {
        let line = places.of(name);
        let dev = entry.get("dev").and_then(Value::as_bool) == Some(true);
        if let Some(version) = entry.get("version").and_then(Value::as_str) {
            let (name, version) = match version.strip_prefix("npm:").and_then(|v| v.rsplit_once('@')) {
                Some((name, version)) => (name, version),
                None => (name.as_str(), version),
            };
            lock.packages.push(package(name, version, line, dev));
        }
        if let Some(inner) = entry.get("dependencies").and_then(Value::as_object) {
            nested(inner, places, lock, depth + 1);
        }
    }
}

/// Keys of a JSON text, asked for in the order they are written.
struct Places<'a> {
    text: &'a str,
    from: usize,
}

impl Places<'_> {
    fn of(&mut self, key: &str) -> u32 {
        let quoted = format!("\"{key}\": {{");
        match self.text[self.from..].find(&quoted) {
            Some(at) => {
                self.from += at;
                line_of(self.text, self.from)
            }
            None => 0,
        }
    }
}

/// `pnpm-lock.yaml`, versions 5 to 9.
pub(super) fn pnpm(file: &str, text: &str, lock: &mut Lockfile) {
    let options = Options { merge_keys: MergeKeys::Keep, ..Options::default() };
    let (tree, diagnostics) = parse_one(text, file, options);
    let Some(tree) = tree else { return lock.diagnostics.extend(diagnostics) };
    let version = tree.get("lockfileVersion").and_then(Node::text).unwrap_or("5");
    let major: u32 = version.split('.').next().and_then(|m| m.parse().ok()).unwrap_or(0);
    if !(5..=9).contains(&major) {
        return lock.diagnostics.push(unsupported(file, version, "versions 5 to 9"));
    }
    for entry in tree.get("packages").and_then(Node::entries).unwrap_or_default() {
        let Some((name, version)) = entry.key.text().and_then(pnpm_key) else { continue };
        let dev = entry.value.get("dev").and_then(Node::text) == Some("true");
        lock.packages.push(package(&name, &version, entry.key.mark.line, dev));
    }
}

/// `/name/1.0.0_peer`, `/name@1.0.0(peer)`, `name@1.0.0`.
fn pnpm_key(key: &str) -> Option<(String, String)> {
    let key = key.split('(').next()?;
    let bare = key.strip_prefix('/').unwrap_or(key);
    // Up to version 5 the last part of a path is the version, with the peers behind an underscore.
    let path = bare.rsplit_once('/').filter(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit()));
    let (name, version) = match path {
        Some((name, version)) => (name, version.split('_').next()?),
        None => bare.rsplit_once('@').filter(|(name, _)| !name.is_empty())?,
    };
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| (name.to_owned(), version.to_owned()))
}

/// `yarn.lock`: an entry is a line of descriptors, and indented fields.
pub(super) fn yarn(text: &str, lock: &mut Lockfile) {
    let mut head: Option<(String, u32)> = None;
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if !line.starts_with(' ') {
            head = descriptor(line.trim_end_matches(':')).map(|name| (name, index as u32 + 1));
            continue;
        }
        let field = line.trim();
        let value = field.strip_prefix("version ").or_else(|| field.strip_prefix("version: "));
        // Fields of the entry itself are indented by two.
        if let Some((version, (name, at))) = value.filter(|_| !line.starts_with("   ")).zip(head.clone()) {
            lock.packages.push(package(&name, version.trim_matches('"'), at, false));
            head = None;
        }
    }
}

/// The package of `"@a/b@^1.0.0, @a/b@^1.1.0"`, `a@npm:^1.0.0`; `None` for the workspace's own.
fn descriptor(line: &str) -> Option<String> {
    let first = line.split(',').next()?.trim().trim_matches('"');
    if first.starts_with("__") || first.contains("@workspace:") || first.contains("@link:") {
        return None;
    }
    let at = 1 + first.get(1..)?.find('@')?;
    let (name, range) = (&first[..at], &first[at + 1..]);
    // `alias@npm:real@^1` installs the package behind the alias.
    let real = range.strip_prefix("npm:").and_then(|r| r.get(1..).and_then(|s| s.find('@')).map(|i| &r[..=i]));
    Some(real.unwrap_or(name).to_owned())
}
