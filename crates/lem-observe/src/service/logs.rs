//! What is asked about logs: lines from outside, patterns, and what a release says that another does not.

use super::ObserveService;
use crate::engine::LogFailure;
use crate::patterns::{self, PatternReport, ReleaseDiff};
use crate::push::{self, PushError, PushStream, Pushed};
use lem_engine_logs::{LabelRange, Matcher, OtherSignal};
use lem_model::Version;
use lem_model::port::{Scope, SourceError, Window};

impl ObserveService {
    /// Stores the streams of a push; when it returns, the accepted lines are durable.
    pub async fn push(&self, streams: Vec<PushStream>) -> Result<Pushed, PushError> {
        push::push(self.log_store(), streams).await
    }

    /// Patterns of the streams that match, most frequent first, with lines per release; and what could not be read.
    pub async fn patterns(
        &self,
        matchers: Vec<Matcher>,
        window: Window,
    ) -> Result<(Vec<PatternReport>, Vec<String>), LogFailure> {
        let ns = |time: jiff::Timestamp| i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX);
        let range = LabelRange::new(matchers, ns(window.from), ns(window.to).saturating_add(1));
        patterns::report(&self.log_store(), range).await
    }

    /// What `canary` says in a window that `baseline`, beside it, does not. `other` is what the metrics say: only with a
    /// breach there a finding is bad, without one it is suspect.
    pub async fn release_diff(
        &self,
        scope: &Scope,
        canary: &Version,
        baseline: &Version,
        window: Window,
        other: OtherSignal,
    ) -> Result<ReleaseDiff, SourceError> {
        let answers = self.answers();
        patterns::release_diff(&answers, &self.embedded_logs(), scope, canary, baseline, window, other).await
    }
}
