//! What may be asked of the lines, and what comes back.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use memchr::memmem;

use crate::block::field_hash;
use crate::error::{QueryError, Warning};
use crate::head::Entry;
use crate::limits;
use crate::matcher::{Matcher, all_match};
use crate::pattern::PatternId;
use crate::record::{Fields, Severity, StreamKey, TraceId, field};
use crate::token;

/// Which end comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first.
    #[default]
    Backward,
}

/// How a literal has to occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiteralKind {
    /// Anywhere, case-sensitive.
    Substring,
    /// Anywhere, ASCII case ignored.
    SubstringNoCase,
    /// As whole words, case-sensitive.
    Token,
    /// As whole words, ASCII case ignored.
    TokenNoCase,
}

/// Bytes a line has to contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How they have to occur.
    pub kind: LiteralKind,
}

impl Literal {
    /// A case-sensitive substring.
    pub fn substring(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), kind: LiteralKind::Substring }
    }

    /// Case-sensitive whole words.
    pub fn token(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), kind: LiteralKind::Token }
    }

    /// True if the line contains it.
    pub fn occurs_in(&self, line: &[u8]) -> bool {
        match self.kind {
            LiteralKind::Substring => memmem::find(line, &self.bytes).is_some(),
            LiteralKind::SubstringNoCase => {
                self.bytes.is_empty() || line.windows(self.bytes.len()).any(|w| w.eq_ignore_ascii_case(&self.bytes))
            }
            LiteralKind::Token => token::has_token(line, &self.bytes, false),
            LiteralKind::TokenNoCase => token::has_token(line, &self.bytes, true),
        }
    }

    fn tokens(&self) -> Vec<u64> {
        match self.kind {
            LiteralKind::Substring | LiteralKind::SubstringNoCase => token::of_substring(&self.bytes),
            LiteralKind::Token | LiteralKind::TokenNoCase => token::of_token(&self.bytes),
        }
    }
}

/// The last word on a line.
pub type Predicate = Arc<dyn Fn(&ScanLine) -> bool + Send + Sync>;

/// A question for lines. All conditions have to hold.
#[derive(Clone)]
pub struct ScanPlan {
    /// On the stream's labels.
    pub matchers: Vec<Matcher>,
    /// First instant, inclusive.
    pub start_ns: i64,
    /// Last instant, exclusive.
    pub end_ns: i64,
    /// Order of the answer.
    pub direction: Direction,
    /// Lines wanted at most.
    pub limit: Option<usize>,
    /// Of every inner list at least one has to occur in the line. Blocks without them are not read.
    pub literals: Vec<Vec<Literal>>,
    /// Structured metadata pairs the line has to have; `trace_id` also means the trace of the record.
    pub fields: Vec<(String, String)>,
    /// The line's pattern is one of these.
    pub patterns: Option<Vec<PatternId>>,
    /// Checked last.
    pub predicate: Option<Predicate>,
    /// Decompressed bytes the scan may read.
    pub max_bytes: u64,
    /// Raised by the caller who no longer wants the answer.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl ScanPlan {
    /// All lines of the matching streams in a range.
    pub fn new(matchers: Vec<Matcher>, start_ns: i64, end_ns: i64) -> Self {
        Self {
            matchers,
            start_ns,
            end_ns,
            direction: Direction::default(),
            limit: None,
            literals: Vec::new(),
            fields: Vec::new(),
            patterns: None,
            predicate: None,
            max_bytes: limits::SCAN_MAX_BYTES,
            cancel: None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), QueryError> {
        if self.end_ns < self.start_ns {
            return Err(QueryError::EmptyRange { start_ns: self.start_ns, end_ns: self.end_ns });
        }
        self.check_cancel()
    }

    pub(crate) fn check_cancel(&self) -> Result<(), QueryError> {
        let cancelled = self.cancel.as_ref().is_some_and(|c| c.load(Ordering::Relaxed));
        if cancelled { Err(QueryError::Cancelled) } else { Ok(()) }
    }

    pub(crate) fn wants_stream(&self, key: &StreamKey) -> bool {
        all_match(&self.matchers, &key.labels)
    }

    pub(crate) fn wants_time(&self, ts_ns: i64) -> bool {
        self.start_ns <= ts_ns && ts_ns < self.end_ns
    }

    pub(crate) fn wants_text(&self, line: &[u8]) -> bool {
        self.literals.iter().all(|any| any.iter().any(|literal| literal.occurs_in(line)))
    }

    pub(crate) fn wants_pattern(&self, pattern: PatternId) -> bool {
        self.patterns.as_ref().is_none_or(|wanted| wanted.contains(&pattern))
    }

    /// Everything except stream, time and text.
    pub(crate) fn wants_rest(&self, line: &ScanLine) -> bool {
        let has = |(name, value): &(String, String)| {
            line.fields.iter().any(|(n, v)| n == name && v == value)
                || name == "trace_id" && line.trace_id.is_some_and(|t| t.to_string() == *value)
        };
        self.wants_pattern(line.pattern)
            && self.fields.iter().all(has)
            && self.predicate.as_ref().is_none_or(|predicate| predicate(line))
    }

    /// Token hashes of which, per inner list, at least one list must be wholly in a block.
    pub(crate) fn line_tokens(&self) -> Vec<Vec<Vec<u64>>> {
        let of = |any: &Vec<Literal>| any.iter().map(Literal::tokens).collect::<Vec<_>>();
        // A clause with an alternative that needs no token prunes nothing.
        self.literals.iter().map(of).filter(|any| any.iter().all(|t| !t.is_empty())).collect()
    }

    pub(crate) fn field_hashes(&self) -> Vec<u64> {
        self.fields.iter().map(|(name, value)| field_hash(name, value)).collect()
    }
}

impl fmt::Debug for ScanPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanPlan")
            .field("matchers", &self.matchers)
            .field("start_ns", &self.start_ns)
            .field("end_ns", &self.end_ns)
            .field("direction", &self.direction)
            .field("limit", &self.limit)
            .field("literals", &self.literals)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

/// One line of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanLine {
    /// Nanoseconds since the epoch.
    pub ts_ns: i64,
    /// The stream it belongs to.
    pub stream: Arc<StreamKey>,
    /// The line, byte for byte.
    pub line: Bytes,
    /// Structured metadata.
    pub fields: Fields,
    /// How bad it says it is.
    pub severity: Option<Severity>,
    /// The trace it belongs to.
    pub trace_id: Option<TraceId>,
    /// Its pattern.
    pub pattern: PatternId,
}

impl ScanLine {
    pub(crate) fn of(stream: &Arc<StreamKey>, entry: &Entry) -> Self {
        Self {
            ts_ns: entry.ts_ns,
            stream: Arc::clone(stream),
            line: entry.line.clone(),
            fields: entry.fields.clone(),
            severity: entry.severity,
            trace_id: entry.trace_id,
            pattern: entry.pattern,
        }
    }

    /// A structured metadata value.
    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.fields, name)
    }
}

/// What a scan read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanStats {
    /// Blocks of matching streams in the range.
    pub blocks: u64,
    /// Of those, blocks not read because they cannot hold a match.
    pub blocks_pruned: u64,
    /// Blocks read.
    pub blocks_read: u64,
    /// Decompressed bytes read.
    pub bytes_read: u64,
    /// Lines handed out.
    pub lines: u64,
}

/// A collected answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScanResult {
    /// The lines, ordered.
    pub lines: Vec<ScanLine>,
    /// What was read.
    pub stats: ScanStats,
    /// What is missing.
    pub warnings: Vec<Warning>,
}
