//! Writing one job's log.

use super::{LogError, MAX_LINE_BYTES, Record};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use tokio::sync::watch;

/// How far a log has grown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Grown {
    pub lines: u64,
    pub done: bool,
}

/// Writes the log of one job. Lines become visible to readers on [`JobLog::flush`].
#[derive(Debug)]
pub struct JobLog {
    path: PathBuf,
    log: File,
    index: File,
    records: File,
    pending: Vec<u8>,
    pending_index: Vec<u8>,
    pending_records: Vec<u8>,
    bytes: u64,
    lines: u64,
    grown: watch::Sender<Grown>,
    failed: Option<std::io::Error>,
}

pub(super) fn sibling(base: &Path, extension: &str) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

impl JobLog {
    pub(super) fn create(base: &Path, grown: watch::Sender<Grown>) -> Result<Self, LogError> {
        let open = |extension: &str| {
            let path = sibling(base, extension);
            File::create(&path).map_err(|source| LogError::Io { path: path.display().to_string(), source })
        };
        Ok(Self {
            path: base.to_owned(),
            log: open("log")?,
            index: open("idx")?,
            records: open("ndjson")?,
            pending: vec![],
            pending_index: vec![],
            pending_records: vec![],
            bytes: 0,
            lines: 0,
            grown,
            failed: None,
        })
    }

    /// Number of the next line.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Appends a line without its newline; one that is too long is split.
    pub fn line(&mut self, time_ms: u64, line: &[u8]) {
        let mut rest = line;
        loop {
            let (piece, more) = rest.split_at(rest.len().min(MAX_LINE_BYTES));
            self.pending_index.extend_from_slice(&self.bytes.to_le_bytes());
            self.pending_index.extend_from_slice(&time_ms.to_le_bytes());
            self.pending.extend_from_slice(piece);
            self.pending.push(b'\n');
            self.bytes += piece.len() as u64 + 1;
            self.lines += 1;
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
        if self.pending.len() > MAX_LINE_BYTES {
            self.write();
        }
    }

    /// Appends a record.
    pub fn record(&mut self, record: &Record) {
        if serde_json::to_writer(&mut self.pending_records, record).is_ok() {
            self.pending_records.push(b'\n');
        }
    }

    fn write(&mut self) {
        let mut all = || {
            self.log.write_all(&self.pending)?;
            self.index.write_all(&self.pending_index)?;
            if !self.pending_records.is_empty() {
                self.records.write_all(&self.pending_records)?;
            }
            Ok(())
        };
        if let Err(error) = all() {
            self.failed.get_or_insert(error);
        }
        self.pending.clear();
        self.pending_index.clear();
        self.pending_records.clear();
    }

    /// Makes everything so far visible.
    pub fn flush(&mut self) {
        if self.pending_index.is_empty() && self.pending_records.is_empty() {
            return;
        }
        self.write();
        self.grown.send_replace(Grown { lines: self.lines, done: false });
    }

    /// Closes the log; the first error of its life, if there was one.
    pub fn close(mut self) -> Result<(), LogError> {
        self.flush();
        match self.failed.take() {
            Some(source) => Err(LogError::Io { path: self.path.display().to_string(), source }),
            None => Ok(()),
        }
    }
}

impl Drop for JobLog {
    fn drop(&mut self) {
        self.flush();
        self.grown.send_replace(Grown { lines: self.lines, done: true });
    }
}
