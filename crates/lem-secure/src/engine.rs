//! The scanners, behind one trait, each over the files of one tree.

mod embedded;

pub use embedded::lockfiles;
pub use embedded::{Infrastructure, Pipelines, Secrets, Vulnerabilities};

use lem_engine_scan::Report;
use lem_engine_scan::files::Tree;
use lem_model::resource::ResourceGraph;

/// What is scanned.
#[derive(Debug)]
pub struct Input<'a> {
    /// Files.
    pub tree: &'a Tree,
    /// Evaluated infrastructure; `None` when nothing in this build evaluates it.
    pub graphs: Option<&'a [ResourceGraph]>,
}

/// A scanner: four embedded ones, others plug in here.
pub trait Scanner: Send + Sync {
    /// Name, for messages.
    fn name(&self) -> &'static str;
    /// Scans; what it cannot judge is in the report.
    fn scan(&self, input: &Input<'_>) -> Report;
}
