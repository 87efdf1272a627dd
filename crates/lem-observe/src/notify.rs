//! Telling people: groups of alerts to webhook receivers, as Alertmanager does it.

pub mod matcher;

use crate::config::{Alertmanager, Webhook};
use crate::events::{NotificationFailed, NotificationSent};
use crate::plan::notify::{
    LabelMap, Reason, RoutePath, Said, TellResolved, group_key, group_labels, inhibited, needs_update, route_at, routes,
};
use crate::rules::{Sent, alert_id};
use lem_engine_promql::Labels;
use lem_ledger::Recorder;
use lem_model::AlertId;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Alerts kept at once; a rule that makes more has a problem of its own.
pub const MAX_ALERTS: usize = 10_000;
/// First wait after a delivery that failed; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Least time deliveries may take, whatever the group interval.
const LEAST_TIMEOUT_MS: i64 = 10_000;

/// One group on one route.
#[derive(Debug)]
struct Group {
    path: RoutePath,
    labels: LabelMap,
    alerts: BTreeMap<String, Sent>,
    next_ms: i64,
    said: Option<Said>,
}

/// Routes alerts into groups and delivers them.
#[derive(Debug)]
pub struct Notifier {
    config: Alertmanager,
    client: reqwest::Client,
    recorder: Recorder,
    groups: Arc<Mutex<BTreeMap<String, Group>>>,
}

/// One delivery, decided.
struct Delivery {
    key: String,
    receiver: String,
    webhooks: Vec<Webhook>,
    labels: LabelMap,
    firing: Vec<Sent>,
    resolved: Vec<Sent>,
    reason: Reason,
    before: Option<Said>,
    timeout_ms: i64,
}

fn id_of(labels: &LabelMap) -> AlertId {
    alert_id(&Labels::new(labels.clone().into_iter().collect()))
}

impl Notifier {
    /// A notifier for a configuration.
    pub fn new(config: Alertmanager, recorder: Recorder) -> Result<Self, reqwest::Error> {
        Ok(Self { config, client: reqwest::Client::builder().build()?, recorder, groups: Arc::default() })
    }

    /// Takes alerts from the rules.
    pub fn take(&self, alerts: Vec<Sent>, now_ms: i64) {
        let mut groups = self.groups.lock();
        for alert in alerts {
            for path in routes(&self.config.route, &alert.labels) {
                let Some(route) = route_at(&self.config.route, &path) else { continue };
                let labels = group_labels(route, &alert.labels);
                let key = group_key(&self.config.route, &path, &labels);
                let total: usize = groups.values().map(|g| g.alerts.len()).sum();
                if total >= MAX_ALERTS {
                    tracing::error!(limit = MAX_ALERTS, "an alert was left out: too many at once");
                    continue;
                }
                // An alert older than the wait has waited enough.
                let waited = now_ms - alert.starts_at_ms >= route.group_wait_ms;
                let first = if waited { now_ms } else { now_ms + route.group_wait_ms };
                let group = groups.entry(key).or_insert_with(|| Group {
                    path,
                    labels,
                    alerts: BTreeMap::new(),
                    next_ms: first,
                    said: None,
                });
                group.alerts.insert(id_of(&alert.labels).to_string(), alert.clone());
            }
        }
    }

    /// Delivers what is due. Deliveries go on beside; a slow receiver holds up nobody else.
    pub fn flush(&self, now_ms: i64) {
        for delivery in self.due(now_ms) {
            let (client, recorder, groups) = (self.client.clone(), self.recorder.clone(), self.groups.clone());
            tokio::spawn(async move { deliver(client, recorder, groups, delivery, now_ms).await });
        }
    }

    fn due(&self, now_ms: i64) -> Vec<Delivery> {
        let mut groups = self.groups.lock();
        let firing_everywhere: Vec<LabelMap> = groups
            .values()
            .flat_map(|g| g.alerts.values())
            .filter(|a| a.ends_at_ms > now_ms)
            .map(|a| a.labels.clone())
            .collect();
        let mut due = vec![];
        for (key, group) in groups.iter_mut().filter(|(_, g)| g.next_ms <= now_ms) {
            let Some(route) = route_at(&self.config.route, &group.path) else { continue };
            group.next_ms = now_ms + route.group_interval_ms;
            let quiet = |a: &Sent| inhibited(&self.config.inhibit, &a.labels, &firing_everywhere);
            let (firing, resolved): (Vec<Sent>, Vec<Sent>) =
                group.alerts.values().filter(|a| !quiet(a)).cloned().partition(|a| a.ends_at_ms > now_ms);
            let ids = |list: &[Sent]| list.iter().map(|a| id_of(&a.labels).to_string()).collect::<BTreeSet<_>>();
            let receiver = self.config.receivers.iter().find(|r| r.name == route.receiver);
            let webhooks = receiver.map_or_else(Vec::new, |r| r.webhooks.clone());
            let tell = if webhooks.iter().any(|w| w.send_resolved) { TellResolved::Yes } else { TellResolved::No };
            let (firing_ids, resolved_ids) = (ids(&firing), ids(&resolved));
            let said = group.said.as_ref();
            if let Some(reason) = needs_update(said, &firing_ids, &resolved_ids, tell, route.repeat_interval_ms, now_ms)
            {
                let before = group.said.replace(Said { firing: firing_ids, resolved: resolved_ids, at_ms: now_ms });
                due.push(Delivery {
                    key: key.clone(),
                    receiver: route.receiver.clone(),
                    webhooks,
                    labels: group.labels.clone(),
                    firing,
                    resolved,
                    reason,
                    before,
                    timeout_ms: route.group_interval_ms.max(LEAST_TIMEOUT_MS),
                });
            } else {
                group.alerts.retain(|_, a| a.ends_at_ms > now_ms);
            }
        }
        groups.retain(|_, g| !g.alerts.is_empty());
        due
    }
}

async fn deliver(
    client: reqwest::Client,
    recorder: Recorder,
    groups: Arc<Mutex<BTreeMap<String, Group>>>,
    delivery: Delivery,
    now_ms: i64,
) {
    let alerts: Vec<AlertId> = delivery.firing.iter().chain(&delivery.resolved).map(|a| id_of(&a.labels)).collect();
    let status = if delivery.firing.is_empty() { "resolved" } else { "firing" };
    for webhook in &delivery.webhooks {
        if delivery.firing.is_empty() && !webhook.send_resolved {
            continue;
        }
        let body = body(&delivery, webhook, status);
        let limit = Duration::from_millis(delivery.timeout_ms.max(1) as u64);
        let recorded = match post(&client, &webhook.url, &body, limit).await {
            Ok(()) => {
                let fact = NotificationSent {
                    receiver: delivery.receiver.clone(),
                    group: delivery.key.clone(),
                    status: status.into(),
                    alerts: alerts.clone(),
                    reason: delivery.reason.text().into(),
                };
                recorder.record(&fact).await.map(drop)
            }
            Err((error, attempts)) => {
                // What was not said is said again at the next interval.
                if let Some(group) = groups.lock().get_mut(&delivery.key) {
                    group.said.clone_from(&delivery.before);
                }
                let fact = NotificationFailed {
                    receiver: delivery.receiver.clone(),
                    group: delivery.key.clone(),
                    alerts: alerts.clone(),
                    error,
                    attempts,
                };
                recorder.record(&fact).await.map(drop)
            }
        };
        if let Err(error) = recorded {
            tracing::error!(%error, at_ms = now_ms, "a notification could not be recorded");
        }
    }
}

/// Posts with retries on connection errors, 429 and 5xx, until the limit; other answers are final.
async fn post(client: &reqwest::Client, url: &str, body: &Value, limit: Duration) -> Result<(), (String, u32)> {
    let began = std::time::Instant::now();
    let mut wait = FIRST_WAIT;
    for attempt in 1.. {
        let left = limit.saturating_sub(began.elapsed());
        let answer = client.post(url).json(body).timeout(left.max(FIRST_WAIT)).send().await;
        let why = match answer {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) => {
                let status = response.status();
                let again = status.as_u16() == 429 || status.is_server_error();
                if !again {
                    return Err((format!("unexpected status code {status}"), attempt));
                }
                format!("unexpected status code {status}")
            }
            Err(error) => error.without_url().to_string(),
        };
        if began.elapsed() + wait >= limit {
            return Err((why, attempt));
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    Err(("no attempt was made".to_owned(), 0))
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| "0001-01-01T00:00:00Z".to_owned(), |t| t.to_string())
}

/// Alertmanager's webhook body, version 4.
fn body(delivery: &Delivery, webhook: &Webhook, status: &str) -> Value {
    let alert = |a: &Sent, firing: bool| {
        json!({
            "status": if firing { "firing" } else { "resolved" },
            "labels": a.labels,
            "annotations": a.annotations,
            "startsAt": time(a.starts_at_ms),
            "endsAt": if firing { "0001-01-01T00:00:00Z".to_owned() } else { time(a.ends_at_ms) },
            "generatorURL": a.generator_url,
            "fingerprint": id_of(&a.labels),
        })
    };
    let resolved = delivery.resolved.iter().filter(|_| webhook.send_resolved).map(|a| alert(a, false));
    let mut alerts: Vec<Value> = delivery.firing.iter().map(|a| alert(a, true)).chain(resolved).collect();
    let all = alerts.len();
    if webhook.max_alerts > 0 {
        alerts.truncate(webhook.max_alerts);
    }
    json!({
        "version": "4",
        "groupKey": delivery.key,
        "truncatedAlerts": all - alerts.len(),
        "status": status,
        "receiver": delivery.receiver,
        "groupLabels": delivery.labels,
        "commonLabels": common(delivery, |a| &a.labels),
        "commonAnnotations": common(delivery, |a| &a.annotations),
        "externalURL": "",
        "notification_reason": delivery.reason.text(),
        "alerts": alerts,
    })
}

fn common(delivery: &Delivery, pick: impl Fn(&Sent) -> &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut all = delivery.firing.iter().chain(&delivery.resolved);
    let Some(first) = all.next() else { return BTreeMap::new() };
    let mut common = pick(first).clone();
    for alert in all {
        common.retain(|name, value| pick(alert).get(name) == Some(value));
    }
    common
}
