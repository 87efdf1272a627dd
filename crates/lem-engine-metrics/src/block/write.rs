//! Writing a block: into a `tmp-` folder, everything synced, then renamed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use roaring::RoaringTreemap;

use super::meta::{self, Meta};
use super::table::{Span, Symbols};
use super::{CHUNKS, CRC_BYTES, ChunkRef, INDEX};
use crate::disk::Disk;
use crate::error::StoreError;
use crate::labels::Labels;
use crate::xor::{self, Point};

/// Folders with this prefix are unfinished or on their way out.
pub(crate) const TMP: &str = "tmp-";
/// Chunk bytes collected before they are written.
const BUFFER: usize = 1 << 20;

/// Takes the series of a block in label order.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    disk: Disk,
    parent: PathBuf,
    name: String,
    tmp: PathBuf,
    chunk_file: File,
    buffer: Vec<u8>,
    flushed: u64,
    index: Vec<u8>,
    symbols: Symbols,
    series: Vec<Span>,
    postings: BTreeMap<Arc<str>, BTreeMap<Arc<str>, RoaringTreemap>>,
    meta: Meta,
}

impl BlockWriter {
    pub(crate) fn create(
        disk: &Disk,
        parent: &Path,
        (start_ms, end_ms): (i64, i64),
        number: u64,
        sources: Vec<String>,
    ) -> Result<BlockWriter, StoreError> {
        let name = meta::folder_name(start_ms, end_ms, number);
        let tmp = parent.join(format!("{TMP}{name}"));
        if tmp.exists() {
            fs::remove_dir_all(&tmp).map_err(StoreError::io("remove", &tmp))?;
        }
        fs::create_dir(&tmp).map_err(StoreError::io("create", &tmp))?;
        let path = tmp.join(CHUNKS);
        let chunk_file = File::create(&path).map_err(StoreError::io("create", &path))?;
        Ok(BlockWriter {
            disk: disk.clone(),
            parent: parent.to_owned(),
            name,
            tmp,
            chunk_file,
            buffer: Vec::new(),
            flushed: 0,
            index: Vec::new(),
            symbols: Symbols::default(),
            series: Vec::new(),
            postings: BTreeMap::new(),
            meta: Meta {
                version: meta::VERSION,
                start_ms,
                end_ms,
                series: 0,
                samples: 0,
                chunks: 0,
                chunk_bytes: 0,
                index_crc: 0,
                sources,
                checksum: 0,
            },
        })
    }

    /// Adds one series with its samples in time order.
    pub(crate) fn add(&mut self, labels: &Labels, points: &[Point]) -> Result<(), StoreError> {
        let mut refs = Vec::new();
        for part in points.chunks(usize::from(xor::MAX_SAMPLES)) {
            let bytes = xor::encode(part);
            let offset = self.flushed + self.buffer.len() as u64;
            self.buffer.extend_from_slice(&bytes);
            self.buffer.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
            refs.push(ChunkRef { min_t: part[0].0, max_t: part[part.len() - 1].0, offset, len: bytes.len() as u64 });
        }
        if self.buffer.len() > BUFFER {
            self.flush()?;
        }
        let id = self.series.len() as u64;
        for (name, value) in labels.pairs() {
            self.postings.entry(name.clone()).or_default().entry(value.clone()).or_default().insert(id);
        }
        let mut entry = Vec::new();
        self.symbols.put_series(&mut entry, labels, &refs);
        let span = put_checked(&mut self.index, &entry);
        self.series.push(span);
        self.meta.samples += points.len() as u64;
        self.meta.chunks += refs.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let path = self.tmp.join(CHUNKS);
        let written = self.disk.write_at(&self.chunk_file, &path, &self.buffer, self.flushed);
        written.map_err(StoreError::io("write", &path))?;
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Makes the block visible and returns its folder; `None` if it would be empty.
    pub(crate) fn finish(mut self) -> Result<Option<PathBuf>, StoreError> {
        if self.series.is_empty() {
            fs::remove_dir_all(&self.tmp).map_err(StoreError::io("remove", &self.tmp))?;
            return Ok(None);
        }
        self.flush()?;
        let path = self.tmp.join(CHUNKS);
        self.disk.sync(&self.chunk_file, &path).map_err(StoreError::io("sync", &path))?;
        self.put_postings();
        self.disk.write_new(&self.tmp.join(INDEX), &self.index)?;
        self.meta.series = self.series.len() as u64;
        self.meta.chunk_bytes = self.flushed;
        self.meta.index_crc = crc32c::crc32c(&self.index);
        self.meta.write(&self.disk, &self.tmp)?;
        self.disk.sync_dir(&self.tmp)?;
        let dir = self.parent.join(&self.name);
        if let Err(error) = self.disk.rename(&self.tmp, &dir) {
            // Renamed but perhaps not durably: what the caller does not know of must not come back at the next opening.
            let _ = fs::remove_dir_all(&dir);
            return Err(error);
        }
        Ok(Some(dir))
    }

    fn put_postings(&mut self) {
        let mut names = BTreeMap::new();
        for (name, values) in std::mem::take(&mut self.postings) {
            let mut spans = Vec::with_capacity(values.len());
            for (value, ids) in values {
                let mut bytes = Vec::new();
                ids.serialize_into(&mut bytes).expect("writing to memory does not fail");
                spans.push((value, put_checked(&mut self.index, &bytes)));
            }
            names.insert(name, spans);
        }
        let offset = self.index.len() as u64;
        let mut table = Vec::new();
        self.symbols.put_table(&mut table, offset, &self.series, &names);
        self.index.extend_from_slice(&table);
    }
}

/// An unfinished block gives its space back.
impl Drop for BlockWriter {
    fn drop(&mut self) {
        // After `finish` the folder has another name, and there is nothing to remove.
        let _ = fs::remove_dir_all(&self.tmp);
    }
}

fn put_checked(out: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let span = Span { offset: out.len() as u64, len: bytes.len() as u64 };
    out.extend_from_slice(bytes);
    out.extend_from_slice(&crc32c::crc32c(bytes).to_le_bytes());
    debug_assert_eq!(out.len() as u64, span.offset + span.len + CRC_BYTES);
    span
}
