//! What an instance says: read line by line, secrets hidden, kept and passed on.

use super::Shared;
use lem_engine_mask::Masker;
use lem_model::port::LogLine;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Last lines kept of an instance.
const LINES_KEPT: usize = 20;
/// Longest line; the rest of a longer one is dropped.
pub(super) const LINE_MAX: usize = 16 * 1024;

/// The last lines of an instance, for whoever asks why it ended.
pub(super) type LastLines = Arc<Mutex<VecDeque<String>>>;

/// Where lines go and what is hidden in them.
pub(super) struct Way {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) shared: Arc<Shared>,
    pub(super) last: LastLines,
    pub(super) masker: Arc<Masker>,
}

/// Reads lines until the pipe is closed.
pub(super) async fn read(pipe: Box<dyn AsyncRead + Send + Unpin>, way: Way) {
    // A secret that begins before the end of the longest line is seen whole, so that it is hidden whole.
    let most = LINE_MAX + way.masker.longest();
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while let Ok(available) = reader.fill_buf().await {
        if available.is_empty() {
            break;
        }
        let end = available.iter().position(|b| *b == b'\n');
        let taken = end.map_or(available.len(), |at| at + 1);
        let part = &available[..end.unwrap_or(taken)];
        line.extend_from_slice(&part[..part.len().min(most.saturating_sub(line.len()))]);
        reader.consume(taken);
        if end.is_some() {
            keep(&std::mem::take(&mut line), &way);
        }
    }
    if !line.is_empty() {
        keep(&line, &way);
    }
}

fn keep(line: &[u8], way: &Way) {
    let mut line = way.masker.mask(line).into_owned();
    line.truncate(LINE_MAX);
    let mut last = way.last.lock();
    last.push_back(String::from_utf8_lossy(&line).into_owned());
    if last.len() > LINES_KEPT {
        last.pop_front();
    }
    drop(last);
    if let Some(sink) = &way.shared.logs {
        sink.write(LogLine { time: way.shared.clock.now(), labels: way.labels.clone(), line });
    }
}
