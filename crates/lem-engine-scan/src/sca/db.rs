//! The advisory database: the embedded snapshot, and what was imported since.
//!
//! A bundle is what one source said on one day, compressed. It says which ecosystems it covers; of the others nothing
//! is known, which is not the same as nothing is wrong.

use super::osv::{self, Advisory};
use super::{Ecosystem, rustsec};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Largest bundle once it is decompressed.
pub const MAX_BUNDLE_BYTES: u64 = 512 * 1024 * 1024;
/// Most documents of one import.
pub const MAX_DOCUMENTS: usize = 1_000_000;
/// Largest single document.
pub const MAX_DOCUMENT_BYTES: u64 = 4 * 1024 * 1024;
/// End of a bundle's file name.
pub const EXTENSION: &str = "advisories.zst";

const EMBEDDED: &[u8] = include_bytes!("../../data/rustsec.advisories.zst");
const LEVEL: i32 = 19;

/// Why a bundle could not be made or read.
#[derive(Debug, Error)]
pub enum DbError {
    /// A file or directory does not read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// A bundle is not what it says.
    #[error("{what} is no advisory bundle: {why}")]
    Corrupt {
        /// Which.
        what: String,
        /// Cause.
        why: String,
    },
    /// Nothing usable in an import.
    #[error("{0} holds no OSV documents of crates.io, npm, PyPI or Go")]
    Empty(PathBuf),
    /// Older than what is there.
    #[error("the import is of {new}, older than the {old} that is there; the older one is not taken")]
    Downgrade {
        /// Its day.
        new: Date,
        /// The present one's.
        old: Date,
    },
}

/// What one source said on one day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    /// Its day: of the newest advisory, or of the download.
    pub date: Date,
    /// Who said it.
    pub source: String,
    /// Ecosystems it covers.
    pub ecosystems: Vec<Ecosystem>,
    /// Documents that did not read.
    #[serde(default)]
    pub unread: usize,
    /// Advisories.
    pub advisories: Vec<Advisory>,
}

impl Bundle {
    /// The snapshot that is compiled in.
    pub fn embedded() -> Result<Self, DbError> {
        Self::decode(EMBEDDED, "the embedded snapshot")
    }

    /// Compressed form.
    pub fn encode(&self) -> Result<Vec<u8>, DbError> {
        let corrupt = |why: String| DbError::Corrupt { what: self.source.clone(), why };
        let json = serde_json::to_vec(self).map_err(|e| corrupt(e.to_string()))?;
        zstd::encode_all(&json[..], LEVEL).map_err(|e| corrupt(e.to_string()))
    }

    /// Reads the compressed form.
    pub fn decode(bytes: &[u8], what: &str) -> Result<Self, DbError> {
        let corrupt = |why: String| DbError::Corrupt { what: what.to_owned(), why };
        let decoder = zstd::Decoder::new(bytes).map_err(|e| corrupt(e.to_string()))?;
        let mut json = vec![];
        decoder.take(MAX_BUNDLE_BYTES).read_to_end(&mut json).map_err(|e| corrupt(e.to_string()))?;
        serde_json::from_slice(&json).map_err(|e| corrupt(e.to_string()))
    }

    /// From a checkout of the RustSec database: every `*.md` below `crates/`.
    pub fn of_rustsec(directory: &Path) -> Result<Self, DbError> {
        let mut advisories = vec![];
        let (mut newest, mut unread) = (Date::MIN, 0);
        for path in files(&directory.join("crates"), "md")? {
            let text = std::fs::read_to_string(&path).map_err(|source| DbError::Read { path: path.clone(), source })?;
            match rustsec::read(&text) {
                Ok(Some((advisory, day))) => {
                    newest = newest.max(day.parse().unwrap_or(Date::MIN));
                    advisories.push(advisory);
                }
                Ok(None) => {}
                Err(_) => unread += 1,
            }
        }
        if advisories.is_empty() {
            return Err(DbError::Empty(directory.to_owned()));
        }
        advisories.sort_by(|a, b| (&a.package, &a.id).cmp(&(&b.package, &b.id)));
        let ecosystems = vec![Ecosystem::Crates];
        Ok(Self { date: newest, source: "RustSec".into(), ecosystems, unread, advisories })
    }

    /// From OSV documents: one file, a directory of them, or a zip archive as OSV publishes it.
    pub fn of_osv(path: &Path, day: Date) -> Result<Self, DbError> {
        let wrong = |source| DbError::Read { path: path.to_owned(), source };
        let mut bundle = Self { date: day, source: "OSV".into(), ecosystems: vec![], unread: 0, advisories: vec![] };
        if path.is_dir() {
            for file in files(path, "json")? {
                bundle.document(&std::fs::read(&file).map_err(|source| DbError::Read { path: file, source })?);
            }
        } else {
            let bytes = std::fs::read(path).map_err(wrong)?;
            if bytes.starts_with(b"PK") { bundle.archive(&bytes, path)? } else { bundle.document(&bytes) }
        }
        if bundle.advisories.is_empty() {
            return Err(DbError::Empty(path.to_owned()));
        }
        bundle.ecosystems =
            Ecosystem::ALL.into_iter().filter(|e| bundle.advisories.iter().any(|a| a.ecosystem == *e)).collect();
        bundle.advisories.sort_by(|a, b| (a.ecosystem, &a.package, &a.id).cmp(&(b.ecosystem, &b.package, &b.id)));
        Ok(bundle)
    }

    fn document(&mut self, json: &[u8]) {
        match osv::read(json) {
            Ok(advisories) => self.advisories.extend(advisories),
            Err(_) => self.unread += 1,
        }
    }

    fn archive(&mut self, bytes: &[u8], path: &Path) -> Result<(), DbError> {
        let corrupt = |why: String| DbError::Corrupt { what: path.display().to_string(), why };
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(|e| corrupt(e.to_string()))?;
        if archive.len() > MAX_DOCUMENTS {
            return Err(corrupt(format!("{} documents; at most {MAX_DOCUMENTS} are read", archive.len())));
        }
        for index in 0..archive.len() {
            let entry = archive.by_index(index).map_err(|e| corrupt(e.to_string()))?;
            let mut json = vec![];
            entry.take(MAX_DOCUMENT_BYTES).read_to_end(&mut json).map_err(|e| corrupt(e.to_string()))?;
            self.document(&json);
        }
        Ok(())
    }
}

fn files(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, DbError> {
    let wrong = |source| DbError::Read { path: directory.to_owned(), source };
    std::fs::read_dir(directory).map_err(wrong)?;
    let walk = ignore::WalkBuilder::new(directory).standard_filters(false).follow_links(false).build();
    let mut found: Vec<PathBuf> = walk
        .filter_map(Result::ok)
        .map(ignore::DirEntry::into_path)
        .filter(|p| p.extension().is_some_and(|e| e == extension))
        .take(MAX_DOCUMENTS)
        .collect();
    found.sort();
    Ok(found)
}

/// Bundles put together; of each ecosystem the newest counts.
#[derive(Debug, Default)]
pub struct Database {
    bundles: Vec<Bundle>,
    index: HashMap<(Ecosystem, String), Vec<(usize, usize)>>,
    /// Bundles that were there and could not be used, and why.
    pub problems: Vec<String>,
}

impl Database {
    /// The embedded snapshot, and the bundles of a directory if there is one.
    pub fn open(directory: Option<&Path>) -> Result<Self, DbError> {
        let mut bundles = vec![Bundle::embedded()?];
        let mut problems = vec![];
        let entries = directory.and_then(|d| std::fs::read_dir(d).ok()).into_iter().flatten().filter_map(Result::ok);
        let mut paths: Vec<PathBuf> = entries.map(|e| e.path()).collect();
        paths.sort();
        for path in paths.iter().filter(|p| p.to_string_lossy().ends_with(EXTENSION)) {
            let read = std::fs::read(path).map_err(|source| DbError::Read { path: path.clone(), source });
            match read.and_then(|bytes| Bundle::decode(&bytes, &path.display().to_string())) {
                Ok(bundle) => bundles.push(bundle),
                Err(error) => problems.push(format!("{error}; it is left aside")),
            }
        }
        Ok(Self::of(bundles, problems))
    }

    /// From bundles in memory.
    pub fn of(bundles: Vec<Bundle>, problems: Vec<String>) -> Self {
        let mut newest: HashMap<Ecosystem, usize> = HashMap::new();
        for (at, bundle) in bundles.iter().enumerate() {
            for ecosystem in &bundle.ecosystems {
                let best = newest.entry(*ecosystem).or_insert(at);
                if bundles[*best].date <= bundle.date {
                    *best = at;
                }
            }
        }
        let mut index: HashMap<(Ecosystem, String), Vec<(usize, usize)>> = HashMap::new();
        for (b, bundle) in bundles.iter().enumerate() {
            for (a, advisory) in bundle.advisories.iter().enumerate() {
                if newest.get(&advisory.ecosystem) == Some(&b) {
                    index.entry((advisory.ecosystem, advisory.package.clone())).or_default().push((b, a));
                }
            }
        }
        Self { bundles, index, problems }
    }

    /// Advisories about a package, whatever its version.
    pub fn about(&self, ecosystem: Ecosystem, name: &str) -> impl Iterator<Item = &Advisory> {
        let found = self.index.get(&(ecosystem, ecosystem.normal(name))).map_or(&[][..], Vec::as_slice);
        found.iter().map(|(b, a)| &self.bundles[*b].advisories[*a])
    }

    /// Day of what is known about an ecosystem; `None` when nothing is.
    pub fn day(&self, ecosystem: Ecosystem) -> Option<Date> {
        self.bundles.iter().filter(|b| b.ecosystems.contains(&ecosystem)).map(|b| b.date).max()
    }

    /// The oldest day among ecosystems that are covered.
    pub fn oldest(&self) -> Option<Date> {
        Ecosystem::ALL.into_iter().filter_map(|e| self.day(e)).min()
    }

    /// Keeps a bundle in a directory, written whole or not at all. One older than what is there is refused.
    pub fn keep(bundle: &Bundle, directory: &Path) -> Result<PathBuf, DbError> {
        let names: Vec<&str> = bundle.ecosystems.iter().map(|e| e.purl_type()).collect();
        let path = directory.join(format!("{}.{EXTENSION}", names.join("-")));
        let wrong = |source| DbError::Write { path: path.clone(), source };
        std::fs::create_dir_all(directory).map_err(wrong)?;
        if let Ok(bytes) = std::fs::read(&path)
            && let Ok(old) = Bundle::decode(&bytes, "the present one")
            && old.date > bundle.date
        {
            return Err(DbError::Downgrade { new: bundle.date, old: old.date });
        }
        let part = path.with_extension("part");
        std::fs::write(&part, bundle.encode()?).map_err(wrong)?;
        std::fs::rename(&part, &path).map_err(wrong)?;
        Ok(path)
    }
}
