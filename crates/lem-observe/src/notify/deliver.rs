//! One message to one integration: its body, and getting it there.

use crate::config::Webhook;
use crate::plan::notify::{LabelMap, Reason};
use crate::rules::Sent;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// First wait after a delivery that failed; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// A message, decided.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) group: String,
    pub(super) receiver: String,
    pub(super) integration: String,
    pub(super) webhook: Webhook,
    pub(super) labels: LabelMap,
    pub(super) firing: Vec<Sent>,
    /// Empty when the integration does not hear of ends.
    pub(super) resolved: Vec<Sent>,
    pub(super) reason: Reason,
    /// Time all attempts may take together.
    pub(super) limit: Duration,
}

impl Message {
    pub(super) fn status(&self) -> &'static str {
        if self.firing.is_empty() { "resolved" } else { "firing" }
    }

    /// Posts with retries on connection errors, 429 and 5xx, until the limit; other answers are final. An error says why
    /// and after how many attempts.
    pub(super) async fn deliver(&self, client: &reqwest::Client, external_url: &str) -> Result<(), (String, u32)> {
        let body = self.body(external_url);
        let began = Instant::now();
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let left = self.limit.saturating_sub(began.elapsed()).max(FIRST_WAIT);
            let own = Duration::from_millis(self.webhook.timeout_ms.max(0) as u64);
            let timeout = if own.is_zero() { left } else { own.min(left) };
            let answer = client.post(&self.webhook.url).json(&body).timeout(timeout).send().await;
            let why = match answer {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) => {
                    let status = response.status();
                    let why = format!("unexpected status code {status}");
                    if status.as_u16() != 429 && !status.is_server_error() {
                        return Err((why, attempt));
                    }
                    why
                }
                Err(error) => lem_model::text::with_causes(&error.without_url()),
            };
            if began.elapsed() + wait >= self.limit {
                return Err((why, attempt));
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Err(("no attempt was made".to_owned(), 0))
    }

    /// Alertmanager's webhook body, version 4.
    fn body(&self, external_url: &str) -> Value {
        let firing = self.firing.iter().map(|a| alert(a, true));
        let mut alerts: Vec<Value> = firing.chain(self.resolved.iter().map(|a| alert(a, false))).collect();
        let all = alerts.len();
        if self.webhook.max_alerts > 0 {
            alerts.truncate(self.webhook.max_alerts);
        }
        json!({
            "version": "4",
            "groupKey": self.group,
            "truncatedAlerts": all - alerts.len(),
            "status": self.status(),
            "receiver": self.receiver,
            "groupLabels": self.labels,
            "commonLabels": self.common(|a| &a.labels),
            "commonAnnotations": self.common(|a| &a.annotations),
            "externalURL": external_url,
            "notification_reason": self.reason.text(),
            "alerts": alerts,
        })
    }

    fn common(&self, pick: impl Fn(&Sent) -> &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut all = self.firing.iter().chain(&self.resolved);
        let Some(first) = all.next() else { return BTreeMap::new() };
        let mut common = pick(first).clone();
        for alert in all {
            common.retain(|name, value| pick(alert).get(name) == Some(value));
        }
        common
    }
}

fn alert(alert: &Sent, firing: bool) -> Value {
    json!({
        "status": if firing { "firing" } else { "resolved" },
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": time(alert.starts_at_ms),
        "endsAt": if firing { NEVER.to_owned() } else { time(alert.ends_at_ms) },
        "generatorURL": alert.generator_url,
        "fingerprint": super::id_of(&alert.labels),
    })
}

/// What the reference writes for a time that is not known.
const NEVER: &str = "0001-01-01T00:00:00Z";

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| NEVER.to_owned(), |t| t.to_string())
}
