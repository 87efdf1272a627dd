//! The scanners of lem-engine-scan.

use super::{Input, Scanner};
use lem_engine_scan::iac::RuleSet;
use lem_engine_scan::leaks::{self, Matcher};
use lem_engine_scan::sca::{Database, lock};
use lem_engine_scan::{Report, Unknown, cilint, dockerfile, iac, skip};
use lem_model::{Diagnostic, Place};
use std::sync::Arc;

/// Rules over resource graphs and Dockerfiles.
#[derive(Clone, Copy, Debug, Default)]
pub struct Infrastructure;

impl Scanner for Infrastructure {
    fn name(&self) -> &'static str {
        "infrastructure"
    }

    fn scan(&self, input: &Input<'_>) -> Report {
        let mut report = Report::default();
        for graph in input.graphs.unwrap_or_default() {
            report.diagnostics.extend(graph.diagnostics.iter().cloned());
            report.merge(iac::judge(graph, RuleSet::embedded()));
        }
        let terraform = input.tree.paths.iter().filter(|p| p.ends_with(".tf") || p.ends_with(".tofu"));
        let seen = |path: &str| {
            let read = |g: &lem_model::resource::ResourceGraph| {
                let below = g.root == "." || g.root.is_empty() || path.starts_with(&format!("{}/", g.root));
                below || g.resources.iter().any(|r| r.place.file == path)
            };
            input.graphs.unwrap_or_default().iter().any(read)
        };
        for path in terraform.filter(|p| !seen(p)) {
            report.unknown.push(Unknown {
                rule: "infrastructure".into(),
                subject: path.clone(),
                place: Place::file(path),
                why: "no graph was evaluated from this file: none of its resources is judged".into(),
            });
        }
        for path in input.tree.paths.iter().filter(|p| skip::is_dockerfile(p)) {
            match input.tree.text(path) {
                Ok(text) => report.found.extend(dockerfile::judge(path, &text)),
                Err(diagnostic) => report.diagnostics.push(diagnostic),
            }
        }
        report
    }
}

/// Rules about pipeline files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pipelines;

impl Scanner for Pipelines {
    fn name(&self) -> &'static str {
        "pipeline"
    }

    fn scan(&self, input: &Input<'_>) -> Report {
        let mut report = Report::default();
        for (path, kind) in input.tree.paths.iter().filter_map(|p| Some((p, cilint::kind(p)?))) {
            match input.tree.text(path) {
                Ok(text) => report.merge(cilint::judge(kind, path, &text)),
                Err(diagnostic) => report.diagnostics.push(diagnostic),
            }
        }
        report
    }
}

/// Secrets in files.
#[derive(Clone, Copy, Debug)]
pub struct Secrets {
    /// Threads.
    pub threads: usize,
}

impl Scanner for Secrets {
    fn name(&self) -> &'static str {
        "secret"
    }

    fn scan(&self, input: &Input<'_>) -> Report {
        leaks::scan_tree(Matcher::embedded(), input.tree, self.threads)
    }
}

/// Packages of lockfiles against advisories.
#[derive(Clone, Debug)]
pub struct Vulnerabilities {
    /// Advisories.
    pub database: Arc<Database>,
}

impl Scanner for Vulnerabilities {
    fn name(&self) -> &'static str {
        "vulnerability"
    }

    fn scan(&self, input: &Input<'_>) -> Report {
        let mut report = Report::default();
        for (path, lock) in lockfiles(input.tree) {
            report.merge(lem_engine_scan::sca::judge(&path, &lock.packages, &self.database));
            report.unknown.extend(lock.unknown);
            report.diagnostics.extend(lock.diagnostics);
        }
        for (path, what) in input.tree.paths.iter().filter_map(|p| Some((p, lock::unread(p)?))) {
            let message = format!("lockfiles of {what} are not read: its packages are not judged");
            report.diagnostics.push(Diagnostic::warning("lockfile-unread", message, Place::file(path)));
        }
        report
    }
}

/// The lockfiles of a tree. A `go.sum` beside a `go.mod` says nothing more.
pub fn lockfiles(tree: &lem_engine_scan::files::Tree) -> Vec<(String, lock::Lockfile)> {
    let kinds = tree.paths.iter().filter_map(|p| Some((p, lock::kind(p)?)));
    let kept = kinds.filter(|(path, kind)| {
        let beside = path.strip_suffix("go.sum").map(|directory| format!("{directory}go.mod"));
        *kind != lock::Kind::GoSum || !beside.is_some_and(|module| tree.paths.contains(&module))
    });
    kept.map(|(path, kind)| {
        let read = match tree.text(path) {
            Ok(text) => lock::read(kind, path, &text),
            Err(diagnostic) => lock::Lockfile { diagnostics: vec![diagnostic], ..lock::Lockfile::default() },
        };
        (path.clone(), read)
    })
    .collect()
}
