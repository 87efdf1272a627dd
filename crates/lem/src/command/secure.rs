//! `lem scan`, `lem sbom`, `lem attest`, `lem advisories`. Exit codes of a scan: 0 clean, 1 findings at the threshold, 2 a
//! file that cannot be used, 3 only when a refresh was asked for and failed.

use super::optimize::graphs;
use crate::cli::secure::{Advisories, Attest, Scan as Arguments, ScanFormat};
use crate::cli::{Cli, Output};
use crate::exit::{Failure, invalid, negative, unreachable, usage};
use jiff::civil::Date;
use lem_engine_scan::files::Tree;
use lem_engine_scan::sbom::{About, cyclonedx};
use lem_engine_scan::sca::{Bundle, Database, Ecosystem};
use lem_ledger::PublicKey;
use lem_model::finding::FindingSeverity;
use lem_model::{Diagnostic, Digest};
use lem_secure::config::severity;
use lem_secure::{Policy, Scan, ScanOptions, SecureError, base, download, engine, plan, report};
use lem_source::git::Repository;
use lem_source::{CONFIG_FILE, Project};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where advisories are kept that were imported or fetched: they are the same for every repository.
pub(crate) fn advisories_directory() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    cache.or_else(home).unwrap_or_else(std::env::temp_dir).join("lemniscate").join("advisories")
}

/// Opens what is embedded and what was imported.
pub(crate) fn database() -> Result<Arc<Database>, Failure> {
    let opened = Database::open(Some(&advisories_directory()));
    opened.map(Arc::new).map_err(|e| usage(format!("advisories: {e}")))
}

pub(super) fn today() -> Date {
    plan::day_of(jiff::Timestamp::now())
}

fn failed(error: SecureError) -> Failure {
    match &error {
        SecureError::Unreachable { .. } => unreachable(error.to_string()),
        _ => usage(error.to_string()),
    }
}

/// Scans.
pub(crate) async fn scan(cli: &Cli, arguments: &Arguments, directory: &Path) -> Result<(), Failure> {
    let root = arguments.path.clone().unwrap_or_else(|| directory.to_owned());
    if !root.exists() {
        return Err(usage(format!("there is no {}", root.display())));
    }
    if arguments.update {
        fetch(download::ADDRESS).await?;
    }
    let (policy, found) = policy(&root)?;
    if found.iter().any(Diagnostic::is_error) {
        return Err(invalid(found));
    }
    let threshold = match &arguments.severity {
        None => policy.threshold,
        Some(word) => severity(word).ok_or_else(|| usage(format!("{word:?} is no severity")))?,
    };
    if arguments.format == ScanFormat::Cyclonedx {
        println!("{:#}", bill(&root));
        return Ok(());
    }
    let mut options = ScanOptions { policy, history: arguments.history, ..ScanOptions::new(database()?, today()) };
    let port = graphs();
    let mut result = lem_secure::scan(&root, Some(port.as_ref()), options.clone()).await.map_err(failed)?;
    result.diagnostics.extend(found);
    if let Some(name) = &arguments.new_only {
        let repository = Repository::discover(&root)?;
        let sha = base::merge_base(&repository, name).map_err(failed)?;
        let before = base::tree_of(&repository, &sha).map_err(failed)?;
        let top = std::path::absolute(repository.root()).unwrap_or_default();
        let below = std::path::absolute(&root).ok().and_then(|r| r.strip_prefix(&top).ok().map(Path::to_path_buf));
        let then = before.path().join("tree").join(below.unwrap_or_default());
        options.history = false;
        if then.exists() {
            let known = lem_secure::scan(&then, Some(port.as_ref()), options).await.map_err(failed)?;
            result.findings = plan::only_new(result.findings, &known.findings);
        }
    }
    print(cli, arguments.format, &result, threshold);
    end(&result, threshold, arguments.strict_unknown)
}

fn print(cli: &Cli, format: ScanFormat, result: &Scan, threshold: FindingSeverity) {
    let format = if format == ScanFormat::Text && cli.output != Output::Text { ScanFormat::Json } else { format };
    match format {
        ScanFormat::Text => print!("{}", report::text(result, threshold, today())),
        ScanFormat::Json => println!("{:#}", report::json(result)),
        ScanFormat::Sarif => println!("{:#}", report::sarif(result)),
        ScanFormat::Junit => print!("{}", report::junit(result, threshold)),
        ScanFormat::Cyclonedx => {}
    }
}

fn end(result: &Scan, threshold: FindingSeverity, strict: bool) -> Result<(), Failure> {
    let (errors, warnings): (Vec<_>, Vec<_>) = result.diagnostics.iter().cloned().partition(Diagnostic::is_error);
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    if !errors.is_empty() {
        return Err(invalid(errors));
    }
    if result.open(threshold).next().is_some() {
        return Err(negative(""));
    }
    if strict && !result.unknown.is_empty() {
        return Err(negative(format!("{} values could not be judged", result.unknown.len())));
    }
    Ok(())
}

/// What the repository says, if it says anything.
pub(crate) fn policy(root: &Path) -> Result<(Policy, Vec<Diagnostic>), Failure> {
    let top =
        if root.is_dir() { crate::root_of(root) } else { root.parent().map(Path::to_path_buf).unwrap_or_default() };
    let project = Project::open(&top)?;
    let section = project.section("secure").map(|node| (CONFIG_FILE, node));
    Ok(Policy::read(&top, section, today()))
}

fn bill(root: &Path) -> Value {
    let lockfiles: Vec<_> =
        engine::lockfiles(&Tree::list(root)).into_iter().map(|(path, lock)| (path, lock.packages)).collect();
    let absolute = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    let name = absolute.file_name().map_or_else(|| "directory".to_owned(), |n| n.to_string_lossy().into_owned());
    let head = Repository::discover(root).ok().and_then(|r| r.resolve("HEAD").ok().flatten());
    cyclonedx(&About { name, version: head.map(|h| h.to_string()), sha256: None, time: None }, &lockfiles)
}

/// Prints the bill of materials.
pub(crate) fn sbom(path: Option<&Path>, directory: &Path) -> Result<(), Failure> {
    let root = path.unwrap_or(directory);
    if !root.exists() {
        return Err(usage(format!("there is no {}", root.display())));
    }
    println!("{:#}", bill(root));
    Ok(())
}

/// Verifies a statement.
pub(crate) fn attest(cli: &Cli, arguments: &Attest) -> Result<(), Failure> {
    let Attest::Verify { file, key, artifact } = arguments;
    let read = |path: &Path| std::fs::read(path).map_err(|e| usage(format!("cannot read {}: {e}", path.display())));
    let written = if Path::new(key).is_file() {
        String::from_utf8_lossy(&read(Path::new(key))?).into_owned()
    } else {
        key.clone()
    };
    let key = PublicKey::parse(&written).map_err(|e| usage(e.to_string()))?;
    let artifact = match artifact {
        Some(text) if text.starts_with("sha256:") => Some(Digest::new(text.clone())),
        Some(path) => Some(Digest::of(&read(Path::new(path))?)),
        None => None,
    };
    let verified =
        lem_secure::attest::verify(&read(file)?, &key, artifact.as_ref()).map_err(|e| negative(e.to_string()))?;
    let document =
        json!({ "predicate": verified.predicate, "subjects": verified.subjects, "statement": verified.statement });
    crate::print::document(cli.output, &document, |_| {
        let subjects: Vec<&str> = verified.subjects.iter().map(Digest::as_str).collect();
        format!("the signature holds: {} about {}\n", verified.predicate, subjects.join(", "))
    });
    Ok(())
}

async fn fetch(address: &str) -> Result<(), Failure> {
    let counts = download::update(address, &Ecosystem::ALL, &advisories_directory(), today()).await.map_err(failed)?;
    for (ecosystem, count) in counts {
        eprintln!("{}: {count} advisories", ecosystem.word());
    }
    Ok(())
}

/// Shows, imports or fetches advisories.
pub(crate) async fn advisories(cli: &Cli, arguments: &Advisories) -> Result<(), Failure> {
    match arguments {
        Advisories::Show => {
            let database = database()?;
            let day = |e: &Ecosystem| database.day(*e).map(|d| d.to_string());
            let rows: Vec<Value> =
                Ecosystem::ALL.iter().map(|e| json!({ "ecosystem": e.word(), "day": day(e) })).collect();
            let shown = Value::Array(rows);
            crate::print::document(cli.output, &shown, |v| {
                crate::print::rows(v, &["ECOSYSTEM", "DAY"], &["ecosystem", "day"])
            });
            Ok(())
        }
        Advisories::Import { path } => {
            let bundle = Bundle::of_osv(path, today()).map_err(|e| usage(e.to_string()))?;
            let kept = Database::keep(&bundle, &advisories_directory()).map_err(|e| usage(e.to_string()))?;
            eprintln!(
                "{} advisories into {}; {} documents did not read",
                bundle.advisories.len(),
                kept.display(),
                bundle.unread
            );
            Ok(())
        }
        Advisories::Update { from } => fetch(from.as_deref().unwrap_or(download::ADDRESS)).await,
    }
}
