//! Every resource graph of a directory, whatever language its files are in.
//!
//! In: a directory. Out: one graph per Terraform root, CloudFormation template and file of Kubernetes manifests; of the root
//! that `lem.yaml` names one per environment, with its variables. A file that does not read has its reasons in the
//! diagnostics of its graph; it is never left out silently.

use crate::config::Config;
use crate::{cloudformation, kubernetes};
use async_trait::async_trait;
use lem_model::port::{ResourceGraphs, SourceError};
use lem_model::resource::ResourceGraph;
use lem_model::{Diagnostic, Place};
use lem_source::{Detected, FileKind, MAX_SCANNED_FILES, ProjectError};
use std::collections::BTreeMap;
use std::path::Path;

/// The graphs of a repository's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Graphs;

#[async_trait]
impl ResourceGraphs for Graphs {
    async fn graphs(&self, directory: &Path) -> Result<Vec<ResourceGraph>, SourceError> {
        let directory = directory.to_owned();
        let read = tokio::task::spawn_blocking(move || read(&directory));
        read.await
            .map_err(|error| SourceError::Unreachable { what: "infrastructure files".into(), why: error.to_string() })?
    }
}

/// Reads all graphs below a directory.
pub fn read(directory: &Path) -> Result<Vec<ResourceGraph>, SourceError> {
    if !directory.is_dir() {
        let why = "is no directory".to_owned();
        return Err(SourceError::Invalid { what: directory.display().to_string(), why });
    }
    let (found, cut) = lem_source::detect(directory);
    let mut graphs: Vec<ResourceGraph> = vec![];
    graphs.extend(found.iter().filter_map(|file| template(directory, file)));
    let written = found.iter().filter(|file| file.kind == FileKind::Terraform);
    let folders = written.map(|file| file.path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned());
    graphs.extend(crate::terraform::graphs(directory, &folders.collect(), &configured(directory)));
    if cut {
        let message = format!("at most {MAX_SCANNED_FILES} files are looked at; further ones are not in any graph");
        let diagnostics = vec![Diagnostic::warning("too-many-files", message, Place::file("."))];
        graphs.push(ResourceGraph { root: ".".to_owned(), diagnostics, ..ResourceGraph::default() });
    }
    graphs.sort_by(|a, b| (&a.root, &a.environment).cmp(&(&b.root, &b.environment)));
    Ok(graphs)
}

/// What `lem.yaml` says of environments. What is wrong in it is told by the command, which reads it too.
fn configured(directory: &Path) -> Config {
    let project = lem_source::Project::open(directory).ok();
    let section = project.as_ref().and_then(|p| p.section("provision"));
    Config::read(lem_source::CONFIG_FILE, section).0
}

/// The graph of one file that stands for itself.
fn template(directory: &Path, file: &Detected) -> Option<ResourceGraph> {
    let kinds = [FileKind::CloudFormation, FileKind::Kubernetes];
    if !kinds.contains(&file.kind) {
        return None;
    }
    let text = match lem_source::read_file(&directory.join(&file.path)) {
        Ok(text) => text,
        Err(error) => return Some(unreadable(&file.path, error)),
    };
    Some(match file.kind {
        FileKind::CloudFormation => cloudformation::read(&file.path, &text, &BTreeMap::new()),
        _ => kubernetes::read(&file.path, &text),
    })
}

fn unreadable(path: &str, error: ProjectError) -> ResourceGraph {
    let diagnostics = match error {
        ProjectError::Invalid(found) => {
            found.into_iter().map(|d| Diagnostic { place: Place { file: path.to_owned(), ..d.place }, ..d }).collect()
        }
        ProjectError::Read { source, .. } => {
            vec![Diagnostic::error("unreadable-file", format!("cannot read the file: {source}"), Place::file(path))]
        }
    };
    ResourceGraph { root: path.to_owned(), diagnostics, ..ResourceGraph::default() }
}
