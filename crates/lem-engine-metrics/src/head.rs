//! The head: every series of the recent past, in memory.

pub(crate) mod series;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::error::{Culprit, RejectReason};
use crate::labels::{Labels, METRIC_NAME};
use crate::postings::MemIndex;
use series::{MemSeries, Window};

const SHARDS: usize = 64;

/// Keys are hashes or counters already; one multiplication spreads the counters.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0 ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

type Map<V> = HashMap<u64, V, BuildHasherDefault<Mixed>>;

pub(crate) struct Head {
    /// Label hash → the series with that hash, usually one.
    by_hash: [RwLock<Map<Vec<Arc<MemSeries>>>>; SHARDS],
    by_id: [RwLock<Map<Arc<MemSeries>>>; SHARDS],
    pub(crate) index: RwLock<MemIndex>,
    hash: fn(&Labels) -> u64,
    next_id: AtomicU64,
    count: AtomicUsize,
    max_series: usize,
    /// Newest sample; `i64::MIN` when there is none.
    max_t: AtomicI64,
    cut_until: AtomicI64,
    over_budget: Mutex<OverBudget>,
}

/// New series that were turned away.
#[derive(Debug, Default, Clone)]
pub(crate) struct OverBudget {
    pub(crate) rejected: u64,
    pub(crate) culprit: Option<Culprit>,
    /// When `rejected` reaches this, look for the culprit again.
    next_look: u64,
}

/// Rejections between two searches for the culprit.
const LOOK_EVERY: u64 = 10_000;

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head").field("series", &self.count).finish_non_exhaustive()
    }
}

impl Head {
    pub(crate) fn new(max_series: usize, hash: fn(&Labels) -> u64) -> Head {
        Head {
            by_hash: std::array::from_fn(|_| RwLock::default()),
            by_id: std::array::from_fn(|_| RwLock::default()),
            index: RwLock::default(),
            hash,
            next_id: AtomicU64::new(1),
            count: AtomicUsize::new(0),
            max_series,
            max_t: AtomicI64::new(i64::MIN),
            cut_until: AtomicI64::new(i64::MIN),
            over_budget: Mutex::default(),
        }
    }

    pub(crate) fn window(&self, half_range: i64, late: i64) -> Window {
        Window { head_max: self.max_t(), cut_until: self.cut_until(), half_range, late }
    }

    pub(crate) fn max_t(&self) -> i64 {
        self.max_t.load(Ordering::Acquire)
    }

    pub(crate) fn raise_max_t(&self, t: i64) {
        self.max_t.fetch_max(t, Ordering::AcqRel);
    }

    pub(crate) fn cut_until(&self) -> i64 {
        self.cut_until.load(Ordering::Acquire)
    }

    pub(crate) fn raise_cut_until(&self, t: i64) {
        self.cut_until.fetch_max(t, Ordering::AcqRel);
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.load(Ordering::Acquire)
    }

    pub(crate) fn raise_next_id(&self, id: u64) {
        self.next_id.fetch_max(id, Ordering::AcqRel);
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    pub(crate) fn by_id(&self, id: u64) -> Option<Arc<MemSeries>> {
        self.by_id[id as usize % SHARDS].read().get(&id).cloned()
    }

    pub(crate) fn find(&self, labels: &Labels) -> Option<Arc<MemSeries>> {
        let hash = (self.hash)(labels);
        let shard = self.by_hash[hash as usize % SHARDS].read();
        shard.get(&hash)?.iter().find(|s| s.labels == *labels).cloned()
    }

    /// The series with these labels, made if it is new and the budget allows.
    pub(crate) fn find_or_create(&self, labels: &Labels) -> Result<Arc<MemSeries>, RejectReason> {
        if let Some(found) = self.find(labels) {
            return Ok(found);
        }
        let hash = (self.hash)(labels);
        let mut shard = self.by_hash[hash as usize % SHARDS].write();
        if let Some(found) = shard.get(&hash).and_then(|all| all.iter().find(|s| s.labels == *labels)) {
            return Ok(found.clone());
        }
        if self.count.fetch_add(1, Ordering::AcqRel) >= self.max_series {
            self.count.fetch_sub(1, Ordering::AcqRel);
            drop(shard);
            return Err(self.over_budget());
        }
        let id = self.next_id.fetch_add(1, Ordering::AcqRel);
        let series = self.register(id, labels);
        shard.entry(hash).or_default().push(series.clone());
        Ok(series)
    }

    /// Puts a series back under the id that the log gave it. The budget does not apply to what was accepted before.
    pub(crate) fn restore(&self, id: u64, labels: &Labels) -> Arc<MemSeries> {
        self.raise_next_id(id + 1);
        if let Some(found) = self.by_id(id) {
            return found;
        }
        if let Some(found) = self.find(labels) {
            // It left the head and came back under another id, and both are in the log.
            self.by_id[id as usize % SHARDS].write().insert(id, found.clone());
            return found;
        }
        let hash = (self.hash)(labels);
        let mut shard = self.by_hash[hash as usize % SHARDS].write();
        self.count.fetch_add(1, Ordering::AcqRel);
        let series = self.register(id, labels);
        series.set_logged(true);
        shard.entry(hash).or_default().push(series.clone());
        series
    }

    fn register(&self, id: u64, labels: &Labels) -> Arc<MemSeries> {
        let mut index = self.index.write();
        let pairs: Vec<_> = labels.pairs().iter().map(|(n, v)| index.intern(n, v)).collect();
        let series = Arc::new(MemSeries::new(id, Labels::from_sorted(pairs)));
        index.insert(id, series.labels.pairs());
        self.by_id[id as usize % SHARDS].write().insert(id, series.clone());
        series
    }

    /// Every series, in no particular order.
    pub(crate) fn all(&self) -> Vec<Arc<MemSeries>> {
        let mut all = Vec::with_capacity(self.len());
        for shard in &self.by_id {
            all.extend(shard.read().iter().filter(|(id, series)| **id == series.id).map(|(_, series)| series.clone()));
        }
        all
    }

    /// Drops samples before `until`, and series that have been without samples for two truncations. The caller is the
    /// one committing thread, or holds its lock.
    pub(crate) fn truncate(&self, until: i64) {
        self.raise_cut_until(until);
        for series in self.all() {
            let mut data = series.data.lock();
            data.truncate(until);
            // A deleted sample still counts for the append rules until they look past it.
            let needed = data.range().is_some() || data.last.is_some_and(|(t, _)| t >= until);
            if needed {
                data.idle = false;
            } else if data.idle || data.last.is_some() {
                series.set_removed();
                drop(data);
                self.remove(&series);
            } else {
                data.idle = true;
            }
        }
        self.over_budget.lock().next_look = 0;
    }

    fn remove(&self, series: &MemSeries) {
        let hash = (self.hash)(&series.labels);
        let mut shard = self.by_hash[hash as usize % SHARDS].write();
        if let Some(all) = shard.get_mut(&hash) {
            all.retain(|s| s.id != series.id);
            if all.is_empty() {
                shard.remove(&hash);
            }
        }
        self.index.write().remove(series.id, series.labels.pairs());
        self.by_id[series.id as usize % SHARDS].write().remove(&series.id);
        self.count.fetch_sub(1, Ordering::AcqRel);
    }

    fn over_budget(&self) -> RejectReason {
        let mut over = self.over_budget.lock();
        over.rejected += 1;
        if over.culprit.is_none() || over.rejected >= over.next_look {
            over.culprit = Some(culprit(&self.index.read()));
            over.next_look = over.rejected + LOOK_EVERY;
        }
        let culprit = over.culprit.clone().unwrap_or_default();
        RejectReason::SeriesLimit { limit: self.max_series, culprit }
    }

    pub(crate) fn turned_away(&self) -> OverBudget {
        self.over_budget.lock().clone()
    }
}

/// The metric with most series, and the label that multiplies them.
fn culprit(index: &MemIndex) -> Culprit {
    let metrics = index.names.get(METRIC_NAME).into_iter().flatten();
    let Some((metric, ids)) = metrics.max_by_key(|(_, ids)| ids.len()) else {
        return Culprit::default();
    };
    let labels = index.names.iter().filter(|(name, _)| &***name != METRIC_NAME);
    let widest = labels
        .map(|(name, values)| (name, values.values().filter(|set| !set.is_disjoint(ids)).count()))
        .max_by_key(|(_, values)| *values);
    let (label, values) = widest.map_or((String::new(), 0), |(name, values)| (name.to_string(), values));
    Culprit { metric: metric.to_string(), series: ids.len() as usize, label, values }
}
