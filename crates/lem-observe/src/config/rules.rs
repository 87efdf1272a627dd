//! Rule files (Prometheus 3, "Recording rules" and "Alerting rules").

use super::{document, duration_ms, place_in};
use crate::rules::template;
use lem_engine_promql::labels::{is_legacy_label_name, is_legacy_metric_name};
use lem_engine_promql::{Features, ParseError, parse as parse_promql};
use lem_engine_yaml::{Fields, Node, Reader};
use lem_model::Diagnostic;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A group: its rules run in order and see earlier results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleGroup {
    /// Name.
    pub name: String,
    /// File.
    pub file: String,
    /// Time between evaluations; the global one if none.
    pub interval_ms: Option<i64>,
    /// How far back it looks.
    pub query_offset_ms: i64,
    /// Alerts or series per rule; 0 is no limit.
    pub limit: usize,
    /// Labels of all its rules.
    pub labels: BTreeMap<String, String>,
    /// Rules.
    pub rules: Vec<Rule>,
}

/// Record or alert.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum RuleKind {
    /// Writes a series.
    Record,
    /// Fires.
    Alert {
        /// How long the condition must hold.
        hold_ms: i64,
        /// How long it goes on firing without the condition.
        keep_firing_ms: i64,
        /// Templates.
        annotations: BTreeMap<String, String>,
    },
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    /// Name of the series or of the alert.
    pub name: String,
    /// Query.
    pub expr: String,
    /// Labels, templates for alerts.
    pub labels: BTreeMap<String, String>,
    /// Kind.
    pub kind: RuleKind,
}

/// Reads the file.
pub fn parse(text: &str, file: &str) -> (Vec<RuleGroup>, Vec<Diagnostic>) {
    let (reader, node) = document(text, file);
    let mut groups: Vec<RuleGroup> = vec![];
    if let Some(node) = node.filter(|n| !n.is_null())
        && let Some(mut fields) = reader.fields(&node, "a rule file")
    {
        for item in fields.take("groups").and_then(|n| reader.items(n, "groups")).unwrap_or_default() {
            let Some(group) = read_group(&reader, item, file) else { continue };
            if groups.iter().any(|g| g.name == group.name) {
                reader.error(item, "duplicate", format!("groupname: \"{}\" is repeated in the same file", group.name));
            }
            groups.push(group);
        }
        fields.finish();
    }
    (groups, reader.into_diagnostics())
}

fn read_group(reader: &Reader, node: &Node, file: &str) -> Option<RuleGroup> {
    let mut fields = reader.fields(node, "a rule group")?;
    let name = fields.require("name").and_then(|n| reader.string(n, "name")).unwrap_or_default();
    let interval_ms = duration_ms(reader, &mut fields, "interval").filter(|ms| *ms > 0);
    let query_offset_ms = duration_ms(reader, &mut fields, "query_offset").unwrap_or(0);
    let limit = fields.take("limit").and_then(|n| reader.integer(n, "limit")).unwrap_or(0);
    let labels = labels(reader, &mut fields, "labels", Names::Labels);
    let mut rules = vec![];
    let mut seen = BTreeSet::new();
    for item in fields.take("rules").and_then(|n| reader.items(n, "rules")).unwrap_or_default() {
        let Some(mut rule) = read_rule(reader, item) else { continue };
        for (name, value) in &labels {
            rule.labels.entry(name.clone()).or_insert_with(|| value.clone());
        }
        if !seen.insert(format!("{:?}", (&rule.name, &rule.labels, &rule.expr, matches!(rule.kind, RuleKind::Record))))
        {
            reader.warning(item, "duplicate", format!("rule \"{}\" stands here twice", rule.name));
        }
        rules.push(rule);
    }
    fields.finish();
    let limit = usize::try_from(limit).unwrap_or(0);
    Some(RuleGroup { name, file: file.to_owned(), interval_ms, query_offset_ms, limit, labels, rules })
}

fn read_rule(reader: &Reader, node: &Node) -> Option<Rule> {
    let mut fields = reader.fields(node, "a rule")?;
    let (record, alert) = (fields.take("record"), fields.take("alert"));
    let expr_node = fields.require("expr");
    let expr = expr_node.and_then(|n| reader.string(n, "expr")).unwrap_or_default();
    if let Some(at) = expr_node
        && let Err(error) = parse_promql(&expr, &Features::default())
    {
        promql_error(reader, at, &error);
    }
    let for_node = fields.take("for");
    let keep_node = fields.take("keep_firing_for");
    let hold_ms = duration_ms(reader, &mut fields, "for").unwrap_or(0);
    let keep_firing_ms = duration_ms(reader, &mut fields, "keep_firing_for").unwrap_or(0);
    let annotations_node = fields.take("annotations");
    let is_alert = alert.is_some();
    let labels = labels(reader, &mut fields, "labels", if is_alert { Names::Templates } else { Names::Labels });
    let annotations = labels_of(reader, &mut fields, "annotations", Names::Templates);
    fields.finish();
    match (record, alert) {
        (Some(_), Some(at)) => {
            reader.error(at, "bad-rule", "only one of 'record' and 'alert' must be set");
            None
        }
        (None, None) => {
            reader.error(node, "bad-rule", "one of 'record' or 'alert' must be set");
            None
        }
        (Some(record), None) => {
            let name = reader.string(record, "record")?;
            if !is_legacy_metric_name(&name) {
                reader.error(record, "bad-name", format!("invalid recording rule name: {name}"));
            }
            let misplaced = [(for_node, "for"), (keep_node, "keep_firing_for"), (annotations_node, "annotations")];
            for (at, key) in misplaced.into_iter().filter_map(|(at, key)| Some((at?, key))) {
                reader.error(at, "bad-rule", format!("invalid field '{key}' in recording rule"));
            }
            Some(Rule { name, expr, labels, kind: RuleKind::Record })
        }
        (None, Some(alert)) => {
            let name = reader.string(alert, "alert")?;
            Some(Rule { name, expr, labels, kind: RuleKind::Alert { hold_ms, keep_firing_ms, annotations } })
        }
    }
}

fn promql_error(reader: &Reader, at: &Node, error: &ParseError) {
    let place = place_in(at, reader.file(), error.line, error.column);
    let message = format!("could not parse expression: {error}");
    reader.report(Diagnostic::error("promql", message, place));
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Labels,
    Templates,
}

fn labels(reader: &Reader, fields: &mut Fields<'_>, key: &str, kind: Names) -> BTreeMap<String, String> {
    labels_of(reader, fields, key, kind)
}

fn labels_of(reader: &Reader, fields: &mut Fields<'_>, key: &str, kind: Names) -> BTreeMap<String, String> {
    let Some(node) = fields.take(key) else { return BTreeMap::new() };
    let Some(pairs) = reader.string_map(node, key) else { return BTreeMap::new() };
    for entry in node.entries().unwrap_or_default() {
        let name = entry.key.text().unwrap_or_default();
        if !is_legacy_label_name(name) || name == "__name__" {
            reader.error(&entry.key, "bad-name", format!("invalid label name: {name}"));
        }
        if kind == Names::Templates
            && let Some(text) = entry.value.text()
            && let Err(error) = template::check(text)
        {
            let message = format!("template of \"{name}\" does not parse: {error}");
            reader.error(&entry.value, "template", message);
        }
    }
    pairs.into_iter().collect()
}
