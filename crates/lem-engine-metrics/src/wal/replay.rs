//! Reading the log back, and telling a torn end from damage in the middle.

use std::fs::{self, File};
use std::path::Path;

use super::record::{self, Record};
use super::{FRAME_HEADER, MAGIC, MAX_FRAME};
use crate::coding::Reader;
use crate::disk::Disk;
use crate::error::StoreError;

/// One file read: what it held and what was wrong with it.
#[derive(Debug, Default)]
pub(crate) struct FileOutcome {
    /// Bytes at the end that form no whole frame.
    pub(crate) torn_bytes: u64,
    /// Frames in the middle whose checksum or content is wrong: offset and length.
    pub(crate) damaged: Vec<(u64, u64)>,
}

/// What lies at an offset of the file.
enum Frame<'a> {
    Whole(&'a [u8]),
    /// A plausible length, a wrong checksum, then another frame: bytes went bad after they were written.
    Bad(usize),
    Torn,
}

/// Feeds every good record of a segment or checkpoint to `apply`.
pub(crate) fn read_file(path: &Path, mut apply: impl FnMut(Record)) -> Result<FileOutcome, StoreError> {
    let bytes = fs::read(path).map_err(StoreError::io("read", path))?;
    let mut outcome = FileOutcome::default();
    let Some(mut rest) = bytes.strip_prefix(MAGIC.as_slice()) else {
        outcome.torn_bytes = bytes.len() as u64;
        return Ok(outcome);
    };
    while !rest.is_empty() {
        let offset = (bytes.len() - rest.len()) as u64;
        let skip = match frame(rest) {
            Frame::Whole(payload) => {
                match record::decode(payload) {
                    Ok(record) => apply(record),
                    Err(_) => outcome.damaged.push((offset, payload.len() as u64)),
                }
                payload.len()
            }
            Frame::Bad(len) => {
                outcome.damaged.push((offset, len as u64));
                len
            }
            Frame::Torn => {
                outcome.torn_bytes = rest.len() as u64;
                break;
            }
        };
        rest = &rest[FRAME_HEADER + skip..];
    }
    Ok(outcome)
}

fn frame(rest: &[u8]) -> Frame<'_> {
    let Some((len, crc, payload)) = split(rest) else {
        return Frame::Torn;
    };
    if crc32c::crc32c(payload) == crc {
        return Frame::Whole(payload);
    }
    // Only a good frame right behind proves that this one was once whole.
    match split(&rest[FRAME_HEADER + len..]) {
        Some((_, crc, next)) if crc32c::crc32c(next) == crc => Frame::Bad(len),
        _ => Frame::Torn,
    }
}

fn split(rest: &[u8]) -> Option<(usize, u32, &[u8])> {
    let mut read = Reader(rest);
    let (len, crc) = (read.u32().ok()? as usize, read.u32().ok()?);
    if len == 0 || len > MAX_FRAME {
        return None;
    }
    Some((len, crc, read.bytes(len).ok()?))
}

/// Cuts the torn end off. The bytes go to a file beside it first: they were never acknowledged, unless the disk lied.
pub(crate) fn cut_torn_end(disk: &Disk, path: &Path, torn: u64) -> Result<(), StoreError> {
    let bytes = fs::read(path).map_err(StoreError::io("read", path))?;
    let keep = bytes.len() - torn as usize;
    if let Err(error) = disk.write_new(&path.with_extension("torn"), &bytes[keep..]) {
        tracing::warn!(%error, "the torn end of the log is not kept");
    }
    let file = File::options().write(true).open(path).map_err(StoreError::io("open", path))?;
    file.set_len(keep as u64).map_err(StoreError::io("truncate", path))?;
    file.sync_all().map_err(StoreError::io("sync", path))
}
