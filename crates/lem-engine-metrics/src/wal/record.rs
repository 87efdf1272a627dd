//! The records of the log and of checkpoints.

use std::sync::Arc;

use crate::coding::{Reader, Truncated, put_signed, put_text, put_varint};
use crate::head::series::{MemSeries, Sealed};
use crate::labels::{Labels, Pair};
use crate::xor::{self, Point};

/// One entry of the log. Replaying the entries in order gives the same head again.
#[derive(Debug)]
pub(crate) enum Record {
    /// A new series under its id.
    Series { id: u64, labels: Labels },
    /// Samples as they were offered; the append rules decide again, as they did the first time.
    Samples { half_range: i64, late: i64, points: Vec<(u64, Point)> },
    /// Samples removed from these series.
    Delete { start: i64, end: i64, ids: Vec<u64> },
    /// Nothing: written to see whether the disk takes it.
    Probe,
    /// First record of a checkpoint.
    Checkpoint { next_id: u64, max_t: i64, cut_until: i64 },
    /// The chunks of one series in a checkpoint.
    Chunks { id: u64, last: Option<Point>, chunks: Vec<Sealed> },
    /// Last record of a checkpoint.
    End { series: u64 },
}

const SERIES: u8 = 1;
const SAMPLES: u8 = 2;
const DELETE: u8 = 3;
const PROBE: u8 = 4;
const CHECKPOINT: u8 = 5;
const CHUNKS: u8 = 6;
const END: u8 = 7;

/// Appends one frame whose payload the closure writes.
fn frame(out: &mut Vec<u8>, kind: u8, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; super::FRAME_HEADER]);
    out.push(kind);
    payload(out);
    let body = start + super::FRAME_HEADER;
    let len = (out.len() - body) as u32;
    let crc = crc32c::crc32c(&out[body..]);
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    out[start + 4..body].copy_from_slice(&crc.to_le_bytes());
}

pub(crate) fn put_series(out: &mut Vec<u8>, series: &MemSeries) {
    frame(out, SERIES, |out| {
        put_varint(out, series.id);
        put_varint(out, series.labels.len() as u64);
        for (name, value) in series.labels.iter() {
            put_text(out, name);
            put_text(out, value);
        }
    });
}

pub(crate) fn put_samples(out: &mut Vec<u8>, half_range: i64, late: i64, points: impl Iterator<Item = (u64, Point)>) {
    frame(out, SAMPLES, |out| {
        put_signed(out, half_range);
        put_signed(out, late);
        let (mut last_id, mut last_t) = (0u64, 0i64);
        for (id, (t, value)) in points {
            put_signed(out, id.wrapping_sub(last_id) as i64);
            put_signed(out, t.wrapping_sub(last_t));
            out.extend_from_slice(&value.to_le_bytes());
            (last_id, last_t) = (id, t);
        }
    });
}

pub(crate) fn put_delete(out: &mut Vec<u8>, start: i64, end: i64, ids: &[u64]) {
    frame(out, DELETE, |out| {
        put_signed(out, start);
        put_signed(out, end);
        put_varint(out, ids.len() as u64);
        for id in ids {
            put_varint(out, *id);
        }
    });
}

pub(crate) fn put_probe(out: &mut Vec<u8>) {
    frame(out, PROBE, |_| {});
}

pub(crate) fn put_checkpoint(out: &mut Vec<u8>, next_id: u64, max_t: i64, cut_until: i64) {
    frame(out, CHECKPOINT, |out| {
        put_varint(out, next_id);
        put_signed(out, max_t);
        put_signed(out, cut_until);
    });
}

pub(crate) fn put_chunks(out: &mut Vec<u8>, id: u64, last: Option<Point>, chunks: &[Sealed]) {
    frame(out, CHUNKS, |out| {
        put_varint(out, id);
        out.push(u8::from(last.is_some()));
        if let Some((t, value)) = last {
            put_signed(out, t);
            out.extend_from_slice(&value.to_le_bytes());
        }
        put_varint(out, chunks.len() as u64);
        for chunk in chunks {
            put_signed(out, chunk.min_t);
            put_signed(out, chunk.max_t);
            put_varint(out, chunk.bytes.len() as u64);
            out.extend_from_slice(&chunk.bytes);
        }
    });
}

pub(crate) fn put_end(out: &mut Vec<u8>, series: u64) {
    frame(out, END, |out| put_varint(out, series));
}

/// Decodes a payload whose checksum is right; an error means that another version wrote it.
pub(crate) fn decode(payload: &[u8]) -> Result<Record, Truncated> {
    let mut read = Reader(payload);
    let record = match read.byte()? {
        SERIES => Record::Series { id: read.varint()?, labels: labels(&mut read)? },
        SAMPLES => samples(&mut read)?,
        DELETE => Record::Delete { start: read.signed()?, end: read.signed()?, ids: ids(&mut read)? },
        PROBE => Record::Probe,
        CHECKPOINT => Record::Checkpoint { next_id: read.varint()?, max_t: read.signed()?, cut_until: read.signed()? },
        CHUNKS => chunks(&mut read)?,
        END => Record::End { series: read.varint()? },
        _ => return Err(Truncated),
    };
    if read.is_empty() { Ok(record) } else { Err(Truncated) }
}

fn labels(read: &mut Reader<'_>) -> Result<Labels, Truncated> {
    let mut pairs: Vec<Pair> = Vec::new();
    for _ in 0..read.count()? {
        pairs.push((Arc::from(read.text()?), Arc::from(read.text()?)));
    }
    Ok(Labels::from_sorted(pairs))
}

fn samples(read: &mut Reader<'_>) -> Result<Record, Truncated> {
    let (half_range, late) = (read.signed()?, read.signed()?);
    let mut points = Vec::with_capacity(read.0.len() / 10);
    let (mut id, mut t) = (0u64, 0i64);
    while !read.is_empty() {
        id = id.wrapping_add(read.signed()? as u64);
        t = t.wrapping_add(read.signed()?);
        points.push((id, (t, read.u64()?)));
    }
    Ok(Record::Samples { half_range, late, points })
}

fn ids(read: &mut Reader<'_>) -> Result<Vec<u64>, Truncated> {
    (0..read.count()?).map(|_| read.varint()).collect()
}

fn chunks(read: &mut Reader<'_>) -> Result<Record, Truncated> {
    let id = read.varint()?;
    let last = match read.byte()? {
        0 => None,
        _ => Some((read.signed()?, read.u64()?)),
    };
    let mut chunks = Vec::new();
    for _ in 0..read.count()? {
        let (min_t, max_t, len) = (read.signed()?, read.signed()?, read.count()?);
        let bytes = read.bytes(len)?;
        xor::decode_into(bytes, &mut Vec::new()).ok_or(Truncated)?;
        chunks.push(Sealed { min_t, max_t, bytes: Arc::from(bytes) });
    }
    Ok(Record::Chunks { id, last, chunks })
}
