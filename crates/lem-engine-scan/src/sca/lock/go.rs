//! `go.mod` and `go.sum`.

use super::{Lockfile, broken};
use crate::sca::{Ecosystem, Package};
use std::collections::HashMap;

fn package(name: &str, version: &str, line: usize) -> Package {
    Package {
        ecosystem: Ecosystem::Go,
        name: name.trim_matches('"').to_owned(),
        version: version.to_owned(),
        line: line as u32 + 1,
        dev: false,
        registry: true,
    }
}

/// `require` and `replace`, single and in blocks. Since Go 1.17 it lists every module that is built.
pub(super) fn module(file: &str, text: &str, lock: &mut Lockfile) {
    let (mut block, mut seen_module) = (String::new(), false);
    let mut replaced: HashMap<String, Option<(String, String)>> = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split("//").next().unwrap_or_default().trim();
        if line == ")" {
            block.clear();
            continue;
        }
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if rest.trim() == "(" {
            word.clone_into(&mut block);
            continue;
        }
        let (word, rest) = if block.is_empty() { (word, rest.trim()) } else { (block.as_str(), line) };
        let words: Vec<&str> = rest.split_whitespace().collect();
        match (word, &words[..]) {
            ("module", [_]) => seen_module = true,
            ("require", [name, version]) => lock.packages.push(package(name, version, index)),
            ("replace", [name, .., "=>", other, version]) => {
                replaced.insert((*name).to_owned(), Some(((*other).to_owned(), (*version).to_owned())));
            }
            // A directory stands in: it has no advisories.
            ("replace", [name, .., "=>", _]) => {
                replaced.insert((*name).to_owned(), None);
            }
            ("require" | "replace", [_, ..]) => {
                lock.diagnostics.push(broken(
                    file,
                    index as u32 + 1,
                    1,
                    &format!("{word} takes a module and a version"),
                ));
            }
            _ => {}
        }
    }
    for package in &mut lock.packages {
        match replaced.get(&package.name) {
            Some(Some((name, version))) => (package.name, package.version) = (name.clone(), version.clone()),
            Some(None) => package.registry = false,
            None => {}
        }
    }
    if !seen_module {
        lock.diagnostics.push(broken(file, 1, 0, "there is no module line"));
    }
}

/// Every version whose sources were ever needed; of each module the newest listed counts.
pub(super) fn sum(text: &str, lock: &mut Lockfile) {
    let mut newest: HashMap<&str, (&str, usize)> = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        if version.ends_with("/go.mod") {
            continue;
        }
        let best = newest.entry(name).or_insert((version, index));
        if crate::sca::compare(Ecosystem::Go, version, best.0).is_some_and(std::cmp::Ordering::is_gt) {
            *best = (version, index);
        }
    }
    lock.packages.extend(newest.into_iter().map(|(name, (version, index))| package(name, version, index)));
}
