//! Opening a store: blocks first, then the checkpoint, then the log.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::{Mutex, RwLock};

use crate::block::Block;
use crate::block::meta::parse_folder;
use crate::block::write::TMP;
use crate::checkpoint;
use crate::commit::Committer;
use crate::disk::Disk;
use crate::error::StoreError;
use crate::head::Head;
use crate::head::series::{Verdict, Window};
use crate::maintain::Threads;
use crate::options::Options;
use crate::status::Quarantined;
use crate::store::{Inner, Store};
use crate::wal::record::Record;
use crate::wal::{self, Wal, replay};
use crate::xor::Point;

const LOCK: &str = "lock";
const WAL: &str = "wal";
pub(crate) const QUARANTINE: &str = "quarantine";

/// Part of a file that could not be read, though what follows could.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where the bad record starts.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
}

/// What opening found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Series in the head.
    pub series: usize,
    /// Samples replayed from the log, those refused again included.
    pub replayed_samples: u64,
    /// Blocks opened.
    pub blocks: usize,
    /// Bytes of unfinished writes cut off the end of the log; a copy lies beside the segment as `.torn`.
    pub torn_bytes: u64,
    /// The segments they were cut from.
    pub torn_files: Vec<PathBuf>,
    /// Records that went bad after they had been written; their samples are lost, the file is left as it is.
    pub damaged: Vec<Damage>,
    /// Samples of series whose own record is among the damaged.
    pub orphan_samples: u64,
    /// Blocks moved aside, now or earlier.
    pub quarantined: Vec<Quarantined>,
    /// Unfinished or already merged blocks that were removed.
    pub leftovers: Vec<String>,
}

/// Keeps other processes out for as long as it lives.
#[derive(Debug)]
pub(crate) struct DirLock(#[expect(dead_code, reason = "held, not used: closing the file gives up the lock")] File);

impl Store {
    /// Opens the store in a folder, which is made if it is missing. Returns when the log is replayed.
    pub fn open(dir: impl Into<PathBuf>, options: Options) -> Result<(Store, OpenReport), StoreError> {
        Store::open_with(dir.into(), options, crate::labels::Labels::hash64)
    }

    pub(crate) fn open_with(
        dir: PathBuf,
        options: Options,
        hash: fn(&crate::labels::Labels) -> u64,
    ) -> Result<(Store, OpenReport), StoreError> {
        options.check()?;
        let wal_dir = dir.join(WAL);
        fs::create_dir_all(&wal_dir).map_err(StoreError::io("create", &wal_dir))?;
        let lock = lock(&dir)?;
        let disk = Disk::new(options.disk_gate.clone());
        let mut report = OpenReport::default();
        let blocks = open_blocks(&dir, &mut report)?;
        let head = Arc::new(Head::new(options.max_series, hash));
        if let Some(end) = blocks.iter().map(|b| b.meta.end_ms).max() {
            head.raise_cut_until(end);
        }
        let next_segment = Replay { head: &head, options: &options, report: &mut report }.run(&disk, &wal_dir)?;
        let (wal, wal_error) = Wal::create(disk.clone(), &wal_dir, next_segment, options.sync, options.segment_bytes)?;
        report.series = head.len();
        report.blocks = blocks.len();
        let next_block = next_block_number(&dir)?;
        let committer = Committer::new(head.clone(), wal, options.block_range_ms, options.out_of_order_window_ms);
        if let Some(error) = wal_error {
            let _ = committer.account(Err(error)); // kept as the reason for being read-only
        }
        let inner = Arc::new(Inner {
            dir,
            disk,
            head,
            committer,
            blocks: RwLock::new(Arc::new(blocks)),
            quarantined: Mutex::new(report.quarantined.clone()),
            maintenance: Mutex::new(()),
            maintenance_error: Mutex::new(None),
            next_block: AtomicU64::new(next_block),
            appended: AtomicU64::new(0),
            options,
            _lock: lock,
        });
        let threads = Arc::new(Threads::start(&inner)?);
        Ok((Store { inner, _threads: threads }, report))
    }
}

fn lock(dir: &Path) -> Result<DirLock, StoreError> {
    let path = dir.join(LOCK);
    let file = File::create(&path).map_err(StoreError::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(DirLock(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(StoreError::io("lock", &path)(error)),
    }
}

fn folders(dir: &Path) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(StoreError::io("list", dir))? {
        let entry = entry.map_err(StoreError::io("list", dir))?;
        if let (true, Ok(name)) = (entry.path().is_dir(), entry.file_name().into_string()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn next_block_number(dir: &Path) -> Result<u64, StoreError> {
    let mut names = folders(dir)?;
    let aside = dir.join(QUARANTINE);
    if aside.is_dir() {
        names.extend(folders(&aside)?);
    }
    Ok(names.iter().filter_map(|name| parse_folder(name)).map(|(_, _, n)| n + 1).max().unwrap_or(1))
}

fn open_blocks(dir: &Path, report: &mut OpenReport) -> Result<Vec<Arc<Block>>, StoreError> {
    let aside = dir.join(QUARANTINE);
    if aside.is_dir() {
        let earlier = folders(&aside)?.into_iter().map(|name| quarantined(&aside, &name, String::new()));
        report.quarantined.extend(earlier);
    }
    let mut blocks = Vec::new();
    for name in folders(dir)? {
        let path = dir.join(&name);
        if name.starts_with(TMP) {
            remove_folder(&path)?;
            report.leftovers.push(name);
        } else if parse_folder(&name).is_some() {
            match Block::open(&path) {
                Ok(block) => blocks.push(Arc::new(block)),
                Err(error) if !says_damaged(&error) => return Err(error),
                Err(error) => report.quarantined.push(move_aside(dir, &name, &error)?),
            }
        }
    }
    let merged: HashSet<String> = blocks.iter().flat_map(|b| b.meta.sources.iter().cloned()).collect();
    for block in blocks.extract_if(.., |b| merged.contains(&b.name())) {
        remove_folder(&block.dir)?;
        report.leftovers.push(block.name());
    }
    blocks.sort_by_key(|b| b.meta.start_ms);
    Ok(blocks)
}

/// A missing or unreadable file is damage; a file that may not be opened at the moment is not.
fn says_damaged(error: &StoreError) -> bool {
    match error {
        StoreError::Damaged { .. } => true,
        StoreError::Io { error, .. } => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof),
        _ => false,
    }
}

/// Renames first, so that a crash half way does not leave half a block under its own name.
pub(crate) fn remove_folder(path: &Path) -> Result<(), StoreError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let going = if name.starts_with(TMP) { path.to_owned() } else { path.with_file_name(format!("{TMP}gone-{name}")) };
    if going != path {
        fs::rename(path, &going).map_err(StoreError::io("rename", path))?;
    }
    fs::remove_dir_all(&going).map_err(StoreError::io("remove", &going))
}

fn move_aside(dir: &Path, name: &str, error: &StoreError) -> Result<Quarantined, StoreError> {
    let aside = dir.join(QUARANTINE);
    fs::create_dir_all(&aside).map_err(StoreError::io("create", &aside))?;
    let from = dir.join(name);
    fs::rename(&from, aside.join(name)).map_err(StoreError::io("move aside", &from))?;
    tracing::error!(block = name, %error, "block moved aside");
    Ok(quarantined(&aside, name, error.to_string()))
}

fn quarantined(aside: &Path, name: &str, reason: String) -> Quarantined {
    let (start_ms, end_ms, _) = parse_folder(name).unwrap_or((i64::MIN, i64::MAX, 0));
    Quarantined { name: name.to_owned(), path: aside.join(name), start_ms, end_ms, reason }
}

struct Replay<'a> {
    head: &'a Head,
    options: &'a Options,
    report: &'a mut OpenReport,
}

impl Replay<'_> {
    /// Returns the number of the segment to write next.
    fn run(&mut self, disk: &Disk, dir: &Path) -> Result<u64, StoreError> {
        let mut first = 0;
        if let Some((segment, path)) = checkpoint::newest(dir)? {
            first = segment;
            let mut ended = None;
            let outcome = replay::read_file(&path, |record| match record {
                Record::End { series } => ended = Some(series),
                record => self.apply(record),
            })?;
            if ended.is_none() {
                self.damage(&path, 0, outcome.torn_bytes);
            }
            self.note(&path, &outcome);
        }
        let segments = wal::segments(dir)?;
        for &number in segments.iter().filter(|n| **n >= first) {
            let path = wal::segment_path(dir, number);
            let outcome = replay::read_file(&path, |record| self.apply(record))?;
            self.note(&path, &outcome);
            if outcome.torn_bytes > 0 {
                replay::cut_torn_end(disk, &path, outcome.torn_bytes)?;
                self.report.torn_bytes += outcome.torn_bytes;
                self.report.torn_files.push(path);
            }
        }
        Ok(segments.last().map_or(1, |n| n + 1).max(first))
    }

    fn note(&mut self, path: &Path, outcome: &replay::FileOutcome) {
        for &(offset, bytes) in &outcome.damaged {
            self.damage(path, offset, bytes);
        }
    }

    fn damage(&mut self, path: &Path, offset: u64, bytes: u64) {
        tracing::error!(path = %path.display(), offset, bytes, "damaged record in the log");
        self.report.damaged.push(Damage { path: path.to_owned(), offset, bytes });
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Series { id, labels } => drop(self.head.restore(id, &labels)),
            Record::Samples { half_range, late, points } => self.samples(half_range, late, &points),
            Record::Delete { start, end, ids } => {
                for series in ids.iter().filter_map(|id| self.head.by_id(*id)) {
                    series.data.lock().delete(start, end);
                }
            }
            Record::Checkpoint { next_id, max_t, cut_until } => {
                self.head.raise_next_id(next_id);
                self.head.raise_max_t(max_t);
                self.head.raise_cut_until(cut_until);
            }
            Record::Chunks { id, last, chunks } => {
                let Some(series) = self.head.by_id(id) else { return };
                let mut data = series.data.lock();
                data.last = last;
                for chunk in chunks {
                    data.restore_chunk(chunk);
                }
                // Blocks may have been cut since, without a checkpoint.
                data.truncate(self.head.cut_until());
            }
            Record::Probe | Record::End { .. } => {}
        }
    }

    fn samples(&mut self, half_range: i64, late: i64, points: &[(u64, Point)]) {
        let cut_until = self.head.cut_until();
        let window = Window { head_max: self.head.max_t(), cut_until, half_range, late };
        let mut newest = i64::MIN;
        for &(id, (t, value)) in points {
            self.report.replayed_samples += 1;
            let Some(series) = self.head.by_id(id) else {
                self.report.orphan_samples += u64::from(t >= cut_until);
                continue;
            };
            let verdict = series.data.lock().apply(t, value, &window, self.options.block_range_ms);
            if matches!(verdict, Verdict::InOrder | Verdict::Late) {
                newest = newest.max(t);
            }
        }
        self.head.raise_max_t(newest);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::labels::Labels;
    use crate::matcher::Matcher;
    use crate::store::Sample;

    /// With one hash for all, series are still told apart, before and after a restart.
    #[test]
    fn hash_collisions_do_not_mix_series() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Store::open_with(dir.path().to_owned(), Options::default(), |_| 7).unwrap().0;
        let labels = |n: i32| Labels::new([("__name__", "up"), ("i", &n.to_string())]).unwrap();
        for round in 0..3 {
            let store = open();
            for n in 0..20 {
                let appended = store.append(&[Sample::new(labels(n), round, f64::from(n))]).unwrap();
                assert_eq!(appended.accepted, 1);
            }
            let found = store.select(&[Matcher::equal("__name__", "up")], 0, 10).unwrap();
            assert_eq!(found.series.len(), 20);
            for (labels, points) in found.series {
                let value: f64 = labels.value("i").parse().unwrap();
                assert!(points.len() == round as usize + 1 && points.iter().all(|p| p.1 == value));
            }
        }
    }
}
