//! Lines of processes on their way into the log store.

use lem_engine_logs::{Labels, LogRecord, LogStore};
use lem_model::port::{LogLine, LogSink};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Lines that may wait; more are dropped and counted.
pub const QUEUE: usize = 20_000;
/// Lines of one batch.
const BATCH: usize = 2_000;
/// Longest wait of a line for its batch.
const LINGER: Duration = Duration::from_millis(100);
/// Wait before trying a refused batch again.
const AGAIN: Duration = Duration::from_millis(500);

/// Takes lines without blocking; a thread makes them durable.
#[derive(Debug, Clone)]
pub struct Sink {
    queue: SyncSender<LogLine>,
    dropped: Arc<AtomicU64>,
}

impl Sink {
    /// Starts the thread; it ends when the last sink is dropped.
    pub fn start(store: LogStore) -> std::io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = dropped.clone();
        std::thread::Builder::new().name("log-sink".into()).spawn(move || drain(&store, &lines, &counted))?;
        Ok(Self { queue, dropped })
    }

    /// Lines dropped because the queue was full or the store refused them for good.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl LogSink for Sink {
    fn write(&self, line: LogLine) {
        if self.queue.try_send(line).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn drain(store: &LogStore, lines: &Receiver<LogLine>, dropped: &AtomicU64) {
    while let Ok(first) = lines.recv() {
        let mut batch = vec![record(first)];
        let until = Instant::now() + LINGER;
        while batch.len() < BATCH {
            match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => batch.push(record(line)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        keep(store, batch, dropped);
    }
}

fn keep(store: &LogStore, batch: Vec<LogRecord>, dropped: &AtomicU64) {
    let count = batch.len() as u64;
    for _ in 0..20 {
        match store.append_good(batch.clone()) {
            Ok(_) => return,
            Err(lem_engine_logs::Refused::Busy { retry_after }) => std::thread::sleep(retry_after.min(AGAIN)),
            Err(lem_engine_logs::Refused::ReadOnly { .. }) => std::thread::sleep(AGAIN),
            Err(_) => break,
        }
    }
    dropped.fetch_add(count, Ordering::Relaxed);
    tracing::error!(lines = count, "the log store refused lines of processes");
}

fn record(line: LogLine) -> LogRecord {
    let ts_ns = i64::try_from(line.time.as_nanosecond()).unwrap_or(i64::MAX);
    let mut record = LogRecord::new(ts_ns, Labels::new(line.labels), line.line);
    record.severity = lem_engine_logs::detect_severity(&record.line, &record.fields);
    record
}
