//! One series in memory: its sealed chunks, its open chunk and its late samples.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::error::RejectReason;
use crate::labels::Labels;
use crate::xor::{self, Point, XorWriter};

/// Late samples kept unencoded before they become a side chunk.
pub(crate) const MAX_LATE: usize = 32;

#[derive(Debug)]
pub(crate) struct MemSeries {
    pub(crate) id: u64,
    pub(crate) labels: Labels,
    /// Is the series in the log already? Written by the one committing thread only.
    logged: AtomicBool,
    /// Taken out of the head; whoever still holds it must look the labels up again. Written under the commit lock.
    removed: AtomicBool,
    pub(crate) data: Mutex<SeriesData>,
}

/// A chunk that will not change any more.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) min_t: i64,
    pub(crate) max_t: i64,
    pub(crate) bytes: Arc<[u8]>,
}

#[derive(Debug, Clone)]
struct Open {
    writer: XorWriter,
    min_t: i64,
    /// First timestamp that belongs to the next chunk, because a block boundary lies between.
    end_t: i64,
}

#[derive(Debug, Default)]
pub(crate) struct SeriesData {
    sealed: Vec<Sealed>,
    open: Option<Open>,
    late_sealed: Vec<Sealed>,
    late: Vec<Point>,
    /// Newest sample in order, also when its chunk has moved to a block.
    pub(crate) last: Option<Point>,
    /// Had no sample at the last truncation.
    pub(crate) idle: bool,
}

/// What the append rules depend on besides the series itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Newest sample in the head.
    pub(crate) head_max: i64,
    /// Everything before is in blocks.
    pub(crate) cut_until: i64,
    /// Half the block range.
    pub(crate) half_range: i64,
    /// The out-of-order window.
    pub(crate) late: i64,
}

impl Window {
    fn min_valid(&self) -> i64 {
        self.cut_until.max(self.head_max.saturating_sub(self.half_range))
    }

    fn too_late(&self, t: i64) -> Option<RejectReason> {
        let in_window = t >= self.head_max.saturating_sub(self.late) && t >= self.cut_until;
        match self.late {
            0 if t < self.min_valid() => Some(RejectReason::OutOfBounds),
            0 => Some(RejectReason::OutOfOrder),
            _ if in_window => None,
            _ => Some(RejectReason::TooOld),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    InOrder,
    /// Goes to the side, if the side does not know it already.
    Late,
    Duplicate,
    Reject(RejectReason),
}

/// The append rules, for a series whose newest sample is `last`.
pub(crate) fn judge(last: Option<Point>, t: i64, value: u64, window: &Window) -> Verdict {
    if t >= window.min_valid() {
        match last {
            None => return Verdict::InOrder,
            Some((newest, _)) if t > newest => return Verdict::InOrder,
            Some((newest, bits)) if t == newest => {
                return if bits == value {
                    Verdict::Duplicate
                } else {
                    Verdict::Reject(RejectReason::DuplicateTimestamp)
                };
            }
            Some(_) => {}
        }
    }
    window.too_late(t).map_or(Verdict::Late, Verdict::Reject)
}

impl MemSeries {
    pub(crate) fn new(id: u64, labels: Labels) -> MemSeries {
        MemSeries {
            id,
            labels,
            logged: AtomicBool::new(false),
            removed: AtomicBool::new(false),
            data: Mutex::default(),
        }
    }

    pub(crate) fn is_logged(&self) -> bool {
        self.logged.load(Ordering::Relaxed)
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    pub(crate) fn set_removed(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set_logged(&self, logged: bool) {
        self.logged.store(logged, Ordering::Relaxed);
    }
}

impl SeriesData {
    /// Judges the sample and stores it if it may be stored.
    pub(crate) fn apply(&mut self, t: i64, value: u64, window: &Window, block_range: i64) -> Verdict {
        let verdict = judge(self.last, t, value, window);
        match verdict {
            Verdict::InOrder => self.push(t, value, block_range),
            Verdict::Late => return self.push_late(t, value, block_range),
            Verdict::Duplicate | Verdict::Reject(_) => {}
        }
        verdict
    }

    fn push(&mut self, t: i64, value: u64, block_range: i64) {
        self.idle = false;
        self.last = Some((t, value));
        let full = |open: &mut Open| t >= open.end_t || open.writer.count() >= xor::MAX_SAMPLES;
        if let Some(open) = self.open.take_if(full) {
            let max_t = open.writer.last_t();
            self.sealed.push(Sealed { min_t: open.min_t, max_t, bytes: Arc::from(open.writer.to_bytes()) });
        }
        let open = self.open.get_or_insert_with(|| Open {
            writer: XorWriter::new(),
            min_t: t,
            end_t: block_start(t, block_range).saturating_add(block_range),
        });
        open.writer.push(t, value);
    }

    /// Late samples are rare, so that looking through the series for the same timestamp is affordable.
    fn push_late(&mut self, t: i64, value: u64, block_range: i64) -> Verdict {
        let mut same = Vec::new();
        self.read(t, t, &mut same);
        match same.first() {
            Some(&(_, bits)) if bits == value => return Verdict::Duplicate,
            Some(_) => return Verdict::Reject(RejectReason::DuplicateTimestamp),
            None => {}
        }
        self.idle = false;
        let at = self.late.partition_point(|&(other, _)| other < t);
        self.late.insert(at, (t, value));
        if self.late.len() >= MAX_LATE {
            self.seal_late(block_range);
        }
        Verdict::Late
    }

    /// One side chunk for each block that the late samples touch.
    fn seal_late(&mut self, block_range: i64) {
        let late = std::mem::take(&mut self.late);
        for part in late.chunk_by(|a, b| block_start(a.0, block_range) == block_start(b.0, block_range)) {
            self.late_sealed.push(Sealed {
                min_t: part[0].0,
                max_t: part[part.len() - 1].0,
                bytes: Arc::from(xor::encode(part)),
            });
        }
    }

    /// Adds the samples between `start` and `end`, both included, in time order without repetition.
    pub(crate) fn read(&self, start: i64, end: i64, out: &mut Vec<Point>) {
        let before = out.len();
        for chunk in &self.sealed {
            read_chunk(chunk, start, end, out);
        }
        if let Some(open) = &self.open {
            out.extend(open.writer.read().filter(|p| (start..=end).contains(&p.0)));
        }
        let in_order = out.len();
        for chunk in &self.late_sealed {
            read_chunk(chunk, start, end, out);
        }
        out.extend(self.late.iter().filter(|p| (start..=end).contains(&p.0)));
        if out.len() > in_order || !out[before..].is_sorted_by(|a, b| a.0 < b.0) {
            let mut added = out.split_off(before);
            added.sort_by_key(|p| p.0);
            added.dedup_by_key(|p| p.0);
            out.append(&mut added);
        }
    }

    /// First and last timestamp.
    pub(crate) fn range(&self) -> Option<(i64, i64)> {
        let chunks = self.sealed.iter().chain(&self.late_sealed).map(|c| (c.min_t, c.max_t));
        let open = self.open.iter().map(|o| (o.min_t, o.writer.last_t()));
        let late = self.late.iter().map(|p| (p.0, p.0));
        chunks.chain(open).chain(late).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    pub(crate) fn sample_count(&self) -> usize {
        let sealed: usize = self.sealed.iter().chain(&self.late_sealed).map(|c| xor::count(&c.bytes)).sum();
        sealed + self.late.len() + self.open.as_ref().map_or(0, |o| usize::from(o.writer.count()))
    }

    /// Drops everything before `until`, which is a block boundary.
    pub(crate) fn truncate(&mut self, until: i64) {
        self.sealed.retain(|c| c.max_t >= until);
        self.late_sealed.retain(|c| c.max_t >= until);
        self.late.retain(|p| p.0 >= until);
        self.open.take_if(|o| o.writer.last_t() < until);
        // Chunks end at block boundaries unless the block range was changed in between.
        if self.range().is_some_and(|(min, _)| min < until) {
            self.rewrite(|p| p.0 >= until);
        }
    }

    /// Removes the samples between `start` and `end`, both included.
    pub(crate) fn delete(&mut self, start: i64, end: i64) {
        if self.range().is_some_and(|(min, max)| min <= end && max >= start) {
            self.rewrite(|p| !(start..=end).contains(&p.0));
        }
    }

    fn rewrite(&mut self, keep: impl Fn(&Point) -> bool) {
        let mut points = Vec::new();
        self.read(i64::MIN, i64::MAX, &mut points);
        points.retain(keep);
        (self.open, self.late) = (None, Vec::new());
        self.late_sealed.clear();
        self.sealed.clear();
        self.restore(&points);
    }

    /// Puts samples in time order back as sealed chunks.
    fn restore(&mut self, points: &[Point]) {
        for part in points.chunks(usize::from(xor::MAX_SAMPLES)) {
            self.restore_chunk(Sealed {
                min_t: part[0].0,
                max_t: part[part.len() - 1].0,
                bytes: Arc::from(xor::encode(part)),
            });
        }
    }

    /// Puts one chunk back, as read from a checkpoint.
    pub(crate) fn restore_chunk(&mut self, chunk: Sealed) {
        match self.sealed.last() {
            Some(last) if chunk.min_t <= last.max_t => self.late_sealed.push(chunk),
            _ => self.sealed.push(chunk),
        }
    }

    /// All chunks as bytes, the open one and the late samples included.
    pub(crate) fn snapshot(&self) -> Vec<Sealed> {
        let mut chunks = self.sealed.clone();
        chunks.extend(self.open.as_ref().map(|o| Sealed {
            min_t: o.min_t,
            max_t: o.writer.last_t(),
            bytes: Arc::from(o.writer.to_bytes()),
        }));
        chunks.extend(self.late_sealed.iter().cloned());
        if let (Some(first), Some(last)) = (self.late.first(), self.late.last()) {
            chunks.push(Sealed { min_t: first.0, max_t: last.0, bytes: Arc::from(xor::encode(&self.late)) });
        }
        chunks
    }
}

fn read_chunk(chunk: &Sealed, start: i64, end: i64, out: &mut Vec<Point>) {
    if chunk.max_t < start || chunk.min_t > end {
        return;
    }
    let before = out.len();
    xor::decode_into(&chunk.bytes, out).expect("a chunk in memory was encoded or checked by us");
    if chunk.min_t < start || chunk.max_t > end {
        let mut added = out.split_off(before);
        added.retain(|p| (start..=end).contains(&p.0));
        out.append(&mut added);
    }
}

/// Start of the block that a timestamp belongs to.
pub(crate) fn block_start(t: i64, range: i64) -> i64 {
    t.div_euclid(range).saturating_mul(range)
}
