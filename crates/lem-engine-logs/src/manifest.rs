//! The manifest: which parts are live, where the WAL begins, which pattern registry belongs to them. Replaced as a whole.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::files::write_atomic;
use crate::options::{DiskHook, WriteKind};

const FORMAT: u32 = 1;

/// One immutable part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartInfo {
    /// Its number; also its file's name.
    pub id: u64,
    /// Its place among the parts of its day: that of the earliest flush it contains.
    pub order: u64,
    /// Days since the epoch, UTC.
    pub day: i64,
    /// Time of its first line.
    pub min_ts_ns: i64,
    /// Time of its last line.
    pub max_ts_ns: i64,
    /// Lines.
    pub rows: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes of the lines themselves.
    pub line_bytes: u64,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// Why it is not read, if it is damaged.
    pub quarantined: Option<String>,
}

impl PartInfo {
    /// The file's path relative to the store.
    pub fn file(&self) -> PathBuf {
        Path::new("parts").join(day_name(self.day)).join(format!("{:012}.part", self.id))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    pub(crate) next_part: u64,
    /// Segments before this one are in parts.
    pub(crate) wal_from: u64,
    /// Number in the registry's file name; 0 before the first flush.
    pub(crate) registry: u64,
    pub(crate) parts: Vec<PartInfo>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self { format: FORMAT, next_part: 1, wal_from: 1, registry: 0, parts: Vec::new() }
    }
}

impl Manifest {
    pub(crate) fn path(dir: &Path) -> PathBuf {
        dir.join("manifest.json")
    }

    /// `None` if there is none yet.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = Self::path(dir);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(StoreError::io("read", &path)(e)),
        };
        let damaged = |why: String| StoreError::Damaged { path: path.clone(), why };
        let manifest: Self = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
        if manifest.format != FORMAT {
            return Err(damaged(format!("format {} is not {FORMAT}", manifest.format)));
        }
        Ok(Some(manifest))
    }

    pub(crate) fn save(&self, dir: &Path, disk: &dyn DiskHook) -> Result<(), StoreError> {
        let text = serde_json::to_vec_pretty(self).expect("strings and numbers serialise");
        write_atomic(&Self::path(dir), &text, WriteKind::Manifest, disk)
    }
}

pub(crate) fn registry_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("patterns-{number:012}.json"))
}

/// `YYYY-MM-DD` of a day counted from the epoch (days_from_civil of Howard Hinnant, backwards).
pub(crate) fn day_name(day: i64) -> String {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{:02}", doy - (153 * mp + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_names() {
        for (day, expect) in [(0, "1970-01-01"), (-1, "1969-12-31"), (19_782, "2024-02-29"), (20_780, "2026-11-23")] {
            assert_eq!(day_name(day), expect);
        }
    }
}
