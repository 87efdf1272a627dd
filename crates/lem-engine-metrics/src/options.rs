//! Everything about a store that can be chosen, with its default.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::disk::DiskGate;
use crate::error::StoreError;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Most samples in one [`crate::Store::append`].
pub const MAX_BATCH_SAMPLES: usize = 1_000_000;

/// When `append` may return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Once the samples are on stable storage. Concurrent appends share one sync.
    Always,
    /// Once the samples are with the operating system; a sync follows within this many milliseconds. The death of the
    /// process loses nothing, a power cut at most this window.
    GroupMs(u64),
}

/// Who calls [`crate::Store::maintain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maintenance {
    /// The owner of the store.
    Manual,
    /// A thread of the store's own, this often.
    Every(Duration),
}

/// Milliseconds since 1970, from wherever the owner gets its time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + std::marker::Sync>);

impl Clock {
    /// A clock of the caller's own.
    pub fn new(now_ms: impl Fn() -> i64 + Send + std::marker::Sync + 'static) -> Clock {
        Clock(Arc::new(now_ms))
    }

    /// The system's clock.
    pub fn system() -> Clock {
        Clock::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            since.as_millis() as i64
        })
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// How a store behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Default: [`Sync::Always`].
    pub sync: Sync,
    /// Time range of the blocks that are cut from the head. Default: 2 h.
    pub block_range_ms: i64,
    /// Ranges that blocks are merged into, each a multiple of the one before. Default: 6 h, 24 h.
    pub compact_ranges_ms: Vec<i64>,
    /// How far behind the newest sample a late one may be; 0 turns late samples off. Default: 10 min.
    pub out_of_order_window_ms: i64,
    /// How far ahead of the clock a sample may be. Default: 10 min.
    pub max_future_ms: i64,
    /// Active series. Default: 1,000,000.
    pub max_series: usize,
    /// Samples that one query may return. Default: 50,000,000.
    pub max_select_samples: usize,
    /// The log goes on in a new file after this many bytes. Default: 64 MiB.
    pub segment_bytes: u64,
    /// Blocks that end this far before the newest sample are deleted. Default: 15 d; `None` keeps all.
    pub retention_ms: Option<i64>,
    /// The oldest blocks are deleted when blocks and log together exceed this. Default: `None`.
    pub retention_bytes: Option<u64>,
    /// Default: every 30 s.
    pub maintenance: Maintenance,
    /// Default: the system's.
    pub clock: Clock,
    /// Lets tests refuse writes. Default: none.
    pub disk_gate: Option<Arc<dyn DiskGate>>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            sync: Sync::Always,
            block_range_ms: 2 * HOUR_MS,
            compact_ranges_ms: vec![6 * HOUR_MS, 24 * HOUR_MS],
            out_of_order_window_ms: 10 * MINUTE_MS,
            max_future_ms: 10 * MINUTE_MS,
            max_series: 1_000_000,
            max_select_samples: 50_000_000,
            segment_bytes: 64 << 20,
            retention_ms: Some(15 * 24 * HOUR_MS),
            retention_bytes: None,
            maintenance: Maintenance::Every(Duration::from_secs(30)),
            clock: Clock::system(),
            disk_gate: None,
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let bad = |option, reason: &str| Err(StoreError::BadOption { option, reason: reason.to_owned() });
        if self.block_range_ms < 2 {
            return bad("block_range_ms", "must be at least 2 ms");
        }
        if self.out_of_order_window_ms < 0 {
            return bad("out_of_order_window_ms", "must not be negative");
        }
        if self.max_future_ms < 0 {
            return bad("max_future_ms", "must not be negative");
        }
        let mut last = self.block_range_ms;
        for &range in &self.compact_ranges_ms {
            if range <= last || range % last != 0 {
                return bad("compact_ranges_ms", "each range must be a multiple of the one before");
            }
            last = range;
        }
        Ok(())
    }
}
