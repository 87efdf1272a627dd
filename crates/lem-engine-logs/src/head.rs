//! Lines that are durable in the WAL but not yet in a part.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::block::{MINUTE_NS, Tallies, Tally};
use crate::pattern::PatternId;
use crate::record::{Fields, LogRecord, Severity, StreamKey, TraceId};

/// One stored line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) ts_ns: i64,
    pub(crate) line: Bytes,
    pub(crate) fields: Fields,
    pub(crate) severity: Option<Severity>,
    pub(crate) trace_id: Option<TraceId>,
    pub(crate) pattern: PatternId,
}

/// Estimated memory besides the bytes of a line and of a stream.
const ENTRY_OVERHEAD: usize = 160;
const STREAM_OVERHEAD: usize = 1024;

/// Memory a record will take in the head.
pub(crate) fn record_cost(record: &LogRecord) -> usize {
    let fields: usize = record.fields.iter().map(|(n, v)| n.len() + v.len() + 48).sum();
    record.line.len() + fields + ENTRY_OVERHEAD
}

/// Memory a new stream will take, counted for each batch that names it and settled when it is stored.
pub(crate) fn stream_cost(key: &StreamKey) -> usize {
    key.labels.iter().map(|(n, v)| n.len() + v.len() + 48).sum::<usize>() + STREAM_OVERHEAD
}

/// The lines of one stream in the order they came.
#[derive(Debug, Default)]
pub(crate) struct HeadStream {
    pub(crate) rows: Vec<Arc<Entry>>,
    pub(crate) min_ts: i64,
    pub(crate) max_ts: i64,
    pub(crate) tallies: Tallies,
}

#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) streams: HashMap<Arc<StreamKey>, HeadStream>,
    pub(crate) bytes: usize,
    pub(crate) rows: u64,
    /// When the first line came, by the store's clock.
    pub(crate) since_ns: Option<i64>,
}

impl Head {
    /// Adds a line and returns the memory it takes.
    pub(crate) fn push(&mut self, key: StreamKey, entry: Entry, cost: usize, now_ns: i64) -> usize {
        let mut cost = cost;
        if !self.streams.contains_key(&key) {
            cost += stream_cost(&key);
            self.streams.insert(
                Arc::new(key.clone()),
                HeadStream { min_ts: i64::MAX, max_ts: i64::MIN, ..HeadStream::default() },
            );
        }
        let Some(stream) = self.streams.get_mut(&key) else { return cost };
        stream.min_ts = stream.min_ts.min(entry.ts_ns);
        stream.max_ts = stream.max_ts.max(entry.ts_ns);
        stream.tallies.entry((entry.ts_ns.div_euclid(MINUTE_NS), entry.pattern)).or_default().add(Tally::of(&entry));
        stream.rows.push(Arc::new(entry));
        self.bytes += cost;
        self.rows += 1;
        self.since_ns.get_or_insert(now_ns);
        cost
    }

    /// Rows by UTC day and stream, each sorted by time; equal times keep their order of arrival.
    pub(crate) fn by_day(&self) -> BTreeMap<i64, BTreeMap<Arc<StreamKey>, Vec<Arc<Entry>>>> {
        let mut days: BTreeMap<i64, BTreeMap<Arc<StreamKey>, Vec<Arc<Entry>>>> = BTreeMap::new();
        for (key, stream) in &self.streams {
            let mut rows = stream.rows.clone();
            rows.sort_by_key(|row| row.ts_ns);
            for row in rows {
                let day = days.entry(row.ts_ns.div_euclid(DAY_NS)).or_default();
                day.entry(Arc::clone(key)).or_default().push(row);
            }
        }
        days
    }
}

pub(crate) const DAY_NS: i64 = 86_400_000_000_000;
