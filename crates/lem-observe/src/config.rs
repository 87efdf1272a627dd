//! The `observe:` section of `lem.yaml` and the files it names.
//!
//! Every reader gives what it understood and a list of diagnostics; a file with an error in it is not used.

pub mod alertmanager;
pub mod prometheus;
pub mod rules;

use crate::dash::{self, Dashboard};
use lem_engine_yaml::{Fields, Node, Options, Reader, Style, parse_one};
use lem_model::{Diagnostic, Place};
use std::path::{Path, PathBuf};

pub use alertmanager::{Alertmanager, InhibitRule, Receiver, RouteConfig, Webhook};
pub use prometheus::{Prometheus, ScrapeConfig};
pub use rules::{Rule, RuleGroup, RuleKind};

/// What `lem.yaml` says, paths relative to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// `prometheus.yml`.
    pub prometheus: Option<PathBuf>,
    /// Rule files besides those `prometheus.yml` names.
    pub rules: Vec<PathBuf>,
    /// `alertmanager.yml`.
    pub alertmanager: Option<PathBuf>,
    /// Folder of dashboards.
    pub dashboards: Option<PathBuf>,
}

impl Section {
    /// Reads the section; what is wrong is reported to the reader.
    pub fn read(reader: &Reader, node: &Node) -> Self {
        let mut section = Self::default();
        let Some(mut fields) = reader.fields(node, "observe") else { return section };
        let path = |fields: &mut Fields<'_>, key: &str| {
            fields.take(key).and_then(|n| reader.string(n, key)).map(PathBuf::from)
        };
        section.prometheus = path(&mut fields, "prometheus");
        section.alertmanager = path(&mut fields, "alertmanager");
        section.dashboards = path(&mut fields, "dashboards");
        if let Some(rules) = fields.take("rules").and_then(|n| reader.strings(n, "rules")) {
            section.rules = rules.into_iter().map(PathBuf::from).collect();
        }
        fields.finish();
        section
    }
}

/// Everything the stage is configured with.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Scraping.
    pub prometheus: Prometheus,
    /// Rules of all files.
    pub groups: Vec<RuleGroup>,
    /// Notification; without it nobody is told.
    pub alertmanager: Option<Alertmanager>,
    /// Dashboards.
    pub dashboards: Vec<Dashboard>,
}

/// Reads every file the section names, from the folder of `lem.yaml`.
pub fn load(root: &Path, section: &Section) -> (Config, Vec<Diagnostic>) {
    let mut config = Config::default();
    let mut found = vec![];
    let mut rule_files: Vec<PathBuf> = section.rules.clone();
    if let Some(file) = &section.prometheus
        && let Some(text) = read(root, file, &mut found)
    {
        let (prometheus, diagnostics) = prometheus::parse(&text, &name(file));
        found.extend(diagnostics);
        let folder = file.parent().unwrap_or(Path::new(""));
        for (pattern, place) in &prometheus.rule_files {
            rule_files.extend(expand(root, folder, pattern, place, &mut found));
        }
        config.prometheus = prometheus;
    }
    let mut seen = std::collections::BTreeSet::new();
    for file in rule_files.into_iter().filter(|f| seen.insert(f.clone())) {
        if let Some(text) = read(root, &file, &mut found) {
            let (groups, diagnostics) = rules::parse(&text, &name(&file));
            found.extend(diagnostics);
            config.groups.extend(groups);
        }
    }
    if let Some(file) = &section.alertmanager
        && let Some(text) = read(root, file, &mut found)
    {
        let (alertmanager, diagnostics) = alertmanager::parse(&text, &name(file));
        found.extend(diagnostics);
        config.alertmanager = alertmanager;
    }
    if let Some(folder) = &section.dashboards {
        load_dashboards(root, folder, &mut config, &mut found);
    }
    (config, found)
}

fn load_dashboards(root: &Path, folder: &Path, config: &mut Config, found: &mut Vec<Diagnostic>) {
    let entries = match std::fs::read_dir(root.join(folder)) {
        Ok(entries) => entries,
        Err(error) => {
            found.push(unreadable(folder, &error));
            return;
        }
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(folder.join(e.ok()?.file_name()))).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "json"));
    files.sort();
    for file in files {
        if let Some(text) = read(root, &file, found) {
            let (dashboard, diagnostics) = dash::import(&text, &name(&file));
            found.extend(diagnostics);
            config.dashboards.extend(dashboard);
        }
    }
}

fn name(file: &Path) -> String {
    file.display().to_string()
}

fn unreadable(file: &Path, error: &dyn std::fmt::Display) -> Diagnostic {
    Diagnostic::error("unreadable", format!("cannot read this: {error}"), Place::file(name(file)))
}

fn read(root: &Path, file: &Path, found: &mut Vec<Diagnostic>) -> Option<String> {
    match lem_source::read_file(&root.join(file)) {
        Ok(text) => Some(text),
        Err(lem_source::ProjectError::Invalid(diagnostics)) => {
            found.extend(diagnostics);
            None
        }
        Err(lem_source::ProjectError::Read { source, .. }) => {
            found.push(unreadable(file, &source));
            None
        }
    }
}

fn expand(root: &Path, folder: &Path, pattern: &str, place: &Place, found: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let whole = root.join(folder).join(pattern);
    let paths = match glob::glob(&whole.to_string_lossy()) {
        Ok(paths) => paths,
        Err(error) => {
            found.push(Diagnostic::error("bad-pattern", format!("bad file pattern: {error}"), place.clone()));
            return vec![];
        }
    };
    let files: Vec<PathBuf> =
        paths.filter_map(Result::ok).map(|p| p.strip_prefix(root).map_or(p.clone(), Path::to_owned)).collect();
    if files.is_empty() {
        let message = format!("no rule file matches \"{pattern}\"");
        // As upstream: a pattern may match nothing, a plain name must be there.
        let is_pattern = pattern.contains(['*', '?', '[']);
        let make = if is_pattern { Diagnostic::warning } else { Diagnostic::error };
        found.push(make("no-such-file", message, place.clone()));
    }
    files
}

/// The document of a file as fields, with the reader that collects what is wrong.
pub(crate) fn document(text: &str, file: &str) -> (Reader, Option<Node>) {
    let (node, diagnostics) = parse_one(text, file, Options::default());
    let reader = Reader::new(file);
    for diagnostic in diagnostics {
        reader.report(diagnostic);
    }
    (reader, node)
}

/// A duration in Prometheus' notation, in milliseconds.
pub(crate) fn duration_ms(reader: &Reader, fields: &mut Fields<'_>, key: &str) -> Option<i64> {
    let node = fields.take(key)?;
    let text = reader.string(node, key)?;
    match lem_engine_promql::number::parse_duration_ms(&text) {
        Ok(ms) => Some(ms),
        Err(why) => {
            reader.error_with_hint(node, "bad-duration", format!("{key}: {why}"), "write 30s, 5m or 1h30m");
            None
        }
    }
}

/// Keys of the reference that are not done here: named, never skipped.
pub(crate) fn refuse(reader: &Reader, fields: &mut Fields<'_>, keys: &[(&str, &str)]) {
    for (key, instead) in keys {
        if let Some(node) = fields.take(key) {
            reader.error_with_hint(node, "unsupported", format!("\"{key}\" is not supported"), *instead);
        }
    }
}

/// The place of a position inside a scalar; `line` and `column` count from 1.
pub(crate) fn place_in(node: &Node, file: &str, line: usize, column: usize) -> Place {
    let (line, column) = (line as u32, column as u32);
    match node.scalar().map(|s| s.style) {
        Some(Style::Plain) if line == 1 => Place::new(file, node.mark.line, node.mark.column + column - 1),
        Some(Style::SingleQuoted | Style::DoubleQuoted) if line == 1 => {
            Place::new(file, node.mark.line, node.mark.column + column)
        }
        Some(Style::Literal) => Place::new(file, node.mark.line + line, 0),
        _ => node.place(file),
    }
}
