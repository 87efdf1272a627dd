//! Warnings and notes about a query, in the reference's words.

use std::collections::BTreeMap;

use crate::ast::Span;
use crate::error::position;
use crate::number::{format_g, format_g_precision, quote};

/// Most warnings, and most notes, that are listed; the rest is counted.
pub const MAX_ANNOTATIONS: usize = 10;

/// What is noted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Note {
    InvalidQuantile(f64),
    InvalidRatio { got: f64, to: f64 },
    BadBucketLabel { metric: String, value: String },
    MixedFloatsHistograms { metric: String },
    MixedFloatsHistogramsAgg,
    MixedClassicNative { metric: String },
    NotCounter { metric: String },
    NotGauge { metric: String },
    MixedSchemas { metric: String },
    ResetCollision(&'static str),
    SortInRange,
    PossibleNonCounter { metric: String },
    PossibleNonCounterLabel { metric: String, kind: String },
    IncompatibleTypes { left: &'static str, op: &'static str, right: &'static str },
    IgnoredInAggregation(&'static str),
    IgnoredInMixedRange { metric: String },
    QuantileNanResult { metric: String },
    QuantileNanSkew { metric: String },
    FractionNans { metric: String },
    BoundsReconciled(&'static str),
    ForcedMonotonic(Forced),
}

/// Details of a classic histogram whose counts fell with growing bounds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Forced {
    pub(crate) metric: String,
    pub(crate) t_min: i64,
    pub(crate) t_max: i64,
    pub(crate) bucket_min: f64,
    pub(crate) bucket_max: f64,
    pub(crate) max_diff: f64,
    pub(crate) samples: u64,
}

fn for_metric(metric: &str) -> String {
    if metric.is_empty() { String::new() } else { format!(" for metric name {}", quote(metric)) }
}

impl Note {
    fn is_info(&self) -> bool {
        matches!(
            self,
            Self::PossibleNonCounter { .. }
                | Self::PossibleNonCounterLabel { .. }
                | Self::IncompatibleTypes { .. }
                | Self::IgnoredInAggregation(_)
                | Self::IgnoredInMixedRange { .. }
                | Self::QuantileNanResult { .. }
                | Self::QuantileNanSkew { .. }
                | Self::FractionNans { .. }
                | Self::BoundsReconciled(_)
                | Self::ForcedMonotonic(_)
        )
    }

    fn text(&self) -> String {
        match self {
            Self::InvalidQuantile(q) => format!("quantile value should be between 0 and 1, got {}", format_g(*q)),
            Self::InvalidRatio { got, to } => {
                format!("ratio value should be between -1 and 1, got {}, capping to {}", format_g(*got), format_g(*to))
            }
            Self::BadBucketLabel { metric, value } => format!(
                "bucket label \"le\" is missing or has a malformed value of {}{}",
                quote(value),
                for_metric(metric)
            ),
            Self::MixedFloatsHistograms { metric } => {
                format!("encountered a mix of histograms and floats for metric name {}", quote(metric))
            }
            Self::MixedFloatsHistogramsAgg => "encountered a mix of histograms and floats for aggregation".to_owned(),
            Self::MixedClassicNative { metric } => {
                format!("vector contains a mix of classic and native histograms{}", for_metric(metric))
            }
            Self::NotCounter { metric } => format!("this native histogram metric is not a counter: {}", quote(metric)),
            Self::NotGauge { metric } => format!("this native histogram metric is not a gauge: {}", quote(metric)),
            Self::MixedSchemas { metric } => format!(
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
                quote(metric)
            ),
            Self::ResetCollision(during) => {
                format!("conflicting counter resets during histogram {during}")
            }
            Self::SortInRange => {
                "sort is ineffective for range queries since results are always ordered by labels".to_owned()
            }
            Self::PossibleNonCounter { metric } => format!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}",
                quote(metric)
            ),
            Self::PossibleNonCounterLabel { metric, kind } => format!(
                "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {}: {}",
                quote(kind),
                quote(metric)
            ),
            Self::IncompatibleTypes { left, op, right } => {
                format!("incompatible sample types encountered for binary operator {}: {left} {op} {right}", quote(op))
            }
            Self::IgnoredInAggregation(op) => format!("ignored histogram in {op} aggregation"),
            Self::IgnoredInMixedRange { metric } => format!(
                "ignored histograms in a range containing both floats and histograms for metric name {}",
                quote(metric)
            ),
            Self::QuantileNanResult { metric } => {
                format!("input to histogram_quantile has NaN observations, result is NaN{}", for_metric(metric))
            }
            Self::QuantileNanSkew { metric } => format!(
                "input to histogram_quantile has NaN observations, result is skewed higher{}",
                for_metric(metric)
            ),
            Self::FractionNans { metric } => format!(
                "input to histogram_fraction has NaN observations, which are excluded from all fractions{}",
                for_metric(metric)
            ),
            Self::BoundsReconciled(during) => {
                format!("mismatched custom buckets were reconciled during {during}")
            }
            Self::ForcedMonotonic(forced) => format!(
                "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){}",
                for_metric(&forced.metric)
            ),
        }
    }

    fn details(&self) -> String {
        let Self::ForcedMonotonic(f) = self else {
            return String::new();
        };
        format!(
            ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            format_g(f.bucket_min),
            format_g(f.bucket_max),
            format_g_precision(f.max_diff, 2),
            f.samples,
            timestamp(f.t_min),
            timestamp(f.t_max)
        )
    }
}

fn timestamp(t_ms: i64) -> String {
    jiff::Timestamp::from_second(t_ms / 1000).map_or_else(|_| (t_ms / 1000).to_string(), |t| t.to_string())
}

/// The notes of one query, each text once.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    notes: BTreeMap<String, (Note, Span)>,
}

impl Annotations {
    pub(crate) fn add(&mut self, note: Note, span: Span) {
        let key = note.text();
        match self.notes.get_mut(&key) {
            None => {
                self.notes.insert(key, (note, span));
            }
            Some((Note::ForcedMonotonic(known), _)) => {
                if let Note::ForcedMonotonic(new) = note {
                    known.t_min = known.t_min.min(new.t_min);
                    known.t_max = known.t_max.max(new.t_max);
                    known.bucket_min = known.bucket_min.min(new.bucket_min);
                    known.bucket_max = known.bucket_max.max(new.bucket_max);
                    known.max_diff = known.max_diff.max(new.max_diff);
                    known.samples += new.samples;
                }
            }
            Some(_) => {}
        }
    }

    /// Warnings and notes as text with positions.
    pub(crate) fn texts(&self, query: &str) -> (Vec<String>, Vec<String>) {
        let mut lists = [Vec::new(), Vec::new()];
        let mut omitted = [0usize, 0];
        for (note, span) in self.notes.values() {
            let at = usize::from(note.is_info());
            if lists[at].len() >= MAX_ANNOTATIONS {
                omitted[at] += 1;
                continue;
            }
            let (line, column) = position(query, span.start);
            let kind = ["warning", "info"][at];
            lists[at].push(format!("PromQL {kind}: {}{} ({line}:{column})", note.text(), note.details()));
        }
        for (at, kind) in ["warning", "info"].into_iter().enumerate() {
            if omitted[at] > 0 {
                lists[at].push(format!("{} more {kind} annotations omitted", omitted[at]));
            }
        }
        let [warnings, infos] = lists;
        (warnings, infos)
    }
}
