//! The part of a block's index that stays in memory: symbols, where each series is, where each posting list is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{BlockSeries, CRC_BYTES, ChunkRef, list};
use crate::coding::{Reader, Truncated, put_signed, put_text, put_varint};
use crate::labels::{Labels, Pair};

const MAGIC: &[u8; 8] = b"LEMIDX1\n";
/// Offset and length of the table, magic.
const FOOTER: usize = 24;

/// A piece of a file; its checksum follows and is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// Directory of an index file.
#[derive(Debug, Default)]
pub(crate) struct Table {
    symbols: Vec<Arc<str>>,
    pub(crate) series: Vec<Span>,
    names: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Span>>,
}

impl Table {
    /// `bytes` is the whole index file, whose checksum is right.
    pub(crate) fn read(bytes: &[u8]) -> Result<Table, Truncated> {
        let (body, footer) = bytes.split_at_checked(bytes.len().wrapping_sub(FOOTER)).ok_or(Truncated)?;
        let mut footer = Reader(footer);
        let (offset, len) = (footer.u64()? as usize, footer.u64()? as usize);
        if footer.0 != MAGIC {
            return Err(Truncated);
        }
        let end = offset.checked_add(len).ok_or(Truncated)?;
        let mut read = Reader(body.get(offset..end).ok_or(Truncated)?);
        let symbols = list(&mut read, |read| read.text().map(Arc::from))?;
        let mut place = 0;
        let series = list(&mut read, |read| span(read, &mut place))?;
        let mut table = Table { symbols, series, names: BTreeMap::new() };
        for _ in 0..read.count()? {
            let name = table.symbol(&mut read)?;
            let mut values = BTreeMap::new();
            for _ in 0..read.count()? {
                values.insert(table.symbol(&mut read)?, span(&mut read, &mut place)?);
            }
            table.names.insert(name, values);
        }
        Ok(table)
    }

    fn symbol(&self, read: &mut Reader<'_>) -> Result<Arc<str>, Truncated> {
        self.symbols.get(read.varint()? as usize).cloned().ok_or(Truncated)
    }

    pub(super) fn series_entry(&self, bytes: &[u8]) -> Result<BlockSeries, Truncated> {
        let mut read = Reader(bytes);
        let pairs: Vec<Pair> = list(&mut read, |read| Ok((self.symbol(read)?, self.symbol(read)?)))?;
        let (mut last_t, mut place) = (0i64, 0u64);
        let chunks = list(&mut read, |read| {
            let min_t = last_t.wrapping_add(read.signed()?);
            let max_t = min_t.wrapping_add(read.varint()? as i64);
            last_t = max_t;
            let Span { offset, len } = span(read, &mut place)?;
            Ok(ChunkRef { min_t, max_t, offset, len })
        })?;
        Ok(BlockSeries { labels: Labels::from_sorted(pairs), chunks })
    }

    pub(crate) fn pair(&self, name: &str, value: &str) -> Option<Span> {
        self.names.get(name)?.get(value).copied()
    }

    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = (&str, Span)> {
        self.names.get(name).into_iter().flatten().map(|(value, span)| (&**value, *span))
    }
}

/// Distance from the end of the piece before, then length.
fn span(read: &mut Reader<'_>, place: &mut u64) -> Result<Span, Truncated> {
    let offset = place.checked_add(read.varint()?).ok_or(Truncated)?;
    let len = read.varint()?;
    *place = offset.checked_add(len).and_then(|end| end.checked_add(CRC_BYTES)).ok_or(Truncated)?;
    Ok(Span { offset, len })
}

fn put_span(out: &mut Vec<u8>, span: Span, place: &mut u64) {
    put_varint(out, span.offset - *place);
    put_varint(out, span.len);
    *place = span.offset + span.len + CRC_BYTES;
}

/// Gives each text a number, in order of first appearance.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    numbers: BTreeMap<Arc<str>, u64>,
    texts: Vec<Arc<str>>,
}

impl Symbols {
    pub(super) fn number(&mut self, text: &Arc<str>) -> u64 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.texts.len() as u64;
        self.numbers.insert(text.clone(), number);
        self.texts.push(text.clone());
        number
    }

    pub(super) fn put_series(&mut self, out: &mut Vec<u8>, labels: &Labels, chunks: &[ChunkRef]) {
        put_varint(out, labels.len() as u64);
        for (name, value) in labels.pairs() {
            put_varint(out, self.number(name));
            put_varint(out, self.number(value));
        }
        put_varint(out, chunks.len() as u64);
        let (mut last_t, mut place) = (0i64, 0u64);
        for chunk in chunks {
            put_signed(out, chunk.min_t.wrapping_sub(last_t));
            put_varint(out, chunk.max_t.wrapping_sub(chunk.min_t) as u64);
            put_span(out, Span { offset: chunk.offset, len: chunk.len }, &mut place);
            last_t = chunk.max_t;
        }
    }

    /// The table and the footer; `offset` is where the table will stand.
    pub(super) fn put_table(
        &mut self,
        out: &mut Vec<u8>,
        offset: u64,
        series: &[Span],
        names: &BTreeMap<Arc<str>, Vec<(Arc<str>, Span)>>,
    ) {
        let start = out.len();
        put_varint(out, self.texts.len() as u64);
        self.texts.iter().for_each(|text| put_text(out, text));
        let mut place = 0;
        put_varint(out, series.len() as u64);
        for span in series {
            put_span(out, *span, &mut place);
        }
        put_varint(out, names.len() as u64);
        for (name, values) in names {
            put_varint(out, self.number(name));
            put_varint(out, values.len() as u64);
            for (value, span) in values {
                put_varint(out, self.number(value));
                put_span(out, *span, &mut place);
            }
        }
        let len = (out.len() - start) as u64;
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(MAGIC);
    }
}
