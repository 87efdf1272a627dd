//! All logs of all runs: open one for writing, read a page, follow a live one.

use super::writer::{Grown, JobLog, sibling};
use super::{LogError, LogLine, MAX_PAGE_LINES, Record, file_name};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Bytes of an entry of the index.
const INDEX_BYTES: u64 = 16;
/// Records read from one log.
pub(super) const MAX_RECORDS: usize = 100_000;

/// Logs below one directory.
#[derive(Clone, Debug)]
pub struct LogBook {
    root: PathBuf,
    live: Arc<Mutex<HashMap<PathBuf, watch::Receiver<Grown>>>>,
}

/// Some lines of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// How many lines there are by now.
    pub total: u64,
    /// Whether the job still writes.
    pub live: bool,
}

impl LogBook {
    /// The logs below a directory.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), live: Arc::default() }
    }

    fn base(&self, run: &str, job: &str) -> PathBuf {
        self.root.join(file_name(run)).join(file_name(job))
    }

    /// Path of the raw log, for people and tools.
    pub fn path(&self, run: &str, job: &str) -> PathBuf {
        sibling(&self.base(run, job), "log")
    }

    fn live(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, watch::Receiver<Grown>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the log of a job; one that was there is replaced.
    pub fn create(&self, run: &str, job: &str) -> Result<JobLog, LogError> {
        let base = self.base(run, job);
        let directory = base.parent().unwrap_or(&self.root);
        std::fs::create_dir_all(directory)
            .map_err(|source| LogError::Io { path: directory.display().to_string(), source })?;
        let (sender, receiver) = watch::channel(Grown::default());
        let log = JobLog::create(&base, sender)?;
        let mut live = self.live();
        live.retain(|_, grown| !grown.borrow().done);
        live.insert(base, receiver);
        Ok(log)
    }

    fn grown(&self, base: &Path) -> Option<watch::Receiver<Grown>> {
        self.live().get(base).cloned()
    }

    /// Lines from number `from`, at most `limit`.
    pub fn read(&self, run: &str, job: &str, from: u64, limit: u64) -> Result<LogPage, LogError> {
        let base = self.base(run, job);
        let live = self.grown(&base).is_some_and(|g| !g.borrow().done);
        let path = sibling(&base, "log");
        let missing = |source: std::io::Error| match source.kind() {
            ErrorKind::NotFound => LogError::Missing { run: run.to_owned(), job: job.to_owned() },
            _ => LogError::Io { path: path.display().to_string(), source },
        };
        let index = File::open(sibling(&base, "idx")).map_err(missing)?;
        let log = File::open(&path).map_err(missing)?;
        let (lines, total) = page(&log, &index, from, limit.min(MAX_PAGE_LINES)).map_err(missing)?;
        Ok(LogPage { lines, total, live })
    }

    /// The structured records of a job's log.
    pub fn records(&self, run: &str, job: &str) -> Result<Vec<Record>, LogError> {
        let path = sibling(&self.base(run, job), "ndjson");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Err(LogError::Missing { run: run.to_owned(), job: job.to_owned() });
            }
            Err(source) => return Err(LogError::Io { path: path.display().to_string(), source }),
        };
        let lines = BufReader::new(file).lines().take(MAX_RECORDS).map_while(Result::ok);
        // A record that is being written may be cut short; it is whole on the next look.
        Ok(lines.filter_map(|line| serde_json::from_str(&line).ok()).collect())
    }

    /// Follows a job's log from line `from` until the job ends.
    pub fn follow(&self, run: &str, job: &str, from: u64) -> Result<Follower, LogError> {
        let base = self.base(run, job);
        let grown = self.grown(&base);
        if grown.is_none() && !sibling(&base, "log").exists() {
            return Err(LogError::Missing { run: run.to_owned(), job: job.to_owned() });
        }
        Ok(Follower { book: self.clone(), run: run.to_owned(), job: job.to_owned(), next: from, grown })
    }
}

fn page(log: &File, index: &File, from: u64, limit: u64) -> std::io::Result<(Vec<LogLine>, u64)> {
    let log_bytes = log.metadata()?.len();
    // The log is written before the index, so every line in the index is whole in the log.
    let total = index.metadata()?.len() / INDEX_BYTES;
    let until = total.min(from.saturating_add(limit));
    if from >= until {
        return Ok((vec![], total));
    }
    let mut entries = vec![0_u8; ((until - from + u64::from(until < total)) * INDEX_BYTES) as usize];
    index.read_exact_at(&mut entries, from * INDEX_BYTES)?;
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("chunks have eight bytes"));
    let entries: Vec<_> =
        entries.as_chunks::<16>().0.iter().map(|entry| (word(&entry[..8]), word(&entry[8..]))).collect();
    let start = entries[0].0;
    let end = if until < total {
        entries[entries.len() - 1].0
    } else {
        last_end(log, entries[entries.len() - 1].0, log_bytes)?
    };
    let mut bytes = vec![0_u8; (end - start) as usize];
    log.read_exact_at(&mut bytes, start)?;
    let lines = (from..until).enumerate().map(|(i, number)| {
        let (offset, time_ms) = entries[i];
        let stop = entries.get(i + 1).map_or(end, |(next, _)| *next);
        let line = &bytes[(offset - start) as usize..(stop - start) as usize];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        LogLine { number, time_ms, text: String::from_utf8_lossy(line).into_owned() }
    });
    Ok((lines.collect(), total))
}

/// Where the last indexed line ends: the log may have grown by lines the index does not have yet.
fn last_end(log: &File, start: u64, log_bytes: u64) -> std::io::Result<u64> {
    let mut at = start;
    let mut chunk = vec![0_u8; 8192];
    while at < log_bytes {
        let n = log.read_at(&mut chunk, at)?;
        if n == 0 {
            break;
        }
        if let Some(newline) = chunk[..n].iter().position(|b| *b == b'\n') {
            return Ok(at + newline as u64 + 1);
        }
        at += n as u64;
    }
    Ok(at)
}

/// A live log, line by line.
#[derive(Debug)]
pub struct Follower {
    book: LogBook,
    run: String,
    job: String,
    next: u64,
    grown: Option<watch::Receiver<Grown>>,
}

impl Follower {
    /// The next lines, as soon as there are some; `None` when the job has ended and all was read.
    pub async fn next(&mut self) -> Result<Option<Vec<LogLine>>, LogError> {
        loop {
            let done = match &mut self.grown {
                None => true,
                Some(grown) => grown.borrow_and_update().done,
            };
            let page = self.book.read(&self.run, &self.job, self.next, MAX_PAGE_LINES)?;
            if let Some(last) = page.lines.last() {
                self.next = last.number + 1;
                return Ok(Some(page.lines));
            }
            if done {
                return Ok(None);
            }
            if let Some(grown) = &mut self.grown
                && grown.changed().await.is_err()
            {
                self.grown = None; // the writer is gone: one more look, then the end
            }
        }
    }
}
