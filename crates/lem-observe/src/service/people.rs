//! What people ask about alerts: silences, groups, receivers.

use super::ObserveService;
use crate::config::RouteConfig;
use crate::events::SilenceExpired;
use crate::notify::AlertGroup;
use crate::silence::{Change, NewSilence, Silence, SilenceError};
use lem_engine_promql::number::format_duration;
use lem_model::{Actor, SilenceId};
use serde_json::{Value, json};

fn route(node: &RouteConfig, root: bool) -> Value {
    let time = |ms: i64| format_duration(ms);
    let by = node.group_by.as_ref().map_or_else(|| json!(["..."]), |by| json!(by));
    let mut out = json!({
        "receiver": node.receiver,
        "group_by": by,
        "group_wait": time(node.group_wait_ms),
        "group_interval": time(node.group_interval_ms),
        "repeat_interval": time(node.repeat_interval_ms),
        "routes": node.routes.iter().map(|child| route(child, false)).collect::<Vec<_>>(),
    });
    if !root {
        out["matchers"] = node.matchers.iter().map(ToString::to_string).collect();
        out["continue"] = node.go_on.into();
    }
    out
}

impl ObserveService {
    /// Silences: active first, then pending, then those that ended lately.
    pub fn silences(&self) -> Vec<Silence> {
        let now = self.options.clock.now();
        self.silences.read(|s| s.list(now))
    }

    /// One of them.
    pub fn silence(&self, id: &SilenceId) -> Option<Silence> {
        let now = self.options.clock.now();
        self.silences.read(|s| s.get(id, now))
    }

    /// Makes or changes a silence; when it returns, the silence is durable and holds. Gives its id, which differs from the
    /// one asked for when that one had to be replaced.
    pub async fn add_silence(&self, new: NewSilence) -> Result<SilenceId, SilenceError> {
        let _one = self.silencing.lock().await;
        let (now, fresh) = (self.options.clock.now(), SilenceId::new(uuid::Uuid::now_v7().to_string()));
        let by = Actor::from(new.created_by.as_str());
        let (fact, ends) = match self.silences.read(|s| s.plan(new, fresh, now))? {
            Change::Update(fact) => (fact, None),
            Change::Replace(fact, ends) => (fact, ends),
        };
        let mut events = vec![];
        if let Some(silence) = ends {
            events.push(self.recorder.event(&SilenceExpired { silence, by })?);
        }
        events.push(self.recorder.event(&fact)?);
        let appended = self.recorder.append(events).await?;
        if let Some(last) = appended.last() {
            self.silences.wait_for(last.seq).await;
        }
        Ok(fact.silence)
    }

    /// Ends a silence now.
    pub async fn expire_silence(&self, id: &SilenceId, by: Actor) -> Result<(), SilenceError> {
        let _one = self.silencing.lock().await;
        let now = self.options.clock.now();
        self.silences.read(|s| s.may_expire(id, now))?;
        let appended = self.recorder.record(&SilenceExpired { silence: id.clone(), by }).await?;
        self.silences.wait_for(appended.seq).await;
        Ok(())
    }

    /// Groups of alerts as they are notified; none without an Alertmanager file.
    pub fn alert_groups(&self) -> Vec<AlertGroup> {
        self.notifier.as_ref().map_or_else(Vec::new, |n| n.groups(self.now_ms()))
    }

    /// The routing tree and the receivers' names as an `alertmanager.yml`: what `amtool config routes` reads. Addresses stay
    /// here, as they may hold secrets. Empty without an Alertmanager file.
    pub fn alerting_configuration(&self) -> String {
        let Some(notifier) = &self.notifier else { return String::new() };
        let config = notifier.config();
        let receivers: Vec<_> = config.receivers.iter().map(|r| json!({ "name": r.name })).collect();
        // JSON is YAML.
        format!("{:#}\n", json!({ "route": route(&config.route, true), "receivers": receivers }))
    }

    /// Names of the receivers; none without an Alertmanager file.
    pub fn receivers(&self) -> Vec<String> {
        self.notifier.as_ref().map_or_else(Vec::new, |n| n.config().receivers.iter().map(|r| r.name.clone()).collect())
    }
}
