//! One frame: length, CRC32C, payload; and a file of them.

use super::{Key, Record};
use crate::ProvisionError;
use std::path::Path;

/// Largest payload of a frame.
pub const MAX_RECORD_BYTES: usize = 64 * 1024 * 1024;
/// Length and checksum.
const HEAD: usize = 8;

/// Encrypts and frames one record. Its number is authenticated, so records cannot be moved or dropped in between.
pub(super) fn frame(key: &Key, sequence: u64, text: &[u8]) -> Result<Vec<u8>, String> {
    let payload = key.seal(sequence, text)?;
    if payload.len() > MAX_RECORD_BYTES {
        return Err(format!("a record of {} bytes is larger than {MAX_RECORD_BYTES}", payload.len()));
    }
    let mut out = Vec::with_capacity(HEAD + payload.len());
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
    out.extend_from_slice(&payload);
    Ok(out)
}

/// What a journal holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// Whole records, in order.
    pub records: Vec<Record>,
    /// Where a torn tail began, if there was one; those bytes were never acknowledged.
    pub torn: Option<u64>,
}

/// Reads a journal; an absent file is an empty one.
pub fn read(path: &Path, key: &Key) -> Result<Recovered, ProvisionError> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Recovered::default()),
        other => other.map_err(crate::error::io("read", path))?,
    };
    let mut recovered = Recovered::default();
    let mut offset = 0;
    while offset < bytes.len() {
        match one(&bytes[offset..], key, recovered.records.len() as u64) {
            Frame::Whole(record, length) => {
                recovered.records.push(*record);
                offset += length;
            }
            Frame::Torn => {
                recovered.torn = Some(offset as u64);
                break;
            }
            Frame::Bad(why) => {
                let hint = "move the file away to go on from the last state, knowing that later results are lost";
                let why = format!("{why}; {} record(s) before it are good; {hint}", recovered.records.len());
                return Err(ProvisionError::Journal { path: path.to_owned(), offset: offset as u64, why });
            }
        }
    }
    Ok(recovered)
}

enum Frame {
    Whole(Box<Record>, usize),
    Torn,
    Bad(String),
}

fn one(bytes: &[u8], key: &Key, sequence: u64) -> Frame {
    let Some((head, rest)) = bytes.split_at_checked(HEAD) else { return Frame::Torn };
    if head == [0; HEAD] && rest.iter().all(|b| *b == 0) {
        return Frame::Torn;
    }
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let length = word(0) as usize;
    if length > MAX_RECORD_BYTES {
        return Frame::Bad(format!("a length of {length} bytes"));
    }
    let Some(payload) = rest.get(..length) else { return Frame::Torn };
    if crc32c::crc32c(payload) != word(4) {
        // The last group may have reached the disk in part: zeroed pages at the very end are a torn tail.
        return if rest.len() == length { Frame::Torn } else { Frame::Bad("the checksum does not match".to_owned()) };
    }
    let text = match key.open(sequence, payload) {
        Ok(text) => text,
        Err(why) => return Frame::Bad(why),
    };
    match serde_json::from_slice(&text) {
        Ok(record) => Frame::Whole(Box::new(record), HEAD + length),
        Err(error) => Frame::Bad(format!("not a record: {error}")),
    }
}
