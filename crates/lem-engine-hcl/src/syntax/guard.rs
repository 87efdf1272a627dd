//! Limits checked before a parser sees a text.

use super::Pos;
use lem_model::Diagnostic;
use std::sync::Arc;

/// Largest configuration file.
pub const MAX_FILE_BYTES: u64 = 8 << 20;

/// Deepest nesting of brackets and blocks; the parser below has this limit.
pub const MAX_NESTING: usize = 64;

/// The text of a file: UTF-8, without a byte order mark.
pub(crate) fn text(bytes: &[u8], file: &Arc<str>) -> Result<String, Diagnostic> {
    let whole = Pos { file: Arc::clone(file), line: 1, column: 1 };
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let message = format!("the file is larger than {MAX_FILE_BYTES} bytes");
        return Err(Diagnostic::error("too-large", message, whole.place()));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line = before.iter().filter(|b| **b == b'\n').count() as u32 + 1;
            let place = Pos { line, ..whole }.place();
            Err(Diagnostic::error("not-utf8", "the file is not UTF-8 text", place))
        }
    }
}

/// Places of offsets in a text.
#[derive(Debug)]
pub(crate) struct Lines {
    file: Arc<str>,
    text: Arc<str>,
    starts: Vec<u32>,
    first: (u32, u32),
}

impl Lines {
    pub(crate) fn new(file: Arc<str>, text: Arc<str>) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i as u32 + 1);
        let starts = std::iter::once(0).chain(ends).collect();
        Self { file, text, starts, first: (1, 1) }
    }

    /// The text begins at this line and column of its file.
    pub(crate) fn from(mut self, line: u32, column: u32) -> Self {
        self.first = (line, column);
        self
    }

    pub(crate) fn pos(&self, offset: usize) -> Pos {
        let offset = (offset.min(self.text.len())) as u32;
        let row = self.starts.partition_point(|start| *start <= offset) - 1;
        let start = self.starts[row] as usize;
        let before = self.text.get(start..offset as usize).map_or(0, |t| t.chars().count()) as u32;
        let column = if row == 0 { before + self.first.1 } else { before + 1 };
        Pos { file: Arc::clone(&self.file), line: row as u32 + self.first.0, column }
    }

    pub(crate) fn text(&self) -> &Arc<str> {
        &self.text
    }
}
