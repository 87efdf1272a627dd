//! `AnalysisTemplate` documents, and the places that use them.

use super::duration_ms;
use crate::model::{Analysis, ArgValue, Metric};
use indexmap::IndexMap;
use lem_engine_judge::analysis::{Invalid, Limits, Mode, validate};
use lem_engine_judge::condition::{Condition, Conditions};
use lem_engine_yaml::{Fields, Node, Reader};
use lem_model::Diagnostic;

/// Providers Argo Rollouts knows; one of them works here.
const PROVIDERS: [&str; 13] = [
    "prometheus",
    "kayenta",
    "web",
    "datadog",
    "wavefront",
    "newRelic",
    "job",
    "cloudWatch",
    "graphite",
    "influxdb",
    "skywalking",
    "plugin",
    "apacheSkyWalking",
];

/// Known templates by name.
#[derive(Debug, Default)]
pub struct Templates(IndexMap<String, Template>);

/// One template.
#[derive(Clone, Debug)]
pub struct Template {
    /// Arguments with their defaults.
    pub args: Vec<(String, Option<ArgValue>)>,
    /// Metrics.
    pub metrics: Vec<Metric>,
}

impl Templates {
    /// Reads a `kind: AnalysisTemplate` document.
    pub fn read(&mut self, reader: &Reader, node: &Node) {
        let name = node.get("metadata").and_then(|m| m.get("name")).and_then(Node::text).map(str::to_owned);
        let Some(name) = name else {
            reader.error(node, "missing-key", "an AnalysisTemplate needs metadata.name");
            return;
        };
        let Some(mut fields) = reader.fields(node, "the AnalysisTemplate") else { return };
        for key in ["apiVersion", "kind", "metadata"] {
            fields.take(key);
        }
        let spec = fields.require("spec");
        fields.finish();
        let Some(template) = spec.and_then(|n| template(reader, n)) else { return };
        if self.0.insert(name.clone(), template).is_some() {
            reader.error(node, "duplicate", format!("a second AnalysisTemplate is called {name}"));
        }
    }

    /// The analysis at a place that has `templates` and `args`.
    pub(super) fn analysis(&self, reader: &Reader, node: &Node, fields: &mut Fields<'_>) -> Option<Analysis> {
        let list = fields.require("templates").and_then(|n| reader.items(n, "templates"))?;
        let args = args(reader, fields);
        for key in ["dryRun", "measurementRetention", "analysisRunMetadata"] {
            if let Some(n) = fields.take(key) {
                reader.error(n, "unsupported-key", format!("{key} is not supported here; set it in the template"));
            }
        }
        let mut analysis = Analysis { templates: vec![], metrics: vec![], args: vec![] };
        for item in list {
            let Some(mut f) = reader.fields(item, "a template") else { continue };
            let name_node = f.require("templateName");
            if let Some(n) = f.take("clusterScope").filter(|n| reader.boolean(n, "clusterScope") == Some(true)) {
                reader.error(n, "unsupported-key", "cluster templates are not supported");
            }
            f.finish();
            let Some(name) = name_node.and_then(|n| reader.string(n, "templateName")) else { continue };
            let Some(template) = self.0.get(&name) else {
                let known = self.0.keys().map(String::as_str);
                let hint = lem_model::diagnostic::nearest(&name, known).map(|near| format!("did you mean \"{near}\"?"));
                let at = name_node.unwrap_or(item).place(reader.file());
                let mut unknown =
                    Diagnostic::error("unknown-template", format!("no AnalysisTemplate is called {name}"), at);
                unknown.hint = hint;
                reader.report(unknown);
                continue;
            };
            analysis.templates.push(name);
            analysis.metrics.extend(template.metrics.iter().cloned());
            analysis.args.extend(template.args.iter().filter_map(|(n, v)| Some((n.clone(), v.clone()?))));
        }
        // The values given at the place of use come last in the template's defaults' stead.
        for (name, value) in args {
            analysis.args.retain(|(n, _)| *n != name);
            analysis.args.push((name, value));
        }
        self.check_args(reader, node, &analysis);
        let limits: Vec<Limits> = analysis.metrics.iter().map(|m| m.limits.clone()).collect();
        for Invalid { metric, problem, .. } in validate(&limits).iter().filter(|i| i.problem.contains("twice")) {
            reader.error(node, "bad-metric", format!("metric {metric}: {problem}"));
        }
        Some(analysis)
    }

    /// Every argument a template needs has a value, and every `{{args.name}}` has an argument.
    fn check_args(&self, reader: &Reader, node: &Node, analysis: &Analysis) {
        let has = |name: &str| analysis.args.iter().any(|(n, _)| n == name);
        let needed = analysis.templates.iter().filter_map(|t| self.0.get(t)).flat_map(|t| &t.args);
        for (name, _) in needed.filter(|(name, _)| !has(name)) {
            reader.error(node, "missing-arg", format!("argument {name} has no value"));
        }
        for metric in &analysis.metrics {
            let query = analysis.query(metric, "new", "stable");
            if let Some(at) = query.find("{{") {
                let rest = query[at..].split("}}").next().unwrap_or_default();
                let message = format!("metric {}: {rest}}}}} has no value", metric.limits.name);
                reader.error(node, "missing-arg", message);
            }
        }
    }
}

fn args(reader: &Reader, fields: &mut Fields<'_>) -> Vec<(String, ArgValue)> {
    arg_list(reader, fields).into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn arg_list(reader: &Reader, fields: &mut Fields<'_>) -> Vec<(String, Option<ArgValue>)> {
    let list = fields.take("args").and_then(|n| reader.items(n, "args")).unwrap_or_default();
    let mut found = vec![];
    for node in list {
        let Some(mut f) = reader.fields(node, "an argument") else { continue };
        let name = f.require("name").and_then(|n| reader.string(n, "name"));
        let text = f.take("value").and_then(|n| reader.string(n, "value")).map(ArgValue::Text);
        let from = f.take("valueFrom").and_then(|n| value_from(reader, n));
        f.finish();
        if let Some(name) = name {
            found.push((name, text.or(from)));
        }
    }
    found
}

fn value_from(reader: &Reader, node: &Node) -> Option<ArgValue> {
    let mut fields = reader.fields(node, "valueFrom")?;
    let hash = fields.take("podTemplateHashValue");
    for key in ["fieldRef", "secretKeyRef"] {
        if let Some(n) = fields.take(key) {
            reader.error(n, "unsupported-key", format!("valueFrom.{key} is not supported"));
        }
    }
    fields.finish();
    let hash = hash?;
    match hash.text() {
        Some("Latest") => Some(ArgValue::NewVersion),
        Some("Stable") => Some(ArgValue::StableVersion),
        _ => {
            reader.error(hash, "out-of-range", "podTemplateHashValue must be Latest or Stable");
            None
        }
    }
}

fn template(reader: &Reader, node: &Node) -> Option<Template> {
    let mut fields = reader.fields(node, "spec")?;
    let args = arg_list(reader, &mut fields);
    let dry: Vec<String> = fields
        .take("dryRun")
        .and_then(|n| reader.items(n, "dryRun"))
        .unwrap_or_default()
        .iter()
        .filter_map(|n| n.get("metricName").and_then(Node::text).map(str::to_owned))
        .collect();
    fields.take("measurementRetention");
    let list = fields.require("metrics").and_then(|n| reader.items(n, "metrics"));
    fields.finish();
    let list = list?;
    let metrics: Vec<Metric> = list.iter().filter_map(|n| metric(reader, n, &dry)).collect();
    if metrics.len() == list.len() {
        let limits: Vec<Limits> = metrics.iter().map(|m| m.limits.clone()).collect();
        for Invalid { index, metric, problem } in validate(&limits) {
            reader.error(&list[index], "bad-metric", format!("metric {metric}: {problem}"));
        }
    }
    Some(Template { args, metrics })
}

fn metric(reader: &Reader, node: &Node, dry: &[String]) -> Option<Metric> {
    let mut fields = reader.fields(node, "a metric")?;
    let name = fields.require("name").and_then(|n| reader.string(n, "name"));
    let mut limits = Limits::named(name.clone().unwrap_or_default());
    if dry.iter().any(|d| d == "*" || *d == limits.name) {
        limits.mode = Mode::DryRun;
    }
    limits.interval_ms = fields.take("interval").and_then(|n| duration_ms(reader, n, "interval"));
    limits.initial_delay_ms =
        fields.take("initialDelay").and_then(|n| duration_ms(reader, n, "initialDelay")).unwrap_or(0);
    limits.count = fields.take("count").and_then(|n| int(reader, n, "count"));
    for (key, target) in [
        ("failureLimit", &mut limits.failure_limit),
        ("inconclusiveLimit", &mut limits.inconclusive_limit),
        ("consecutiveErrorLimit", &mut limits.consecutive_error_limit),
        ("consecutiveSuccessLimit", &mut limits.consecutive_success_limit),
    ] {
        if let Some(n) = fields.take(key).and_then(|n| int(reader, n, key)) {
            *target = n;
        }
    }
    let success = fields.take("successCondition").map(|n| condition(reader, n, "successCondition"));
    let failure = fields.take("failureCondition").map(|n| condition(reader, n, "failureCondition"));
    let query = fields.require("provider").and_then(|n| provider(reader, n));
    fields.finish();
    name?;
    let conditions = Conditions { success: success.flatten(), failure: failure.flatten() };
    Some(Metric { limits, conditions, query: query? })
}

/// An integer, or one in quotes: Argo's IntOrString.
fn int(reader: &Reader, node: &Node, what: &str) -> Option<i64> {
    node.text().and_then(|t| t.parse().ok()).or_else(|| reader.integer(node, what))
}

fn condition(reader: &Reader, node: &Node, what: &str) -> Option<Condition> {
    let text = reader.string(node, what)?;
    match Condition::compile(&text) {
        Ok(condition) => Some(condition),
        Err(error) => {
            let message = format!("{what} does not compile: {} at column {}", error.message, error.column);
            reader.error(node, "bad-condition", message);
            None
        }
    }
}

fn provider(reader: &Reader, node: &Node) -> Option<String> {
    let entries = node.entries()?;
    let [entry] = entries else {
        reader.error(node, "one-provider", "provider needs exactly one kind");
        return None;
    };
    match entry.key.text() {
        Some("prometheus") => {}
        Some(other) if PROVIDERS.contains(&other) => {
            reader.error(
                &entry.key,
                "unsupported-provider",
                format!("provider {other} is not supported; use prometheus"),
            );
            return None;
        }
        other => {
            let message = format!("unknown provider \"{}\"", other.unwrap_or_default());
            reader.error(&entry.key, "unknown-provider", message);
            return None;
        }
    }
    let mut fields = reader.fields(&entry.value, "prometheus")?;
    // The embedded store answers; an address in the file names the store the query was written for.
    for key in ["address", "timeout", "insecure", "headers", "authentication"] {
        fields.take(key);
    }
    if let Some(n) = fields.take("rangeQuery") {
        reader.error(n, "unsupported-key", "rangeQuery is not supported");
    }
    let query = fields.require("query").and_then(|n| reader.string(n, "query"));
    fields.finish();
    query
}
