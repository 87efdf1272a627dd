//! Immutable blocks: a folder with `meta.json`, `index`, `chunks` and, after a deletion, `tombstones`.
//!
//! Layout of `index`, written in this order, numbers as in the log:
//! series entries, postings (roaring bitmaps of series ids), one table, footer. Each part carries its CRC-32C; `meta.json`
//! carries the one of the whole file and of itself. A series id is the place of the series in label order.
//! `chunks` holds XOR chunks, each followed by its CRC-32C.

pub(crate) mod meta;
mod table;
pub(crate) mod write;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use roaring::RoaringTreemap;

use crate::coding::{Reader, Truncated};
use crate::disk::Disk;
use crate::error::StoreError;
use crate::labels::Labels;
use crate::postings::Index;
use crate::xor::{self, Point};
use meta::Meta;
use table::{Span, Table};

pub(crate) const INDEX: &str = "index";
pub(crate) const CHUNKS: &str = "chunks";
const TOMBSTONES: &str = "tombstones";
const CRC_BYTES: u64 = 4;

/// Deleted time ranges of each series, both ends included.
type Tombstones = BTreeMap<u64, Vec<(i64, i64)>>;

/// An open block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) meta: Meta,
    pub(crate) dir: PathBuf,
    index: File,
    chunks: File,
    table: Table,
    tombstones: RwLock<Tombstones>,
    damaged: AtomicBool,
}

/// Where a chunk lies and what it spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkRef {
    pub(crate) min_t: i64,
    pub(crate) max_t: i64,
    pub(crate) offset: u64,
    /// Without the checksum.
    pub(crate) len: u64,
}

/// One series of a block.
#[derive(Debug)]
pub(crate) struct BlockSeries {
    pub(crate) labels: Labels,
    pub(crate) chunks: Vec<ChunkRef>,
}

impl Block {
    /// Opens a block and checks its meta data and index. Chunks are checked as they are read.
    pub(crate) fn open(dir: &Path) -> Result<Block, StoreError> {
        let meta = Meta::read(dir)?;
        let index_path = dir.join(INDEX);
        let bytes = fs::read(&index_path).map_err(StoreError::io("read", &index_path))?;
        if crc32c::crc32c(&bytes) != meta.index_crc {
            return Err(StoreError::damaged(&index_path, "wrong checksum"));
        }
        let table = Table::read(&bytes).map_err(|_| StoreError::damaged(&index_path, "unreadable table"))?;
        let open = |name: &str| {
            let path = dir.join(name);
            File::open(&path).map_err(StoreError::io("open", &path))
        };
        let (index, chunks) = (open(INDEX)?, open(CHUNKS)?);
        let len = chunks.metadata().map_err(StoreError::io("inspect", &dir.join(CHUNKS)))?.len();
        if len != meta.chunk_bytes {
            let reason = format!("{len} bytes instead of {}", meta.chunk_bytes);
            return Err(StoreError::damaged(&dir.join(CHUNKS), reason));
        }
        let tombstones = RwLock::new(read_tombstones(dir)?);
        Ok(Block { meta, dir: dir.to_owned(), index, chunks, table, tombstones, damaged: AtomicBool::new(false) })
    }

    pub(crate) fn overlaps(&self, start: i64, end: i64) -> bool {
        self.meta.start_ms <= end && self.meta.end_ms > start
    }

    pub(crate) fn name(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub(crate) fn series_count(&self) -> u64 {
        self.table.series.len() as u64
    }

    pub(crate) fn series(&self, id: u64) -> Result<BlockSeries, StoreError> {
        let span = self.table.series.get(id as usize).copied();
        let span = span.ok_or_else(|| StoreError::damaged(&self.dir.join(INDEX), "unknown series id"))?;
        let bytes = self.checked(&self.index, INDEX, span)?;
        self.table
            .series_entry(&bytes)
            .map_err(|Truncated| StoreError::damaged(&self.dir.join(INDEX), "unreadable series"))
    }

    pub(crate) fn posting(&self, span: Span) -> Result<RoaringTreemap, StoreError> {
        let bytes = self.checked(&self.index, INDEX, span)?;
        RoaringTreemap::deserialize_from(&bytes[..])
            .map_err(|_| StoreError::damaged(&self.dir.join(INDEX), "unreadable postings"))
    }

    /// Reads the series' samples between `start` and `end`, without deleted ones. A chunk that is damaged is left out and
    /// described in `warnings`.
    pub(crate) fn read(
        &self,
        id: u64,
        series: &BlockSeries,
        (start, end): (i64, i64),
        out: &mut Vec<Point>,
        warnings: &mut Vec<String>,
    ) {
        let before = out.len();
        for chunk in series.chunks.iter().filter(|c| c.min_t <= end && c.max_t >= start) {
            let kept = out.len();
            let span = Span { offset: chunk.offset, len: chunk.len };
            let decoded = self.checked(&self.chunks, CHUNKS, span).and_then(|bytes| {
                xor::decode_into(&bytes, out)
                    .ok_or_else(|| StoreError::damaged(&self.dir.join(CHUNKS), "unreadable chunk"))
            });
            if let Err(error) = decoded {
                out.truncate(kept);
                warnings.push(format!(
                    "{error}: samples of {} from {} to {} are missing",
                    series.labels, chunk.min_t, chunk.max_t
                ));
            }
        }
        let tombstones = self.tombstones.read();
        let deleted = tombstones.get(&id).map_or(&[][..], Vec::as_slice);
        let mut added = out.split_off(before);
        added
            .retain(|p| (start..=end).contains(&p.0) && !deleted.iter().any(|(from, to)| (*from..=*to).contains(&p.0)));
        out.append(&mut added);
    }

    /// Was something unreadable found in it since it was opened?
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Reads a span and the checksum behind it.
    fn checked(&self, file: &File, name: &str, span: Span) -> Result<Vec<u8>, StoreError> {
        let path = || self.dir.join(name);
        let mut bytes = vec![0; (span.len + CRC_BYTES) as usize];
        file.read_exact_at(&mut bytes, span.offset).map_err(|e| StoreError::io("read", &path())(e))?;
        let (body, crc) = bytes.split_at(span.len as usize);
        if crc32c::crc32c(body).to_le_bytes() != crc {
            self.damaged.store(true, Ordering::Relaxed);
            return Err(StoreError::damaged(&path(), format!("wrong checksum at byte {}", span.offset)));
        }
        bytes.truncate(span.len as usize);
        Ok(bytes)
    }

    /// Hides the samples of these series from now on.
    pub(crate) fn delete(&self, disk: &Disk, ids: &RoaringTreemap, start: i64, end: i64) -> Result<(), StoreError> {
        let mut all = self.tombstones.read().clone();
        for id in ids {
            let ranges = all.entry(id).or_default();
            if !ranges.contains(&(start, end)) {
                ranges.push((start, end));
            }
        }
        let mut bytes = serde_json::to_vec(&all).expect("numbers have a JSON form");
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        disk.replace(&self.dir.join(TOMBSTONES), &bytes)?;
        *self.tombstones.write() = all;
        Ok(())
    }

    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.metadata().ok()).map(|m| m.len()).sum()
    }
}

fn read_tombstones(dir: &Path) -> Result<Tombstones, StoreError> {
    let path = dir.join(TOMBSTONES);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Tombstones::new()),
        Err(error) => return Err(StoreError::io("read", &path)(error)),
    };
    let damaged = || StoreError::damaged(&path, "wrong checksum");
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
    if crc32c::crc32c(body).to_le_bytes() != *crc {
        return Err(damaged());
    }
    serde_json::from_slice(body).map_err(|error| StoreError::damaged(&path, error.to_string()))
}

impl Index for Block {
    fn all(&self) -> Result<RoaringTreemap, StoreError> {
        Ok((0..self.series_count()).collect())
    }

    fn pair(&self, name: &str, value: &str) -> Result<RoaringTreemap, StoreError> {
        self.table.pair(name, value).map_or_else(|| Ok(RoaringTreemap::new()), |span| self.posting(span))
    }

    fn where_value(&self, name: &str, accept: &dyn Fn(&str) -> bool) -> Result<RoaringTreemap, StoreError> {
        let mut set = RoaringTreemap::new();
        for (_, span) in self.table.values(name).filter(|(value, _)| accept(value)) {
            set |= self.posting(span)?;
        }
        Ok(set)
    }
}

/// Reads a count of `T`s.
fn list<T>(
    read: &mut Reader<'_>,
    mut item: impl FnMut(&mut Reader<'_>) -> Result<T, Truncated>,
) -> Result<Vec<T>, Truncated> {
    (0..read.count()?).map(|_| item(read)).collect()
}
