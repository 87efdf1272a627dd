//! Recording and alerting rules (Prometheus 3, `rules/`), in a time that the caller says.

pub mod template;

use crate::config::{Rule, RuleGroup, RuleKind};
use crate::engine::embedded::StoreQuerier;
use crate::engine::{MetricStore, Sample};
use crate::plan::alert::{self, Alert, Alerts, Change, Holding, State};
use crate::scrape::marker;
use lem_engine_promql::{Engine, InstantParams, Interrupt, Labels, Matcher, QueryValue, Value};
use lem_model::AlertId;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use template::{Context, TemplateError};

/// Rules whose `for` is shorter are not restored from the store; the ledger knows which alerts fire.
pub const GRACE_MS: i64 = 10 * 60_000;
/// How far back a restart looks for what was pending.
pub const OUTAGE_TOLERANCE_MS: i64 = 60 * 60_000;
/// Time one rule may take.
const QUERY_TIMEOUT: Duration = Duration::from_mins(2);
/// Queries one template may ask.
const MAX_TEMPLATE_QUERIES: usize = 16;
/// Least time without data in which an alert that fired before a restart still fires.
const RESTORED_GRACE_MS: i64 = 15_000;

/// What the outside calls an alert: rule and fingerprint of its labels.
pub fn alert_id(labels: &Labels) -> AlertId {
    AlertId::new(format!("{}:{:016x}", labels.get("alertname"), labels.stable_hash()))
}

/// An alert that fired when the program last ran, from the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct FiringBefore {
    /// Rule.
    pub rule: String,
    /// Its query.
    pub query: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Value at firing.
    pub value: f64,
    /// Since when the condition held.
    pub active_at_ms: i64,
    /// Since when it fires.
    pub fired_at_ms: i64,
}

/// A rule with its state.
#[derive(Debug)]
struct RuleState {
    rule: Rule,
    alerts: Alerts,
    /// Series it wrote last time.
    wrote: BTreeSet<Labels>,
    error: Option<String>,
    took_s: f64,
    at_ms: i64,
}

/// A group with its state.
#[derive(Debug)]
pub struct GroupState {
    group: RuleGroup,
    interval_ms: i64,
    rules: Vec<RuleState>,
    restored: bool,
    evaluated_at_ms: i64,
    took_s: f64,
    missed: u64,
}

/// What an evaluation means for the outside.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Alerts that began or ceased to fire, with the query of their rule.
    pub changes: Vec<(Change, String)>,
    /// Alerts the notifier must hear of.
    pub send: Vec<Sent>,
    /// Rules that failed.
    pub errors: Vec<String>,
}

/// An alert on its way to the notifier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sent {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Since when it fires.
    pub starts_at_ms: i64,
    /// When it was resolved, or until when this word holds.
    pub ends_at_ms: i64,
    /// Where its expression can be looked at.
    pub generator_url: String,
}

/// What evaluation stands on.
#[derive(Clone)]
pub struct Evaluator {
    /// Samples.
    pub store: Arc<dyn MetricStore>,
    /// PromQL.
    pub engine: Arc<Engine>,
    /// Labels for the outside.
    pub external_labels: BTreeMap<String, String>,
    /// Address of the UI.
    pub external_url: String,
}

impl std::fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Evaluator")
    }
}

impl Evaluator {
    /// An alert as the outside hears it.
    fn sent(
        &self,
        mut labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
        span_ms: (i64, i64),
        query: &str,
    ) -> Sent {
        for (name, value) in &self.external_labels {
            labels.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let query = percent_encoding::utf8_percent_encode(query, percent_encoding::NON_ALPHANUMERIC);
        Sent {
            labels,
            annotations,
            starts_at_ms: span_ms.0,
            ends_at_ms: span_ms.1,
            generator_url: format!("{}/graph?g0.expr={query}&g0.tab=1", self.external_url),
        }
    }

    /// An alert that fired before a restart, and still does unless it has ended.
    pub fn sent_before(&self, before: FiringBefore, ended_ms: Option<i64>, now_ms: i64, interval_ms: i64) -> Sent {
        let ends = ended_ms.unwrap_or(now_ms + validity_ms(interval_ms));
        self.sent(before.labels, before.annotations, (before.fired_at_ms, ends), &before.query)
    }

    async fn ask(&self, query: &str, at_ms: i64) -> Result<Vec<(Labels, f64)>, String> {
        let querier = StoreQuerier(self.store.clone());
        let interrupt = Interrupt::with_deadline(Instant::now() + QUERY_TIMEOUT);
        let params = InstantParams { time_ms: at_ms, interrupt, ..InstantParams::default() };
        let result = self.engine.instant(&querier, query, params).await.map_err(|e| e.to_string())?;
        match result.value {
            QueryValue::Scalar(_, value) => Ok(vec![(Labels::default(), value)]),
            QueryValue::Vector(vector) => Ok(vector
                .into_iter()
                .filter_map(|s| match s.sample.value {
                    Value::Float(value) => Some((s.labels, value)),
                    Value::Histogram(_) => None,
                })
                .collect()),
            _ => Err("rule result is not a vector or scalar".into()),
        }
    }

    /// Renders a template; a failure is rendered too and does not stop the alert.
    async fn expand(&self, text: &str, context: &mut Context) -> String {
        for _ in 0..MAX_TEMPLATE_QUERIES {
            match template::render(text, context) {
                Ok(text) => return text,
                Err(TemplateError::Needs(query)) => {
                    let answer = match self.ask(&query, context.now_ms).await {
                        Ok(answer) => answer,
                        Err(why) => return format!("<error expanding template: error calling query: {why}>"),
                    };
                    let sample = |(labels, value): (Labels, f64)| template::Sample { labels: map(&labels), value };
                    context.answers.insert(query, answer.into_iter().map(sample).collect());
                }
                Err(error) => return format!("<error expanding template: {error}>"),
            }
        }
        format!("<error expanding template: more than {MAX_TEMPLATE_QUERIES} queries>")
    }
}

/// Labels as a map.
pub fn map(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

impl GroupState {
    /// A group that has not been evaluated yet. `before` are the alerts that fired when the program last ran.
    pub fn new(group: RuleGroup, default_interval_ms: i64, before: &[FiringBefore], now_ms: i64) -> Self {
        let interval_ms = group.interval_ms.unwrap_or(default_interval_ms);
        let until = now_ms + RESTORED_GRACE_MS.max(4 * interval_ms);
        let rules = group.rules.iter().map(|rule| {
            let ours = |b: &&FiringBefore| {
                b.rule == rule.name && matches!(rule.kind, RuleKind::Alert { .. }) && carries(&b.labels, rule)
            };
            let alerts = before.iter().filter(ours).map(|b| {
                let labels = Labels::new(b.labels.clone().into_iter().collect());
                let mut alert = Alert::begin(labels.clone(), b.annotations.clone(), b.value, b.active_at_ms);
                alert.state = State::Firing;
                alert.fired_at_ms = b.fired_at_ms;
                alert.restored_until_ms = Some(until);
                (labels.stable_hash(), alert)
            });
            RuleState {
                rule: rule.clone(),
                alerts: alerts.collect(),
                wrote: BTreeSet::new(),
                error: None,
                took_s: 0.0,
                at_ms: 0,
            }
        });
        let rules = rules.collect();
        Self { group, interval_ms, rules, restored: false, evaluated_at_ms: 0, took_s: 0.0, missed: 0 }
    }

    /// Time between evaluations.
    pub fn interval_ms(&self) -> i64 {
        self.interval_ms
    }

    /// Iterations that came too late and were left out.
    pub fn miss(&mut self, count: u64) {
        self.missed += count;
    }

    /// When the group is next evaluated: aligned to its interval plus an offset of its own.
    pub fn next_after(&self, now_ms: i64) -> i64 {
        let name = Labels::from_pairs([("file", self.group.file.as_str()), ("name", self.group.name.as_str())]);
        let offset = (name.stable_hash() % self.interval_ms.max(1) as u64) as i64;
        let since = (now_ms - offset).rem_euclid(self.interval_ms);
        now_ms - since + self.interval_ms
    }

    /// Evaluates all rules in order.
    pub async fn evaluate(&mut self, with: &Evaluator, at_ms: i64) -> Outcome {
        let began = Instant::now();
        let mut out = Outcome::default();
        for number in 0..self.rules.len() {
            let rule_began = Instant::now();
            let result = self.rule(number, with, at_ms, &mut out).await;
            let state = &mut self.rules[number];
            state.took_s = rule_began.elapsed().as_secs_f64();
            state.at_ms = at_ms;
            if let Err(why) = &result {
                out.errors.push(format!("{}/{}: {why}", self.group.name, state.rule.name));
            }
            state.error = result.err();
        }
        if !self.restored {
            self.restore(with, at_ms).await;
            self.restored = true;
        }
        self.evaluated_at_ms = at_ms;
        self.took_s = began.elapsed().as_secs_f64();
        out
    }

    async fn rule(&mut self, number: usize, with: &Evaluator, at_ms: i64, out: &mut Outcome) -> Result<(), String> {
        let query_at = at_ms - self.group.query_offset_ms;
        let rule = self.rules[number].rule.clone();
        let answer = with.ask(&rule.expr, query_at).await?;
        let samples = match &rule.kind {
            RuleKind::Record => record(&rule, answer, query_at, self.group.limit)?,
            RuleKind::Alert { hold_ms, keep_firing_ms, annotations } => {
                let found = self.found(&rule, annotations, answer, with, at_ms).await?;
                let holding = Holding { hold_ms: *hold_ms, keep_firing_ms: *keep_firing_ms, limit: self.group.limit };
                let state = &mut self.rules[number];
                let before: Vec<Alert> = state.alerts.values().cloned().collect();
                let stepped = alert::step(&mut state.alerts, found, holding, at_ms);
                let changes = match stepped {
                    Ok(changes) => changes,
                    Err(why) => {
                        let firing = before.into_iter().filter(|a| a.state == State::Firing);
                        out.changes.extend(firing.map(|a| (Change::Resolved(a), rule.expr.clone())));
                        return Err(why);
                    }
                };
                out.changes.extend(changes.into_iter().map(|c| (c, rule.expr.clone())));
                out.send.extend(sending(&mut state.alerts, self.interval_ms, at_ms, with, &rule));
                // Before restoration the store still has to say what was pending.
                if self.restored { alert_samples(&state.alerts, query_at) } else { vec![] }
            }
        };
        self.write(number, with, samples, query_at).await
    }

    async fn write(&mut self, number: usize, with: &Evaluator, samples: Vec<Sample>, at_ms: i64) -> Result<(), String> {
        let now: BTreeSet<Labels> = samples.iter().map(|s| s.labels.clone()).collect();
        let state = &mut self.rules[number];
        let mut batch = samples;
        batch.extend(state.wrote.difference(&now).map(|gone| marker(gone, at_ms)));
        state.wrote = now;
        if batch.is_empty() {
            return Ok(());
        }
        let appended = with.store.append(batch).await.map_err(|e| e.to_string())?;
        match appended.rejected.first() {
            Some((_, why)) => Err(format!("{} samples were rejected: {why}", appended.rejected.len())),
            None => Ok(()),
        }
    }

    async fn found(
        &self,
        rule: &Rule,
        annotations: &BTreeMap<String, String>,
        answer: Vec<(Labels, f64)>,
        with: &Evaluator,
        at_ms: i64,
    ) -> Result<Vec<Alert>, String> {
        let mut found = vec![];
        let mut seen = BTreeSet::new();
        for (labels, value) in answer {
            let mut context = Context {
                labels: map(&labels),
                value,
                external_labels: with.external_labels.clone(),
                external_url: with.external_url.clone(),
                now_ms: at_ms,
                answers: BTreeMap::new(),
            };
            let mut all = context.labels.clone();
            all.remove("__name__");
            for (name, text) in &rule.labels {
                let text = with.expand(text, &mut context).await;
                all.insert(name.clone(), text);
            }
            all.insert("alertname".into(), rule.name.clone());
            let mut rendered = BTreeMap::new();
            for (name, text) in annotations {
                rendered.insert(name.clone(), with.expand(text, &mut context).await);
            }
            let all = Labels::new(all.into_iter().filter(|(_, v)| !v.is_empty()).collect());
            if !seen.insert(all.clone()) {
                return Err("vector contains metrics with the same labelset after applying alert labels".into());
            }
            found.push(Alert::begin(all, rendered, value, at_ms));
        }
        Ok(found)
    }

    /// Gives pending alerts the time back that they had before the restart.
    async fn restore(&mut self, with: &Evaluator, at_ms: i64) {
        for state in &mut self.rules {
            let RuleKind::Alert { hold_ms, .. } = &state.rule.kind else { continue };
            if *hold_ms < GRACE_MS || state.alerts.is_empty() {
                continue;
            }
            let matchers =
                vec![Matcher::equal("__name__", "ALERTS_FOR_STATE"), Matcher::equal("alertname", &state.rule.name)];
            let series = match with.store.select(matchers, at_ms - OUTAGE_TOLERANCE_MS, at_ms).await {
                Ok(series) => series,
                Err(error) => {
                    tracing::error!(rule = state.rule.name, %error, "cannot restore the state of alerts");
                    continue;
                }
            };
            for one in series {
                let key = one.labels.without_metadata().stable_hash();
                let Some(alert) = state.alerts.get_mut(&key).filter(|a| a.state == State::Pending) else { continue };
                let last = one.samples.iter().rev().find_map(|s| match s.value {
                    Value::Float(v) if !lem_engine_promql::number::is_stale(v) => Some((s.t_ms, v)),
                    _ => None,
                });
                if let Some((last_ms, active_s)) = last {
                    let active_at = (active_s * 1000.0) as i64;
                    alert.active_at_ms = alert::restored_active_at(*hold_ms, GRACE_MS, active_at, last_ms, at_ms);
                }
            }
        }
    }
}

/// Whether an alert of the past can be one of this rule: fixed labels of the rule are there.
fn carries(labels: &BTreeMap<String, String>, rule: &Rule) -> bool {
    rule.labels.iter().all(|(n, v)| v.contains("{{") || v.is_empty() || labels.get(n) == Some(v))
}

fn record(rule: &Rule, answer: Vec<(Labels, f64)>, at_ms: i64, limit: usize) -> Result<Vec<Sample>, String> {
    let mut seen = BTreeSet::new();
    let mut samples = vec![];
    for (labels, value) in answer {
        let labels = rule.labels.iter().fold(labels.with("__name__", &rule.name), |l, (n, v)| l.with(n, v));
        if !seen.insert(labels.clone()) {
            return Err("vector contains metrics with the same labelset after applying rule labels".into());
        }
        samples.push(Sample { labels, t_ms: at_ms, value });
    }
    if limit > 0 && samples.len() > limit {
        return Err(format!("exceeded limit of {limit} with {} series", samples.len()));
    }
    Ok(samples)
}

fn sending(alerts: &mut Alerts, interval_ms: i64, at_ms: i64, with: &Evaluator, rule: &Rule) -> Vec<Sent> {
    let due = alerts.values_mut().filter(|a| a.needs_sending(at_ms));
    due.map(|alert| {
        alert.sent_at_ms = Some(at_ms);
        let ends_at_ms = alert.resolved_at_ms.unwrap_or(at_ms + validity_ms(interval_ms));
        with.sent(map(&alert.labels), alert.annotations.clone(), (alert.fired_at_ms, ends_at_ms), &rule.expr)
    })
    .collect()
}

/// How long the word that an alert fires holds.
fn validity_ms(interval_ms: i64) -> i64 {
    4 * interval_ms.max(alert::RESEND_DELAY_MS)
}

fn alert_samples(alerts: &Alerts, at_ms: i64) -> Vec<Sample> {
    let active = alerts.values().filter(|a| a.state != State::Inactive);
    active
        .flat_map(|alert| {
            let state = if alert.state == State::Firing { "firing" } else { "pending" };
            [
                Sample {
                    labels: alert.labels.with("__name__", "ALERTS").with("alertstate", state),
                    t_ms: at_ms,
                    value: 1.0,
                },
                Sample {
                    labels: alert.labels.with("__name__", "ALERTS_FOR_STATE"),
                    t_ms: at_ms,
                    value: (alert.active_at_ms / 1000) as f64,
                },
            ]
        })
        .collect()
}

/// A group as the API shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupReport {
    /// Name.
    pub name: String,
    /// File.
    pub file: String,
    /// Seconds between evaluations.
    pub interval: f64,
    /// Limit.
    pub limit: usize,
    /// Rules.
    pub rules: Vec<RuleReport>,
    /// Seconds the last evaluation took.
    pub evaluation_time: f64,
    /// When it was.
    pub last_evaluation_ms: i64,
    /// Iterations left out.
    pub missed: u64,
}

/// A rule as the API shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleReport {
    /// inactive, pending or firing; none for recording rules.
    pub state: Option<State>,
    /// Name.
    pub name: String,
    /// Query.
    pub query: String,
    /// `for` in seconds; none for recording rules.
    pub duration: Option<f64>,
    /// `keep_firing_for` in seconds.
    pub keep_firing_for: Option<f64>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Alerts.
    pub alerts: Vec<AlertReport>,
    /// ok, err or unknown.
    pub health: String,
    /// Why it failed.
    pub last_error: Option<String>,
    /// Seconds the last evaluation took.
    pub evaluation_time: f64,
    /// When it was.
    pub last_evaluation_ms: i64,
}

/// An alert as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertReport {
    /// Id in the ledger.
    pub id: AlertId,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// pending or firing.
    pub state: State,
    /// Since when.
    pub active_at_ms: i64,
    /// Value.
    pub value: f64,
}

impl GroupState {
    /// For the API.
    pub fn report(&self) -> GroupReport {
        GroupReport {
            name: self.group.name.clone(),
            file: self.group.file.clone(),
            interval: self.interval_ms as f64 / 1000.0,
            limit: self.group.limit,
            rules: self.rules.iter().map(RuleState::report).collect(),
            evaluation_time: self.took_s,
            last_evaluation_ms: self.evaluated_at_ms,
            missed: self.missed,
        }
    }
}

impl RuleState {
    fn report(&self) -> RuleReport {
        let active = self.alerts.values().filter(|a| a.state != State::Inactive);
        let alerts: Vec<AlertReport> = active
            .map(|a| AlertReport {
                id: alert_id(&a.labels),
                labels: map(&a.labels),
                annotations: a.annotations.clone(),
                state: a.state,
                active_at_ms: a.active_at_ms,
                value: a.value,
            })
            .collect();
        let (duration, keep, annotations) = match &self.rule.kind {
            RuleKind::Record => (None, None, BTreeMap::new()),
            RuleKind::Alert { hold_ms, keep_firing_ms, annotations } => {
                (Some(*hold_ms as f64 / 1000.0), Some(*keep_firing_ms as f64 / 1000.0), annotations.clone())
            }
        };
        let worst = if alerts.iter().any(|a| a.state == State::Firing) {
            State::Firing
        } else if alerts.is_empty() {
            State::Inactive
        } else {
            State::Pending
        };
        let health = match (self.at_ms, &self.error) {
            (0, _) => "unknown",
            (_, None) => "ok",
            (_, Some(_)) => "err",
        };
        RuleReport {
            state: duration.map(|_| worst),
            name: self.rule.name.clone(),
            query: self.rule.expr.clone(),
            duration,
            keep_firing_for: keep,
            labels: self.rule.labels.clone(),
            annotations,
            alerts,
            health: health.into(),
            last_error: self.error.clone(),
            evaluation_time: self.took_s,
            last_evaluation_ms: self.at_ms,
        }
    }
}
