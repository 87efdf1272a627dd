//! What can go wrong, for a whole call ([`StoreError`]) and for one sample ([`RejectReason`]).

use std::io;
use std::path::{Path, PathBuf};

use crate::labels::LabelsError;
use crate::matcher::MatcherError;

/// A call failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was attempted, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another process has the store open.
    #[error("the metric store in {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The log cannot be written: nothing of the call was stored. Reads go on; writes are tried again on every call.
    #[error("metric store is read-only: {reason}")]
    ReadOnly {
        /// The failure that caused it.
        reason: String,
    },
    /// More samples in one call than [`crate::MAX_BATCH_SAMPLES`].
    #[error("{samples} samples in one batch, at most {limit} are allowed")]
    BatchTooLarge {
        /// The number given.
        samples: usize,
        /// The number allowed.
        limit: usize,
    },
    /// A query would return more samples than [`crate::Options::max_select_samples`].
    #[error("query touches more than {limit} samples")]
    TooManySamples {
        /// The number allowed.
        limit: usize,
    },
    /// A query or deletion without any matcher.
    #[error("at least one matcher is needed")]
    NoMatcher,
    /// An option has an impossible value.
    #[error("option {option} is invalid: {reason}")]
    BadOption {
        /// The option's name.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of ours does not say what it should.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// See [`MatcherError`].
    #[error(transparent)]
    Matcher(#[from] MatcherError),
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        move |error| StoreError::Io { action, path, error }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: path.to_owned(), reason: reason.into() }
    }
}

/// Why one sample was not stored. The first four texts are those of Prometheus.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RejectReason {
    /// The series has another value at this time.
    #[error("duplicate sample for timestamp")]
    DuplicateTimestamp,
    /// Older than the out-of-order window.
    #[error("too old sample")]
    TooOld,
    /// Older than what the head accepts, and there is no out-of-order window.
    #[error("out of bounds")]
    OutOfBounds,
    /// Older than the series' last sample, and there is no out-of-order window.
    #[error("out of order sample")]
    OutOfOrder,
    /// Further ahead of the clock than [`crate::Options::max_future_ms`].
    #[error("out of bounds: sample is {ahead_ms} ms in the future")]
    TooFarInFuture {
        /// How far ahead.
        ahead_ms: i64,
    },
    /// The series ref is not, or no longer, known: resolve the labels again.
    #[error("unknown series ref {0}")]
    UnknownRef(u64),
    /// A new series over the budget; `metric` and `label` name what fills it.
    #[error("series limit of {limit} reached; {} (label {:?} has {} values)", culprit.text(), culprit.label, culprit.values)]
    SeriesLimit {
        /// [`crate::Options::max_series`].
        limit: usize,
        /// The metric that takes most of the budget.
        culprit: Culprit,
    },
    /// The label set itself is invalid.
    #[error("invalid labels: {0}")]
    Labels(LabelsError),
}

/// The metric with most series, and its label with most values.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Culprit {
    /// Metric name.
    pub metric: String,
    /// How many series it has.
    pub series: usize,
    /// The label that varies most among them.
    pub label: String,
    /// How many values that label has.
    pub values: usize,
}

impl Culprit {
    fn text(&self) -> String {
        format!("metric {:?} has {} series", self.metric, self.series)
    }
}
