//! Telling people: groups of alerts to webhook receivers, as Alertmanager does it.
//!
//! In: alerts of the rules, silences, what was said before. Out: messages, and facts about them. It never says the same
//! twice within the repeat interval, also over a restart, and never keeps silent about an end it announced a beginning of.

mod deliver;
pub mod log;
pub mod matcher;

use crate::config::Alertmanager;
use crate::events::{NotificationCleared, NotificationFailed, NotificationSent};
use crate::ledger::Scribe;
use crate::own::Own;
use crate::plan::notify::{
    LabelMap, Muted, RoutePath, Said, TellResolved, group_key, group_labels, inhibitors, needs_update, route_at, routes,
};
use crate::rules::{Sent, alert_id};
use crate::silence::Silences;
use deliver::Message;
use jiff::Timestamp;
use lem_engine_promql::Labels;
use lem_ledger::View;
use lem_model::{AlertId, SilenceId};
use log::{LogKey, NotificationLog};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Alerts kept at once; a rule that makes more has a problem of its own.
pub const MAX_ALERTS: usize = 10_000;
/// Least time deliveries may take, whatever the group interval.
const LEAST_TIMEOUT_MS: i64 = 10_000;

/// A group of alerts at a receiver, as people see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertGroup {
    /// Group key.
    pub key: String,
    /// Labels all of them share.
    pub labels: LabelMap,
    /// Receiver.
    pub receiver: String,
    /// Alerts.
    pub alerts: Vec<GroupedAlert>,
}

/// An alert in a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupedAlert {
    /// Rule and label fingerprint.
    pub fingerprint: AlertId,
    /// Labels.
    pub labels: LabelMap,
    /// Annotations.
    pub annotations: LabelMap,
    /// Since when it fires.
    pub starts_at: Timestamp,
    /// When it ended, or until when this word holds.
    pub ends_at: Timestamp,
    /// Where its expression can be looked at.
    pub generator_url: String,
    /// Whether somebody is told.
    pub status: AlertStatus,
}

/// Whether somebody is told of an alert, and if not, why not.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertStatus {
    /// `active`, `suppressed` or `resolved`.
    pub state: String,
    /// Silences that match.
    pub silenced_by: Vec<SilenceId>,
    /// Alerts that make it quiet.
    pub inhibited_by: Vec<AlertId>,
}

/// One group on one route.
#[derive(Debug)]
struct Group {
    labels: LabelMap,
    alerts: BTreeMap<String, Sent>,
    next_ms: i64,
    /// Messages are on their way; the group waits for them.
    delivering: bool,
}

/// Where a group stands: its route and its key. Two routes may have equal keys.
type GroupId = (RoutePath, String);

#[derive(Debug, Default)]
struct Inner {
    groups: BTreeMap<GroupId, Group>,
    log: NotificationLog,
}

/// Routes alerts into groups and delivers them.
#[derive(Debug)]
pub struct Notifier {
    config: Alertmanager,
    external_url: String,
    client: reqwest::Client,
    scribe: Scribe,
    silences: View<Silences>,
    own: Arc<Own>,
    inner: Arc<Mutex<Inner>>,
}

/// What a group has to do now.
struct Due {
    id: GroupId,
    messages: Vec<(Message, Said)>,
}

fn id_of(labels: &LabelMap) -> AlertId {
    alert_id(&Labels::new(labels.clone().into_iter().collect()))
}

fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Notifier {
    /// A notifier for a configuration.
    pub fn new(
        config: Alertmanager,
        external_url: String,
        scribe: Scribe,
        silences: View<Silences>,
        own: Arc<Own>,
    ) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder().build()?;
        Ok(Self { config, external_url, client, scribe, silences, own, inner: Arc::default() })
    }

    /// Its configuration.
    pub fn config(&self) -> &Alertmanager {
        &self.config
    }

    /// Goes on where the program was ended: what was said, which alerts fire, and which ended since. Must come before the
    /// first flush, or what is inhibited would be told once.
    pub fn restore(&self, log: NotificationLog, firing: Vec<Sent>, ended: Vec<Sent>, now_ms: i64) {
        let believed: BTreeSet<String> = log.believed_firing().into_iter().map(ToOwned::to_owned).collect();
        self.inner.lock().log = log;
        self.take(firing, now_ms);
        // Of the others nobody was told, or was told the end already.
        let told = |alert: &Sent| believed.contains(id_of(&alert.labels).as_str());
        self.take(ended.into_iter().filter(told).collect(), now_ms);
    }

    /// Takes alerts from the rules.
    pub fn take(&self, alerts: Vec<Sent>, now_ms: i64) {
        let mut inner = self.inner.lock();
        let mut total: usize = inner.groups.values().map(|g| g.alerts.len()).sum();
        for alert in alerts {
            for path in routes(&self.config.route, &alert.labels) {
                let Some(route) = route_at(&self.config.route, &path) else { continue };
                let labels = group_labels(route, &alert.labels);
                let key = group_key(&self.config.route, &path, &labels);
                // An alert older than the wait has waited enough.
                let waited = now_ms - alert.starts_at_ms >= route.group_wait_ms;
                let next_ms = if waited { now_ms } else { now_ms + route.group_wait_ms };
                let begin = || Group { labels, alerts: BTreeMap::new(), next_ms, delivering: false };
                let alerts = &mut inner.groups.entry((path, key)).or_insert_with(begin).alerts;
                let id = id_of(&alert.labels).to_string();
                if !alerts.contains_key(&id) {
                    if total >= MAX_ALERTS {
                        tracing::error!(limit = MAX_ALERTS, alert = id, "an alert was left out: too many at once");
                        self.own.notified("", "left out");
                        continue;
                    }
                    total += 1;
                }
                alerts.insert(id, alert.clone());
            }
        }
        inner.groups.retain(|_, group| !group.alerts.is_empty());
    }

    /// Delivers what is due. Deliveries go on beside; a slow receiver holds up nobody else.
    pub fn flush(&self, now_ms: i64) {
        for due in self.due(now_ms) {
            let work = Delivering {
                client: self.client.clone(),
                external_url: self.external_url.clone(),
                scribe: self.scribe.clone(),
                own: self.own.clone(),
                inner: self.inner.clone(),
            };
            tokio::spawn(work.run(due));
        }
    }

    /// Groups with their alerts, and which of them somebody is told of.
    pub fn groups(&self, now_ms: i64) -> Vec<AlertGroup> {
        let inner = self.inner.lock();
        let firing = firing_now(&inner.groups, now_ms);
        let groups = inner.groups.iter().map(|((path, key), group)| AlertGroup {
            key: key.clone(),
            labels: group.labels.clone(),
            receiver: route_at(&self.config.route, path).map_or_else(String::new, |r| r.receiver.clone()),
            alerts: group.alerts.values().map(|alert| self.shown(alert, &firing, now_ms)).collect(),
        });
        groups.collect()
    }

    fn shown(&self, alert: &Sent, firing: &[LabelMap], now_ms: i64) -> GroupedAlert {
        let muted = self.muted(alert, firing, now_ms);
        let state = match (muted.is_muted(), alert.ends_at_ms > now_ms) {
            (_, false) => "resolved",
            (true, true) => "suppressed",
            (false, true) => "active",
        };
        GroupedAlert {
            fingerprint: id_of(&alert.labels),
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            starts_at: instant(alert.starts_at_ms),
            ends_at: instant(alert.ends_at_ms),
            generator_url: alert.generator_url.clone(),
            status: AlertStatus {
                state: state.into(),
                silenced_by: muted.silences,
                inhibited_by: muted.inhibitors.iter().map(id_of).collect(),
            },
        }
    }

    fn muted(&self, alert: &Sent, firing: &[LabelMap], now_ms: i64) -> Muted {
        Muted {
            silences: self.silences.read(|s| s.silencing(&alert.labels, instant(now_ms))),
            inhibitors: inhibitors(&self.config.inhibit, &alert.labels, firing).into_iter().cloned().collect(),
        }
    }

    fn due(&self, now_ms: i64) -> Vec<Due> {
        let mut inner = self.inner.lock();
        let Inner { groups, log } = &mut *inner;
        let firing = firing_now(groups, now_ms);
        let mut due = vec![];
        for (id, group) in groups.iter_mut().filter(|(_, g)| g.next_ms <= now_ms && !g.delivering) {
            let Some(route) = route_at(&self.config.route, &id.0) else { continue };
            group.next_ms = now_ms + route.group_interval_ms;
            let heard = group.alerts.values().filter(|a| !self.muted(a, &firing, now_ms).is_muted());
            let (firing, resolved): (Vec<Sent>, Vec<Sent>) = heard.cloned().partition(|a| a.ends_at_ms > now_ms);
            let limit_ms = route.group_interval_ms.max(LEAST_TIMEOUT_MS);
            let mut messages = self.messages(id, &group.labels, &firing, &resolved, log, now_ms);
            for (message, _) in &mut messages {
                message.limit = Duration::from_millis(limit_ms as u64);
            }
            if messages.is_empty() {
                group.alerts.retain(|_, a| a.ends_at_ms > now_ms);
            } else {
                group.delivering = true;
                due.push(Due { id: id.clone(), messages });
            }
        }
        groups.retain(|_, g| g.delivering || !g.alerts.is_empty());
        log.forget_before(now_ms - log::retention(&self.config.route).as_millis() as i64);
        due
    }

    /// What each integration of a group's receiver has to hear; what it does not want to hear is noted as said.
    fn messages(
        &self,
        id: &GroupId,
        labels: &LabelMap,
        firing: &[Sent],
        resolved: &[Sent],
        log: &mut NotificationLog,
        now_ms: i64,
    ) -> Vec<(Message, Said)> {
        let Some(route) = route_at(&self.config.route, &id.0) else { return vec![] };
        if firing.is_empty() && resolved.is_empty() {
            return vec![];
        }
        let receiver = self.config.receivers.iter().find(|r| r.name == route.receiver);
        let mut messages = vec![];
        for (number, webhook) in receiver.iter().flat_map(|r| &r.webhooks).enumerate() {
            let integration = format!("webhook[{number}]");
            let key: LogKey = (id.1.clone(), route.receiver.clone(), integration.clone());
            let tell = if webhook.send_resolved { TellResolved::Yes } else { TellResolved::No };
            let now = Said { firing: ids(firing), resolved: ids(resolved), at_ms: now_ms };
            let last = log.last(&key);
            let Some(reason) = needs_update(last, &now.firing, &now.resolved, tell, route.repeat_interval_ms, now_ms)
            else {
                continue;
            };
            if firing.is_empty() && !webhook.send_resolved {
                let fact = NotificationCleared { receiver: key.1.clone(), integration, group: key.0.clone() };
                self.scribe.say(&fact);
                log.note(key, Said { at_ms: now_ms, ..Said::default() });
                continue;
            }
            let resolved = if webhook.send_resolved { resolved.to_vec() } else { vec![] };
            let message = Message {
                group: id.1.clone(),
                receiver: route.receiver.clone(),
                integration,
                webhook: webhook.clone(),
                labels: labels.clone(),
                firing: firing.to_vec(),
                resolved,
                reason,
                limit: Duration::ZERO,
            };
            messages.push((message, now));
        }
        messages
    }
}

fn ids(alerts: &[Sent]) -> BTreeSet<String> {
    alerts.iter().map(|a| id_of(&a.labels).to_string()).collect()
}

fn firing_now(groups: &BTreeMap<GroupId, Group>, now_ms: i64) -> Vec<LabelMap> {
    let alerts = groups.values().flat_map(|g| g.alerts.values());
    let labels: BTreeSet<&LabelMap> = alerts.filter(|a| a.ends_at_ms > now_ms).map(|a| &a.labels).collect();
    labels.into_iter().cloned().collect()
}

/// Messages of one group on their way.
struct Delivering {
    client: reqwest::Client,
    external_url: String,
    scribe: Scribe,
    own: Arc<Own>,
    inner: Arc<Mutex<Inner>>,
}

impl Delivering {
    async fn run(self, due: Due) {
        let all = due.messages.into_iter().map(|(message, said)| self.one(message, said));
        futures::future::join_all(all).await;
        if let Some(group) = self.inner.lock().groups.get_mut(&due.id) {
            group.delivering = false;
        }
    }

    /// What was not taken is said again at the next interval, because the log does not have it.
    async fn one(&self, message: Message, said: Said) {
        let id = |a: &Sent| id_of(&a.labels);
        let alerts = message.firing.iter().chain(&message.resolved).map(id).collect();
        match message.deliver(&self.client, &self.external_url).await {
            Ok(()) => {
                self.own.notified(&message.receiver, "sent");
                self.scribe.say(&NotificationSent {
                    receiver: message.receiver.clone(),
                    group: message.group.clone(),
                    status: message.status().into(),
                    alerts,
                    reason: message.reason.text().into(),
                    integration: message.integration.clone(),
                    resolved: message.resolved.iter().map(id).collect(),
                });
                self.inner.lock().log.note((message.group, message.receiver, message.integration), said);
            }
            Err((error, attempts)) => {
                self.own.notified(&message.receiver, "failed");
                tracing::error!(receiver = message.receiver, error, attempts, "a notification was not taken");
                self.scribe.say(&NotificationFailed {
                    receiver: message.receiver,
                    group: message.group,
                    alerts,
                    error,
                    attempts,
                });
            }
        }
    }
}
