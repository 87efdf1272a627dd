//! The embedded stores behind the traits.

use super::{Appended, Ask, Catalog, LogFailure, LogStore, LogTime, MetricStore, Sample, StoreFailure, StoreStatus};
use async_trait::async_trait;
use futures::future::BoxFuture;
use lem_engine_logs::{Ack, LabelRange, LogRecord, PatternCount, Refused, ScanPlan, ScanResult, Tail, Warning};
use lem_engine_metrics as metrics;
use lem_engine_promql::{self as promql, Labels, Matcher, Querier, QueryError, SelectHints, SeriesData};
use std::collections::BTreeSet;
use std::sync::Arc;

/// `lem-engine-metrics` as a [`MetricStore`].
#[derive(Clone, Debug)]
pub struct EmbeddedMetrics(pub metrics::Store);

fn to_store(labels: &Labels) -> Result<metrics::Labels, String> {
    metrics::Labels::new(labels.iter()).map_err(|e| e.to_string())
}

fn from_store(labels: &metrics::Labels) -> Labels {
    Labels::from_pairs(labels.iter())
}

fn matchers(from: &[Matcher]) -> Result<Vec<metrics::Matcher>, StoreFailure> {
    let op = |op| match op {
        promql::MatchOp::Equal => metrics::MatchOp::Equal,
        promql::MatchOp::NotEqual => metrics::MatchOp::NotEqual,
        promql::MatchOp::Regex => metrics::MatchOp::Regex,
        promql::MatchOp::NotRegex => metrics::MatchOp::NotRegex,
    };
    let one = |m: &Matcher| metrics::Matcher::new(op(m.op), m.name.clone(), m.value.clone());
    from.iter().map(one).collect::<Result<_, _>>().map_err(failure)
}

fn failure(error: impl std::fmt::Display) -> StoreFailure {
    StoreFailure(error.to_string())
}

/// Store calls wait for the disk, so they run beside the runtime's own threads.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn append(store: &metrics::Store, batch: &[Sample]) -> Result<Appended, StoreFailure> {
    let mut done = Appended::default();
    let mut places = Vec::with_capacity(batch.len());
    let mut samples = Vec::with_capacity(batch.len());
    for (place, sample) in batch.iter().enumerate() {
        match to_store(&sample.labels) {
            Ok(labels) => {
                places.push(place);
                samples.push(metrics::Sample::new(labels, sample.t_ms, sample.value));
            }
            Err(why) => done.rejected.push((place, why)),
        }
    }
    for (chunk, places) in samples.chunks(metrics::MAX_BATCH_SAMPLES).zip(places.chunks(metrics::MAX_BATCH_SAMPLES)) {
        let appended = store.append(chunk).map_err(failure)?;
        done.accepted += appended.accepted + appended.duplicates;
        done.rejected.extend(appended.rejected.into_iter().map(|(at, why)| (places[at], why.to_string())));
    }
    Ok(done)
}

#[async_trait]
impl MetricStore for EmbeddedMetrics {
    async fn append(&self, batch: Vec<Sample>) -> Result<Appended, StoreFailure> {
        let store = self.0.clone();
        beside(move || append(&store, &batch)).await
    }

    async fn select(&self, asked: Vec<Matcher>, start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, StoreFailure> {
        let (store, asked) = (self.0.clone(), matchers(&asked)?);
        let selected = beside(move || store.select(&asked, start_ms, end_ms)).await.map_err(failure)?;
        let sample = |(t, v): (i64, f64)| promql::Sample::float(t, v);
        let series = |(labels, samples): (metrics::Labels, Vec<(i64, f64)>)| SeriesData {
            labels: from_store(&labels),
            samples: samples.into_iter().map(sample).collect(),
        };
        for warning in &selected.warnings {
            tracing::warn!(%warning, "the metric store could not read everything");
        }
        Ok(selected.series.into_iter().map(series).collect())
    }

    async fn catalog(
        &self,
        ask: Ask,
        asked: Vec<Matcher>,
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Catalog, StoreFailure> {
        let (store, asked) = (self.0.clone(), matchers(&asked)?);
        beside(move || {
            let texts =
                |a: metrics::Answer<Vec<String>>| Catalog { texts: a.found, warnings: a.warnings, series: vec![] };
            match ask {
                Ask::Series => store.series(&asked, start_ms, end_ms).map(|answer| Catalog {
                    series: answer.found.iter().map(from_store).collect(),
                    texts: vec![],
                    warnings: answer.warnings,
                }),
                Ask::Names => store.label_names(&asked, start_ms, end_ms).map(texts),
                Ask::Values(name) => store.label_values(&name, &asked, start_ms, end_ms).map(texts),
            }
        })
        .await
        .map_err(failure)
    }

    fn status(&self) -> StoreStatus {
        let status = self.0.status();
        let read_only = match status.mode {
            metrics::Mode::Writable => None,
            metrics::Mode::ReadOnly { reason } => Some(reason),
        };
        StoreStatus { read_only, series: status.head_series }
    }
}

/// Any metric store as the query engine's source.
#[derive(Clone)]
pub struct StoreQuerier(pub Arc<dyn MetricStore>);

impl std::fmt::Debug for StoreQuerier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreQuerier")
    }
}

impl Querier for StoreQuerier {
    fn select<'a>(
        &'a self,
        hints: &'a SelectHints,
        matchers: &'a [Matcher],
    ) -> BoxFuture<'a, Result<Vec<SeriesData>, QueryError>> {
        Box::pin(async move {
            let found = self.0.select(matchers.to_vec(), hints.start_ms, hints.end_ms).await;
            found.map_err(|error| QueryError::Storage(error.to_string()))
        })
    }
}

/// `lem-engine-logs` as a [`LogStore`].
#[derive(Clone, Debug)]
pub struct EmbeddedLogs(pub lem_engine_logs::LogStore);

fn store_failure(error: impl std::fmt::Display) -> LogFailure {
    LogFailure::Store(error.to_string())
}

#[async_trait]
impl LogStore for EmbeddedLogs {
    fn append(&self, records: Vec<LogRecord>) -> Result<Ack, Refused> {
        self.0.append_good(records)
    }

    async fn query(&self, text: &str, time: LogTime) -> Result<lem_engine_logql::QueryResult, LogFailure> {
        let expr = lem_engine_logql::parse(text)?;
        let source = lem_engine_logql::StoreSource(self.0.clone());
        beside(move || {
            let evaluator = lem_engine_logql::Evaluator::new(&source);
            match time {
                LogTime::At(ts) => evaluator.instant(&expr, ts),
                LogTime::Range(params) => evaluator.range(&expr, &params),
            }
        })
        .await
        .map_err(LogFailure::Eval)
    }

    async fn scan(&self, plan: ScanPlan) -> Result<ScanResult, LogFailure> {
        let store = self.0.clone();
        beside(move || store.scan(&plan)).await.map_err(store_failure)
    }

    async fn patterns(&self, range: LabelRange) -> Result<(Vec<PatternCount>, Vec<Warning>), LogFailure> {
        let store = self.0.clone();
        Ok(beside(move || store.patterns(&range)).await)
    }

    async fn labels(&self, name: Option<String>, range: LabelRange) -> Result<BTreeSet<String>, LogFailure> {
        let store = self.0.clone();
        Ok(beside(move || match name {
            None => store.labels(&range),
            Some(name) => store.label_values(&name, &range),
        })
        .await)
    }

    fn tail(&self, plan: ScanPlan) -> Result<Tail, LogFailure> {
        self.0.tail(plan).map_err(store_failure)
    }
}
