//! The `pipeline:` section of `lem.yaml`.

use lem_engine_yaml::{Node, Reader};
use std::path::{Path, PathBuf};

/// Jobs that may run at once.
pub const MAX_JOBS: usize = 256;

/// Where workflows are when nothing is said.
pub const WORKFLOW_DIRECTORY: &str = ".github/workflows";

/// The `pipeline:` section.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PipelineConfig {
    /// `workflows`: files relative to the repository; every file of [`WORKFLOW_DIRECTORY`] when empty.
    pub workflows: Vec<String>,
    /// `jobs`: jobs that run at once; as many as there are processors when not given.
    pub jobs: Option<usize>,
    /// `writable`: directories jobs may write to besides their own; absolute, or `~/...`.
    pub writable: Vec<PathBuf>,
    /// `executor`: `sandbox` or `host`.
    pub executor: ExecutorName,
    /// `vars`: the `vars` context.
    pub vars: Vec<(String, String)>,
}

/// Which executor runs jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ExecutorName {
    /// The sandbox.
    #[default]
    Sandbox,
    /// The machine as it is.
    Host,
}

impl PipelineConfig {
    /// Reads the section; what is wrong goes to the reader.
    pub fn read(reader: &Reader, node: &Node) -> Self {
        let mut config = Self::default();
        let Some(mut fields) = reader.fields(node, "pipeline") else { return config };
        if let Some(files) = fields.take("workflows").and_then(|n| reader.strings(n, "workflows")) {
            config.workflows = files;
        }
        if let Some(node) = fields.take("jobs") {
            match reader.integer(node, "jobs") {
                Some(n @ 1..) if n as usize <= MAX_JOBS => config.jobs = Some(n as usize),
                Some(_) => reader.error(node, "out-of-range", format!("jobs must be from 1 to {MAX_JOBS}")),
                None => {}
            }
        }
        if let Some(node) = fields.take("writable") {
            let home = std::env::var_os("HOME").map(PathBuf::from);
            for text in reader.strings(node, "writable").unwrap_or_default() {
                match expand(&text, home.as_deref()) {
                    Some(path) => config.writable.push(path),
                    None => reader.error(node, "wrong-type", format!("\"{text}\" must be absolute or begin with ~/")),
                }
            }
        }
        if let Some(node) = fields.take("executor") {
            match reader.string(node, "executor").as_deref() {
                Some("sandbox") => config.executor = ExecutorName::Sandbox,
                Some("host") => config.executor = ExecutorName::Host,
                Some(other) => {
                    reader.error(node, "unknown-executor", format!("executor is sandbox or host, not \"{other}\""));
                }
                None => {}
            }
        }
        if let Some(vars) = fields.take("vars").and_then(|n| reader.string_map(n, "vars")) {
            config.vars = vars;
        }
        fields.finish();
        config
    }

    /// Jobs that run at once.
    pub fn job_limit(&self) -> usize {
        self.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from)).min(MAX_JOBS)
    }
}

fn expand(text: &str, home: Option<&Path>) -> Option<PathBuf> {
    match text.strip_prefix("~/") {
        Some(rest) => home.map(|h| h.join(rest)),
        None => Some(PathBuf::from(text)).filter(|p| p.is_absolute()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use lem_engine_yaml::{Options, parse_one};

    fn check(text: &str) -> (PipelineConfig, Vec<String>) {
        let (node, _) = parse_one(text, "lem.yaml", Options::default());
        let reader = Reader::new("lem.yaml");
        let config = PipelineConfig::read(&reader, &node.unwrap());
        (config, reader.into_diagnostics().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_section_reads_and_names_what_is_wrong() {
        let (config, wrong) = check("workflows: [ci.yml]\njobs: 4\nexecutor: host\nwritable: [/opt/cache]\n");
        assert_eq!(
            (config.workflows, config.jobs, config.executor),
            (vec!["ci.yml".into()], Some(4), ExecutorName::Host)
        );
        assert_eq!(config.writable, [PathBuf::from("/opt/cache")]);
        assert!(wrong.is_empty());
        let (_, wrong) = check(&format!("jobs: {}\nexecutor: vm\nwritable: [here]\nworkflow: x\n", MAX_JOBS + 1));
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        assert!(wrong[0].starts_with("lem.yaml:1:7: jobs must be from 1 to 256"));
        assert!(wrong[3].contains("did you mean \"workflows\"?"));
    }
}
