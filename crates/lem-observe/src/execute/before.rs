//! What was before the start, from the ledger: alerts that fired when the program ended, and those that ended since
//! somebody was told of them.

use crate::events::{AlertFired, AlertResolved};
use crate::rules::FiringBefore;
use lem_ledger::{EventLog, Filter, LedgerError, MAX_READ};
use lem_model::Event;
use std::collections::BTreeMap;

/// Alerts of the past, by their subject in the ledger.
#[derive(Debug, Default)]
pub(crate) struct Before {
    /// Those that fire.
    pub(crate) firing: BTreeMap<String, FiringBefore>,
    /// Those that ended, with when.
    pub(crate) ended: BTreeMap<String, (FiringBefore, i64)>,
}

impl Before {
    pub(crate) async fn read(log: &dyn EventLog) -> Result<Self, LedgerError> {
        let filter = Filter::types(["alert.fired", "alert.resolved"]);
        let mut before = Self::default();
        let mut next = 0;
        loop {
            let page = log.read(next, &filter, MAX_READ).await?;
            let Some(last) = page.last() else { return Ok(before) };
            next = last.seq + 1;
            for event in &page {
                before.apply(event);
            }
        }
    }

    fn apply(&mut self, event: &Event) {
        let at_ms = event.time_occurred.as_millisecond();
        if let Some(fact) = event.read::<AlertFired>() {
            self.ended.remove(&event.subject);
            let firing = FiringBefore {
                rule: fact.rule,
                query: fact.query,
                labels: fact.labels,
                annotations: fact.annotations,
                value: fact.value,
                active_at_ms: fact.active_at.as_millisecond(),
                fired_at_ms: at_ms,
            };
            self.firing.insert(event.subject.clone(), firing);
        } else if event.read::<AlertResolved>().is_some()
            && let Some(was) = self.firing.remove(&event.subject)
        {
            self.ended.insert(event.subject.clone(), (was, at_ms));
        }
    }

    /// Keeps the ended ones whose end somebody may still have to hear: those that ended at or after `at_ms`.
    pub(crate) fn forget_ended_before(&mut self, at_ms: i64) {
        self.ended.retain(|_, (_, ended)| *ended >= at_ms);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::rules::alert_id;
    use lem_engine_promql::Labels;
    use lem_ledger::Recorder;
    use lem_testkit::MemoryLog;
    use std::sync::Arc;

    #[tokio::test]
    async fn what_fires_and_what_ended() {
        let log: Arc<dyn EventLog> = Arc::new(MemoryLog::default());
        let recorder = Recorder::new(log.clone(), crate::service::SOURCE);
        let labels = |name: &str| -> BTreeMap<String, String> { [("alertname".to_owned(), name.to_owned())].into() };
        let id = |name: &str| alert_id(&Labels::from_pairs([("alertname", name)]));
        for name in ["A", "B", "C"] {
            let fired = AlertFired {
                alert: id(name),
                rule: name.into(),
                labels: labels(name),
                annotations: BTreeMap::new(),
                query: "up == 0".into(),
                value: 0.0,
                active_at: jiff::Timestamp::UNIX_EPOCH,
                service: None,
                environment: None,
                severity: String::new(),
            };
            recorder.record(&fired).await.unwrap();
        }
        for name in ["B", "C"] {
            let resolved = AlertResolved {
                alert: id(name),
                rule: name.into(),
                labels: labels(name),
                service: None,
                environment: None,
            };
            recorder.record(&resolved).await.unwrap();
        }
        let mut before = Before::read(log.as_ref()).await.unwrap();
        let names = |keys: Vec<&FiringBefore>| keys.iter().map(|f| f.rule.clone()).collect::<String>();
        assert_eq!(names(before.firing.values().collect()), "A");
        assert_eq!(names(before.ended.values().map(|(f, _)| f).collect()), "BC");
        before.forget_ended_before(i64::MAX);
        assert!(before.ended.is_empty());
    }
}
