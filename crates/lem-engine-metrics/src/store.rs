//! The handle: what the owner of a store calls.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::block::Block;
use crate::commit::{Appended, Committer, Pending};
use crate::disk::Disk;
use crate::error::{RejectReason, StoreError};
use crate::head::Head;
use crate::head::series::{MemSeries, Verdict, judge};
use crate::labels::Labels;
use crate::open::DirLock;
use crate::options::{MAX_BATCH_SAMPLES, Options};
use crate::status::{BlockStatus, Mode, OverBudgetStatus, Quarantined, Status};
use crate::wal;

/// A series of the head, valid until the series has left it or the store is closed. A ref is never given to another series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef(pub(crate) u64);

/// Which series a sample belongs to.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// By its labels; the series is made if it is new.
    Labels(Labels),
    /// By a ref from [`Store::resolve`]: the fast way for a caller that keeps one per series.
    Ref(SeriesRef),
}

/// One sample to store.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The series.
    pub series: Target,
    /// Milliseconds since 1970.
    pub t_ms: i64,
    /// The value; any NaN is kept bit for bit.
    pub value: f64,
}

impl Sample {
    /// A sample of the series with these labels.
    pub fn new(labels: Labels, t_ms: i64, value: f64) -> Sample {
        Sample { series: Target::Labels(labels), t_ms, value }
    }

    /// A sample of a resolved series.
    pub fn by_ref(series: SeriesRef, t_ms: i64, value: f64) -> Sample {
        Sample { series: Target::Ref(series), t_ms, value }
    }
}

/// An open store. Clones share it; the last one to go stops its threads and syncs the log.
#[derive(Debug, Clone)]
pub struct Store {
    // Dropped in this order: the threads stop and sync while the store is still there.
    pub(crate) _threads: Arc<crate::maintain::Threads>,
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) disk: Disk,
    pub(crate) head: Arc<Head>,
    pub(crate) committer: Committer,
    /// Oldest first.
    pub(crate) blocks: RwLock<Arc<Vec<Arc<Block>>>>,
    pub(crate) quarantined: Mutex<Vec<Quarantined>>,
    /// Held while blocks are cut, merged or removed, and while series are deleted.
    pub(crate) maintenance: Mutex<()>,
    pub(crate) maintenance_error: Mutex<Option<String>>,
    pub(crate) next_block: AtomicU64,
    pub(crate) appended: AtomicU64,
    pub(crate) _lock: DirLock,
}

impl Store {
    /// Stores samples. Each is judged on its own: bad ones are listed in the result, the others are stored. An error
    /// means that nothing of the batch was stored.
    pub fn append(&self, samples: &[Sample]) -> Result<Appended, StoreError> {
        self.inner.append(samples)
    }

    /// A ref to the series with these labels, which is made if it is new.
    pub fn resolve(&self, labels: &Labels) -> Result<SeriesRef, RejectReason> {
        self.inner.head.find_or_create(labels).map(|series| SeriesRef(series.id))
    }

    /// The labels behind a ref.
    pub fn labels_of(&self, series: SeriesRef) -> Option<Labels> {
        self.inner.head.by_id(series.0).map(|found| found.labels.clone())
    }

    /// Makes everything acknowledged durable now; of use with [`crate::Sync::GroupMs`].
    pub fn sync(&self) -> Result<(), StoreError> {
        self.inner.sync()
    }

    /// The store's state.
    pub fn status(&self) -> Status {
        self.inner.status()
    }
}

impl Inner {
    fn append(&self, samples: &[Sample]) -> Result<Appended, StoreError> {
        if samples.len() > MAX_BATCH_SAMPLES {
            return Err(StoreError::BatchTooLarge { samples: samples.len(), limit: MAX_BATCH_SAMPLES });
        }
        let latest = self.options.clock.now_ms().saturating_add(self.options.max_future_ms);
        let mut pending = Vec::with_capacity(samples.len());
        let mut rejected = Vec::new();
        for (index, sample) in samples.iter().enumerate() {
            let point = (sample.t_ms, sample.value.to_bits());
            match self.admit(sample, latest) {
                Ok(series) => pending.push(Pending { series, index, point }),
                Err(reason) => rejected.push((index, reason)),
            }
        }
        let mut appended = if pending.is_empty() { Appended::default() } else { self.committer.append(pending)? };
        if !rejected.is_empty() {
            appended.rejected.extend(rejected);
            appended.rejected.sort_by_key(|(index, _)| *index);
        }
        self.appended.fetch_add(appended.accepted as u64, Ordering::Relaxed);
        Ok(appended)
    }

    /// Finds or makes the sample's series, unless it is clear already that the sample cannot be stored.
    fn admit(&self, sample: &Sample, latest: i64) -> Result<Arc<MemSeries>, RejectReason> {
        if sample.t_ms > latest {
            let ahead_ms = sample.t_ms.saturating_sub(self.options.clock.now_ms());
            return Err(RejectReason::TooFarInFuture { ahead_ms });
        }
        match &sample.series {
            Target::Ref(SeriesRef(id)) => self.head.by_id(*id).ok_or(RejectReason::UnknownRef(*id)),
            Target::Labels(labels) => match self.head.find(labels) {
                Some(series) => Ok(series),
                None => self.admit_new(labels, sample),
            },
        }
    }

    fn admit_new(&self, labels: &Labels, sample: &Sample) -> Result<Arc<MemSeries>, RejectReason> {
        let window = self.head.window(self.options.block_range_ms / 2, self.options.out_of_order_window_ms);
        if let Verdict::Reject(reason) = judge(None, sample.t_ms, sample.value.to_bits(), &window) {
            return Err(reason);
        }
        self.head.find_or_create(labels)
    }

    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let result = self.committer.wal.lock().sync();
        self.committer.account(result).map_err(|reason| StoreError::ReadOnly { reason })
    }

    pub(crate) fn block_list(&self) -> Arc<Vec<Arc<Block>>> {
        self.blocks.read().clone()
    }

    pub(crate) fn wal_dir(&self) -> PathBuf {
        self.dir.join("wal")
    }

    fn status(&self) -> Status {
        let (mut samples, mut range) = (0, None::<(i64, i64)>);
        for series in self.head.all() {
            let data = series.data.lock();
            samples += data.sample_count();
            range = match (range, data.range()) {
                (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
                (a, b) => a.or(b),
            };
        }
        let turned_away = self.head.turned_away();
        Status {
            mode: match self.committer.read_only.lock().clone() {
                Some(reason) => Mode::ReadOnly { reason },
                None => Mode::Writable,
            },
            head_series: self.head.len(),
            head_samples: samples,
            head_min_ms: range.map(|r| r.0),
            head_max_ms: range.map(|r| r.1),
            appended: self.appended.load(Ordering::Relaxed),
            log_writes: self.committer.syncs.load(Ordering::Relaxed),
            wal_bytes: wal::size(&self.wal_dir()),
            blocks: self.block_list().iter().map(|b| block_status(b)).collect(),
            quarantined: self.quarantined.lock().clone(),
            over_budget: turned_away
                .culprit
                .map(|culprit| OverBudgetStatus { rejected: turned_away.rejected, culprit }),
            maintenance_error: self.maintenance_error.lock().clone(),
        }
    }
}

fn block_status(block: &Block) -> BlockStatus {
    BlockStatus {
        name: block.name(),
        start_ms: block.meta.start_ms,
        end_ms: block.meta.end_ms,
        series: block.meta.series,
        samples: block.meta.samples,
        bytes: block.bytes(),
        damaged: block.is_damaged(),
    }
}
