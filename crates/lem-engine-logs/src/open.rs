//! Opening: lock the directory, read the manifest, open parts, replay the WAL.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use parking_lot::{Condvar, Mutex, RwLock};

use crate::error::{StoreError, Warning};
use crate::files::{create_dir, remove_unreferenced, sync_dir};
use crate::maintain::{self, Signal};
use crate::manifest::{Manifest, registry_path};
use crate::options::{Maintenance, Options};
use crate::part::Part;
use crate::pattern::{self, Miner};
use crate::store::{LogStore, Queue, Shared, State, prepare};
use crate::tail::Tails;
use crate::wal::{self, Replay, Wal, segment_path};

/// What was found at start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Live parts.
    pub parts: usize,
    /// Lines in them.
    pub part_rows: u64,
    /// Lines replayed from the WAL.
    pub replayed: u64,
    /// Bytes at the end of WAL segments that were no whole frame: never acknowledged, or damaged. Segment, bytes.
    pub torn: Vec<(u64, u64)>,
    /// Parts that are damaged.
    pub quarantined: Vec<Warning>,
    /// Files left over from a flush or merge that did not finish.
    pub leftovers_removed: usize,
}

pub(crate) fn open(dir: &Path, options: Options) -> Result<(LogStore, OpenReport), StoreError> {
    let mut report = OpenReport::default();
    create_dir(dir)?;
    let lock = lock(dir)?;
    let wal_dir = dir.join("wal");
    create_dir(&wal_dir)?;
    create_dir(&dir.join("parts"))?;
    let manifest = Manifest::load(dir)?.unwrap_or_default();
    let parts: Vec<_> = manifest.parts.iter().map(|info| Arc::new(Part::open(dir, info.clone()))).collect();
    report.parts = parts.len();
    report.part_rows = parts.iter().map(|p| p.info.rows).sum();
    report.quarantined = parts.iter().filter_map(|p| p.warning()).collect();
    report.leftovers_removed = remove_leftovers(dir, &manifest)?;
    let miner = load_miner(dir, &manifest)?;
    let (batches, next_segment) = replay(&wal_dir, &manifest, &mut report)?;
    let wal = Wal::create(&wal_dir, next_segment, Arc::clone(&options.disk))
        .map_err(StoreError::io("create a segment in", &wal_dir))?;
    let background = options.maintenance;
    let shared = Arc::new(Shared {
        dir: dir.to_path_buf(),
        options,
        manifest: Mutex::new(manifest),
        wal: Mutex::new(wal),
        state: RwLock::new(State { parts, ..State::default() }),
        miner: Mutex::new(miner),
        memory: AtomicUsize::new(0),
        signal: Arc::new(Signal::default()),
        read_only: Mutex::new(None),
        tails: Tails::default(),
        queue: Mutex::new(Queue::default()),
        committed: Condvar::new(),
        _lock: lock,
    });
    for batch in batches {
        shared.apply(batch.into_iter().map(prepare).collect(), 0);
    }
    if background == Maintenance::Thread {
        maintain::spawn(&shared)?;
    }
    Ok((LogStore { shared }, report))
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(StoreError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::Locked { path: dir.to_path_buf() }),
        Err(fs::TryLockError::Error(e)) => Err(StoreError::io("lock", &path)(e)),
    }
}

fn load_miner(dir: &Path, manifest: &Manifest) -> Result<Miner, StoreError> {
    if manifest.registry == 0 {
        return Ok(Miner::default());
    }
    let path = registry_path(dir, manifest.registry);
    let bytes = fs::read(&path).map_err(StoreError::io("read", &path))?;
    pattern::load(&bytes).map_err(|why| StoreError::Damaged { path, why })
}

/// Batches of all segments not yet in parts, and the number of the next segment.
fn replay(
    dir: &Path,
    manifest: &Manifest,
    report: &mut OpenReport,
) -> Result<(Vec<Vec<crate::record::LogRecord>>, u64), StoreError> {
    let mut next = manifest.wal_from;
    let mut batches = Vec::new();
    let segments = wal::segments(dir)?;
    let last = segments.last().copied();
    for segment in segments {
        let path = segment_path(dir, segment);
        if segment < manifest.wal_from {
            remove_unreferenced(&path);
            continue;
        }
        next = segment + 1;
        let mut found = wal::replay(&path)?;
        if found.torn_bytes > 0 {
            report.torn.push((segment, found.torn_bytes));
            tracing::warn!(segment, bytes = found.torn_bytes, "the log's write-ahead log has a torn tail");
            cut(&path, &found, Some(segment) == last)?;
        }
        report.replayed += found.batches.iter().map(|b| b.len() as u64).sum::<u64>();
        batches.append(&mut found.batches);
    }
    Ok((batches, next))
}

/// Removes what is behind the last good frame. Behind a frame that is not in the last segment there may be more than a
/// torn write, so a copy stays for whoever wants to look.
fn cut(path: &Path, found: &Replay, is_last: bool) -> Result<(), StoreError> {
    if !is_last {
        let copy = path.with_extension("damaged");
        fs::copy(path, &copy).map_err(StoreError::io("copy", &copy))?;
    }
    if found.good_bytes == 0 {
        fs::remove_file(path).map_err(StoreError::io("remove", path))?;
    } else {
        let file = OpenOptions::new().write(true).open(path).map_err(StoreError::io("open", path))?;
        let done = file.set_len(found.good_bytes).and_then(|()| file.sync_all());
        done.map_err(StoreError::io("truncate", path))?;
    }
    path.parent().map_or(Ok(()), |dir| sync_dir(dir).map_err(StoreError::io("sync directory", dir)))
}

/// Removes part and registry files the manifest does not name.
fn remove_leftovers(dir: &Path, manifest: &Manifest) -> Result<usize, StoreError> {
    let live: std::collections::HashSet<_> = manifest.parts.iter().map(|p| dir.join(p.file())).collect();
    let registry = registry_path(dir, manifest.registry);
    let mut removed = 0;
    let mut remove = |path: &Path| {
        remove_unreferenced(path);
        removed += 1;
    };
    for day in list(&dir.join("parts"))? {
        for file in list(&day)? {
            if !live.contains(&file) {
                remove(&file);
            }
        }
    }
    for file in list(dir)? {
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let stale = name.starts_with("patterns-") && (manifest.registry == 0 || file != registry);
        if stale || name.ends_with(".tmp") {
            remove(&file);
        }
    }
    Ok(removed)
}

fn list(dir: &Path) -> Result<Vec<std::path::PathBuf>, StoreError> {
    let items = fs::read_dir(dir).map_err(StoreError::io("list", dir))?;
    items.map(|item| item.map(|i| i.path()).map_err(StoreError::io("list", dir))).collect()
}
