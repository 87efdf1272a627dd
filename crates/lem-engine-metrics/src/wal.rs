//! Write-ahead log: numbered segments of checksummed frames.
//!
//! A segment is the magic text, then frames: length (u32, little endian, of the payload), CRC-32C of the payload, payload.
//! The first payload byte is the record's kind; a payload is never empty, so that a run of zeros is not a frame.

pub(crate) mod record;
pub(crate) mod replay;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::StoreError;
use crate::options::Sync;

pub(crate) const MAGIC: &[u8; 8] = b"LEMWAL1\n";
pub(crate) const FRAME_HEADER: usize = 8;
/// A longer frame is damage: no record of ours comes near.
pub(crate) const MAX_FRAME: usize = 64 << 20;
/// In [`Sync::GroupMs`] mode, bytes that wait for a sync at most.
const MAX_UNSYNCED: usize = 8 << 20;

/// Writes the newest segment. Only the committing thread holds it.
#[derive(Debug)]
pub(crate) struct Wal {
    disk: Disk,
    dir: PathBuf,
    sync: Sync,
    segment_bytes: u64,
    number: u64,
    path: PathBuf,
    file: File,
    /// Bytes of the segment that count; what lies behind belongs to a failed write.
    len: u64,
    /// In [`Sync::GroupMs`] mode, the newest bytes, until they are synced.
    unsynced: Vec<u8>,
    fault: Fault,
}

/// What the last failure left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The segment could not be made yet; `file` is only a stand-in.
    Unstarted,
    /// There may be part of a frame behind `len`.
    Tail,
    /// A sync failed: what the system wrote of the segment's end is unknown, so that it must not be relied on.
    Sync,
}

pub(crate) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.wal"))
}

/// Numbers of the segments present, in order.
pub(crate) fn segments(dir: &Path) -> Result<Vec<u64>, StoreError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(StoreError::io("list", dir))? {
        let name = entry.map_err(StoreError::io("list", dir))?.file_name();
        let number: Option<u64> = name.to_str().and_then(|n| n.strip_suffix(".wal")).and_then(|n| n.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

impl Wal {
    /// Starts a new segment. On a full disk the log comes with the error, and tries again at every write.
    pub(crate) fn create(
        disk: Disk,
        dir: &Path,
        number: u64,
        sync: Sync,
        segment_bytes: u64,
    ) -> Result<(Wal, Option<StoreError>), StoreError> {
        let (path, file, fault, error) = match new_segment(&disk, dir, number) {
            Ok((path, file)) => (path, file, Fault::None, None),
            Err(error) => {
                let stand_in = File::open(dir).map_err(StoreError::io("open", dir))?;
                (segment_path(dir, number), stand_in, Fault::Unstarted, Some(error))
            }
        };
        let wal = Wal {
            disk,
            dir: dir.to_owned(),
            sync,
            segment_bytes,
            number,
            path,
            file,
            len: MAGIC.len() as u64,
            unsynced: Vec::new(),
            fault,
        };
        Ok((wal, error))
    }

    /// Writes frames. When it returns without error they are as safe as the sync mode promises; with one, they are not
    /// part of the log.
    pub(crate) fn append(&mut self, frames: &[u8]) -> Result<(), StoreError> {
        self.repair()?;
        if self.unsynced.len() > MAX_UNSYNCED {
            self.sync()?;
        }
        let empty = self.len == MAGIC.len() as u64;
        if !empty && self.len + frames.len() as u64 > self.segment_bytes {
            self.rotate()?;
        }
        self.write(frames)?;
        match self.sync {
            Sync::Always => self.sync_file()?,
            Sync::GroupMs(_) => self.unsynced.extend_from_slice(frames),
        }
        self.len += frames.len() as u64;
        Ok(())
    }

    /// Makes everything acknowledged durable.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        self.repair()?;
        if !self.unsynced.is_empty() {
            self.sync_file()?;
            self.unsynced.clear();
        }
        Ok(())
    }

    /// Goes on in a new segment and returns its number.
    pub(crate) fn rotate(&mut self) -> Result<u64, StoreError> {
        self.sync()?;
        self.start_segment()?;
        Ok(self.number)
    }

    fn start_segment(&mut self) -> Result<(), StoreError> {
        let (path, file) = new_segment(&self.disk, &self.dir, self.number + 1)?;
        self.number += 1;
        (self.path, self.file, self.len) = (path, file, MAGIC.len() as u64);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.disk.write_at(&self.file, &self.path, bytes, self.len);
        written.map_err(|error| {
            self.fault = Fault::Tail;
            StoreError::io("write", &self.path)(error)
        })
    }

    fn sync_file(&mut self) -> Result<(), StoreError> {
        self.disk.sync(&self.file, &self.path).map_err(|error| {
            self.fault = Fault::Sync;
            StoreError::io("sync", &self.path)(error)
        })
    }

    /// Removes what a failure left, before anything else is written.
    fn repair(&mut self) -> Result<(), StoreError> {
        if self.fault == Fault::None {
            return Ok(());
        }
        if self.fault == Fault::Unstarted {
            (self.path, self.file) = new_segment(&self.disk, &self.dir, self.number)?;
            self.fault = Fault::None;
            return Ok(());
        }
        let kept = self.len - self.unsynced.len() as u64;
        let until = if self.fault == Fault::Sync { kept } else { self.len };
        self.file.set_len(until).map_err(StoreError::io("truncate", &self.path))?;
        if self.fault == Fault::Sync {
            // After a failed sync the system may have dropped pages of this file: write them again, elsewhere.
            self.file.sync_all().map_err(StoreError::io("sync", &self.path))?;
            let again = std::mem::take(&mut self.unsynced);
            let rewritten = self.rewrite(&again);
            self.unsynced = again;
            rewritten?;
            self.unsynced.clear();
        }
        self.fault = Fault::None;
        Ok(())
    }

    /// The segment stays at its old length until the new one is durable, so that a second failure changes nothing.
    fn rewrite(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let (path, file) = new_segment(&self.disk, &self.dir, self.number + 1)?;
        let start = MAGIC.len() as u64;
        self.disk.write_at(&file, &path, bytes, start).map_err(StoreError::io("write", &path))?;
        self.disk.sync(&file, &path).map_err(StoreError::io("sync", &path))?;
        self.number += 1;
        (self.path, self.file, self.len) = (path, file, start + bytes.len() as u64);
        Ok(())
    }
}

fn new_segment(disk: &Disk, dir: &Path, number: u64) -> Result<(PathBuf, File), StoreError> {
    let path = segment_path(dir, number);
    let file = File::create(&path).map_err(StoreError::io("create", &path))?;
    disk.write_at(&file, &path, MAGIC, 0).map_err(StoreError::io("write", &path))?;
    disk.sync(&file, &path).map_err(StoreError::io("sync", &path))?;
    disk.sync_dir(dir)?;
    Ok((path, file))
}

/// Removes segments before the given one.
pub(crate) fn remove_before(dir: &Path, number: u64) -> Result<(), StoreError> {
    for old in segments(dir)?.into_iter().filter(|n| *n < number) {
        let path = segment_path(dir, old);
        fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
        let _ = fs::remove_file(path.with_extension("torn")); // seldom there
    }
    Ok(())
}

/// Total size of the log's folder.
pub(crate) fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|m| m.len()).sum()
}
