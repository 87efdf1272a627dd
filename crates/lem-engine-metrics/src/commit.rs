//! Group commit: appends that wait at the same time are logged with one write and one sync by one of them.
//!
//! Order of things: judge cheaply, log, make durable, apply to memory, acknowledge. What is in memory is therefore always
//! in the log, and replaying the log applies the same rules to the same samples in the same order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::error::{RejectReason, StoreError};
use crate::head::Head;
use crate::head::series::{MemSeries, Verdict, judge};
use crate::wal::{Wal, record};
use crate::xor::Point;

/// Samples in one log record. The append rules look at the head's newest time once for each record.
const RECORD_SAMPLES: usize = 16 * 1024;

/// A sample on its way, with its place in the caller's batch.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) series: Arc<MemSeries>,
    pub(crate) index: usize,
    pub(crate) point: Point,
}

/// What became of the samples of one append.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Appended {
    /// Samples stored.
    pub accepted: usize,
    /// Samples that were there already, bit for bit.
    pub duplicates: usize,
    /// Samples not stored: place in the batch and reason.
    pub rejected: Vec<(usize, RejectReason)>,
}

#[derive(Debug)]
struct Ticket {
    samples: Mutex<Vec<Pending>>,
    result: Mutex<Option<Result<Appended, StoreError>>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Arc<Ticket>>,
    busy: bool,
}

/// The one place where the head changes.
#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) head: Arc<Head>,
    pub(crate) wal: Mutex<Wal>,
    queue: Mutex<Queue>,
    turn: Condvar,
    block_range: i64,
    late: i64,
    /// Why the log cannot be written, while it cannot.
    pub(crate) read_only: Mutex<Option<String>>,
    pub(crate) syncs: AtomicU64,
}

impl Committer {
    pub(crate) fn new(head: Arc<Head>, wal: Wal, block_range: i64, late: i64) -> Committer {
        Committer {
            head,
            wal: Mutex::new(wal),
            queue: Mutex::default(),
            turn: Condvar::new(),
            block_range,
            late,
            read_only: Mutex::new(None),
            syncs: AtomicU64::new(0),
        }
    }

    /// Returns when the samples are stored, or are known not to be.
    pub(crate) fn append(&self, samples: Vec<Pending>) -> Result<Appended, StoreError> {
        let ticket = Arc::new(Ticket { samples: Mutex::new(samples), result: Mutex::new(None) });
        let mut queue = self.queue.lock();
        queue.waiting.push(ticket.clone());
        loop {
            if let Some(result) = ticket.result.lock().take() {
                return result;
            }
            if queue.busy {
                self.turn.wait(&mut queue);
                continue;
            }
            queue.busy = true;
            let group = std::mem::take(&mut queue.waiting);
            drop(queue);
            self.commit(&group);
            queue = self.queue.lock();
            queue.busy = false;
            self.turn.notify_all();
        }
    }

    fn commit(&self, group: &[Arc<Ticket>]) {
        let mut wal = self.wal.lock();
        let mut frames = Vec::new();
        let mut new_series = Vec::new();
        let mut outcomes = Vec::with_capacity(group.len());
        for ticket in group {
            let mut samples = ticket.samples.lock();
            outcomes.push(self.prepare(&mut samples));
            self.encode(&samples, &mut frames, &mut new_series);
        }
        let logged = self.log(&mut wal, &frames);
        if logged.is_err() {
            for s in &new_series {
                s.set_logged(false);
            }
        }
        for (ticket, mut outcome) in group.iter().zip(outcomes) {
            let samples = std::mem::take(&mut *ticket.samples.lock());
            let result = match &logged {
                Ok(()) => {
                    self.apply(&samples, &mut outcome);
                    outcome.rejected.sort_by_key(|(index, _)| *index);
                    Ok(outcome)
                }
                // Nothing of this batch had to be written, so that the disk does not matter.
                Err(_) if samples.is_empty() => Ok(outcome),
                Err(reason) => Err(StoreError::ReadOnly { reason: reason.clone() }),
            };
            *ticket.result.lock() = Some(result);
        }
    }

    /// Takes out what the rules refuse already, so that it does not reach the log, and renews series that left the head.
    fn prepare(&self, samples: &mut Vec<Pending>) -> Appended {
        let mut outcome = Appended::default();
        let window = self.head.window(self.block_range / 2, self.late);
        samples.retain_mut(|sample| {
            if sample.series.is_removed() {
                match self.head.find_or_create(&sample.series.labels) {
                    Ok(series) => sample.series = series,
                    Err(reason) => {
                        outcome.rejected.push((sample.index, reason));
                        return false;
                    }
                }
            }
            let last = sample.series.data.lock().last;
            match judge(last, sample.point.0, sample.point.1, &window) {
                Verdict::InOrder | Verdict::Late => return true,
                Verdict::Duplicate => outcome.duplicates += 1,
                Verdict::Reject(reason) => outcome.rejected.push((sample.index, reason)),
            }
            false
        });
        outcome
    }

    fn encode(&self, samples: &[Pending], frames: &mut Vec<u8>, new_series: &mut Vec<Arc<MemSeries>>) {
        for sample in samples.iter().filter(|s| !s.series.is_logged()) {
            if !sample.series.is_logged() {
                record::put_series(frames, &sample.series);
                sample.series.set_logged(true);
                new_series.push(sample.series.clone());
            }
        }
        for part in samples.chunks(RECORD_SAMPLES) {
            let points = part.iter().map(|s| (s.series.id, s.point));
            record::put_samples(frames, self.block_range / 2, self.late, points);
        }
    }

    /// Writes to the log and keeps account of whether that works.
    pub(crate) fn log(&self, wal: &mut Wal, frames: &[u8]) -> Result<(), String> {
        if frames.is_empty() {
            return Ok(());
        }
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.account(wal.append(frames))
    }

    /// Remembers a failure as the reason for being read-only, and forgets it on success.
    pub(crate) fn account(&self, result: Result<(), StoreError>) -> Result<(), String> {
        let mut read_only = self.read_only.lock();
        match result {
            Ok(()) => {
                if read_only.take().is_some() {
                    tracing::info!("metric store is writable again");
                }
                Ok(())
            }
            Err(error) => {
                let reason = error.to_string();
                if read_only.is_none() {
                    tracing::error!(%reason, "metric store is read-only");
                }
                *read_only = Some(reason.clone());
                Err(reason)
            }
        }
    }

    fn apply(&self, samples: &[Pending], outcome: &mut Appended) {
        for part in samples.chunks(RECORD_SAMPLES) {
            let window = self.head.window(self.block_range / 2, self.late);
            let mut newest = i64::MIN;
            for sample in part {
                let (t, value) = sample.point;
                let verdict = sample.series.data.lock().apply(t, value, &window, self.block_range);
                match verdict {
                    Verdict::InOrder | Verdict::Late => {
                        outcome.accepted += 1;
                        newest = newest.max(t);
                    }
                    Verdict::Duplicate => outcome.duplicates += 1,
                    Verdict::Reject(reason) => outcome.rejected.push((sample.index, reason)),
                }
            }
            self.head.raise_max_t(newest);
        }
    }
}
