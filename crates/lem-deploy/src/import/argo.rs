//! Argo Rollouts: a `kind: Rollout` manifest, or a bare file with `strategy:` and the settings around it.
//!
//! Every key of `argoproj.io/v1alpha1` is known here; what this engine cannot do is refused by name at its place, what
//! only Kubernetes needs (`selector`, `template`) is passed over. `kind: Deployment` and `strategy: {type: Recreate |
//! RollingUpdate}` are read with their Kubernetes meaning. `kind: AnalysisTemplate` documents may stand in the same
//! file or in files of their own.

mod analysis;
mod canary;
mod rollout;
mod steps;

pub use analysis::{Template, Templates};

use crate::model::Strategy;
use lem_engine_yaml::{Node, Options, Reader, parse, parse_duration_ms};
use lem_model::{Diagnostic, Place};

/// Steps of one strategy.
pub const STEPS_MAX: usize = 200;

/// Reads a strategy file and the files with further analysis templates: (name, text) each.
pub fn read(file: &str, text: &str, templates: &[(String, String)]) -> (Option<Strategy>, Vec<Diagnostic>) {
    let mut diagnostics = vec![];
    let mut known = Templates::default();
    for (name, text) in templates {
        let (nodes, found) = documents(name, text);
        diagnostics.extend(found);
        for node in nodes.iter().filter(|n| kind(n) == Some("AnalysisTemplate")) {
            let reader = Reader::new(name.as_str());
            known.read(&reader, node);
            diagnostics.extend(reader.into_diagnostics());
        }
    }
    let (nodes, found) = documents(file, text);
    diagnostics.extend(found);
    let reader = Reader::new(file);
    for node in nodes.iter().filter(|n| kind(n) == Some("AnalysisTemplate")) {
        known.read(&reader, node);
    }
    let rollouts: Vec<&Node> = nodes.iter().filter(|n| is_rollout(&reader, n)).collect();
    let strategy = match rollouts.as_slice() {
        [one] => rollout::read(&reader, one, &known),
        [] => {
            reader.report(Diagnostic::error(
                "no-strategy",
                "no kind: Rollout and no strategy in this file",
                Place::file(file),
            ));
            None
        }
        [_, second, ..] => {
            reader.error(second, "two-strategies", "a second strategy in the same file");
            None
        }
    };
    diagnostics.extend(reader.into_diagnostics());
    let strategy = if diagnostics.iter().any(Diagnostic::is_error) { None } else { strategy };
    (strategy, diagnostics)
}

fn documents(file: &str, text: &str) -> (Vec<Node>, Vec<Diagnostic>) {
    parse(text, file, Options::default())
}

fn kind(node: &Node) -> Option<&str> {
    node.get("kind")?.text()
}

/// Whether a document is for us; of other kinds (Service, Ingress ...) nothing is read, and an unknown one is named.
fn is_rollout(reader: &Reader, node: &Node) -> bool {
    match kind(node) {
        Some("Rollout" | "Deployment") | None => !node.is_null(),
        Some("AnalysisTemplate") => false,
        Some(other @ ("ClusterAnalysisTemplate" | "Experiment" | "AnalysisRun")) => {
            reader.error(node, "unsupported-kind", format!("kind {other} is not supported"));
            false
        }
        Some(_) => false,
    }
}

/// A duration as Argo reads it: a bare number is seconds, otherwise Go's units up to hours.
fn duration_ms(reader: &Reader, node: &Node, what: &str) -> Option<u64> {
    let text = node.text().filter(|t| !t.contains(['d', 'w', 'y']));
    let found = text.and_then(|t| if t == "0" { Some(0) } else { parse_duration_ms(t) });
    if found.is_none() {
        let message = format!("{what} must be seconds or a duration such as 90s, 5m or 1h30m");
        reader.error(node, "bad-duration", message);
    }
    found
}

/// A whole number of at least 0.
fn count(reader: &Reader, node: &Node, what: &str) -> Option<u32> {
    let n = reader.integer(node, what)?;
    let found = u32::try_from(n).ok();
    if found.is_none() {
        reader.error(node, "out-of-range", format!("{what} must be 0 or more, not {n}"));
    }
    found
}

/// A count of seconds, as milliseconds.
fn seconds_ms(reader: &Reader, node: &Node, what: &str) -> Option<u64> {
    count(reader, node, what).map(|s| u64::from(s) * 1000)
}
