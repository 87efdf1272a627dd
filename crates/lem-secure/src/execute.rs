//! Scans a directory: runs the scanners side by side, then lets [`crate::plan`] decide what their words mean.

use crate::config::{Policy, SkipReason};
use crate::engine::{Infrastructure, Input, Pipelines, Scanner, Secrets, Vulnerabilities};
use crate::error::SecureError;
use crate::owners::Owners;
use crate::{imports, plan};
use jiff::civil::Date;
use lem_engine_scan::files::Tree;
use lem_engine_scan::iac::RuleSet;
use lem_engine_scan::leaks::{self, Matcher};
use lem_engine_scan::sca::{Database, Ecosystem};
use lem_engine_scan::skip::{NO_REASON_RULE, Skips};
use lem_engine_scan::{Found, Report, Unknown};
use lem_model::finding::{Finding, FindingSeverity};
use lem_model::port::ResourceGraphs;
use lem_model::resource::ResourceGraph;
use lem_model::{Diagnostic, Digest, Place};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// How a scan goes.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// Advisories.
    pub database: Arc<Database>,
    /// Policy of the repository.
    pub policy: Policy,
    /// The day it is.
    pub today: Date,
    /// Also every line a commit ever added.
    pub history: bool,
    /// Threads.
    pub threads: usize,
}

impl ScanOptions {
    /// A scan of the tree with these advisories, on this day.
    pub fn new(database: Arc<Database>, today: Date) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { database, policy: Policy::default(), today, history: false, threads }
    }
}

/// What a scan found.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// Findings, worst first.
    pub findings: Vec<Finding>,
    /// What could not be judged.
    pub unknown: Vec<Unknown>,
    /// What is wrong with files, and what is to be said.
    pub diagnostics: Vec<Diagnostic>,
    /// Day of what is known per ecosystem; `None` where nothing is.
    pub advisories: Vec<(Ecosystem, Option<Date>)>,
    /// Digest of names and sizes of what was scanned.
    pub input: Digest,
    /// Digest of the rules.
    pub rules: Digest,
    /// Files.
    pub files: usize,
}

impl Scan {
    /// Open findings of this severity or above.
    pub fn open(&self, threshold: FindingSeverity) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |f| f.is_open() && f.severity >= threshold)
    }

    /// Whether a file could not be used.
    pub fn is_unreadable(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Scans a directory. `graphs` evaluates infrastructure; without it those files are unknown, and said to be.
pub async fn scan(root: &Path, graphs: Option<&dyn ResourceGraphs>, options: ScanOptions) -> Result<Scan, SecureError> {
    let graphs = match graphs {
        Some(port) if root.is_dir() => Some(port.graphs(root).await?),
        _ => None,
    };
    let root = root.to_owned();
    let work = tokio::task::spawn_blocking(move || scan_now(&root, graphs.as_deref(), &options));
    work.await.map_err(|_| SecureError::Ended("files"))?
}

/// The same, here and now, for callers that have the graphs.
pub fn scan_now(root: &Path, graphs: Option<&[ResourceGraph]>, options: &ScanOptions) -> Result<Scan, SecureError> {
    let tree = Tree::list(root);
    let mut report = Report { diagnostics: tree.diagnostics.clone(), ..Report::default() };
    let scanners: [Box<dyn Scanner>; 4] = [
        Box::new(Infrastructure),
        Box::new(Pipelines),
        Box::new(Secrets { threads: options.threads }),
        Box::new(Vulnerabilities { database: options.database.clone() }),
    ];
    let input = Input { tree: &tree, graphs };
    let parts = std::thread::scope(|scope| {
        let running: Vec<_> = scanners.iter().map(|s| (s.name(), scope.spawn(|| s.scan(&input)))).collect();
        let ended = running.into_iter().map(|(name, thread)| thread.join().map_err(|_| SecureError::Ended(name)));
        ended.collect::<Result<Vec<_>, _>>()
    })?;
    for part in parts {
        report.merge(part);
    }
    if options.history {
        report.merge(leaks::scan_history(Matcher::embedded(), root, None)?);
    }
    skips(&tree, &mut report, options.policy.skip_reason);
    report.diagnostics.extend(imports::apply(&tree, &mut report.found));
    report.diagnostics.extend(
        options
            .database
            .problems
            .iter()
            .map(|why| Diagnostic::warning("advisories-unread", why.clone(), Place::file("advisories"))),
    );
    Ok(finished(root, &tree, report, options))
}

fn finished(root: &Path, tree: &Tree, mut report: Report, options: &ScanOptions) -> Scan {
    let owners = Owners::of(root);
    let findings = plan::findings(report.found, &options.policy.exceptions, |path| owners.owner(path), options.today);
    report.unknown.sort();
    report.unknown.dedup();
    report.diagnostics.sort_by(|a, b| (&a.place, &a.code, &a.message).cmp(&(&b.place, &b.code, &b.message)));
    report.diagnostics.dedup();
    let mut hash = Sha256::new();
    for path in &tree.paths {
        hash.update(path);
        hash.update([0]);
        hash.update(tree.bytes(path).unwrap_or_default());
    }
    Scan {
        findings,
        unknown: report.unknown,
        diagnostics: report.diagnostics,
        advisories: Ecosystem::ALL.into_iter().map(|e| (e, options.database.day(e))).collect(),
        input: Digest::new(format!("sha256:{}", hex::encode(hash.finalize()))),
        rules: RuleSet::digest(),
        files: tree.paths.len(),
    }
}

/// Reads the skip comments of files that have findings, and of files whose comments may cover nothing.
fn skips(tree: &Tree, report: &mut Report, strict: SkipReason) {
    let with_findings: BTreeSet<&str> = report.found.iter().map(|f| f.place.file.as_str()).collect();
    let commented = |path: &str| {
        [".tf", ".tofu", ".yml", ".yaml"].iter().any(|end| path.ends_with(end))
            || lem_engine_scan::skip::is_dockerfile(path)
    };
    let files: Vec<String> =
        tree.paths.iter().filter(|p| commented(p) || with_findings.contains(p.as_str())).cloned().collect();
    let mut about: Vec<Found> = vec![];
    for file in files {
        let Ok(text) = tree.text(&file) else { continue };
        let skips = Skips::read(&file, &text);
        if !skips.is_empty() {
            let (silent, unused) = skips.apply(&mut report.found);
            about.extend(silent);
            report.diagnostics.extend(unused);
        }
    }
    match strict {
        SkipReason::Required => report.found.extend(about),
        SkipReason::Warn => {
            report.diagnostics.extend(about.into_iter().map(|f| Diagnostic::warning(NO_REASON_RULE, f.title, f.place)));
        }
        SkipReason::Off => {}
    }
}
