//! Vulnerable packages: lockfiles, versions, advisories, and which of them meet.
//!
//! In: the text of a lockfile ([`lock`]), advisories ([`db`], from OSV documents or the embedded snapshot). Out:
//! packages, findings, and what could not be judged: a version that does not parse, an ecosystem without data. Neither
//! is ever counted as clean.

pub mod db;
pub mod lock;
mod matching;
pub mod osv;
pub mod rustsec;
mod version;

pub use db::{Bundle, Database};
pub use lock::{Lockfile, kind as lockfile_kind, read as read_lockfile};
pub use matching::{Judged, affects, judge};
pub use version::compare;

use serde::{Deserialize, Serialize};

/// A package registry, in OSV's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Ecosystem {
    /// Rust.
    #[serde(rename = "crates.io")]
    Crates,
    /// JavaScript.
    #[serde(rename = "npm")]
    Npm,
    /// Python.
    PyPI,
    /// Go.
    Go,
}

impl Ecosystem {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Crates, Self::Npm, Self::PyPI, Self::Go];

    /// OSV's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Crates => "crates.io",
            Self::Npm => "npm",
            Self::PyPI => "PyPI",
            Self::Go => "Go",
        }
    }

    /// By OSV's name; a release suffix (`Debian:12`) belongs to ecosystems that are not read here.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.word() == name)
    }

    /// The form of a name under which two spellings are the same package.
    pub fn normal(self, name: &str) -> String {
        match self {
            // PEP 503: runs of -, _ and . are one -, and case does not count.
            Self::PyPI => {
                let mut out = String::with_capacity(name.len());
                for c in name.chars() {
                    match c {
                        '-' | '_' | '.' if out.ends_with('-') => {}
                        '-' | '_' | '.' => out.push('-'),
                        _ => out.extend(c.to_lowercase()),
                    }
                }
                out
            }
            _ => name.to_owned(),
        }
    }

    fn purl_type(self) -> &'static str {
        match self {
            Self::Crates => "cargo",
            Self::Npm => "npm",
            Self::PyPI => "pypi",
            Self::Go => "golang",
        }
    }
}

/// A package as a lockfile names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Package {
    /// Ecosystem.
    pub ecosystem: Ecosystem,
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Line of the lockfile, from 1.
    pub line: u32,
    /// Whether only development needs it.
    pub dev: bool,
    /// Whether it comes from a registry: what comes from the repository itself or from git has no advisories.
    pub registry: bool,
}

impl Package {
    /// The package URL, percent-encoded as its specification says.
    pub fn purl(&self) -> String {
        let name = match self.ecosystem {
            Ecosystem::PyPI => self.ecosystem.normal(&self.name),
            _ => self.name.clone(),
        };
        let name = name.replace('@', "%40").replace('+', "%2B");
        let version = self.version.replace('+', "%2B");
        format!("pkg:{}/{name}@{version}", self.ecosystem.purl_type())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_purls() {
        assert_eq!(Ecosystem::PyPI.normal("Zope.Interface__x"), "zope-interface-x");
        let package = |ecosystem, name: &str| Package {
            ecosystem,
            name: name.into(),
            version: "1.0.0".into(),
            line: 1,
            dev: false,
            registry: true,
        };
        assert_eq!(package(Ecosystem::Npm, "@babel/core").purl(), "pkg:npm/%40babel/core@1.0.0");
        assert_eq!(package(Ecosystem::PyPI, "My_Pkg").purl(), "pkg:pypi/my-pkg@1.0.0");
        assert_eq!(Ecosystem::named("Debian:12"), None);
    }
}
