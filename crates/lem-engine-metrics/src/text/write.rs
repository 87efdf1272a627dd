//! Writing families as Prometheus text 0.0.4.

use std::fmt::Write as _;

use super::lines::is_metric_name;
use super::{Kind, Metadata, TextSample, format_value};
use crate::labels::{Labels, METRIC_NAME};

/// A metric family and its samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Family {
    /// Name, kind and help. An empty help is not written.
    pub metadata: Metadata,
    /// Samples, each under its own metric name. Exemplars have no place in this format and are not written.
    pub samples: Vec<TextSample>,
}

/// The families as text. Names beyond the classic alphabet are quoted, as Prometheus 3 reads them.
pub fn write(families: &[Family]) -> String {
    let mut out = String::new();
    for family in families {
        let meta = &family.metadata;
        let name = if is_metric_name(&meta.name) { meta.name.clone() } else { quote(&meta.name) };
        if !meta.help.is_empty() {
            let help = meta.help.replace('\\', "\\\\").replace('\n', "\\n");
            let _ = writeln!(out, "# HELP {name} {help}");
        }
        let _ = writeln!(out, "# TYPE {name} {}", kind_name(meta.kind));
        for sample in &family.samples {
            series(&mut out, &sample.labels);
            let _ = write!(out, " {}", format_value(sample.value));
            if let Some(t) = sample.t_ms {
                let _ = write!(out, " {t}");
            }
            out.push('\n');
        }
    }
    out
}

/// Kinds that the format does not have are written as untyped, except those that it has under another name.
fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter | Kind::Gauge | Kind::Histogram | Kind::Summary => kind.name(),
        Kind::Info | Kind::StateSet => Kind::Gauge.name(),
        Kind::GaugeHistogram | Kind::Unknown => "untyped",
    }
}

fn series(out: &mut String, labels: &Labels) {
    let mut parts = Vec::new();
    let metric = labels.metric();
    if is_metric_name(metric) {
        out.push_str(metric);
    } else {
        parts.push(quote(metric));
    }
    for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
        let plain = is_metric_name(name) && !name.contains(':');
        let name = if plain { name.to_owned() } else { quote(name) };
        parts.push(format!("{name}={}", quote(value)));
    }
    if !parts.is_empty() {
        let _ = write!(out, "{{{}}}", parts.join(","));
    }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
