//! `meta.json`: what a block is, before anything else of it is read.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::error::StoreError;

const FILE: &str = "meta.json";
/// Version of the block format.
pub(crate) const VERSION: u32 = 1;

/// Facts about one block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Meta {
    pub(crate) version: u32,
    /// First timestamp of the block's window.
    pub(crate) start_ms: i64,
    /// End of the window, not included.
    pub(crate) end_ms: i64,
    pub(crate) series: u64,
    pub(crate) samples: u64,
    pub(crate) chunks: u64,
    pub(crate) chunk_bytes: u64,
    pub(crate) index_crc: u32,
    /// Blocks that this one replaces; they may still be there after a crash.
    pub(crate) sources: Vec<String>,
    /// CRC-32C of this document with zero in this place.
    pub(crate) checksum: u32,
}

impl Meta {
    pub(crate) fn read(dir: &Path) -> Result<Meta, StoreError> {
        let path = dir.join(FILE);
        let bytes = fs::read(&path).map_err(StoreError::io("read", &path))?;
        let meta: Meta = serde_json::from_slice(&bytes).map_err(|e| StoreError::damaged(&path, e.to_string()))?;
        if meta.crc() != meta.checksum {
            return Err(StoreError::damaged(&path, "wrong checksum"));
        }
        if meta.version != VERSION {
            return Err(StoreError::damaged(&path, format!("version {} is not known", meta.version)));
        }
        Ok(meta)
    }

    pub(crate) fn write(&mut self, disk: &Disk, dir: &Path) -> Result<(), StoreError> {
        self.checksum = self.crc();
        let bytes = serde_json::to_vec_pretty(self).expect("numbers and texts have a JSON form");
        disk.write_new(&dir.join(FILE), &bytes)
    }

    fn crc(&self) -> u32 {
        let unsigned = Meta { checksum: 0, ..self.clone() };
        crc32c::crc32c(&serde_json::to_vec(&unsigned).expect("numbers and texts have a JSON form"))
    }
}

const PREFIX: &str = "block";

/// The folder's name says the time range, so that it is known even when nothing inside can be read.
pub(crate) fn folder_name(start_ms: i64, end_ms: i64, number: u64) -> String {
    format!("{PREFIX}_{start_ms}_{end_ms}_{number:06}")
}

/// Start, end and number out of a folder's name.
pub(crate) fn parse_folder(name: &str) -> Option<(i64, i64, u64)> {
    let mut parts = name.split('_');
    if parts.next()? != PREFIX {
        return None;
    }
    let found = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(found)
}
