//! Decisions about blocks: what to cut, merge and remove. Pure.

use crate::head::series::block_start;

/// What the decisions need to know of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockFacts {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) bytes: u64,
}

/// The windows to cut from the head, oldest first. A window is ripe when no sample can reach it any more: those in order
/// go no further back than half a range before the newest, late ones no further than the out-of-order window.
pub(crate) fn ripe_windows(head_min: i64, head_max: i64, range: i64, late: i64, starts: &[i64]) -> Vec<(i64, i64)> {
    let ripe_until = head_max.saturating_sub(late.max(range / 2));
    let mut starts: Vec<i64> = starts.iter().copied().filter(|s| *s >= block_start(head_min, range)).collect();
    starts.sort_unstable();
    starts.dedup();
    let windows = starts.into_iter().map(|start| (start, start.saturating_add(range)));
    windows.filter(|(_, end)| *end <= ripe_until).collect()
}

/// The next blocks to merge into one: places in `blocks`, which are sorted by start. A larger window is merged when it is
/// complete, that is when blocks reach its end.
pub(crate) fn next_merge(blocks: &[BlockFacts], ranges: &[i64]) -> Option<Vec<usize>> {
    let newest_end = blocks.iter().map(|b| b.end).max()?;
    for &range in ranges {
        let window = |b: &BlockFacts| block_start(b.start, range);
        let fits = |b: &BlockFacts| b.end.saturating_sub(window(b)) <= range;
        let mut at = 0;
        while at < blocks.len() {
            let start = window(&blocks[at]);
            let group: Vec<usize> = (at..blocks.len()).take_while(|&i| window(&blocks[i]) == start).collect();
            at += group.len();
            let complete = start.saturating_add(range) <= newest_end;
            if complete && group.len() > 1 && group.iter().all(|&i| fits(&blocks[i])) {
                return Some(group);
            }
        }
    }
    None
}

/// How many of the oldest blocks to remove.
pub(crate) fn expired(
    blocks: &[BlockFacts],
    newest: i64,
    retention_ms: Option<i64>,
    retention_bytes: Option<u64>,
    wal_bytes: u64,
) -> usize {
    let horizon = retention_ms.map_or(i64::MIN, |ms| newest.saturating_sub(ms));
    let by_time = blocks.iter().take_while(|b| b.end <= horizon).count();
    let Some(limit) = retention_bytes else { return by_time };
    let mut total = wal_bytes + blocks.iter().map(|b| b.bytes).sum::<u64>();
    let by_size = blocks.iter().take_while(|b| {
        let over = total > limit;
        total -= b.bytes;
        over
    });
    by_size.count().max(by_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(ranges: &[(i64, i64)]) -> Vec<BlockFacts> {
        ranges.iter().map(|&(start, end)| BlockFacts { start, end, bytes: 10 }).collect()
    }

    #[test]
    fn windows_are_cut_when_nothing_can_reach_them() {
        let check = |head: (i64, i64), late, expect: &[(i64, i64)]| {
            assert_eq!(ripe_windows(head.0, head.1, 100, late, &[0, 100, 200]), expect, "{head:?} {late}");
        };
        check((0, 149), 0, &[]);
        check((0, 150), 0, &[(0, 100)]);
        check((0, 150), 60, &[]);
        check((0, 160), 60, &[(0, 100)]);
        check((0, 300), 0, &[(0, 100), (100, 200)]);
        check((i64::MIN, i64::MIN), 0, &[]);
    }

    #[test]
    fn complete_windows_are_merged_smallest_first() {
        let check = |ranges: &[(i64, i64)], expect: Option<Vec<usize>>| {
            assert_eq!(next_merge(&blocks(ranges), &[300, 900]), expect, "{ranges:?}");
        };
        check(&[], None);
        check(&[(0, 100), (100, 200)], None);
        check(&[(0, 100), (100, 200), (200, 300)], Some(vec![0, 1, 2]));
        check(&[(0, 100), (200, 300)], Some(vec![0, 1]));
        check(&[(0, 300), (300, 400), (400, 500), (600, 700)], Some(vec![1, 2]));
        check(&[(0, 300), (300, 600), (600, 900)], Some(vec![0, 1, 2]));
        check(&[(0, 300)], None);
        check(&[(-300, -200), (-200, -100), (0, 100)], Some(vec![0, 1]));
    }

    #[test]
    fn old_and_large_go() {
        let all = blocks(&[(0, 100), (100, 200), (200, 300)]);
        let check = |time, size, expect| assert_eq!(expired(&all, 400, time, size, 5), expect);
        check(None, None, 0);
        check(Some(300), None, 1);
        check(Some(201), None, 1);
        check(Some(200), None, 2);
        check(None, Some(35), 0);
        check(None, Some(34), 1);
        check(None, Some(15), 2);
        check(None, Some(0), 3);
        check(Some(200), Some(34), 2);
    }
}
