//! One column of a block on disk: a zstd frame with the checksum of its compressed bytes.

use crate::codec::{Malformed, Reader, put_u64};
use crate::limits;

pub(crate) const ZSTD_LEVEL: i32 = 3;

/// Where a column is, relative to its part, and what it must hash to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) raw_len: u64,
    pub(crate) check: u64,
}

/// No column is larger raw: a packed column of one long line's fields is the worst case.
const COLUMN_RAW_MAX: u64 = (limits::BLOCK_RAW_BYTES as u64) * 64;

impl Column {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        for value in [self.offset, self.len, self.raw_len, self.check] {
            put_u64(out, value);
        }
    }

    pub(crate) fn get(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let column = Self { offset: reader.u64()?, len: reader.u64()?, raw_len: reader.u64()?, check: reader.u64()? };
        if column.raw_len > COLUMN_RAW_MAX || column.len > COLUMN_RAW_MAX {
            return Err(Malformed(format!("a column of {} bytes", column.raw_len)));
        }
        Ok(column)
    }

    /// The column's bytes, once they pass their checksum.
    pub(crate) fn open(&self, stored: &[u8]) -> Result<Vec<u8>, Malformed> {
        if xxhash_rust::xxh3::xxh3_64(stored) != self.check {
            return Err(Malformed(format!("checksum of the column at byte {} does not match", self.offset)));
        }
        let raw = zstd::bulk::decompress(stored, self.raw_len as usize)
            .map_err(|e| Malformed(format!("column at byte {} does not decompress: {e}", self.offset)))?;
        if raw.len() as u64 != self.raw_len {
            return Err(Malformed(format!("column at byte {} has {} bytes", self.offset, raw.len())));
        }
        Ok(raw)
    }
}

/// Appends columns to a buffer.
pub(crate) struct ColumnWriter {
    pub(crate) out: Vec<u8>,
    pub(crate) base: u64,
    zstd: zstd::bulk::Compressor<'static>,
}

impl ColumnWriter {
    pub(crate) fn new(base: u64) -> std::io::Result<Self> {
        Ok(Self { out: Vec::new(), base, zstd: zstd::bulk::Compressor::new(ZSTD_LEVEL)? })
    }

    pub(crate) fn column(&mut self, raw: &[u8]) -> std::io::Result<Column> {
        let stored = self.zstd.compress(raw)?;
        let column = Column {
            offset: self.base + self.out.len() as u64,
            len: stored.len() as u64,
            raw_len: raw.len() as u64,
            check: xxhash_rust::xxh3::xxh3_64(&stored),
        };
        self.out.extend_from_slice(&stored);
        Ok(column)
    }

    /// Hands over what was written since the last call.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.base += self.out.len() as u64;
        std::mem::take(&mut self.out)
    }
}
