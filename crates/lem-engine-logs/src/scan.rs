//! Ordered scans: candidates are pruned by time, stream, patterns and blooms, opened only when their turn comes, and
//! merged by time. Equal times are ordered by stream, then by arrival; backward is the exact reverse of forward.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::block::{BlockHeader, read_lines, read_meta};
use crate::codec::Malformed;
use crate::columns::Column;
use crate::error::{QueryError, Warning};
use crate::head::{Entry, Head};
use crate::part::Part;
use crate::query::{Direction, ScanLine, ScanPlan, ScanStats};
use crate::record::StreamKey;

/// Lines between two looks at the cancel flag.
const CANCEL_EVERY: u64 = 1024;

/// Where a scan reads from: a consistent view of the store.
pub(crate) struct View {
    pub(crate) parts: Vec<Arc<Part>>,
    /// Rows of the matching streams in memory, with the rank of their head.
    pub(crate) rows: Vec<(Arc<StreamKey>, usize, Vec<Arc<Entry>>)>,
}

impl View {
    pub(crate) fn add_head(&mut self, plan: &ScanPlan, head: &Head, rank: usize) {
        for (key, stream) in &head.streams {
            let overlaps = stream.min_ts < plan.end_ns && stream.max_ts >= plan.start_ns;
            if overlaps && plan.wants_stream(key) {
                let rows = stream.rows.iter().filter(|row| plan.wants_time(row.ts_ns));
                self.rows.push((Arc::clone(key), rank, rows.map(Arc::clone).collect()));
            }
        }
    }
}

/// One sorted run of matching lines of one stream.
struct Run {
    lines: VecDeque<ScanLine>,
    /// Arrival order among runs of the same stream: head or part, then block.
    rank: (u64, usize),
    direction: Direction,
}

impl Run {
    fn key(&self) -> Option<(i64, &StreamKey, (u64, usize))> {
        self.lines.front().map(|line| (line.ts_ns, &*line.stream, self.rank))
    }
}

impl PartialEq for Run {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Run {}
impl PartialOrd for Run {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Run {
    /// The heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.key().cmp(&other.key());
        match self.direction {
            Direction::Forward => order.reverse(),
            Direction::Backward => order,
        }
    }
}

enum Source<'a> {
    Block(&'a Arc<Part>, usize),
    Rows(&'a Arc<StreamKey>, usize, &'a [Arc<Entry>]),
}

struct Candidate<'a> {
    /// The first instant in scan direction at which it may have a line.
    bound: i64,
    source: Source<'a>,
}

/// Calls `found` for every matching line in order, until it breaks or the limit is reached.
pub(crate) fn run(
    view: &View,
    plan: &ScanPlan,
    found: &mut dyn FnMut(ScanLine) -> ControlFlow<()>,
) -> Result<(ScanStats, Vec<Warning>), QueryError> {
    plan.check()?;
    let mut stats = ScanStats::default();
    let mut scan = Scan { plan, pending: candidates(view, plan, &mut stats), heap: BinaryHeap::new(), stats };
    scan.drain(found)?;
    let damaged = view.parts.iter().filter(|p| p.overlaps(plan.start_ns, plan.end_ns));
    Ok((scan.stats, damaged.filter_map(|p| p.warning()).collect()))
}

fn candidates<'a>(view: &'a View, plan: &ScanPlan, stats: &mut ScanStats) -> Vec<Candidate<'a>> {
    let bound = |min: i64, max: i64| match plan.direction {
        Direction::Forward => min,
        Direction::Backward => max,
    };
    let mut out = Vec::new();
    for part in view.parts.iter().filter(|p| p.overlaps(plan.start_ns, plan.end_ns) && p.damage().is_none()) {
        let wanted: Vec<bool> = part.streams.iter().map(|key| plan.wants_stream(key)).collect();
        for (at, block) in part.blocks.iter().enumerate() {
            let overlaps = block.min_ts < plan.end_ns && block.max_ts >= plan.start_ns;
            if !overlaps || !wanted[block.stream as usize] {
                continue;
            }
            stats.blocks += 1;
            if plan.patterns.is_some() && !block.histogram.iter().any(|(p, _)| plan.wants_pattern(*p)) {
                stats.blocks_pruned += 1;
                continue;
            }
            out.push(Candidate { bound: bound(block.min_ts, block.max_ts), source: Source::Block(part, at) });
        }
    }
    for (key, rank, rows) in &view.rows {
        let min = rows.iter().map(|r| r.ts_ns).min();
        let max = rows.iter().map(|r| r.ts_ns).max();
        if let (Some(min), Some(max)) = (min, max) {
            out.push(Candidate { bound: bound(min, max), source: Source::Rows(key, *rank, rows) });
        }
    }
    // The next to open is at the end.
    match plan.direction {
        Direction::Forward => out.sort_by_key(|c| std::cmp::Reverse(c.bound)),
        Direction::Backward => out.sort_by_key(|c| c.bound),
    }
    out
}

struct Scan<'a> {
    plan: &'a ScanPlan,
    pending: Vec<Candidate<'a>>,
    heap: BinaryHeap<Run>,
    stats: ScanStats,
}

impl Scan<'_> {
    fn drain(&mut self, found: &mut dyn FnMut(ScanLine) -> ControlFlow<()>) -> Result<(), QueryError> {
        let limit = self.plan.limit.map_or(u64::MAX, |l| l as u64);
        while self.stats.lines < limit {
            self.open_due()?;
            let Some(mut top) = self.heap.pop() else { return Ok(()) };
            let Some(line) = top.lines.pop_front() else { continue };
            if !top.lines.is_empty() {
                self.heap.push(top);
            }
            self.stats.lines += 1;
            if self.stats.lines.is_multiple_of(CANCEL_EVERY) {
                self.plan.check_cancel()?;
            }
            if found(line).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Opens every candidate that may have a line before, or at the time of, the next one.
    fn open_due(&mut self) -> Result<(), QueryError> {
        while let Some(next) = self.pending.last() {
            let due = match self.heap.peek().and_then(Run::key) {
                None => true,
                Some((ts, ..)) => match self.plan.direction {
                    Direction::Forward => next.bound <= ts,
                    Direction::Backward => next.bound >= ts,
                },
            };
            if !due {
                return Ok(());
            }
            let Some(candidate) = self.pending.pop() else { return Ok(()) };
            self.open(&candidate)?;
        }
        Ok(())
    }

    fn open(&mut self, candidate: &Candidate<'_>) -> Result<(), QueryError> {
        self.plan.check_cancel()?;
        let (mut lines, rank) = match candidate.source {
            Source::Rows(key, rank, rows) => (self.lines_in_memory(key, rows), (u64::MAX, rank)),
            Source::Block(part, _) if part.damage().is_some() => return Ok(()),
            Source::Block(part, at) => match self.lines_in_block(part, &part.blocks[at])? {
                Ok(lines) => (lines, (part.info.order, at)),
                Err(why) => {
                    part.quarantine(&why);
                    return Ok(());
                }
            },
        };
        if self.plan.direction == Direction::Backward {
            lines.reverse();
        }
        if !lines.is_empty() {
            self.heap.push(Run { lines: lines.into(), rank, direction: self.plan.direction });
        }
        Ok(())
    }

    fn lines_in_memory(&self, key: &Arc<StreamKey>, rows: &[Arc<Entry>]) -> Vec<ScanLine> {
        let wanted = rows.iter().filter(|row| self.plan.wants_text(&row.line));
        let mut lines: Vec<_> =
            wanted.map(|row| ScanLine::of(key, row)).filter(|line| self.plan.wants_rest(line)).collect();
        lines.sort_by_key(|line| line.ts_ns);
        lines
    }

    fn lines_in_block(
        &mut self,
        part: &Part,
        block: &BlockHeader,
    ) -> Result<Result<Vec<ScanLine>, Malformed>, QueryError> {
        match may_match(self.plan, part, block) {
            Ok(true) => {}
            Ok(false) => {
                self.stats.blocks_pruned += 1;
                return Ok(Ok(Vec::new()));
            }
            Err(why) => return Ok(Err(why)),
        }
        self.stats.blocks_read += 1;
        self.stats.bytes_read += block.raw_bytes();
        if self.stats.bytes_read > self.plan.max_bytes {
            return Err(QueryError::TooLarge { limit_bytes: self.plan.max_bytes });
        }
        Ok(matching_lines(self.plan, part, block))
    }
}

fn may_match(plan: &ScanPlan, part: &Part, block: &BlockHeader) -> Result<bool, Malformed> {
    let clauses = plan.line_tokens();
    if !clauses.is_empty() {
        let bits = part.fetch(&block.line_bloom)?;
        let has = |tokens: &Vec<u64>| tokens.iter().all(|t| crate::bloom::may_contain(&bits, *t));
        if !clauses.iter().all(|any| any.iter().any(has)) {
            return Ok(false);
        }
    }
    let fields = plan.field_hashes();
    match &block.field_bloom {
        Some(bloom) => part.may_have(bloom, &fields),
        None => Ok(fields.is_empty()),
    }
}

fn matching_lines(plan: &ScanPlan, part: &Part, block: &BlockHeader) -> Result<Vec<ScanLine>, Malformed> {
    let fetch = |column: &Column| part.fetch(column);
    let read = read_lines(block, &fetch)?;
    let wanted: Vec<usize> =
        (0..read.ts.len()).filter(|at| plan.wants_time(read.ts[*at]) && plan.wants_text(&read.lines[*at])).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut metas = read_meta(block, &fetch)?;
    let key = part.key(block);
    // A few lines should not keep the whole block in memory.
    let sparse = wanted.len() * 4 < read.lines.len();
    let line = |at: usize| {
        let meta = std::mem::take(&mut metas[at]);
        let line = &read.lines[at];
        let line = if sparse { bytes::Bytes::copy_from_slice(line) } else { line.clone() };
        ScanLine {
            ts_ns: read.ts[at],
            stream: Arc::clone(key),
            line,
            fields: meta.fields,
            severity: meta.severity,
            trace_id: meta.trace_id,
            pattern: meta.pattern,
        }
    };
    Ok(wanted.into_iter().map(line).filter(|line| plan.wants_rest(line)).collect())
}
