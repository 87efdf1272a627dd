//! Where lines come from.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lem_engine_logs::{Direction, Literal, LogStore, MatchOp as StoreOp, Matcher, ScanPlan, StreamKey};
use thiserror::Error;

use crate::ast::{MatchOp, Selector};
use crate::value::LabelSet;

/// The source could not answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// Lines wanted.
#[derive(Debug, Clone)]
pub struct SourceRequest {
    /// On the stream's labels.
    pub selector: Vec<Selector>,
    /// First instant, inclusive.
    pub start_ns: i64,
    /// Last instant, exclusive.
    pub end_ns: i64,
    /// Order.
    pub direction: Direction,
    /// Of every inner list at least one literal occurs in every line that can matter: for pruning.
    pub literals: Vec<Vec<Literal>>,
    /// Raised when nobody wants the answer any more.
    pub cancel: Option<Arc<AtomicBool>>,
}

/// One line handed out.
#[derive(Debug)]
pub struct LineFound<'a> {
    /// Nanoseconds since the epoch.
    pub ts_ns: i64,
    /// The stream's labels; the same stream gives the same `Arc` within one scan where it can.
    pub labels: &'a Arc<LabelSet>,
    /// The line.
    pub line: &'a [u8],
    /// Structured metadata.
    pub metadata: &'a [(String, String)],
}

/// Hands out lines in order until told to stop, and says what may be missing.
pub trait LogSource {
    /// Calls `found` for every line of the request, in order.
    fn scan(
        &self,
        request: &SourceRequest,
        found: &mut dyn FnMut(LineFound<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<String>, SourceError>;
}

/// `lem-engine-logs` as a source.
#[derive(Debug, Clone)]
pub struct StoreSource(pub LogStore);

impl LogSource for StoreSource {
    fn scan(
        &self,
        request: &SourceRequest,
        found: &mut dyn FnMut(LineFound<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<String>, SourceError> {
        let matchers = store_matchers(&request.selector)?;
        let plan = ScanPlan {
            direction: request.direction,
            literals: request.literals.clone(),
            cancel: request.cancel.clone(),
            ..ScanPlan::new(matchers, request.start_ns, request.end_ns)
        };
        let mut known: HashMap<*const StreamKey, (Arc<StreamKey>, Arc<LabelSet>)> = HashMap::new();
        let scanned = self.0.scan_each(&plan, |line| {
            // The key is kept beside its labels, so its address stays its own.
            let (_, labels) = known
                .entry(Arc::as_ptr(&line.stream))
                .or_insert_with(|| (Arc::clone(&line.stream), Arc::new(stream_labels(&line.stream))));
            let metadata = line_metadata(&line);
            found(LineFound { ts_ns: line.ts_ns, labels, line: &line.line, metadata: &metadata })
        });
        let (_, warnings) = scanned.map_err(|e| SourceError(e.to_string()))?;
        Ok(warnings.iter().map(ToString::to_string).collect())
    }
}

/// Labels of a stored stream.
pub fn stream_labels(stream: &StreamKey) -> LabelSet {
    stream.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

/// Structured metadata as it was sent, with the trace and the severity under the names clients look for.
pub fn line_metadata(line: &lem_engine_logs::ScanLine) -> Vec<(String, String)> {
    let mut metadata = line.fields.clone();
    if let Some(trace) = line.trace_id
        && line.field("trace_id").is_none()
    {
        metadata.push(("trace_id".to_owned(), trace.to_string()));
    }
    if let Some(severity) = line.severity
        && line.field("detected_level").is_none()
    {
        metadata.push(("detected_level".to_owned(), severity.as_str().to_owned()));
    }
    metadata
}

/// A selector in the store's terms.
pub fn store_matchers(selectors: &[Selector]) -> Result<Vec<Matcher>, SourceError> {
    selectors.iter().map(matcher).collect()
}

fn matcher(selector: &Selector) -> Result<Matcher, SourceError> {
    let op = match selector.op {
        MatchOp::Equal => StoreOp::Equal,
        MatchOp::NotEqual => StoreOp::NotEqual,
        MatchOp::Regex => StoreOp::Regex,
        MatchOp::NotRegex => StoreOp::NotRegex,
    };
    Matcher::new(&selector.name, op, &selector.value).map_err(|e| SourceError(e.to_string()))
}
