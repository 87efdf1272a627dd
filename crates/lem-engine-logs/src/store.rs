//! The store's handle: appending with group commit, and the doors to everything else.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex, RwLock};

use crate::error::{ItemError, QueryError, Refused, StoreError, Warning};
use crate::head::{Entry, Head, record_cost, stream_cost};
use crate::limits;
use crate::maintain::Signal;
use crate::manifest::Manifest;
use crate::open::OpenReport;
use crate::options::Options;
use crate::part::Part;
use crate::pattern::{FirstSeen, Miner, PatternId, Seen};
use crate::query::{ScanLine, ScanPlan, ScanResult, ScanStats};
use crate::record::{Labels, LogRecord, Severity, StreamKey};
use crate::scan::{self, View};
use crate::severity;
use crate::tail::{Tail, Tails};
use crate::wal::{Wal, encode_frame};

/// A batch is durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ack {
    /// Records stored.
    pub accepted: usize,
    /// Records not stored (only from [`LogStore::append_good`]).
    pub refused: Vec<ItemError>,
    /// Records further ahead of the clock than `limits::FUTURE_FLAG`; they are stored.
    pub ahead: usize,
}

/// How often a pattern of a release occurred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternCount {
    /// The pattern.
    pub id: PatternId,
    /// Its template.
    pub template: String,
    /// The worst severity in the range.
    pub severity: Option<Severity>,
    /// The release, if the lines say one.
    pub version: Option<String>,
    /// Where it ran.
    pub environment: Option<String>,
    /// Lines.
    pub count: u64,
    /// Bytes of those lines.
    pub bytes: u64,
    /// The pattern's first line ever; absent for `PatternId::OTHER`.
    pub first_seen: Option<FirstSeen>,
}

/// A pattern's counts over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternSamples {
    /// The pattern.
    pub id: PatternId,
    /// Its template.
    pub template: String,
    /// Start of the step in nanoseconds, and lines in it.
    pub samples: BTreeMap<i64, u64>,
}

/// How the store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreHealth {
    /// Why nothing can be written, if so.
    pub read_only: Option<String>,
    /// Memory of lines that are not yet in parts.
    pub memory_bytes: usize,
    /// Bytes of all parts.
    pub part_bytes: u64,
    /// Live parts.
    pub parts: usize,
    /// Patterns in the registry.
    pub patterns: usize,
    /// What is damaged.
    pub quarantined: Vec<Warning>,
}

/// A log store. Cloning gives another handle to the same store.
#[derive(Clone)]
pub struct LogStore {
    pub(crate) shared: Arc<Shared>,
}

/// Head lines on their way into parts, with what has to be durable before their WAL may go.
pub(crate) struct Sealed {
    pub(crate) head: Arc<Head>,
    pub(crate) wal_upto: u64,
    pub(crate) registry: Arc<Vec<u8>>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) active: Head,
    pub(crate) sealed: Option<Sealed>,
    pub(crate) parts: Vec<Arc<Part>>,
}

pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) manifest: Mutex<Manifest>,
    pub(crate) wal: Mutex<Wal>,
    pub(crate) state: RwLock<State>,
    pub(crate) miner: Mutex<Miner>,
    pub(crate) memory: AtomicUsize,
    pub(crate) signal: Arc<Signal>,
    pub(crate) read_only: Mutex<Option<(String, Instant)>>,
    pub(crate) tails: Tails,
    pub(crate) queue: Mutex<Queue>,
    pub(crate) committed: Condvar,
    /// Held open for its lock.
    pub(crate) _lock: File,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.signal.stop();
    }
}

/// A record with what can be found out without a lock.
pub(crate) struct Prepared {
    key: StreamKey,
    record: LogRecord,
    cost: usize,
}

pub(crate) fn prepare(mut record: LogRecord) -> Prepared {
    record.severity = record.severity.or_else(|| severity::detect(&record.line, &record.fields));
    Prepared { key: StreamKey::of(&record), cost: record_cost(&record), record }
}

#[derive(Default)]
pub(crate) struct Queue {
    pending: Vec<Pending>,
    leading: bool,
}

struct Pending {
    frame: Vec<u8>,
    records: Vec<Prepared>,
    reserved: usize,
    outcome: Arc<Mutex<Option<Result<(), Refused>>>>,
}

impl LogStore {
    /// Opens or creates a store, replays its WAL and starts its maintenance.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<(Self, OpenReport), StoreError> {
        crate::open::open(dir.as_ref(), options)
    }

    /// Stores all records or none. `Ok` means they are on disk.
    pub fn append(&self, records: Vec<LogRecord>) -> Result<Ack, Refused> {
        let (good, bad) = self.sort_out(records);
        if bad.is_empty() { self.commit(good, bad) } else { Err(Refused::Items(bad)) }
    }

    /// Stores the acceptable records and names the others.
    pub fn append_good(&self, records: Vec<LogRecord>) -> Result<Ack, Refused> {
        let (good, bad) = self.sort_out(records);
        self.commit(good, bad)
    }

    fn sort_out(&self, records: Vec<LogRecord>) -> (Vec<LogRecord>, Vec<ItemError>) {
        let edge = self.shared.retention_edge();
        let mut bad = Vec::new();
        let mut good = Vec::with_capacity(records.len());
        for (index, record) in records.into_iter().enumerate() {
            match unacceptable(&record, edge) {
                Some(why) => bad.push(ItemError { index, why }),
                None => good.push(record),
            }
        }
        (good, bad)
    }

    fn commit(&self, records: Vec<LogRecord>, refused: Vec<ItemError>) -> Result<Ack, Refused> {
        let shared = &self.shared;
        let soon = (shared.options.clock)().saturating_add(limits::FUTURE_FLAG.as_nanos() as i64);
        let ahead = records.iter().filter(|r| r.ts_ns > soon).count();
        let ack = Ack { accepted: records.len(), refused, ahead };
        if records.is_empty() {
            return Ok(ack);
        }
        let frame = encode_frame(&records);
        if frame.len() > limits::BATCH_MAX_BYTES {
            return Err(Refused::TooLarge { limit: limits::BATCH_MAX_BYTES as u64, actual: frame.len() as u64 });
        }
        let records: Vec<_> = records.into_iter().map(prepare).collect();
        let reserved = shared.reserve(&records)?;
        let outcome = Arc::new(Mutex::new(None));
        let pending = Pending { frame, records, reserved, outcome: Arc::clone(&outcome) };
        let result = shared.enqueue(pending, &outcome);
        if result.is_err() {
            shared.memory.fetch_sub(reserved, Ordering::AcqRel);
        }
        result.map(|()| ack)
    }

    /// Lines in order, collected.
    pub fn scan(&self, plan: &ScanPlan) -> Result<ScanResult, QueryError> {
        let mut lines = Vec::new();
        let (stats, warnings) = self.scan_each(plan, |line| {
            lines.push(line);
            ControlFlow::Continue(())
        })?;
        Ok(ScanResult { lines, stats, warnings })
    }

    /// Lines in order, one at a time; what was read, and what is missing.
    pub fn scan_each(
        &self,
        plan: &ScanPlan,
        mut found: impl FnMut(ScanLine) -> ControlFlow<()>,
    ) -> Result<(ScanStats, Vec<Warning>), QueryError> {
        let view = self.view(plan);
        scan::run(&view, plan, &mut found)
    }

    fn view(&self, plan: &ScanPlan) -> View {
        let state = self.shared.state.read();
        let mut view = View { parts: state.parts.clone(), rows: Vec::new() };
        if let Some(sealed) = &state.sealed {
            view.add_head(plan, &sealed.head, 0);
        }
        view.add_head(plan, &state.active, 1);
        view
    }

    /// Lines from now on; the plan's range, direction and limit do not matter.
    pub fn tail(&self, plan: ScanPlan) -> Result<Tail, QueryError> {
        self.shared.tails.open(plan)
    }

    /// How the store is.
    pub fn health(&self) -> StoreHealth {
        let shared = &self.shared;
        let patterns = shared.miner.lock().registry.len();
        let read_only = shared.read_only.lock().as_ref().map(|(why, _)| why.clone());
        let state = shared.state.read();
        StoreHealth {
            read_only,
            memory_bytes: shared.memory.load(Ordering::Acquire),
            part_bytes: state.parts.iter().map(|p| p.info.bytes).sum(),
            parts: state.parts.len(),
            patterns,
            quarantined: state.parts.iter().filter_map(|p| p.warning()).collect(),
        }
    }
}

impl fmt::Debug for LogStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogStore").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}

/// Why a record cannot be stored.
fn unacceptable(record: &LogRecord, edge_ns: Option<i64>) -> Option<String> {
    if let Some(edge) = edge_ns.filter(|edge| record.ts_ns < *edge) {
        return Some(format!("timestamp {} is before the retention edge {edge}", record.ts_ns));
    }
    if record.line.len() > limits::LINE_MAX_BYTES {
        return Some(format!("line of {} bytes; the limit is {}", record.line.len(), limits::LINE_MAX_BYTES));
    }
    too_many_labels(&record.labels).or_else(|| {
        let fields: usize = record.fields.iter().map(|(n, v)| n.len() + v.len()).sum();
        let limit = limits::FIELDS_MAX_BYTES;
        (fields > limit).then(|| format!("structured metadata of {fields} bytes; the limit is {limit}"))
    })
}

fn too_many_labels(labels: &Labels) -> Option<String> {
    if labels.len() > limits::LABELS_MAX {
        return Some(format!("{} labels; the limit is {}", labels.len(), limits::LABELS_MAX));
    }
    let limit = limits::LABEL_MAX_BYTES;
    let (name, _) = labels.iter().find(|(n, v)| n.len() > limit || v.len() > limit)?;
    let name: String = name.chars().take(64).collect();
    Some(format!("label {name:?} is longer than {limit} bytes"))
}

impl Shared {
    /// Lines before this are refused and removed.
    pub(crate) fn retention_edge(&self) -> Option<i64> {
        let age = self.options.retention_age?.as_nanos().min(i64::MAX as u128) as i64;
        Some((self.options.clock)().saturating_sub(age))
    }

    /// Takes memory for records, or refuses.
    fn reserve(&self, records: &[Prepared]) -> Result<usize, Refused> {
        let streams: std::collections::HashSet<&StreamKey> = records.iter().map(|r| &r.key).collect();
        let cost: usize =
            records.iter().map(|r| r.cost).sum::<usize>() + streams.into_iter().map(stream_cost).sum::<usize>();
        let budget = self.options.memory_budget_bytes;
        if cost > budget {
            return Err(Refused::TooLarge { limit: budget as u64, actual: cost as u64 });
        }
        let taken = self.memory.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            used.checked_add(cost).filter(|sum| *sum <= budget)
        });
        if taken.is_err() {
            self.signal.wake();
            return Err(Refused::Busy { retry_after: limits::RETRY_AFTER });
        }
        Ok(cost)
    }

    /// Waits until the batch is durable. The first to come writes for all who wait.
    fn enqueue(&self, pending: Pending, outcome: &Mutex<Option<Result<(), Refused>>>) -> Result<(), Refused> {
        let mut queue = self.queue.lock();
        queue.pending.push(pending);
        loop {
            if let Some(result) = outcome.lock().take() {
                return result;
            }
            if queue.leading {
                self.committed.wait(&mut queue);
                continue;
            }
            queue.leading = true;
            let group = take_group(&mut queue.pending);
            drop(queue);
            self.write_group(group);
            queue = self.queue.lock();
            queue.leading = false;
            self.committed.notify_all();
        }
    }

    fn write_group(&self, group: Vec<Pending>) {
        let mut wal = self.wal.lock();
        let result = self.write_frames(&mut wal, &group);
        for pending in group {
            if result.is_ok() {
                self.apply(pending.records, pending.reserved);
            }
            *pending.outcome.lock() = Some(result.clone());
        }
    }

    fn write_frames(&self, wal: &mut Wal, group: &[Pending]) -> Result<(), Refused> {
        let mut read_only = self.read_only.lock();
        if let Some((why, since)) = read_only.as_ref()
            && since.elapsed() < self.options.read_only_retry
        {
            return Err(Refused::ReadOnly { why: why.clone() });
        }
        let written = match group {
            [one] => wal.append(&one.frame),
            many => wal.append(&many.iter().map(|p| p.frame.as_slice()).collect::<Vec<_>>().concat()),
        };
        match written {
            Ok(()) => {
                if read_only.take().is_some() {
                    tracing::info!("the log store is writable again");
                }
                Ok(())
            }
            Err(error) => {
                let why = format!("cannot write the write-ahead log: {error}");
                tracing::error!(%why, "the log store is read-only");
                *read_only = Some((why.clone(), Instant::now()));
                Err(Refused::ReadOnly { why })
            }
        }
    }

    /// Puts durable records into the head. The caller holds the WAL, so that patterns are numbered in its order.
    pub(crate) fn apply(&self, records: Vec<Prepared>, reserved: usize) {
        let now_ns = (self.options.clock)();
        let mut used = 0;
        let mut entries = Vec::with_capacity(records.len());
        let mut miner = self.miner.lock();
        for Prepared { key, record, cost } in records {
            let seen = Seen {
                ts_ns: record.ts_ns,
                version: key.version.as_deref(),
                environment: key.environment.as_deref(),
                service: key.service(),
            };
            let pattern = miner.observe(&record.line, record.severity, seen);
            let LogRecord { ts_ns, line, fields, severity, trace_id, .. } = record;
            entries.push((key, Entry { ts_ns, line, fields, severity, trace_id, pattern }, cost));
        }
        drop(miner);
        if !self.tails.is_empty() {
            for (key, entry, _) in &entries {
                self.tails.offer(&ScanLine::of(&Arc::new(key.clone()), entry));
            }
        }
        let mut state = self.state.write();
        for (key, entry, cost) in entries {
            used += state.active.push(key, entry, cost, now_ns);
        }
        let full = state.active.bytes >= self.options.flush_bytes;
        drop(state);
        if used >= reserved {
            self.memory.fetch_add(used - reserved, Ordering::AcqRel);
        } else {
            self.memory.fetch_sub(reserved - used, Ordering::AcqRel);
        }
        if full {
            self.signal.wake();
        }
    }
}

/// As many waiting batches as fit one write.
fn take_group(pending: &mut Vec<Pending>) -> Vec<Pending> {
    let mut bytes = 0;
    let fits = pending.iter().take_while(|p| {
        bytes += p.frame.len();
        bytes <= limits::BATCH_MAX_BYTES
    });
    let count = fits.count().max(1).min(pending.len());
    pending.drain(..count).collect()
}
