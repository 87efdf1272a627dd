//! `prometheus.yml` (Prometheus 3, "Configuration"): global, scrape configurations with static targets, rule files.

use super::{document, duration_ms, refuse};
use crate::scrape::relabel::{Action, Relabel};
use lem_engine_yaml::{Fields, Node, Reader};
use lem_model::{Diagnostic, Place};
use std::collections::BTreeMap;

/// Default time between scrapes and between evaluations.
pub const DEFAULT_INTERVAL_MS: i64 = 60_000;
/// Default time a scrape may take.
pub const DEFAULT_TIMEOUT_MS: i64 = 10_000;

/// The file.
#[derive(Clone, Debug)]
pub struct Prometheus {
    /// Time between scrapes.
    pub scrape_interval_ms: i64,
    /// Time a scrape may take.
    pub scrape_timeout_ms: i64,
    /// Time between evaluations.
    pub evaluation_interval_ms: i64,
    /// Labels for the outside.
    pub external_labels: BTreeMap<String, String>,
    /// Jobs.
    pub scrape_configs: Vec<ScrapeConfig>,
    /// Patterns of rule files, relative to this file.
    pub rule_files: Vec<(String, Place)>,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self {
            scrape_interval_ms: DEFAULT_INTERVAL_MS,
            scrape_timeout_ms: DEFAULT_TIMEOUT_MS,
            evaluation_interval_ms: DEFAULT_INTERVAL_MS,
            external_labels: BTreeMap::new(),
            scrape_configs: vec![],
            rule_files: vec![],
        }
    }
}

/// One job.
#[derive(Clone, Debug)]
pub struct ScrapeConfig {
    /// Job.
    pub job: String,
    /// Time between scrapes.
    pub interval_ms: i64,
    /// Time a scrape may take.
    pub timeout_ms: i64,
    /// Path.
    pub metrics_path: String,
    /// http or https.
    pub scheme: String,
    /// Query parameters.
    pub params: Vec<(String, String)>,
    /// Keep the target's labels where they clash with ours.
    pub honor_labels: bool,
    /// Take the target's timestamps.
    pub honor_timestamps: bool,
    /// Samples per scrape; 0 is no limit.
    pub sample_limit: usize,
    /// Bytes per scrape.
    pub body_size_limit: u64,
    /// Read an unknown content type as this.
    pub fallback_protocol: bool,
    /// Targets with their labels.
    pub targets: Vec<(String, BTreeMap<String, String>)>,
    /// Before the scrape.
    pub relabel: Vec<Relabel>,
    /// After it.
    pub metric_relabel: Vec<Relabel>,
}

const DISCOVERY: &[&str] = &[
    "azure_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "dns_sd_configs",
    "ec2_sd_configs",
    "eureka_sd_configs",
    "file_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "http_sd_configs",
    "ionos_sd_configs",
    "kubernetes_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "openstack_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
];
const ACCESS: &[&str] = &["basic_auth", "authorization", "oauth2", "tls_config", "proxy_url", "proxy_from_environment"];

/// Reads the file.
pub fn parse(text: &str, file: &str) -> (Prometheus, Vec<Diagnostic>) {
    let (reader, node) = document(text, file);
    let mut config = Prometheus::default();
    if let Some(node) = node.filter(|n| !n.is_null())
        && let Some(mut fields) = reader.fields(&node, "the file")
    {
        if let Some(global) = fields.take("global") {
            read_global(&reader, global, &mut config);
        }
        for item in fields.take("rule_files").and_then(|n| reader.items(n, "rule_files")).unwrap_or_default() {
            if let Some(pattern) = reader.string(item, "a rule file") {
                config.rule_files.push((pattern, item.place(file)));
            }
        }
        let jobs = fields.take("scrape_configs").and_then(|n| reader.items(n, "scrape_configs")).unwrap_or_default();
        for job in jobs {
            if let Some(job) = read_job(&reader, job, &config) {
                config.scrape_configs.push(job);
            }
        }
        if let Some(alerting) = fields.take("alerting") {
            let message = "alerts go to the receivers of the alertmanager file of lem.yaml, not to these addresses";
            reader.warning(alerting, "not-used", message);
        }
        let only = "only scrape_configs and rule_files feed the store";
        refuse(
            &reader,
            &mut fields,
            &[
                ("scrape_config_files", "list the jobs under scrape_configs"),
                ("remote_write", only),
                ("remote_read", only),
                ("storage", only),
                ("tracing", only),
                ("otlp", only),
                ("runtime", only),
            ],
        );
        fields.finish();
    }
    (config, reader.into_diagnostics())
}

fn read_global(reader: &Reader, node: &Node, config: &mut Prometheus) {
    let Some(mut fields) = reader.fields(node, "global") else { return };
    let positive = |ms: Option<i64>, into: &mut i64| *into = ms.filter(|ms| *ms > 0).unwrap_or(*into);
    positive(duration_ms(reader, &mut fields, "scrape_interval"), &mut config.scrape_interval_ms);
    positive(duration_ms(reader, &mut fields, "evaluation_interval"), &mut config.evaluation_interval_ms);
    let at = fields.take("scrape_timeout");
    let timeout = duration_ms(reader, &mut fields, "scrape_timeout");
    config.scrape_timeout_ms = timeout.unwrap_or(DEFAULT_TIMEOUT_MS.min(config.scrape_interval_ms));
    if let Some(node) = at.filter(|_| config.scrape_timeout_ms > config.scrape_interval_ms) {
        reader.error(node, "bad-value", "global scrape timeout greater than scrape interval");
    }
    if let Some(labels) = fields.take("external_labels").and_then(|n| reader.string_map(n, "external_labels")) {
        config.external_labels = labels.into_iter().collect();
    }
    let hint = "remove it";
    refuse(
        reader,
        &mut fields,
        &[
            ("query_log_file", hint),
            ("scrape_failure_log_file", hint),
            ("rule_query_offset", "set query_offset in the group"),
            ("metric_name_validation_scheme", hint),
            ("scrape_native_histograms", hint),
        ],
    );
    fields.finish();
}

fn read_job(reader: &Reader, node: &Node, global: &Prometheus) -> Option<ScrapeConfig> {
    let mut fields = reader.fields(node, "a scrape configuration")?;
    let name = fields.require("job_name");
    let job = name.and_then(|n| reader.string(n, "job_name")).unwrap_or_default();
    if let Some(name) = name.filter(|_| global.scrape_configs.iter().any(|c| c.job == job)) {
        reader.error(name, "duplicate", format!("found multiple scrape configs with job name \"{job}\""));
    }
    let interval = duration_ms(reader, &mut fields, "scrape_interval").filter(|ms| *ms > 0);
    let interval_ms = interval.unwrap_or(global.scrape_interval_ms);
    let timeout_at = fields.take("scrape_timeout");
    let timeout = duration_ms(reader, &mut fields, "scrape_timeout").filter(|ms| *ms > 0);
    let timeout_ms = timeout.unwrap_or(global.scrape_timeout_ms.min(interval_ms));
    if let Some(at) = timeout_at.filter(|_| timeout_ms > interval_ms) {
        reader.error(
            at,
            "bad-value",
            format!("scrape timeout greater than scrape interval for scrape config with job name \"{job}\""),
        );
    }
    let text = |fields: &mut Fields<'_>, key: &str| fields.take(key).and_then(|n| reader.string(n, key));
    let flag = |fields: &mut Fields<'_>, key: &str| fields.take(key).and_then(|n| reader.boolean(n, key));
    let metrics_path = text(&mut fields, "metrics_path").unwrap_or_else(|| "/metrics".into());
    let scheme_at = fields.take("scheme");
    let scheme = text(&mut fields, "scheme").unwrap_or_else(|| "http".into());
    if let Some(at) = scheme_at.filter(|_| scheme != "http" && scheme != "https") {
        reader.error(at, "bad-value", format!("scheme must be http or https, not \"{scheme}\""));
    }
    let honor_labels = flag(&mut fields, "honor_labels").unwrap_or(false);
    let honor_timestamps = flag(&mut fields, "honor_timestamps").unwrap_or(true);
    flag(&mut fields, "follow_redirects");
    flag(&mut fields, "enable_compression");
    let sample_limit = fields.take("sample_limit").and_then(|n| reader.integer(n, "sample_limit")).unwrap_or(0);
    let body_size_limit = fields.take("body_size_limit").and_then(|n| body_size(reader, n));
    let fallback_protocol = text(&mut fields, "fallback_scrape_protocol").is_some();
    let mut params = vec![];
    if let Some(entries) = fields.take("params").and_then(|n| n.entries()) {
        for entry in entries {
            let key = reader.string(&entry.key, "a parameter").unwrap_or_default();
            let values = reader.strings(&entry.value, "params").unwrap_or_default();
            params.extend(values.into_iter().map(|v| (key.clone(), v)));
        }
    }
    let mut targets = vec![];
    for group in fields.take("static_configs").and_then(|n| reader.items(n, "static_configs")).unwrap_or_default() {
        targets.extend(read_static(reader, group));
    }
    let relabel = relabels(reader, &mut fields, "relabel_configs");
    let metric_relabel = relabels(reader, &mut fields, "metric_relabel_configs");
    for key in DISCOVERY {
        let hint = "list the targets under static_configs; services that lem deploys are found by themselves";
        refuse(reader, &mut fields, &[(*key, hint)]);
    }
    for key in ACCESS {
        refuse(reader, &mut fields, &[(*key, "only targets without credentials are scraped")]);
    }
    let hint = "remove it";
    refuse(
        reader,
        &mut fields,
        &[
            ("scrape_protocols", "the text formats are always negotiated"),
            ("scrape_native_histograms", hint),
            ("label_limit", hint),
            ("label_name_length_limit", hint),
            ("label_value_length_limit", hint),
            ("target_limit", hint),
            ("track_timestamps_staleness", hint),
            ("metric_name_validation_scheme", hint),
        ],
    );
    fields.finish();
    Some(ScrapeConfig {
        job,
        interval_ms,
        timeout_ms,
        metrics_path,
        scheme,
        params,
        honor_labels,
        honor_timestamps,
        sample_limit: usize::try_from(sample_limit).unwrap_or(0),
        body_size_limit: body_size_limit.unwrap_or(crate::scrape::MAX_BODY_BYTES).min(crate::scrape::MAX_BODY_BYTES),
        fallback_protocol,
        targets,
        relabel,
        metric_relabel,
    })
}

fn read_static(reader: &Reader, node: &Node) -> Vec<(String, BTreeMap<String, String>)> {
    let Some(mut fields) = reader.fields(node, "a static configuration") else { return vec![] };
    let mut addresses = vec![];
    for item in fields.take("targets").and_then(|n| reader.items(n, "targets")).unwrap_or_default() {
        let Some(address) = reader.string(item, "a target") else { continue };
        if address.contains('/') {
            reader.error(item, "bad-target", format!("\"{address}\" is not a valid hostname"));
            continue;
        }
        addresses.push(address);
    }
    let labels = fields.take("labels").and_then(|n| reader.string_map(n, "labels")).unwrap_or_default();
    let labels: BTreeMap<_, _> = labels.into_iter().collect();
    fields.finish();
    addresses.into_iter().map(|a| (a, labels.clone())).collect()
}

/// `10MB` and the like: powers of 1024, as upstream counts.
fn body_size(reader: &Reader, node: &Node) -> Option<u64> {
    let text = reader.string(node, "body_size_limit")?;
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match text[digits..].trim_end_matches("iB").trim_end_matches('B') {
        "" => Some(1_u64),
        "K" => Some(1 << 10),
        "M" => Some(1 << 20),
        "G" => Some(1 << 30),
        _ => None,
    };
    let bytes = text[..digits].parse::<u64>().ok().zip(factor).and_then(|(n, f)| n.checked_mul(f));
    if bytes.is_none() {
        reader.error(node, "bad-value", format!("body_size_limit must be a size such as 10MB, not \"{text}\""));
    }
    bytes.filter(|b| *b > 0)
}

fn relabels(reader: &Reader, fields: &mut Fields<'_>, key: &str) -> Vec<Relabel> {
    let items = fields.take(key).and_then(|n| reader.items(n, key)).unwrap_or_default();
    items.iter().filter_map(|n| relabel(reader, n)).collect()
}

fn relabel(reader: &Reader, node: &Node) -> Option<Relabel> {
    let mut fields = reader.fields(node, "a relabelling")?;
    // An explicitly empty separator or replacement is not the default, so null and "" differ.
    let text = |fields: &mut Fields<'_>, key: &str| fields.take(key).and_then(|n| reader.string(n, key));
    let action_at = fields.take("action");
    let action_text = text(&mut fields, "action").unwrap_or_else(|| "replace".into());
    let action = Action::named(&action_text.to_lowercase());
    if action.is_none() {
        let message = match action_text.as_str() {
            "hashmod" => "relabel action \"hashmod\" is not supported".to_owned(),
            other => format!("unknown relabel action \"{other}\""),
        };
        reader.error(action_at.unwrap_or(node), "bad-value", message);
    }
    let source = fields.take("source_labels").and_then(|n| reader.strings(n, "source_labels")).unwrap_or_default();
    let regex_at = fields.take("regex");
    let pattern = text(&mut fields, "regex").unwrap_or_else(|| "(.*)".into());
    let regex = match lem_engine_promql::labels::anchored_regex(&pattern) {
        Ok(regex) => Some(regex),
        Err(error) => {
            let why = error.to_string().lines().last().unwrap_or_default().to_owned();
            reader.error(regex_at.unwrap_or(node), "bad-regex", format!("regex \"{pattern}\" does not compile: {why}"));
            None
        }
    };
    let target = text(&mut fields, "target_label").unwrap_or_default();
    if let Some(action) = action.filter(|a| a.needs_target() && target.is_empty()) {
        reader.error(
            node,
            "missing-key",
            format!("relabel configuration for {} action requires 'target_label' value", action.name()),
        );
    }
    let separator = text(&mut fields, "separator").unwrap_or_else(|| ";".into());
    let replacement = text(&mut fields, "replacement").unwrap_or_else(|| "$1".into());
    refuse(reader, &mut fields, &[("modulus", "hashmod is not supported")]);
    fields.finish();
    Some(Relabel { source, separator, regex: regex?, target, replacement, action: action? })
}
