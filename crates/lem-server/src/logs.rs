//! LogQL over the log store, beside the runtime's own threads: what the Loki routes and our own share.

use crate::app::App;
use lem_engine_logql::ast::{Expr, Selector};
use lem_engine_logql::{
    EvalError, Evaluator, LabelSet, LineFound, LogSource, ParseError, QueryResult, RangeParams, SourceError,
    SourceRequest, StoreSource, StreamResult, Value, line_metadata, parse, store_matchers, stream_labels,
};
use lem_engine_logs::{Direction, LogStore, Matcher, ScanLine, ScanPlan, Tail, TailEvent};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use thiserror::Error;

/// Queries at work at a time, of metrics and logs together; more wait.
pub const QUERIES_MAX: usize = 20;
/// How long a query may wait, and how long it may work.
pub(crate) const QUERY_WITHIN: Duration = Duration::from_mins(1);
/// Lines handed on at once by a live tail.
const BATCH: usize = 500;

/// Why a question has no answer.
#[derive(Debug, Error)]
pub(crate) enum Unanswered {
    #[error("the log store is not set up in this server")]
    Absent,
    #[error(transparent)]
    Parse(#[from] ParseError),
    #[error(transparent)]
    Eval(#[from] EvalError),
    #[error("{0}")]
    Wrong(String),
    #[error("the query did not end within {} s", QUERY_WITHIN.as_secs())]
    TimedOut,
}

/// When a query is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    At(i64),
    Over(RangeParams),
}

/// Raises the flag when the caller is gone, so that nothing works for nobody.
pub(crate) struct GiveUp(pub(crate) Arc<AtomicBool>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn store(app: &App) -> Result<LogStore, Unanswered> {
    app.parts.logs.clone().ok_or(Unanswered::Absent)
}

/// Works beside the runtime's threads, when it is its turn.
pub(crate) async fn beside<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unanswered> {
    let turn = tokio::time::timeout(QUERY_WITHIN, Arc::clone(&app.queries).acquire_owned()).await;
    let turn = turn.map_err(|_| Unanswered::TimedOut)?.expect("the semaphore is never closed");
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    match tokio::time::timeout(QUERY_WITHIN, done).await {
        Err(_) => Err(Unanswered::TimedOut),
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Answers a LogQL query.
pub(crate) async fn ask(app: &App, text: &str, when: When) -> Result<QueryResult, Unanswered> {
    let (store, expr) = (store(app)?, parse(text)?);
    let gone = Arc::new(AtomicBool::new(false));
    let _guard = GiveUp(Arc::clone(&gone));
    let answer = beside(app, move || {
        let source = StoreSource(store);
        let evaluator = Evaluator::new(&source).with_cancel(gone);
        match when {
            When::At(ns) => evaluator.instant(&expr, ns),
            When::Over(params) => evaluator.range(&expr, &params),
        }
    });
    Ok(answer.await??)
}

/// The selector of a log query, `{...}` alone or with a pipeline.
pub(crate) fn selector(text: &str) -> Result<Vec<Selector>, Unanswered> {
    match parse(text)? {
        Expr::Log(log) => Ok(log.selector),
        Expr::Metric(_) => {
            Err(Unanswered::Wrong("only a log selector is possible here, not a metric query".to_owned()))
        }
    }
}

/// Matchers of a log query; none without one.
pub(crate) fn matchers(text: Option<&str>) -> Result<Vec<Matcher>, Unanswered> {
    let Some(text) = text else { return Ok(vec![]) };
    store_matchers(&selector(text)?).map_err(|e| Unanswered::Wrong(e.to_string()))
}

/// New lines of a query as they come.
pub(crate) struct Follow {
    tail: Tail,
    expr: Arc<Expr>,
}

/// Lines that came together, and how many were lost before them because the client was slow.
pub(crate) struct Came {
    pub(crate) streams: Vec<StreamResult>,
    pub(crate) dropped: u64,
}

impl Follow {
    /// Begins; lines from now on are not missed.
    pub(crate) fn start(app: &App, text: &str) -> Result<Self, Unanswered> {
        let (store, matchers) = (store(app)?, matchers(Some(text))?);
        let plan = ScanPlan::new(matchers, i64::MIN, i64::MAX);
        let tail = store.tail(plan).map_err(|e| Unanswered::Wrong(e.to_string()))?;
        Ok(Self { tail, expr: Arc::new(parse(text)?) })
    }

    /// The next lines that pass the query; `None` when the store is closed. Safe to drop while it waits.
    pub(crate) async fn next(&mut self) -> Option<Result<Came, Unanswered>> {
        loop {
            let mut event = Some(self.tail.recv().await?);
            let (mut lines, mut dropped) = (vec![], 0);
            while let Some(came) = event {
                match came {
                    TailEvent::Line(line) => lines.push(*line),
                    TailEvent::Dropped(count) => dropped += count,
                }
                event = if lines.len() < BATCH { self.tail.try_recv() } else { None };
            }
            match self.pass(lines) {
                Ok(streams) if streams.is_empty() && dropped == 0 => {}
                Ok(streams) => return Some(Ok(Came { streams, dropped })),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn pass(&self, lines: Vec<ScanLine>) -> Result<Vec<StreamResult>, Unanswered> {
        let times = || lines.iter().map(|line| line.ts_ns);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(vec![]) };
        let mut params = RangeParams::new(first, last.saturating_add(1), 1);
        params.limit = lines.len();
        params.direction = Direction::Forward;
        let source = Lines(lines);
        match Evaluator::new(&source).range(&self.expr, &params)?.value {
            Value::Streams(streams) => Ok(streams),
            _ => Err(Unanswered::Wrong("only log queries can be followed".to_owned())),
        }
    }
}

/// Lines in memory as a source.
struct Lines(Vec<ScanLine>);

impl LogSource for Lines {
    fn scan(
        &self,
        _: &SourceRequest,
        found: &mut dyn FnMut(LineFound<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<String>, SourceError> {
        let mut lines: Vec<&ScanLine> = self.0.iter().collect();
        lines.sort_by_key(|line| line.ts_ns);
        for line in lines {
            let labels: Arc<LabelSet> = Arc::new(stream_labels(&line.stream));
            let metadata = line_metadata(line);
            let found = found(LineFound { ts_ns: line.ts_ns, labels: &labels, line: &line.line, metadata: &metadata });
            if found.is_break() {
                break;
            }
        }
        Ok(vec![])
    }
}
