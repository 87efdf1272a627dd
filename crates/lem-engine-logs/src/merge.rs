//! Merging, retention and erasure: which parts (pure), and the rewriting.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::codec::Malformed;
use crate::error::StoreError;
use crate::head::Entry;
use crate::limits;
use crate::manifest::PartInfo;
use crate::part::{Part, PartWriter};
use crate::record::StreamKey;

/// The parts to merge next: neighbours of one day, none much larger than the others together, so that a line is
/// rewritten a logarithmic number of times. Neighbours only, because equal times keep their order of arrival.
pub(crate) fn plan_merge(parts: &[PartInfo]) -> Option<Vec<u64>> {
    let mut days: BTreeMap<i64, Vec<&PartInfo>> = BTreeMap::new();
    for part in parts {
        days.entry(part.day).or_default().push(part);
    }
    days.into_values().find_map(|mut day| {
        day.sort_by_key(|p| p.order);
        let longest = limits::MERGE_PARTS_MAX.min(day.len());
        (limits::MERGE_PARTS_MIN..=longest).rev().find_map(|len| {
            let run = day.windows(len).find(|run| is_balanced(run))?;
            Some(run.iter().map(|p| p.id).collect())
        })
    })
}

fn is_balanced(run: &[&PartInfo]) -> bool {
    let total: u64 = run.iter().map(|p| p.bytes).sum();
    let largest = run.iter().map(|p| p.bytes).max().unwrap_or(0);
    let sound = run.iter().all(|p| p.quarantined.is_none());
    sound && total <= limits::MERGE_PART_BYTES_MAX && largest <= (total - largest) * 2
}

/// The parts to remove: too old as a whole, then the oldest until the rest fits.
pub(crate) fn plan_retention(parts: &[PartInfo], edge_ns: Option<i64>, max_bytes: Option<u64>) -> Vec<u64> {
    let mut oldest: Vec<&PartInfo> = parts.iter().collect();
    oldest.sort_by_key(|p| (p.max_ts_ns, p.id));
    let mut total: u64 = parts.iter().map(|p| p.bytes).sum();
    let mut remove = Vec::new();
    for part in oldest {
        let too_old = edge_ns.is_some_and(|edge| part.max_ts_ns < edge);
        if !too_old && max_bytes.is_none_or(|max| total <= max) {
            continue;
        }
        total -= part.bytes;
        remove.push(part.id);
    }
    remove
}

/// Why parts could not be rewritten.
#[derive(Debug)]
pub(crate) enum RewriteError {
    Store(StoreError),
    /// This part is damaged.
    Damaged(u64, Malformed),
}

impl From<StoreError> for RewriteError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Copies the rows of `parts` (in their order) that `keep` wants, merged by time, stream by stream.
pub(crate) fn rewrite(
    parts: &[Arc<Part>],
    out: &mut PartWriter,
    keep: &dyn Fn(&StreamKey, &Entry) -> bool,
) -> Result<u64, RewriteError> {
    let mut streams: BTreeMap<&Arc<StreamKey>, Vec<Cursor<'_>>> = BTreeMap::new();
    for part in parts {
        for (at, block) in part.blocks.iter().enumerate() {
            let cursors = streams.entry(part.key(block)).or_default();
            match cursors.last_mut() {
                Some(last) if last.part.info.id == part.info.id => last.blocks.push_back(at),
                _ => cursors.push(Cursor { part, blocks: VecDeque::from([at]), rows: VecDeque::new() }),
            }
        }
    }
    let mut dropped = 0;
    for (key, mut cursors) in streams {
        while let Some(entry) = next(&mut cursors)? {
            if keep(key, &entry) {
                out.row(key, entry)?;
            } else {
                dropped += 1;
            }
        }
    }
    Ok(dropped)
}

/// One stream in one part, one block at a time in memory.
struct Cursor<'a> {
    part: &'a Arc<Part>,
    blocks: VecDeque<usize>,
    rows: VecDeque<Arc<Entry>>,
}

impl Cursor<'_> {
    fn peek(&mut self) -> Result<Option<i64>, RewriteError> {
        while self.rows.is_empty() {
            let Some(at) = self.blocks.pop_front() else { return Ok(None) };
            let rows = self.part.rows(&self.part.blocks[at]);
            self.rows = rows.map_err(|why| RewriteError::Damaged(self.part.info.id, why))?.into();
        }
        Ok(self.rows.front().map(|row| row.ts_ns))
    }
}

fn next(cursors: &mut [Cursor<'_>]) -> Result<Option<Arc<Entry>>, RewriteError> {
    let mut first: Option<(i64, usize)> = None;
    for (at, cursor) in cursors.iter_mut().enumerate() {
        if let Some(ts) = cursor.peek()?
            && first.is_none_or(|(best, _)| ts < best)
        {
            first = Some((ts, at));
        }
    }
    Ok(first.and_then(|(_, at)| cursors[at].rows.pop_front()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(id: u64, day: i64, bytes: u64) -> PartInfo {
        PartInfo {
            id,
            order: id,
            day,
            min_ts_ns: day * 10,
            max_ts_ns: day * 10 + 9,
            rows: 1,
            bytes,
            line_bytes: bytes,
            sha256: String::new(),
            quarantined: None,
        }
    }

    #[test]
    fn merges() {
        let plan = |parts: &[PartInfo]| plan_merge(parts);
        let small: Vec<_> = (1..=4).map(|id| part(id, 7, 100)).collect();
        assert_eq!(plan(&small), Some(vec![1, 2, 3, 4]));
        assert_eq!(plan(&small[..3]), None, "too few");
        let mut days = small.clone();
        days[3].day = 8;
        assert_eq!(plan(&days), None, "another day");
        let mut unequal = small.clone();
        unequal[0].bytes = 100_000;
        assert_eq!(plan(&unequal), None, "one would be rewritten for little");
        let mut damaged = small.clone();
        damaged[1].quarantined = Some("x".into());
        assert_eq!(plan(&damaged), None, "a damaged part stays as it is");
        let many: Vec<_> = (1..=40).map(|id| part(id, 7, 100)).collect();
        assert_eq!(plan(&many).map(|p| p.len()), Some(limits::MERGE_PARTS_MAX));
        let huge: Vec<_> = (1..=4).map(|id| part(id, 7, limits::MERGE_PART_BYTES_MAX)).collect();
        assert_eq!(plan(&huge), None);
    }

    #[test]
    fn retention() {
        let parts: Vec<_> = (1..=4).map(|id| part(id, id as i64, 100)).collect();
        for (edge, bytes, expect) in [
            (None, None, vec![]),
            (Some(30), None, vec![1, 2]),
            (Some(29), None, vec![1]),
            (None, Some(250), vec![1, 2]),
            (None, Some(0), vec![1, 2, 3, 4]),
            (Some(20), Some(200), vec![1, 2]),
        ] {
            assert_eq!(plan_retention(&parts, edge, bytes), expect, "{edge:?} {bytes:?}");
        }
    }
}
