//! All writing to disk goes through here, so that a test can make any write or sync fail.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crate::error::StoreError;

/// Asked before every write and sync; may refuse, as a full disk would.
pub trait DiskGate: Send + Sync + fmt::Debug {
    /// May `bytes` be written to `path`?
    fn write(&self, path: &Path, bytes: usize) -> Result<(), Refusal>;

    /// May `path` be synced to stable storage?
    fn sync(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// A refused write: the first `written` bytes still reach the file, as on a disk that fills up half way.
#[derive(Debug)]
pub struct Refusal {
    /// Bytes that reach the file before the error.
    pub written: usize,
    /// The error the writer sees.
    pub error: io::Error,
}

/// The file system as the store sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    gate: Option<Arc<dyn DiskGate>>,
}

impl Disk {
    pub(crate) fn new(gate: Option<Arc<dyn DiskGate>>) -> Disk {
        Disk { gate }
    }

    pub(crate) fn write_at(&self, file: &File, path: &Path, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Some(gate) = &self.gate
            && let Err(refusal) = gate.write(path, bytes.len())
        {
            let part = &bytes[..refusal.written.min(bytes.len())];
            file.write_all_at(part, offset)?;
            return Err(refusal.error);
        }
        file.write_all_at(bytes, offset)
    }

    /// Makes the file's content durable. Its metadata other than the length may lag behind.
    pub(crate) fn sync(&self, file: &File, path: &Path) -> io::Result<()> {
        if let Some(gate) = &self.gate {
            gate.sync(path)?;
        }
        file.sync_data()
    }

    /// Makes the names inside a folder durable.
    pub(crate) fn sync_dir(&self, dir: &Path) -> Result<(), StoreError> {
        let sync = || {
            let file = File::open(dir)?;
            if let Some(gate) = &self.gate {
                gate.sync(dir)?;
            }
            file.sync_all()
        };
        sync().map_err(StoreError::io("sync folder", dir))
    }

    /// Writes a whole new file and makes it durable.
    pub(crate) fn write_new(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let file = File::create(path).map_err(StoreError::io("create", path))?;
        self.write_at(&file, path, bytes, 0).map_err(StoreError::io("write", path))?;
        self.sync(&file, path).map_err(StoreError::io("sync", path))
    }

    /// Replaces a file in one step: readers see the old content or the new, also after a crash.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let tmp = path.with_extension("tmp");
        self.write_new(&tmp, bytes)?;
        self.rename(&tmp, path)
    }

    /// Renames inside one folder and makes the new name durable.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        fs::rename(from, to).map_err(StoreError::io("rename", from))?;
        self.sync_dir(to.parent().unwrap_or(Path::new(".")))
    }
}
