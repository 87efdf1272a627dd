//! A part file: `magic | columns | index | footer`. Written once, under a temporary name until it is whole and durable.
//!
//! Footer, little endian: index offset, stored length, raw length, xxh3 of the stored index, magic.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sha2::{Digest as _, Sha256};

use crate::block::{self, BlockHeader, row_bytes};
use crate::bloom;
use crate::codec::{Malformed, Reader, put_bytes, put_u64};
use crate::columns::{Column, ColumnWriter};
use crate::error::{StoreError, Warning};
use crate::files::sync_dir;
use crate::head::Entry;
use crate::limits;
use crate::manifest::PartInfo;
use crate::options::{DiskHook, WriteKind};
use crate::record::StreamKey;
use crate::wal::{get_labels, put_labels};

const MAGIC: &[u8; 8] = b"LEMLOGP1";
const FOOTER: usize = 5 * 8;
/// Larger indexes are not believed.
const INDEX_RAW_MAX: u64 = 1 << 30;

/// Writes a part stream by stream; rows of a stream come in time order.
pub(crate) struct PartWriter {
    path: PathBuf,
    tmp: PathBuf,
    file: File,
    hash: Sha256,
    out: ColumnWriter,
    disk: Arc<dyn DiskHook>,
    streams: Vec<Arc<StreamKey>>,
    stream_index: HashMap<Arc<StreamKey>, u32>,
    blocks: Vec<BlockHeader>,
    open: Vec<Arc<Entry>>,
    open_bytes: usize,
    open_stream: Option<u32>,
}

impl PartWriter {
    pub(crate) fn create(path: &Path, disk: Arc<dyn DiskHook>) -> Result<Self, StoreError> {
        let tmp = path.with_extension("tmp");
        let file = File::create(&tmp).map_err(StoreError::io("create", &tmp))?;
        let mut out = ColumnWriter::new(0).map_err(StoreError::io("create", &tmp))?;
        out.out.extend_from_slice(MAGIC);
        Ok(Self {
            path: path.to_path_buf(),
            tmp,
            file,
            hash: Sha256::new(),
            out,
            disk,
            streams: Vec::new(),
            stream_index: HashMap::new(),
            blocks: Vec::new(),
            open: Vec::new(),
            open_bytes: 0,
            open_stream: None,
        })
    }

    pub(crate) fn row(&mut self, key: &Arc<StreamKey>, entry: Arc<Entry>) -> Result<(), StoreError> {
        let stream = match self.stream_index.get(key) {
            Some(stream) => *stream,
            None => {
                self.streams.push(Arc::clone(key));
                self.stream_index.insert(Arc::clone(key), self.streams.len() as u32 - 1);
                self.streams.len() as u32 - 1
            }
        };
        let bytes = row_bytes(&entry);
        let full = self.open_bytes + bytes > limits::BLOCK_RAW_BYTES && !self.open.is_empty();
        if full || self.open_stream.is_some_and(|open| open != stream) {
            self.end_block()?;
        }
        self.open_stream = Some(stream);
        self.open_bytes += bytes;
        self.open.push(entry);
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), StoreError> {
        let Some(stream) = self.open_stream.take() else { return Ok(()) };
        let rows = std::mem::take(&mut self.open);
        self.open_bytes = 0;
        let header = block::write(&mut self.out, stream, &rows).map_err(StoreError::io("compress for", &self.tmp))?;
        self.blocks.push(header);
        self.put()
    }

    fn put(&mut self) -> Result<(), StoreError> {
        let bytes = self.out.take();
        self.hash.update(&bytes);
        self.disk
            .before_write(WriteKind::Part, bytes.len())
            .and_then(|()| self.file.write_all(&bytes))
            .map_err(StoreError::io("write", &self.tmp))
    }

    /// Makes the part durable under its name. `None` if it got no rows.
    pub(crate) fn finish(mut self, id: u64, order: u64, day: i64) -> Result<Option<PartInfo>, StoreError> {
        self.end_block()?;
        if self.blocks.is_empty() {
            return Ok(None);
        }
        let raw = encode_index(&self.streams, &self.blocks);
        let index = self.out.column(&raw).map_err(StoreError::io("compress for", &self.tmp))?;
        for value in [index.offset, index.len, index.raw_len, index.check] {
            self.out.out.extend_from_slice(&value.to_le_bytes());
        }
        self.out.out.extend_from_slice(MAGIC);
        self.put()?;
        self.file.sync_all().map_err(StoreError::io("sync", &self.tmp))?;
        fs::rename(&self.tmp, &self.path).map_err(StoreError::io("rename", &self.tmp))?;
        if let Some(dir) = self.path.parent() {
            sync_dir(dir).map_err(StoreError::io("sync directory", dir))?;
        }
        let hash = std::mem::take(&mut self.hash).finalize();
        Ok(Some(PartInfo {
            id,
            order,
            day,
            min_ts_ns: self.blocks.iter().map(|b| b.min_ts).min().unwrap_or(0),
            max_ts_ns: self.blocks.iter().map(|b| b.max_ts).max().unwrap_or(0),
            rows: self.blocks.iter().map(|b| b.rows).sum(),
            bytes: self.out.base,
            line_bytes: self.blocks.iter().map(|b| b.line_bytes).sum(),
            sha256: hex::encode(hash),
            quarantined: None,
        }))
    }
}

impl Drop for PartWriter {
    fn drop(&mut self) {
        // After a successful rename there is nothing under this name.
        let _ = fs::remove_file(&self.tmp);
    }
}

fn encode_index(streams: &[Arc<StreamKey>], blocks: &[BlockHeader]) -> Vec<u8> {
    let mut raw = Vec::new();
    put_u64(&mut raw, streams.len() as u64);
    for key in streams {
        put_labels(&mut raw, &key.labels);
        for text in [&key.version, &key.environment] {
            raw.push(u8::from(text.is_some()));
            put_bytes(&mut raw, text.as_deref().unwrap_or("").as_bytes());
        }
    }
    put_u64(&mut raw, blocks.len() as u64);
    for block in blocks {
        block.put(&mut raw);
    }
    raw
}

fn decode_index(raw: &[u8]) -> Result<(Vec<Arc<StreamKey>>, Vec<BlockHeader>), Malformed> {
    let mut reader = Reader::new(raw);
    let optional = |reader: &mut Reader<'_>| {
        let present = reader.u8()? != 0;
        let text = reader.text()?;
        Ok::<_, Malformed>(present.then(|| text.to_owned()))
    };
    let streams = (0..reader.count()?)
        .map(|_| {
            let labels = get_labels(&mut reader)?;
            Ok(Arc::new(StreamKey { labels, version: optional(&mut reader)?, environment: optional(&mut reader)? }))
        })
        .collect::<Result<Vec<_>, Malformed>>()?;
    let blocks = (0..reader.count()?).map(|_| BlockHeader::get(&mut reader)).collect::<Result<Vec<_>, Malformed>>()?;
    if blocks.iter().any(|b| b.stream as usize >= streams.len()) {
        return Err(Malformed("a block of an unknown stream".to_owned()));
    }
    Ok((streams, blocks))
}

/// An open part. A damaged one stays in the list with its reason, so that queries can say what they miss.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) info: PartInfo,
    pub(crate) streams: Vec<Arc<StreamKey>>,
    pub(crate) blocks: Vec<BlockHeader>,
    file: Option<File>,
    damage: OnceLock<String>,
}

impl Part {
    pub(crate) fn open(dir: &Path, info: PartInfo) -> Self {
        let known = info.quarantined.clone();
        let opened = match &known {
            Some(why) => Err(Malformed(why.clone())),
            None => read_index(&dir.join(info.file()), info.bytes),
        };
        let damage = OnceLock::new();
        match opened {
            Ok((file, streams, blocks)) => Self { info, streams, blocks, file: Some(file), damage },
            Err(why) => {
                let _ = damage.set(why.0);
                Self { info, streams: Vec::new(), blocks: Vec::new(), file: None, damage }
            }
        }
    }

    /// Why the part is not read, if it is damaged.
    pub(crate) fn damage(&self) -> Option<&str> {
        self.damage.get().map(String::as_str)
    }

    /// Takes the part out of use.
    pub(crate) fn quarantine(&self, why: &Malformed) {
        if self.damage.set(why.0.clone()).is_ok() {
            tracing::error!(part = %self.info.file().display(), why = %why, "log part quarantined");
        }
    }

    pub(crate) fn warning(&self) -> Option<Warning> {
        Some(Warning {
            part: self.info.file().display().to_string(),
            min_ts_ns: self.info.min_ts_ns,
            max_ts_ns: self.info.max_ts_ns,
            why: self.damage()?.to_owned(),
        })
    }

    pub(crate) fn overlaps(&self, start_ns: i64, end_ns: i64) -> bool {
        self.info.min_ts_ns < end_ns && self.info.max_ts_ns >= start_ns
    }

    pub(crate) fn key(&self, block: &BlockHeader) -> &Arc<StreamKey> {
        &self.streams[block.stream as usize]
    }

    pub(crate) fn fetch(&self, column: &Column) -> Result<Vec<u8>, Malformed> {
        let file = self.file.as_ref().ok_or_else(|| Malformed("the part is not open".to_owned()))?;
        let mut stored = vec![0; column.len as usize];
        file.read_exact_at(&mut stored, column.offset)
            .map_err(|e| Malformed(format!("column at byte {} cannot be read: {e}", column.offset)))?;
        column.open(&stored)
    }

    /// False only if some token is not in the block.
    pub(crate) fn may_have(&self, bloom: &Column, tokens: &[u64]) -> Result<bool, Malformed> {
        if tokens.is_empty() {
            return Ok(true);
        }
        let bits = self.fetch(bloom)?;
        Ok(tokens.iter().all(|t| bloom::may_contain(&bits, *t)))
    }

    /// All rows of a block.
    pub(crate) fn rows(&self, header: &BlockHeader) -> Result<Vec<Arc<Entry>>, Malformed> {
        let fetch = |column: &Column| self.fetch(column);
        let lines = block::read_lines(header, &fetch)?;
        let metas = block::read_meta(header, &fetch)?;
        Ok(lines
            .ts
            .into_iter()
            .zip(lines.lines)
            .zip(metas)
            .map(|((ts_ns, line), meta)| {
                let block::Meta { pattern, severity, trace_id, fields } = meta;
                Arc::new(Entry { ts_ns, line, fields, severity, trace_id, pattern })
            })
            .collect())
    }
}

type Opened = (File, Vec<Arc<StreamKey>>, Vec<BlockHeader>);

fn read_index(path: &Path, bytes: u64) -> Result<Opened, Malformed> {
    let unreadable = |e: std::io::Error| Malformed(format!("cannot be read: {e}"));
    let file = File::open(path).map_err(unreadable)?;
    let len = file.metadata().map_err(unreadable)?.len();
    if len != bytes || len < (FOOTER + MAGIC.len()) as u64 {
        return Err(Malformed(format!("the file has {len} bytes instead of {bytes}")));
    }
    let mut footer = [0u8; FOOTER];
    file.read_exact_at(&mut footer, len - FOOTER as u64).map_err(unreadable)?;
    let word = |at: usize| u64::from_le_bytes(footer[at * 8..at * 8 + 8].try_into().expect("eight bytes"));
    let index = Column { offset: word(0), len: word(1), raw_len: word(2), check: word(3) };
    if &footer[32..] != MAGIC || index.len > len || index.offset > len - index.len || index.raw_len > INDEX_RAW_MAX {
        return Err(Malformed("the footer is damaged".to_owned()));
    }
    let mut stored = vec![0; index.len as usize];
    file.read_exact_at(&mut stored, index.offset).map_err(unreadable)?;
    let (streams, blocks) = decode_index(&index.open(&stored)?)?;
    Ok((file, streams, blocks))
}
