//! Lockfiles.
//!
//! In: a path and a text. Out: packages with their lines, and what is wrong with the file. A version of a format that
//! is not known is said with those that are; a requirement that pins nothing is not a package but unknown.

mod go;
mod javascript;
mod python;
mod rust;

use super::Package;
use crate::Unknown;
use lem_model::{Diagnostic, Place};

/// Most packages of one lockfile.
pub const MAX_PACKAGES: usize = 100_000;

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `Cargo.lock`.
    Cargo,
    /// `package-lock.json`, `npm-shrinkwrap.json`.
    Npm,
    /// `pnpm-lock.yaml`.
    Pnpm,
    /// `yarn.lock`, version 1 and later.
    Yarn,
    /// `requirements.txt`.
    Requirements,
    /// `poetry.lock`.
    Poetry,
    /// `uv.lock`.
    Uv,
    /// `Pipfile.lock`.
    Pipfile,
    /// `go.mod`.
    GoMod,
    /// `go.sum`.
    GoSum,
}

/// What a lockfile says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lockfile {
    /// Packages in order of line.
    pub packages: Vec<Package>,
    /// Requirements whose version is not pinned.
    pub unknown: Vec<Unknown>,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

/// The format of a path, by its name.
pub fn kind(path: &str) -> Option<Kind> {
    let name = path.rsplit('/').next().unwrap_or(path);
    Some(match name {
        "Cargo.lock" => Kind::Cargo,
        "package-lock.json" | "npm-shrinkwrap.json" => Kind::Npm,
        "pnpm-lock.yaml" => Kind::Pnpm,
        "yarn.lock" => Kind::Yarn,
        "poetry.lock" => Kind::Poetry,
        "uv.lock" => Kind::Uv,
        "Pipfile.lock" => Kind::Pipfile,
        "go.mod" => Kind::GoMod,
        "go.sum" => Kind::GoSum,
        _ if name.starts_with("requirements") && name.ends_with(".txt") => Kind::Requirements,
        _ => return None,
    })
}

/// Lockfiles that teams have and that are not read here: they are named, not passed over.
pub fn unread(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    Some(match name {
        "Gemfile.lock" => "RubyGems",
        "composer.lock" => "Packagist",
        "packages.lock.json" => "NuGet",
        "gradle.lockfile" => "Maven",
        "bun.lock" | "bun.lockb" => "npm (bun)",
        "pdm.lock" | "pylock.toml" => "PyPI",
        _ => return None,
    })
}

/// Reads a lockfile.
pub fn read(kind: Kind, file: &str, text: &str) -> Lockfile {
    let mut lock = Lockfile::default();
    match kind {
        Kind::Cargo => rust::cargo(file, text, &mut lock),
        Kind::Npm => javascript::npm(file, text, &mut lock),
        Kind::Pnpm => javascript::pnpm(file, text, &mut lock),
        Kind::Yarn => javascript::yarn(text, &mut lock),
        Kind::Requirements => python::requirements(file, text, &mut lock),
        Kind::Poetry => python::poetry(file, text, &mut lock),
        Kind::Uv => python::uv(file, text, &mut lock),
        Kind::Pipfile => python::pipfile(file, text, &mut lock),
        Kind::GoMod => go::module(file, text, &mut lock),
        Kind::GoSum => go::sum(text, &mut lock),
    }
    lock.packages.sort_by(|a, b| (a.line, &a.name, &a.version).cmp(&(b.line, &b.name, &b.version)));
    if lock.packages.len() > MAX_PACKAGES {
        let message = format!("{} packages; at most {MAX_PACKAGES} are read", lock.packages.len());
        lock.diagnostics.push(Diagnostic::error("too-many-packages", message, Place::file(file)));
        lock.packages.truncate(MAX_PACKAGES);
    }
    lock
}

/// The file does not read at all.
fn broken(file: &str, line: u32, column: u32, why: &str) -> Diagnostic {
    let message = format!("the lockfile does not read: {}", why.lines().next().unwrap_or(why));
    Diagnostic::error("lockfile-broken", message, Place::new(file, line, column))
        .with_hint("its packages are not judged; make it again with its tool")
}

/// A version of the format that is not known.
fn unsupported(file: &str, version: &str, known: &str) -> Diagnostic {
    Diagnostic::error("lockfile-version", format!("version {version} of the format is not read"), Place::file(file))
        .with_hint(format!("{known} are; the packages of this file are not judged"))
}

/// Line, from 1, of a byte of a text.
fn line_of(text: &str, offset: usize) -> u32 {
    1 + memchr::memchr_iter(b'\n', &text.as_bytes()[..offset.min(text.len())]).count() as u32
}

/// Lines of many places of one text, asked in any order.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)).collect())
    }

    fn at(&self, offset: usize) -> u32 {
        self.0.partition_point(|start| *start <= offset) as u32
    }
}

/// A TOML document, or why it does not read.
fn toml<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, Diagnostic> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| line_of(text, span.start));
        broken(file, line, 0, error.message())
    })
}
