//! Reading: the head and the blocks merged, in label order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::block::Block;
use crate::error::StoreError;
use crate::head::series::MemSeries;
use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::postings::resolve;
use crate::store::{Inner, Store};
use crate::xor::Point;

/// What a query found, and what it could not read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer<T> {
    /// The result as far as it could be read.
    pub found: T,
    /// One line for each part that is missing from the result.
    pub warnings: Vec<String>,
}

/// Series with their samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selected {
    /// In label order; samples in time order, one per timestamp.
    pub series: Vec<(Labels, Vec<(i64, f64)>)>,
    /// One line for each part that is missing from the result.
    pub warnings: Vec<String>,
}

impl Store {
    /// Samples from `start_ms` to `end_ms`, both included, of the series that satisfy all matchers.
    pub fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Selected, StoreError> {
        if matchers.is_empty() {
            return Err(StoreError::NoMatcher);
        }
        let mut found = Collected { limit: self.inner.options.max_select_samples, ..Collected::default() };
        // The head first: what moves to a block meanwhile is then seen twice, never missed.
        let mut head = Vec::new();
        for series in self.inner.head_series(matchers)? {
            let mut points = Vec::new();
            series.data.lock().read(start_ms, end_ms, &mut points);
            found.count(points.len())?;
            head.push((series.labels.clone(), points));
        }
        for block in &self.inner.blocks_in(start_ms, end_ms, &mut found.warnings) {
            found.block(block, matchers, (start_ms, end_ms))?;
        }
        for (labels, points) in head {
            found.add(labels, points);
        }
        Ok(found.finish())
    }

    /// Label sets of the series that satisfy all matchers and have samples in the range; no matcher means all.
    pub fn series(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Answer<Vec<Labels>>, StoreError> {
        let mut found = BTreeSet::new();
        let warnings = self.inner.visit(matchers, start_ms, end_ms, |labels| {
            found.insert(labels.clone());
        })?;
        Ok(Answer { found: found.into_iter().collect(), warnings })
    }

    /// Names of the labels that these series have.
    pub fn label_names(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Answer<Vec<String>>, StoreError> {
        let mut found = BTreeSet::new();
        let warnings = self.inner.visit(matchers, start_ms, end_ms, |labels| {
            for (name, _) in labels.iter().filter(|(name, _)| !found.contains(*name)).collect::<Vec<_>>() {
                found.insert(name.to_owned());
            }
        })?;
        Ok(Answer { found: found.into_iter().collect(), warnings })
    }

    /// Values that a label has among these series.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Answer<Vec<String>>, StoreError> {
        let mut found = BTreeSet::new();
        let warnings = self.inner.visit(matchers, start_ms, end_ms, |labels| {
            if let Some(value) = labels.get(name).filter(|value| !found.contains(*value)) {
                found.insert(value.to_owned());
            }
        })?;
        Ok(Answer { found: found.into_iter().collect(), warnings })
    }
}

impl Inner {
    fn head_series(&self, matchers: &[Matcher]) -> Result<Vec<Arc<MemSeries>>, StoreError> {
        let ids = resolve(&*self.head.index.read(), matchers)?;
        Ok(ids.iter().filter_map(|id| self.head.by_id(id)).collect())
    }

    /// Blocks to read, oldest first, with a warning for each one in the range that was moved aside.
    fn blocks_in(&self, start: i64, end: i64, warnings: &mut Vec<String>) -> Vec<Arc<Block>> {
        let aside = self.quarantined.lock();
        for block in aside.iter().filter(|b| b.start_ms <= end && b.end_ms > start) {
            warnings.push(format!("block {} is damaged and was moved aside: its samples are missing", block.name));
        }
        self.block_list().iter().filter(|b| b.overlaps(start, end)).cloned().collect()
    }

    /// Calls `seen` with the labels of every matching series that reaches into the range.
    fn visit(
        &self,
        matchers: &[Matcher],
        start: i64,
        end: i64,
        mut seen: impl FnMut(&Labels),
    ) -> Result<Vec<String>, StoreError> {
        let mut warnings = Vec::new();
        for series in self.head_series(matchers)? {
            let range = series.data.lock().range();
            if range.is_some_and(|(min, max)| min <= end && max >= start) {
                seen(&series.labels);
            }
        }
        for block in &self.blocks_in(start, end, &mut warnings) {
            let visited = resolve(&**block, matchers).and_then(|ids| {
                for id in &ids {
                    let series = block.series(id)?;
                    if series.chunks.iter().any(|c| c.min_t <= end && c.max_t >= start) {
                        seen(&series.labels);
                    }
                }
                Ok(())
            });
            warnings.extend(visited.err().map(|error| format!("block {}: {error}", block.name())));
        }
        Ok(warnings)
    }
}

/// Samples gathered so far.
#[derive(Debug, Default)]
struct Collected {
    series: BTreeMap<Labels, Vec<Point>>,
    warnings: Vec<String>,
    samples: usize,
    limit: usize,
}

impl Collected {
    fn count(&mut self, samples: usize) -> Result<(), StoreError> {
        self.samples += samples;
        if self.samples > self.limit {
            return Err(StoreError::TooManySamples { limit: self.limit });
        }
        Ok(())
    }

    /// What a block cannot give becomes a warning; only the limit ends the query.
    fn block(&mut self, block: &Block, matchers: &[Matcher], range: (i64, i64)) -> Result<(), StoreError> {
        let ids = match resolve(block, matchers) {
            Ok(ids) => ids,
            Err(error) => {
                self.warnings.push(format!("block {}: {error}", block.name()));
                return Ok(());
            }
        };
        for id in &ids {
            let mut points = Vec::new();
            match block.series(id) {
                Ok(series) => {
                    block.read(id, &series, range, &mut points, &mut self.warnings);
                    self.count(points.len())?;
                    self.add(series.labels, points);
                }
                Err(error) => self.warnings.push(format!("block {}: {error}", block.name())),
            }
        }
        Ok(())
    }

    fn add(&mut self, labels: Labels, mut points: Vec<Point>) {
        if points.is_empty() {
            return;
        }
        let all = self.series.entry(labels).or_default();
        if all.is_empty() {
            *all = points;
        } else {
            all.append(&mut points);
        }
    }

    fn finish(self) -> Selected {
        let series = self.series.into_iter().map(|(labels, mut points)| {
            if !points.is_sorted_by(|a, b| a.0 < b.0) {
                points.sort_by_key(|p| p.0);
                points.dedup_by_key(|p| p.0);
            }
            (labels, points.into_iter().map(|(t, bits)| (t, f64::from_bits(bits))).collect())
        });
        Selected { series: series.collect(), warnings: self.warnings }
    }
}
