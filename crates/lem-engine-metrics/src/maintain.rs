//! Housekeeping: cut blocks from the head, merge them, remove old ones; deletion of series; the store's own threads.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use crate::block::Block;
use crate::block::write::BlockWriter;
use crate::checkpoint;
use crate::error::StoreError;
use crate::head::series::{MemSeries, block_start};
use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::open::remove_folder;
use crate::options::{Maintenance, Sync};
use crate::plan::{self, BlockFacts};
use crate::postings::resolve;
use crate::store::{Inner, Store};
use crate::wal::{self, record};
use crate::xor::Point;

/// What one round of housekeeping did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Blocks cut from the head.
    pub cut: usize,
    /// Merges of several blocks into one.
    pub merged: usize,
    /// Blocks removed by age or size.
    pub removed: usize,
}

/// What a deletion reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Series in the head.
    pub head_series: usize,
    /// Series in blocks, counted once for each block.
    pub block_series: u64,
}

impl Store {
    /// Does what is due: tries to become writable again, cuts, merges and removes blocks.
    pub fn maintain(&self) -> Result<Maintained, StoreError> {
        self.inner.maintain()
    }

    /// Removes the samples from `start_ms` to `end_ms`, both included, of the series that satisfy all matchers.
    pub fn delete(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Deleted, StoreError> {
        if matchers.is_empty() {
            return Err(StoreError::NoMatcher);
        }
        self.inner.delete(matchers, start_ms, end_ms)
    }

    /// Writes a checkpoint of the head and removes the log before it, so that the next opening is quick.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        let _alone = self.inner.maintenance.lock();
        self.inner.checkpoint(None)
    }
}

impl Inner {
    pub(crate) fn maintain(&self) -> Result<Maintained, StoreError> {
        let _alone = self.maintenance.lock();
        let result = self.maintain_alone();
        *self.maintenance_error.lock() = result.as_ref().err().map(ToString::to_string);
        result
    }

    fn maintain_alone(&self) -> Result<Maintained, StoreError> {
        // Removal comes first: on a full disk it is what makes room for the rest.
        let removed = self.remove_expired()?;
        self.probe()?;
        let cut = self.cut()?;
        let merged = self.merge()?;
        Ok(Maintained { cut, merged, removed: removed + self.remove_expired()? })
    }

    /// When read-only, tries whether the log takes a record again.
    fn probe(&self) -> Result<(), StoreError> {
        if self.committer.read_only.lock().is_none() {
            return Ok(());
        }
        let mut frames = Vec::new();
        record::put_probe(&mut frames);
        let mut wal = self.committer.wal.lock();
        self.committer.log(&mut wal, &frames).map_err(|reason| StoreError::ReadOnly { reason })
    }

    /// Moves every ripe window of the head to a block.
    fn cut(&self) -> Result<usize, StoreError> {
        let range = self.options.block_range_ms;
        let mut series = self.head.all();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        let mut starts = Vec::new();
        let mut oldest = i64::MAX;
        for one in &series {
            let Some((min, max)) = one.data.lock().range() else { continue };
            oldest = oldest.min(min);
            let mut start = block_start(min, range);
            while start <= max && starts.len() < MAX_WINDOWS {
                starts.push(start);
                start = start.saturating_add(range);
            }
            starts.sort_unstable();
            starts.dedup();
        }
        let late = self.options.out_of_order_window_ms;
        let windows = plan::ripe_windows(oldest, self.head.max_t(), range, late, &starts);
        let mut cut = 0;
        for &window in &windows {
            cut += usize::from(self.cut_window(&series, window)?);
        }
        if let Some(&(_, end)) = windows.last() {
            self.checkpoint(Some(end))?;
        }
        Ok(cut)
    }

    fn cut_window(&self, series: &[Arc<MemSeries>], (start, end): (i64, i64)) -> Result<bool, StoreError> {
        // From here on nothing before `end` is accepted. It would not be anyway; this holds when options change.
        {
            let _no_appends = self.committer.wal.lock();
            self.head.raise_cut_until(end);
        }
        let number = self.next_block.fetch_add(1, Ordering::Relaxed);
        let mut writer = BlockWriter::create(&self.disk, &self.dir, (start, end), number, Vec::new())?;
        let mut points = Vec::new();
        for one in series {
            points.clear();
            one.data.lock().read(start, end - 1, &mut points);
            if !points.is_empty() {
                writer.add(&one.labels, &points)?;
            }
        }
        let Some(dir) = writer.finish()? else { return Ok(false) };
        let block = Arc::new(Block::open(&dir)?);
        self.change_blocks(|blocks| blocks.push(block));
        Ok(true)
    }

    /// Saves the head, without what is older than `truncate`, and starts the log anew.
    fn checkpoint(&self, truncate: Option<i64>) -> Result<(), StoreError> {
        let (segment, snapshot) = {
            let mut wal = self.committer.wal.lock();
            let rotated = wal.rotate();
            if let Some(until) = truncate {
                self.head.truncate(until);
            }
            let segment = rotated?;
            (segment, checkpoint::snapshot(&self.head))
        };
        checkpoint::write(&self.disk, &self.wal_dir(), segment, &snapshot)
    }

    fn merge(&self) -> Result<usize, StoreError> {
        let mut merged = 0;
        loop {
            let blocks: Vec<_> = self.block_list().iter().filter(|b| !b.is_damaged()).cloned().collect();
            let facts: Vec<BlockFacts> = blocks.iter().map(|b| facts(b)).collect();
            let Some(group) = plan::next_merge(&facts, &self.options.compact_ranges_ms) else {
                return Ok(merged);
            };
            let group: Vec<Arc<Block>> = group.into_iter().map(|i| blocks[i].clone()).collect();
            match self.merge_group(&group) {
                Ok(()) => merged += 1,
                // It is left out from now on, so that it does not hold up the others.
                Err(error) if group.iter().any(|b| b.is_damaged()) => {
                    tracing::error!(%error, "a block cannot be merged");
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn merge_group(&self, group: &[Arc<Block>]) -> Result<(), StoreError> {
        let range = (group[0].meta.start_ms, group[group.len() - 1].meta.end_ms);
        let sources = group.iter().map(|b| b.name()).collect();
        let number = self.next_block.fetch_add(1, Ordering::Relaxed);
        let mut writer = BlockWriter::create(&self.disk, &self.dir, range, number, sources)?;
        for (labels, places) in series_of(group)? {
            let mut points: Vec<Point> = Vec::new();
            let mut warnings = Vec::new();
            for (block, id) in places {
                let series = block.series(id)?;
                block.read(id, &series, (i64::MIN, i64::MAX), &mut points, &mut warnings);
            }
            if let Some(warning) = warnings.into_iter().next() {
                // Merging would drop the damaged part for good: leave the blocks as they are.
                return Err(StoreError::damaged(&group[0].dir, warning));
            }
            // Blocks overlap when a crash came between the writing of one and the end of its source.
            if !points.is_sorted_by(|a, b| a.0 < b.0) {
                points.sort_by_key(|p| p.0);
                points.dedup_by_key(|p| p.0);
            }
            if !points.is_empty() {
                writer.add(&labels, &points)?;
            }
        }
        let merged = writer.finish()?.map(|dir| Block::open(&dir)).transpose()?.map(Arc::new);
        self.change_blocks(|blocks| {
            blocks.retain(|b| !group.iter().any(|old| old.dir == b.dir));
            blocks.extend(merged);
        });
        group.iter().try_for_each(|old| remove_folder(&old.dir))
    }

    fn remove_expired(&self) -> Result<usize, StoreError> {
        let blocks = self.block_list();
        let facts: Vec<BlockFacts> = blocks.iter().map(|b| facts(b)).collect();
        let newest = blocks.iter().map(|b| b.meta.end_ms).max().unwrap_or(i64::MIN).max(self.head.max_t());
        let wal_bytes = wal::size(&self.wal_dir());
        let count = plan::expired(&facts, newest, self.options.retention_ms, self.options.retention_bytes, wal_bytes);
        for old in &blocks[..count] {
            self.change_blocks(|blocks| blocks.retain(|b| b.dir != old.dir));
            remove_folder(&old.dir)?;
        }
        Ok(count)
    }

    fn change_blocks(&self, change: impl FnOnce(&mut Vec<Arc<Block>>)) {
        let mut blocks = self.blocks.write();
        let mut list = Vec::clone(&blocks);
        change(&mut list);
        list.sort_by_key(|b| b.meta.start_ms);
        *blocks = Arc::new(list);
    }

    fn delete(&self, matchers: &[Matcher], start: i64, end: i64) -> Result<Deleted, StoreError> {
        let _alone = self.maintenance.lock();
        let mut deleted = Deleted::default();
        for block in self.block_list().iter().filter(|b| b.overlaps(start, end)) {
            let ids = resolve(&**block, matchers)?;
            if !ids.is_empty() {
                block.delete(&self.disk, &ids, start, end)?;
                deleted.block_series += ids.len();
            }
        }
        let mut wal = self.committer.wal.lock();
        let ids: Vec<u64> = resolve(&*self.head.index.read(), matchers)?.into_iter().collect();
        let mut frames = Vec::new();
        for part in ids.chunks(DELETE_IDS) {
            record::put_delete(&mut frames, start, end, part);
        }
        self.committer.log(&mut wal, &frames).map_err(|reason| StoreError::ReadOnly { reason })?;
        for series in ids.iter().filter_map(|id| self.head.by_id(*id)) {
            series.data.lock().delete(start, end);
        }
        deleted.head_series = ids.len();
        Ok(deleted)
    }
}

/// Series ids in one log record of a deletion.
const DELETE_IDS: usize = 100_000;
/// Windows considered in one round of cutting; the next round goes on.
const MAX_WINDOWS: usize = 10_000;

fn facts(block: &Block) -> BlockFacts {
    BlockFacts { start: block.meta.start_ms, end: block.meta.end_ms, bytes: block.bytes() }
}

/// Every series of the blocks in label order, with the places it is in, oldest block first.
fn series_of(group: &[Arc<Block>]) -> Result<BTreeMap<Labels, Vec<(&Block, u64)>>, StoreError> {
    let mut all: BTreeMap<Labels, Vec<(&Block, u64)>> = BTreeMap::new();
    for block in group {
        for id in 0..block.series_count() {
            all.entry(block.series(id)?.labels).or_default().push((block, id));
        }
    }
    Ok(all)
}

/// The threads of a store. They hold the store weakly and end when it is dropped.
#[derive(Debug)]
pub(crate) struct Threads {
    inner: Weak<Inner>,
    running: Mutex<Vec<(Sender<()>, JoinHandle<()>)>>,
}

impl Threads {
    pub(crate) fn start(inner: &Arc<Inner>) -> Result<Threads, StoreError> {
        let threads = Threads { inner: Arc::downgrade(inner), running: Mutex::default() };
        if let Sync::GroupMs(ms) = inner.options.sync {
            threads.every("lem-metrics-sync", Duration::from_millis(ms.max(1)), |inner| {
                let _ = inner.sync(); // the failure is kept as the reason for being read-only
            })?;
        }
        if let Maintenance::Every(period) = inner.options.maintenance {
            threads.every("lem-metrics-keep", period, |inner| {
                if let Err(error) = inner.maintain() {
                    tracing::error!(%error, "maintenance of the metric store failed");
                }
            })?;
        }
        Ok(threads)
    }

    fn every(&self, name: &str, period: Duration, work: fn(&Inner)) -> Result<(), StoreError> {
        let (stop, stopped) = channel();
        let inner = self.inner.clone();
        let run = move || {
            while stopped.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                let Some(inner) = inner.upgrade() else { return };
                work(&inner);
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        let path = std::path::Path::new(name);
        self.running.lock().push((stop, thread.map_err(StoreError::io("start thread", path))?));
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for (stop, thread) in self.running.lock().drain(..) {
            drop(stop);
            if thread.join().is_err() {
                tracing::error!("a thread of the metric store panicked");
            }
        }
        if let Some(inner) = self.inner.upgrade()
            && let Err(error) = inner.sync()
        {
            tracing::error!(%error, "the last sync of the metric store failed");
        }
    }
}
