//! Blocks: rows of one stream sorted by time, at most [`BLOCK_RAW_BYTES`](crate::limits::BLOCK_RAW_BYTES) raw unless one
//! line alone is longer, stored by column.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::bloom::{self, TokenSet};
use crate::codec::{Malformed, Reader, put_bytes, put_i64, put_u64};
use crate::columns::{Column, ColumnWriter};
use crate::head::Entry;
use crate::limits;
use crate::pattern::PatternId;
use crate::record::{Fields, Severity, TraceId};
use crate::token;
use crate::wal::{get_pairs, put_pairs};

pub(crate) const MINUTE_NS: i64 = 60_000_000_000;

/// What one pattern did in one minute of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    pub(crate) severity: Option<Severity>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
        self.severity = self.severity.max(other.severity);
    }

    pub(crate) fn of(entry: &Entry) -> Self {
        Self { count: 1, bytes: entry.line.len() as u64, severity: entry.severity }
    }
}

/// Counts by minute and pattern.
pub(crate) type Tallies = BTreeMap<(i64, PatternId), Tally>;

/// All that is known of a block without reading its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockHeader {
    pub(crate) stream: u32,
    pub(crate) rows: u64,
    pub(crate) line_bytes: u64,
    pub(crate) min_ts: i64,
    pub(crate) max_ts: i64,
    ts: Column,
    /// One, or several for a line that is longer than a block.
    lines: Vec<Column>,
    meta: Column,
    fields: Vec<(String, Column)>,
    packed: Option<Column>,
    pub(crate) line_bloom: Column,
    pub(crate) field_bloom: Option<Column>,
    pub(crate) tallies: Column,
    /// Patterns of the block, so that a search for others can pass it by.
    pub(crate) histogram: Vec<(PatternId, Tally)>,
}

impl BlockHeader {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, u64::from(self.stream));
        put_u64(out, self.rows);
        put_u64(out, self.line_bytes);
        put_i64(out, self.min_ts);
        put_i64(out, self.max_ts);
        self.ts.put(out);
        put_u64(out, self.lines.len() as u64);
        self.lines.iter().for_each(|c| c.put(out));
        self.meta.put(out);
        put_u64(out, self.fields.len() as u64);
        for (name, column) in &self.fields {
            put_bytes(out, name.as_bytes());
            column.put(out);
        }
        put_optional(out, self.packed.as_ref());
        self.line_bloom.put(out);
        put_optional(out, self.field_bloom.as_ref());
        self.tallies.put(out);
        put_u64(out, self.histogram.len() as u64);
        for (pattern, tally) in &self.histogram {
            put_u64(out, u64::from(pattern.0));
            put_tally(out, *tally);
        }
    }

    pub(crate) fn get(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            stream: reader.u64()? as u32,
            rows: reader.u64()?,
            line_bytes: reader.u64()?,
            min_ts: reader.i64()?,
            max_ts: reader.i64()?,
            ts: Column::get(reader)?,
            lines: (0..reader.count()?).map(|_| Column::get(reader)).collect::<Result<_, _>>()?,
            meta: Column::get(reader)?,
            fields: (0..reader.count()?)
                .map(|_| Ok((reader.text()?.to_owned(), Column::get(reader)?)))
                .collect::<Result<_, Malformed>>()?,
            packed: get_optional(reader)?,
            line_bloom: Column::get(reader)?,
            field_bloom: get_optional(reader)?,
            tallies: Column::get(reader)?,
            histogram: (0..reader.count()?)
                .map(|_| Ok((PatternId(reader.u64()? as u32), get_tally(reader)?)))
                .collect::<Result<_, Malformed>>()?,
        })
    }

    /// Bytes its rows take once decompressed.
    pub(crate) fn raw_bytes(&self) -> u64 {
        let lines = self.lines.iter().map(|c| c.raw_len).sum::<u64>();
        lines + self.ts.raw_len + self.meta.raw_len + self.fields.iter().map(|(_, c)| c.raw_len).sum::<u64>()
    }
}

fn put_optional(out: &mut Vec<u8>, column: Option<&Column>) {
    out.push(u8::from(column.is_some()));
    if let Some(column) = column {
        column.put(out);
    }
}

fn get_optional(reader: &mut Reader<'_>) -> Result<Option<Column>, Malformed> {
    if reader.u8()? == 0 { Ok(None) } else { Column::get(reader).map(Some) }
}

fn put_tally(out: &mut Vec<u8>, tally: Tally) {
    put_u64(out, tally.count);
    put_u64(out, tally.bytes);
    out.push(Severity::to_code(tally.severity));
}

fn get_tally(reader: &mut Reader<'_>) -> Result<Tally, Malformed> {
    Ok(Tally { count: reader.u64()?, bytes: reader.u64()?, severity: Severity::from_code(reader.u8()?) })
}

/// Bytes a row adds to its block.
pub(crate) fn row_bytes(entry: &Entry) -> usize {
    entry.line.len() + 8 + entry.fields.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>()
}

/// Hash of a structured metadata pair, and of a trace id under the name the protocols use.
pub(crate) fn field_hash(name: &str, value: &str) -> u64 {
    let mut both = Vec::with_capacity(name.len() + value.len() + 1);
    both.extend_from_slice(name.as_bytes());
    both.push(0);
    both.extend_from_slice(value.as_bytes());
    xxhash_rust::xxh3::xxh3_64(&both)
}

/// Writes rows of one stream, sorted by time, as one block.
pub(crate) fn write(out: &mut ColumnWriter, stream: u32, rows: &[Arc<Entry>]) -> std::io::Result<BlockHeader> {
    let mut raw = Vec::new();
    let mut last = 0i64;
    for row in rows {
        put_i64(&mut raw, row.ts_ns.wrapping_sub(last));
        last = row.ts_ns;
    }
    let ts = out.column(&raw)?;
    let lines = write_lines(out, rows)?;
    let meta = write_meta(out, rows)?;
    let (fields, packed) = write_fields(out, rows)?;
    let (line_bloom, field_bloom) = write_blooms(out, rows)?;
    let mut tallies = Tallies::new();
    let mut histogram: BTreeMap<PatternId, Tally> = BTreeMap::new();
    for row in rows {
        tallies.entry((row.ts_ns.div_euclid(MINUTE_NS), row.pattern)).or_default().add(Tally::of(row));
        histogram.entry(row.pattern).or_default().add(Tally::of(row));
    }
    let tallies = write_tallies(out, &tallies)?;
    Ok(BlockHeader {
        stream,
        rows: rows.len() as u64,
        line_bytes: rows.iter().map(|r| r.line.len() as u64).sum(),
        min_ts: rows.first().map_or(0, |r| r.ts_ns),
        max_ts: rows.last().map_or(0, |r| r.ts_ns),
        ts,
        lines,
        meta,
        fields,
        packed,
        line_bloom,
        field_bloom,
        tallies,
        histogram: histogram.into_iter().collect(),
    })
}

fn write_lines(out: &mut ColumnWriter, rows: &[Arc<Entry>]) -> std::io::Result<Vec<Column>> {
    let mut raw = Vec::new();
    for row in rows {
        put_u64(&mut raw, row.line.len() as u64);
    }
    for row in rows {
        raw.extend_from_slice(&row.line);
    }
    raw.chunks(limits::BLOCK_RAW_BYTES).map(|piece| out.column(piece)).collect()
}

fn write_meta(out: &mut ColumnWriter, rows: &[Arc<Entry>]) -> std::io::Result<Column> {
    let mut raw = Vec::new();
    for row in rows {
        put_u64(&mut raw, u64::from(row.pattern.0));
        raw.push(Severity::to_code(row.severity) | if row.trace_id.is_some() { 0x80 } else { 0 });
        if let Some(trace) = row.trace_id {
            raw.extend_from_slice(&trace.0);
        }
    }
    out.column(&raw)
}

/// A column per field name in order of appearance: per row 0 if absent, else length + 1 and the value. A name's second
/// value in one row, and names past the limit, go to the packed column.
fn write_fields(
    out: &mut ColumnWriter,
    rows: &[Arc<Entry>],
) -> std::io::Result<(Vec<(String, Column)>, Option<Column>)> {
    let mut columns: indexed::Indexed = indexed::Indexed::default();
    let mut packed = Vec::new();
    let mut has_packed = false;
    for (at, row) in rows.iter().enumerate() {
        let mut rest: Vec<(&str, &str)> = Vec::new();
        for (name, value) in &row.fields {
            if !columns.push(name, at, value) {
                rest.push((name, value));
            }
        }
        has_packed |= !rest.is_empty();
        let len = rest.len();
        put_pairs(&mut packed, rest.into_iter(), len);
    }
    let mut written = Vec::new();
    for (name, raw) in columns.finish(rows.len()) {
        written.push((name, out.column(&raw)?));
    }
    let packed = if has_packed { Some(out.column(&packed)?) } else { None };
    Ok((written, packed))
}

mod indexed {
    use super::{limits, put_u64};
    use std::collections::HashMap;

    /// Field columns under construction.
    #[derive(Default)]
    pub(super) struct Indexed {
        index: HashMap<String, usize>,
        columns: Vec<(String, usize, Vec<u8>)>,
    }

    impl Indexed {
        /// False if the value has to go elsewhere.
        pub(super) fn push(&mut self, name: &str, row: usize, value: &str) -> bool {
            let at = match self.index.get(name) {
                Some(at) => *at,
                None if self.columns.len() >= limits::FIELD_COLUMNS_MAX => return false,
                None => {
                    self.index.insert(name.to_owned(), self.columns.len());
                    self.columns.push((name.to_owned(), 0, Vec::new()));
                    self.columns.len() - 1
                }
            };
            let (_, next, raw) = &mut self.columns[at];
            if *next > row {
                return false;
            }
            raw.resize(raw.len() + row - *next, 0);
            put_u64(raw, value.len() as u64 + 1);
            raw.extend_from_slice(value.as_bytes());
            *next = row + 1;
            true
        }

        pub(super) fn finish(self, rows: usize) -> impl Iterator<Item = (String, Vec<u8>)> {
            self.columns.into_iter().map(move |(name, next, mut raw)| {
                raw.resize(raw.len() + rows - next, 0);
                (name, raw)
            })
        }
    }
}

fn write_blooms(out: &mut ColumnWriter, rows: &[Arc<Entry>]) -> std::io::Result<(Column, Option<Column>)> {
    let mut tokens = TokenSet::default();
    let mut fields = TokenSet::default();
    for row in rows {
        token::each_token(&row.line, |t| {
            tokens.insert(t);
        });
        for (name, value) in &row.fields {
            fields.insert(field_hash(name, value));
        }
        if let Some(trace) = row.trace_id {
            fields.insert(field_hash("trace_id", &trace.to_string()));
        }
    }
    let line = out.column(&bloom::build(&tokens))?;
    let field = if fields.is_empty() { None } else { Some(out.column(&bloom::build(&fields))?) };
    Ok((line, field))
}

fn write_tallies(out: &mut ColumnWriter, tallies: &Tallies) -> std::io::Result<Column> {
    let mut raw = Vec::new();
    put_u64(&mut raw, tallies.len() as u64);
    let mut last = 0i64;
    for ((minute, pattern), tally) in tallies {
        put_i64(&mut raw, minute - last);
        last = *minute;
        put_u64(&mut raw, u64::from(pattern.0));
        put_tally(&mut raw, *tally);
    }
    out.column(&raw)
}

pub(crate) fn read_tallies(raw: &[u8]) -> Result<Tallies, Malformed> {
    let mut reader = Reader::new(raw);
    let mut minute = 0i64;
    (0..reader.count()?)
        .map(|_| {
            minute += reader.i64()?;
            Ok(((minute, PatternId(reader.u64()? as u32)), get_tally(&mut reader)?))
        })
        .collect()
}

/// Times and lines of a block, before the rest is worth reading.
pub(crate) struct Lines {
    pub(crate) ts: Vec<i64>,
    pub(crate) lines: Vec<Bytes>,
}

/// Reads one stored column.
pub(crate) type Fetch<'a> = &'a dyn Fn(&Column) -> Result<Vec<u8>, Malformed>;

pub(crate) fn read_lines(header: &BlockHeader, fetch: Fetch<'_>) -> Result<Lines, Malformed> {
    let rows = header.rows as usize;
    let raw = fetch(&header.ts)?;
    let mut reader = Reader::new(&raw);
    let mut last = 0i64;
    let mut ts = Vec::with_capacity(rows.min(raw.len()));
    for _ in 0..rows {
        last = last.wrapping_add(reader.i64()?);
        ts.push(last);
    }
    let mut raw = Vec::new();
    for piece in &header.lines {
        raw.append(&mut fetch(piece)?);
    }
    let raw = Bytes::from(raw);
    let mut reader = Reader::new(&raw);
    let lens = (0..rows).map(|_| reader.u64()).collect::<Result<Vec<_>, _>>()?;
    let lines = lens
        .into_iter()
        .map(|len| {
            let start = reader.at();
            reader.take(len as usize)?;
            Ok(raw.slice(start..reader.at()))
        })
        .collect::<Result<_, Malformed>>()?;
    Ok(Lines { ts, lines })
}

/// The rest of each row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meta {
    pub(crate) pattern: PatternId,
    pub(crate) severity: Option<Severity>,
    pub(crate) trace_id: Option<TraceId>,
    pub(crate) fields: Fields,
}

pub(crate) fn read_meta(header: &BlockHeader, fetch: Fetch<'_>) -> Result<Vec<Meta>, Malformed> {
    let raw = fetch(&header.meta)?;
    let mut reader = Reader::new(&raw);
    let mut rows = Vec::new();
    for _ in 0..header.rows {
        let pattern = PatternId(reader.u64()? as u32);
        let flags = reader.u8()?;
        let trace_id = if flags & 0x80 != 0 { reader.take(16)?.try_into().ok().map(TraceId) } else { None };
        rows.push(Meta { pattern, severity: Severity::from_code(flags & 0x7f), trace_id, fields: Vec::new() });
    }
    for (name, column) in &header.fields {
        let raw = fetch(column)?;
        let mut reader = Reader::new(&raw);
        for row in &mut rows {
            let len = reader.u64()?;
            if len > 0 {
                let value = std::str::from_utf8(reader.take(len as usize - 1)?)
                    .map_err(|_| Malformed(format!("field {name} is not UTF-8")))?;
                row.fields.push((name.clone(), value.to_owned()));
            }
        }
    }
    if let Some(packed) = &header.packed {
        let raw = fetch(packed)?;
        let mut reader = Reader::new(&raw);
        for row in &mut rows {
            row.fields.append(&mut get_pairs(&mut reader)?);
        }
    }
    Ok(rows)
}
