//! `alertmanager.yml` (Alertmanager 0.34, "Configuration"): routes, webhook receivers, inhibition.

use super::{document, duration_ms, refuse};
use crate::notify::matcher::{self, LabelMatcher};
use lem_engine_yaml::{Fields, Node, Reader};
use lem_model::Diagnostic;
use std::collections::{BTreeMap, BTreeSet};

/// The file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alertmanager {
    /// Root of the routing tree.
    pub route: RouteConfig,
    /// Receivers.
    pub receivers: Vec<Receiver>,
    /// Inhibition.
    pub inhibit: Vec<InhibitRule>,
    /// When an alert without an end counts as resolved.
    pub resolve_timeout_ms: i64,
}

/// A node of the routing tree, with what it inherits filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteConfig {
    /// Receiver.
    pub receiver: String,
    /// Labels that make a group; `None` is all of them (`...`).
    pub group_by: Option<BTreeSet<String>>,
    /// Wait before the first notification of a group.
    pub group_wait_ms: i64,
    /// Wait before the next ones.
    pub group_interval_ms: i64,
    /// Wait before saying the same again.
    pub repeat_interval_ms: i64,
    /// What it takes.
    pub matchers: Vec<LabelMatcher>,
    /// Whether later siblings see the alert too.
    pub go_on: bool,
    /// Children.
    pub routes: Vec<RouteConfig>,
}

/// A receiver.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Receiver {
    /// Name.
    pub name: String,
    /// Webhooks.
    pub webhooks: Vec<Webhook>,
}

/// A webhook.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Webhook {
    /// Address.
    pub url: String,
    /// Whether it hears of the end.
    pub send_resolved: bool,
    /// Alerts per message; 0 is all.
    pub max_alerts: usize,
    /// Time one message may take; 0 is the group interval.
    pub timeout_ms: i64,
}

/// While a source fires, its targets are quiet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InhibitRule {
    /// Source.
    pub source: Vec<LabelMatcher>,
    /// Target.
    pub target: Vec<LabelMatcher>,
    /// Labels that must be equal on both; a missing one equals an empty one.
    pub equal: Vec<String>,
}

const OTHER_RECEIVERS: &[&str] = &[
    "discord_configs",
    "email_configs",
    "incidentio_configs",
    "jira_configs",
    "mattermost_configs",
    "msteams_configs",
    "msteamsv2_configs",
    "opsgenie_configs",
    "pagerduty_configs",
    "pushover_configs",
    "rocketchat_configs",
    "slack_configs",
    "sns_configs",
    "telegram_configs",
    "victorops_configs",
    "webex_configs",
    "wechat_configs",
];
const GLOBAL_IGNORED: &[&str] = &[
    "http_config",
    "smtp_from",
    "smtp_smarthost",
    "smtp_hello",
    "smtp_auth_username",
    "smtp_auth_password",
    "smtp_auth_identity",
    "smtp_auth_secret",
    "smtp_require_tls",
    "slack_api_url",
    "pagerduty_url",
    "opsgenie_api_url",
    "opsgenie_api_key",
    "victorops_api_url",
    "victorops_api_key",
    "wechat_api_url",
    "wechat_api_secret",
    "wechat_api_corp_id",
    "telegram_api_url",
    "webex_api_url",
    "jira_api_url",
];

/// Reads the file.
pub fn parse(text: &str, file: &str) -> (Option<Alertmanager>, Vec<Diagnostic>) {
    let (reader, node) = document(text, file);
    let mut read = None;
    match node.filter(|n| !n.is_null()) {
        None => {
            reader.report(Diagnostic::error(
                "missing-key",
                "no route provided in config",
                lem_model::Place::file(file),
            ));
        }
        Some(node) => read = read_file(&reader, &node),
    }
    (read, reader.into_diagnostics())
}

fn read_file(reader: &Reader, node: &Node) -> Option<Alertmanager> {
    let mut fields = reader.fields(node, "the file")?;
    let mut config = Alertmanager { resolve_timeout_ms: 300_000, ..Alertmanager::default() };
    if let Some(mut global) = fields.take("global").and_then(|n| reader.fields(n, "global")) {
        config.resolve_timeout_ms = duration_ms(reader, &mut global, "resolve_timeout").unwrap_or(300_000);
        for key in GLOBAL_IGNORED {
            refuse(reader, &mut global, &[(*key, "only webhook receivers are notified")]);
        }
        global.finish();
    }
    let hint = "only webhook receivers are notified; their body is not templated";
    refuse(
        reader,
        &mut fields,
        &[
            ("templates", hint),
            ("mute_time_intervals", "use a silence"),
            ("time_intervals", "use a silence"),
            ("tracing", "remove it"),
        ],
    );
    for item in fields.take("receivers").and_then(|n| reader.items(n, "receivers")).unwrap_or_default() {
        let Some(receiver) = read_receiver(reader, item) else { continue };
        if config.receivers.iter().any(|r| r.name == receiver.name) {
            reader.error(item, "duplicate", format!("notification config name \"{}\" is not unique", receiver.name));
        }
        config.receivers.push(receiver);
    }
    let parent = RouteConfig {
        group_by: Some(BTreeSet::new()),
        group_wait_ms: 30_000,
        group_interval_ms: 300_000,
        repeat_interval_ms: 4 * 3_600_000,
        ..RouteConfig::default()
    };
    match fields.take("route") {
        None => reader.error(node, "missing-key", "no route provided in config"),
        Some(route) => {
            config.route = read_route(reader, route, &parent, &config.receivers)?;
            if config.route.receiver.is_empty() {
                reader.error(route, "missing-key", "root route must specify a default receiver");
            }
            if !config.route.matchers.is_empty() {
                reader.error(route, "bad-route", "root route must not have any matchers");
            }
        }
    }
    for item in fields.take("inhibit_rules").and_then(|n| reader.items(n, "inhibit_rules")).unwrap_or_default() {
        config.inhibit.extend(read_inhibit(reader, item));
    }
    fields.finish();
    Some(config)
}

fn read_route(reader: &Reader, node: &Node, parent: &RouteConfig, receivers: &[Receiver]) -> Option<RouteConfig> {
    let mut fields = reader.fields(node, "a route")?;
    let mut route = RouteConfig { matchers: vec![], routes: vec![], go_on: false, ..parent.clone() };
    if let Some(at) = fields.take("receiver") {
        route.receiver = reader.string(at, "receiver").unwrap_or_default();
        if !receivers.iter().any(|r| r.name == route.receiver) {
            reader.error(at, "unknown-receiver", format!("undefined receiver \"{}\" used in route", route.receiver));
        }
    }
    if let Some(at) = fields.take("group_by") {
        let names = reader.strings(at, "group_by").unwrap_or_default();
        let unique: BTreeSet<String> = names.iter().cloned().collect();
        if unique.len() != names.len() {
            reader.error(at, "duplicate", "duplicated label in group_by");
        }
        if unique.contains("...") && unique.len() > 1 {
            reader.error(at, "bad-value", "cannot have wildcard group_by (`...`) and other labels at the same time");
        }
        route.group_by = (!unique.contains("...")).then_some(unique);
    }
    let mut positive = |key: &str, into: &mut i64, zero_too: bool| {
        let at = fields.take(key);
        if let Some(ms) = duration_ms(reader, &mut fields, key) {
            *into = ms;
            if let Some(at) = at.filter(|_| ms == 0 && !zero_too) {
                reader.error(at, "bad-value", format!("{key} cannot be zero"));
            }
        }
    };
    positive("group_wait", &mut route.group_wait_ms, true);
    positive("group_interval", &mut route.group_interval_ms, false);
    positive("repeat_interval", &mut route.repeat_interval_ms, false);
    route.matchers = matchers(reader, &mut fields, "matchers", ("match", "match_re"));
    if let Some(go_on) = fields.take("continue").and_then(|n| reader.boolean(n, "continue")) {
        route.go_on = go_on;
    }
    refuse(
        reader,
        &mut fields,
        &[("mute_time_intervals", "use a silence"), ("active_time_intervals", "use a silence")],
    );
    for child in fields.take("routes").and_then(|n| reader.items(n, "routes")).unwrap_or_default() {
        if let Some(child) = read_route(reader, child, &route, receivers) {
            route.routes.push(child);
        }
    }
    fields.finish();
    Some(route)
}

fn matchers(reader: &Reader, fields: &mut Fields<'_>, key: &str, old: (&str, &str)) -> Vec<LabelMatcher> {
    let mut found = vec![];
    if let Some(node) = fields.take(key) {
        let items = node.items().unwrap_or(std::slice::from_ref(node));
        for item in items {
            let Some(text) = reader.string(item, key) else { continue };
            match matcher::parse(&text) {
                Ok(parsed) => found.extend(parsed),
                Err(why) => reader.error(item, "bad-matcher", why),
            }
        }
    }
    for (key, op) in [(old.0, matcher::Op::Equal), (old.1, matcher::Op::Regex)] {
        let Some(node) = fields.take(key) else { continue };
        for (name, value) in reader.string_map(node, key).unwrap_or_default() {
            match LabelMatcher::new(op, &name, &value) {
                Ok(one) => found.push(one),
                Err(why) => reader.error(node, "bad-matcher", why),
            }
        }
    }
    found
}

fn read_receiver(reader: &Reader, node: &Node) -> Option<Receiver> {
    let mut fields = reader.fields(node, "a receiver")?;
    let name = fields.require("name").and_then(|n| reader.string(n, "name"))?;
    let mut receiver = Receiver { name, webhooks: vec![] };
    for item in fields.take("webhook_configs").and_then(|n| reader.items(n, "webhook_configs")).unwrap_or_default() {
        receiver.webhooks.extend(read_webhook(reader, item));
    }
    for key in OTHER_RECEIVERS {
        refuse(reader, &mut fields, &[(*key, "use webhook_configs")]);
    }
    fields.finish();
    Some(receiver)
}

fn read_webhook(reader: &Reader, node: &Node) -> Option<Webhook> {
    let mut fields = reader.fields(node, "a webhook")?;
    let at = fields.take("url");
    refuse(
        reader,
        &mut fields,
        &[("url_file", "write the url"), ("http_config", "only plain webhooks are called"), ("payload", "remove it")],
    );
    let url = at.and_then(|n| reader.string(n, "url")).unwrap_or_default();
    match (at, reqwest::Url::parse(&url)) {
        (None, _) => reader.error(node, "missing-key", "one of url or url_file must be configured"),
        (Some(at), Ok(parsed)) if !matches!(parsed.scheme(), "http" | "https") => {
            reader.error(at, "bad-value", format!("unsupported scheme \"{}\" for URL", parsed.scheme()));
        }
        (Some(at), Err(error)) => reader.error(at, "bad-value", format!("url: {error}")),
        _ => {}
    }
    let send_resolved = fields.take("send_resolved").and_then(|n| reader.boolean(n, "send_resolved")).unwrap_or(true);
    let max_alerts = fields.take("max_alerts").and_then(|n| reader.integer(n, "max_alerts")).unwrap_or(0);
    let timeout_ms = duration_ms(reader, &mut fields, "timeout").unwrap_or(0);
    fields.finish();
    Some(Webhook { url, send_resolved, max_alerts: usize::try_from(max_alerts).unwrap_or(0), timeout_ms })
}

fn read_inhibit(reader: &Reader, node: &Node) -> Option<InhibitRule> {
    let mut fields = reader.fields(node, "an inhibition rule")?;
    if let Some(name) = fields.take("name") {
        reader.string(name, "name");
    }
    let source = matchers(reader, &mut fields, "source_matchers", ("source_match", "source_match_re"));
    let target = matchers(reader, &mut fields, "target_matchers", ("target_match", "target_match_re"));
    let equal = fields.take("equal").and_then(|n| reader.strings(n, "equal")).unwrap_or_default();
    let lists: BTreeMap<&str, &Vec<LabelMatcher>> = [("source", &source), ("target", &target)].into();
    for (side, _) in lists.iter().filter(|(_, m)| m.is_empty()) {
        reader.error(node, "missing-key", format!("an inhibition rule needs {side}_matchers"));
    }
    fields.finish();
    Some(InhibitRule { source, target, equal })
}
