//! Where samples come from.

use std::collections::BTreeMap;

use futures::future::BoxFuture;

use crate::error::QueryError;
use crate::labels::{Labels, Matcher};
use crate::value::{Sample, SeriesData};

/// What a selection is for; a store may use it to read less.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SelectHints {
    /// First millisecond that matters.
    pub start_ms: i64,
    /// Last millisecond that matters.
    pub end_ms: i64,
    /// The step of the query, zero for an instant query.
    pub step_ms: i64,
    /// The range of a range selector, zero for an instant selector.
    pub range_ms: i64,
    /// The function directly around the selector.
    pub func: Option<&'static str>,
    /// Labels of the aggregation directly around it, and whether they are kept (`by`).
    pub grouping: Vec<String>,
    /// Whether the grouping is `by` rather than `without`.
    pub by: bool,
}

/// A store that can be asked for series.
pub trait Querier: Send + Sync {
    /// The series that match, with their samples in `[start_ms, end_ms]` sorted by time.
    /// Staleness markers are included.
    fn select<'a>(
        &'a self,
        hints: &'a SelectHints,
        matchers: &'a [Matcher],
    ) -> BoxFuture<'a, Result<Vec<SeriesData>, QueryError>>;
}

/// Series in memory; for tests and small tools.
#[derive(Debug, Clone, Default)]
pub struct MemoryQuerier {
    series: BTreeMap<Labels, Vec<Sample>>,
}

impl MemoryQuerier {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample; the last of two at one time wins.
    pub fn push(&mut self, labels: &Labels, sample: Sample) {
        let samples = match self.series.get_mut(labels) {
            Some(samples) => samples,
            None => self.series.entry(labels.clone()).or_default(),
        };
        match samples.binary_search_by_key(&sample.t_ms, |s| s.t_ms) {
            Ok(at) => samples[at] = sample,
            Err(at) => samples.insert(at, sample),
        }
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.series.clear();
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

impl Querier for MemoryQuerier {
    fn select<'a>(
        &'a self,
        hints: &'a SelectHints,
        matchers: &'a [Matcher],
    ) -> BoxFuture<'a, Result<Vec<SeriesData>, QueryError>> {
        let hits = self
            .series
            .iter()
            .filter(|(labels, _)| matchers.iter().all(|m| m.matches(labels.get(&m.name))))
            .map(|(labels, samples)| {
                let from = samples.partition_point(|s| s.t_ms < hints.start_ms);
                let to = samples.partition_point(|s| s.t_ms <= hints.end_ms).max(from);
                SeriesData { labels: labels.clone(), samples: samples[from..to].to_vec() }
            })
            .filter(|series| !series.samples.is_empty())
            .collect();
        Box::pin(std::future::ready(Ok(hits)))
    }
}
