//! The notification log: what was last said of a group to each integration of its receiver. It is a fold over
//! `notification.sent` and `notification.cleared`, so a restart neither repeats nor forgets.

use crate::config::RouteConfig;
use crate::events::{NotificationCleared, NotificationSent};
use crate::plan::notify::Said;
use jiff::{SignedDuration, Timestamp};
use lem_ledger::{EventLog, Filter, LedgerError, MAX_READ};
use lem_model::Event;
use std::collections::{BTreeMap, BTreeSet};

/// How far back the log reaches, at least.
pub const RETENTION: SignedDuration = SignedDuration::from_hours(120);

/// Group key, receiver, integration.
pub type LogKey = (String, String, String);

/// What was last said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotificationLog(BTreeMap<LogKey, Said>);

impl NotificationLog {
    /// The last word on a group to an integration.
    pub fn last(&self, key: &LogKey) -> Option<&Said> {
        self.0.get(key)
    }

    /// Notes what was said.
    pub fn note(&mut self, key: LogKey, said: Said) {
        self.0.insert(key, said);
    }

    /// Alerts that some integration believes to fire.
    pub fn believed_firing(&self) -> BTreeSet<&str> {
        self.0.values().flat_map(|said| &said.firing).map(String::as_str).collect()
    }

    /// Forgets what is older than the retention.
    pub fn forget_before(&mut self, at_ms: i64) {
        self.0.retain(|_, said| said.at_ms >= at_ms);
    }

    fn apply(&mut self, event: &Event) {
        let at_ms = event.time_occurred.as_millisecond();
        if let Some(fact) = event.read::<NotificationSent>() {
            let resolved: BTreeSet<String> = fact.resolved.iter().map(ToString::to_string).collect();
            let all = fact.alerts.iter().map(ToString::to_string);
            let firing = all.filter(|alert| fact.status == "firing" && !resolved.contains(alert)).collect();
            self.note((fact.group, fact.receiver, fact.integration), Said { firing, resolved, at_ms });
        } else if let Some(fact) = event.read::<NotificationCleared>() {
            self.note((fact.group, fact.receiver, fact.integration), Said { at_ms, ..Said::default() });
        }
    }

    /// Reads it back.
    pub async fn restore(log: &dyn EventLog, since: Timestamp) -> Result<Self, LedgerError> {
        let filter = Filter {
            since: Some(since),
            ..Filter::types(["notification.sent", "notification.cleared"]).source(crate::service::SOURCE)
        };
        let mut restored = Self::default();
        let mut next = 0;
        loop {
            let page = log.read(next, &filter, MAX_READ).await?;
            let Some(last) = page.last() else { return Ok(restored) };
            next = last.seq + 1;
            for event in &page {
                restored.apply(event);
            }
        }
    }
}

/// How long the log has to be kept: never shorter than twice the longest repeat interval.
pub fn retention(route: &RouteConfig) -> SignedDuration {
    fn longest(route: &RouteConfig) -> i64 {
        route.routes.iter().map(longest).max().unwrap_or(0).max(route.repeat_interval_ms)
    }
    RETENTION.max(SignedDuration::from_millis(longest(route).saturating_mul(2)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use lem_ledger::Recorder;
    use lem_testkit::MemoryLog;
    use std::sync::Arc;

    #[tokio::test]
    async fn the_last_word_counts() {
        let log: Arc<dyn EventLog> = Arc::new(MemoryLog::default());
        let recorder = Recorder::new(log.clone(), crate::service::SOURCE);
        let sent = |status: &str, alerts: &[&str], resolved: &[&str]| NotificationSent {
            receiver: "r".into(),
            group: "g".into(),
            status: status.into(),
            alerts: alerts.iter().map(|a| (*a).into()).collect(),
            reason: String::new(),
            integration: "webhook[0]".into(),
            resolved: resolved.iter().map(|a| (*a).into()).collect(),
        };
        let key = ("g".to_owned(), "r".to_owned(), "webhook[0]".to_owned());
        let words = |log: &NotificationLog| {
            let said = log.last(&key).unwrap();
            let join = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
            format!("firing {} resolved {}", join(&said.firing), join(&said.resolved))
        };
        let restored = || NotificationLog::restore(log.as_ref(), Timestamp::UNIX_EPOCH);
        recorder.record(&sent("firing", &["a", "b", "c"], &["c"])).await.unwrap();
        assert_eq!(words(&restored().await.unwrap()), "firing a b resolved c");
        recorder.record(&sent("resolved", &["a", "b"], &["a", "b"])).await.unwrap();
        assert_eq!(words(&restored().await.unwrap()), "firing  resolved a b");
        recorder.record(&sent("firing", &["a"], &[])).await.unwrap();
        assert_eq!(restored().await.unwrap().believed_firing(), ["a"].into());
        let cleared = NotificationCleared { receiver: "r".into(), integration: "webhook[0]".into(), group: "g".into() };
        recorder.record(&cleared).await.unwrap();
        assert_eq!(words(&restored().await.unwrap()), "firing  resolved ");
        let later = NotificationLog::restore(log.as_ref(), Timestamp::MAX).await.unwrap();
        assert_eq!(later, NotificationLog::default());
    }

    #[test]
    fn it_outlives_every_repeat_interval() {
        let week_ms = 7 * 24 * 3_600_000;
        let child = RouteConfig { repeat_interval_ms: week_ms, ..RouteConfig::default() };
        let root = RouteConfig { routes: vec![child], ..RouteConfig::default() };
        assert_eq!(retention(&root), SignedDuration::from_hours(14 * 24));
        assert_eq!(retention(&RouteConfig::default()), RETENTION);
    }
}
