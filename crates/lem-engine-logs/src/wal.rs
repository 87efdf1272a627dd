//! The write-ahead log: numbered segments of frames, each `length u32 | crc32c u32 | payload`, little endian, after an
//! eight-byte magic. One frame is one batch, so a batch is there wholly or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::codec::{Malformed, Reader, put_bytes, put_i64, put_u64};
use crate::error::StoreError;
use crate::files::sync_dir;
use crate::limits;
use crate::options::{DiskHook, WriteKind};
use crate::record::{Labels, LogRecord, Severity, TraceId};

const MAGIC: &[u8; 8] = b"LEMLOGW1";
const FRAME_HEAD: usize = 8;

/// The segment being written.
pub(crate) struct Wal {
    dir: PathBuf,
    file: File,
    segment: u64,
    len: u64,
    /// A write failed and could not be undone: the next batch goes to a new segment.
    spoiled: bool,
    disk: Arc<dyn DiskHook>,
}

impl Wal {
    pub(crate) fn create(dir: &Path, segment: u64, disk: Arc<dyn DiskHook>) -> io::Result<Self> {
        disk.before_write(WriteKind::Wal, MAGIC.len())?;
        let path = segment_path(dir, segment);
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        file.write_all(MAGIC)?;
        file.sync_all()?;
        sync_dir(dir)?;
        Ok(Self { dir: dir.to_path_buf(), file, segment, len: MAGIC.len() as u64, spoiled: false, disk })
    }

    /// Writes frames and fsyncs once. After an error none of them is in the log.
    pub(crate) fn append(&mut self, frames: &[u8]) -> io::Result<()> {
        if self.spoiled {
            *self = Self::create(&self.dir, self.segment + 1, Arc::clone(&self.disk))?;
        }
        let written = self.disk.before_write(WriteKind::Wal, frames.len()).and_then(|()| {
            self.file.write_all(frames)?;
            self.file.sync_data()
        });
        match written {
            Ok(()) => self.len += frames.len() as u64,
            Err(_) => self.undo(),
        }
        written
    }

    /// A failed write must not reappear after a restart.
    fn undo(&mut self) {
        let undone = self
            .file
            .set_len(self.len)
            .and_then(|()| self.file.seek(SeekFrom::Start(self.len)))
            .and_then(|_| self.file.sync_data());
        self.spoiled = undone.is_err();
    }

    /// Ends this segment and starts the next; returns the number of the ended one.
    pub(crate) fn rotate(&mut self) -> io::Result<u64> {
        let ended = self.segment;
        *self = Self::create(&self.dir, ended + 1, Arc::clone(&self.disk))?;
        Ok(ended)
    }
}

pub(crate) fn segment_path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:012}.wal"))
}

/// Segment numbers present, ascending.
pub(crate) fn segments(dir: &Path) -> Result<Vec<u64>, StoreError> {
    let mut found = Vec::new();
    for item in fs::read_dir(dir).map_err(StoreError::io("list", dir))? {
        let name = item.map_err(StoreError::io("list", dir))?.file_name();
        let name = name.to_string_lossy();
        if let Some(number) = name.strip_suffix(".wal").and_then(|n| n.parse().ok()) {
            found.push(number);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// What a segment held.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) batches: Vec<Vec<LogRecord>>,
    pub(crate) good_bytes: u64,
    /// Bytes after the last good frame.
    pub(crate) torn_bytes: u64,
}

pub(crate) fn replay(path: &Path) -> Result<Replay, StoreError> {
    let data = fs::read(path).map_err(StoreError::io("read", path))?;
    let mut out = Replay { batches: Vec::new(), good_bytes: 0, torn_bytes: data.len() as u64 };
    if !data.starts_with(MAGIC) {
        return Ok(out);
    }
    let mut at = MAGIC.len();
    while let Some(payload) = frame_at(&data, at) {
        let Ok(batch) = decode_batch(payload) else { break };
        out.batches.push(batch);
        at += FRAME_HEAD + payload.len();
    }
    out.good_bytes = at as u64;
    out.torn_bytes = (data.len() - at) as u64;
    Ok(out)
}

fn frame_at(data: &[u8], at: usize) -> Option<&[u8]> {
    let head: [u8; FRAME_HEAD] = data.get(at..at + FRAME_HEAD)?.try_into().ok()?;
    let (len, crc) = head.split_at(4);
    let len = u32::from_le_bytes(len.try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(crc.try_into().ok()?);
    let payload = data.get(at + FRAME_HEAD..(at + FRAME_HEAD).checked_add(len)?)?;
    (len <= limits::BATCH_MAX_BYTES && crc32c::crc32c(payload) == crc).then_some(payload)
}

/// A whole frame for one batch.
pub(crate) fn encode_frame(records: &[LogRecord]) -> Vec<u8> {
    let bytes: usize = records.iter().map(|r| r.line.len() + 32).sum();
    let mut out = Vec::with_capacity(bytes + 256);
    out.extend_from_slice(&[0; FRAME_HEAD]);
    encode_batch(records, &mut out);
    let crc = crc32c::crc32c(&out[FRAME_HEAD..]);
    let len = (out.len() - FRAME_HEAD) as u32;
    out[..4].copy_from_slice(&len.to_le_bytes());
    out[4..8].copy_from_slice(&crc.to_le_bytes());
    out
}

fn encode_batch(records: &[LogRecord], out: &mut Vec<u8>) {
    let mut streams: Vec<&Labels> = Vec::new();
    let mut index = std::collections::HashMap::new();
    for record in records {
        index.entry(&record.labels).or_insert_with(|| {
            streams.push(&record.labels);
            streams.len() - 1
        });
    }
    put_u64(out, streams.len() as u64);
    for labels in &streams {
        put_labels(out, labels);
    }
    put_u64(out, records.len() as u64);
    for record in records {
        put_u64(out, index[&record.labels] as u64);
        put_i64(out, record.ts_ns);
        out.push(Severity::to_code(record.severity) | if record.trace_id.is_some() { 0x80 } else { 0 });
        if let Some(trace) = record.trace_id {
            out.extend_from_slice(&trace.0);
        }
        put_pairs(out, record.fields.iter().map(|(n, v)| (n.as_str(), v.as_str())), record.fields.len());
        put_bytes(out, &record.line);
    }
}

fn decode_batch(payload: &[u8]) -> Result<Vec<LogRecord>, Malformed> {
    let mut reader = Reader::new(payload);
    let streams = (0..reader.count()?).map(|_| get_labels(&mut reader)).collect::<Result<Vec<_>, _>>()?;
    let count = reader.count()?;
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = reader.u64()? as usize;
        let labels = streams.get(stream).ok_or_else(|| Malformed(format!("stream {stream} of {}", streams.len())))?;
        let ts_ns = reader.i64()?;
        let flags = reader.u8()?;
        let trace_id = if flags & 0x80 != 0 {
            let id = reader.take(16)?.try_into().map_err(|_| Malformed("trace id".to_owned()))?;
            Some(TraceId(id))
        } else {
            None
        };
        let fields = get_pairs(&mut reader)?;
        let line = Bytes::copy_from_slice(reader.bytes()?);
        let severity = Severity::from_code(flags & 0x7f);
        records.push(LogRecord { ts_ns, labels: labels.clone(), line, fields, severity, trace_id });
    }
    Ok(records)
}

pub(crate) fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    put_pairs(out, labels.iter(), labels.len());
}

pub(crate) fn get_labels(reader: &mut Reader<'_>) -> Result<Labels, Malformed> {
    Ok(Labels::new(get_pairs(reader)?))
}

pub(crate) fn put_pairs<'a>(out: &mut Vec<u8>, pairs: impl Iterator<Item = (&'a str, &'a str)>, len: usize) {
    put_u64(out, len as u64);
    for (name, value) in pairs {
        put_bytes(out, name.as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

pub(crate) fn get_pairs(reader: &mut Reader<'_>) -> Result<Vec<(String, String)>, Malformed> {
    (0..reader.count()?).map(|_| Ok((reader.text()?.to_owned(), reader.text()?.to_owned()))).collect()
}
