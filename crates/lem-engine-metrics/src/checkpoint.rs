//! A checkpoint is the head as it was when a log segment began; older segments are then not needed any more.
//! Same frames as the log, one file, complete when its last record is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::StoreError;
use crate::head::Head;
use crate::head::series::{MemSeries, Sealed};
use crate::wal::{self, record};
use crate::xor::Point;

/// The head's content at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    next_id: u64,
    max_t: i64,
    cut_until: i64,
    series: Vec<(Arc<MemSeries>, Option<Point>, Vec<Sealed>)>,
}

/// Copies the head. Full chunks are shared, so that this is quick; the caller keeps appends out meanwhile.
pub(crate) fn snapshot(head: &Head) -> Snapshot {
    let copy = |series: Arc<MemSeries>| {
        let data = series.data.lock();
        let (last, chunks) = (data.last, data.snapshot());
        drop(data);
        (series, last, chunks)
    };
    let mut series: Vec<_> = head.all().into_iter().map(copy).collect();
    series.sort_by_key(|(series, ..)| series.id);
    Snapshot { next_id: head.next_id(), max_t: head.max_t(), cut_until: head.cut_until(), series }
}

fn path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:08}.checkpoint"))
}

/// Writes the snapshot; `segment` is the first log segment that is not in it.
pub(crate) fn write(disk: &Disk, dir: &Path, segment: u64, snapshot: &Snapshot) -> Result<(), StoreError> {
    let mut bytes = wal::MAGIC.to_vec();
    record::put_checkpoint(&mut bytes, snapshot.next_id, snapshot.max_t, snapshot.cut_until);
    for (series, last, chunks) in &snapshot.series {
        record::put_series(&mut bytes, series);
        record::put_chunks(&mut bytes, series.id, *last, chunks);
    }
    record::put_end(&mut bytes, snapshot.series.len() as u64);
    disk.replace(&path(dir, segment), &bytes)?;
    remove_before(dir, segment)?;
    wal::remove_before(dir, segment)
}

/// The newest checkpoint, with the first segment to replay after it.
pub(crate) fn newest(dir: &Path) -> Result<Option<(u64, PathBuf)>, StoreError> {
    Ok(numbers(dir)?.last().map(|&segment| (segment, path(dir, segment))))
}

fn remove_before(dir: &Path, segment: u64) -> Result<(), StoreError> {
    for old in numbers(dir)?.into_iter().filter(|n| *n < segment) {
        let path = path(dir, old);
        fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
    }
    Ok(())
}

fn numbers(dir: &Path) -> Result<Vec<u64>, StoreError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(StoreError::io("list", dir))? {
        let name = entry.map_err(StoreError::io("list", dir))?.file_name();
        let number: Option<u64> =
            name.to_str().and_then(|n| n.strip_suffix(".checkpoint")).and_then(|n| n.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}
