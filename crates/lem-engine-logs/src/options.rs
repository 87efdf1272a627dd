//! How a store is set up.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::limits;

/// Now, in nanoseconds since the epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What is about to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteKind {
    /// A batch to the write-ahead log.
    Wal,
    /// A new part.
    Part,
    /// The manifest or the pattern registry.
    Manifest,
}

/// Stands before every write; an error takes the place of the write. Tests fill the disk with it, and a caller may
/// enforce a quota.
pub trait DiskHook: Send + Sync {
    /// Called before `bytes` bytes are written.
    fn before_write(&self, kind: WriteKind, bytes: usize) -> io::Result<()>;
}

/// Lets every write through.
#[derive(Debug, Clone, Copy)]
pub struct NoHook;

impl DiskHook for NoHook {
    fn before_write(&self, _: WriteKind, _: usize) -> io::Result<()> {
        Ok(())
    }
}

/// Who flushes, merges and retains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maintenance {
    /// A thread of the store.
    Thread,
    /// The caller, through `LogStore::flush` and `LogStore::maintain`.
    Manual,
}

/// Settings of a store.
#[derive(Clone)]
pub struct Options {
    /// Memory for lines that are not yet in parts; beyond it appends are refused as busy.
    pub memory_budget_bytes: usize,
    /// Head size that starts a flush.
    pub flush_bytes: usize,
    /// Age of the head that starts a flush.
    pub flush_age: Duration,
    /// Lines older than this are removed, part by part.
    pub retention_age: Option<Duration>,
    /// The oldest parts are removed while all parts together are larger.
    pub retention_bytes: Option<u64>,
    /// How long a full disk is left alone before a write is tried again.
    pub read_only_retry: Duration,
    /// Who does maintenance.
    pub maintenance: Maintenance,
    /// Time source.
    pub clock: Clock,
    /// Stands before every write.
    pub disk: Arc<dyn DiskHook>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory_budget_bytes: limits::MEMORY_BUDGET_BYTES,
            flush_bytes: limits::FLUSH_BYTES,
            flush_age: limits::FLUSH_AGE,
            retention_age: Some(limits::RETENTION_AGE),
            retention_bytes: None,
            read_only_retry: limits::RETRY_AFTER,
            maintenance: Maintenance::Thread,
            clock: Arc::new(|| {
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos().min(i64::MAX as u128) as i64)
            }),
            disk: Arc::new(NoHook),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("memory_budget_bytes", &self.memory_budget_bytes)
            .field("flush_bytes", &self.flush_bytes)
            .field("retention_age", &self.retention_age)
            .field("retention_bytes", &self.retention_bytes)
            .field("maintenance", &self.maintenance)
            .finish_non_exhaustive()
    }
}
