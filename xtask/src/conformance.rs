//! `cargo xtask conformance SUITE DIR`: the cases of a reference implementation against ours. Prints what fails and why,
//! closes with the counts, and fails when a case does.

use anyhow::{Context, Result, bail, ensure};
use std::path::Path;

/// What a suite gave.
struct Report {
    passed: usize,
    failures: Vec<String>,
}

pub(crate) fn run(suite: &str, dir: &Path) -> Result<()> {
    if !dir.is_dir() {
        println!("skipped: no data at {}", dir.display());
        return Ok(());
    }
    let report = match suite {
        "github-expressions" => gha(lem_engine_gha::conformance::run_expressions(dir)),
        "github-reader" => gha(lem_engine_gha::conformance::run_reader(dir)),
        "promqltest" => promql(dir)?,
        other => bail!("no suite {other:?}; there are github-expressions, github-reader and promqltest"),
    };
    ensure!(report.passed + report.failures.len() > 0, "{} has no cases of {suite}", dir.display());
    for failure in &report.failures {
        println!("FAIL {failure}");
    }
    println!("{suite}:");
    println!("{} passed, {} failed", report.passed, report.failures.len());
    ensure!(report.failures.is_empty(), "{} case(s) of {suite} fail", report.failures.len());
    Ok(())
}

fn gha(report: lem_engine_gha::conformance::Report) -> Report {
    let failures = report.failures.into_iter().map(|(name, why)| format!("{name}: {why}")).collect();
    Report { passed: report.passed, failures }
}

fn promql(dir: &Path) -> Result<Report> {
    let mut files: Vec<_> = std::fs::read_dir(dir)?.filter_map(Result::ok).map(|e| e.path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "test"));
    files.sort();
    let mut total = Report { passed: 0, failures: vec![] };
    for path in files {
        let report = lem_engine_promql::promqltest::run_file(&path).with_context(|| path.display().to_string())?;
        total.passed += report.passed;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        total.failures.extend(report.failures.iter().map(|f| format!("{name}:{}: {}", f.line, f.message)));
    }
    Ok(total)
}
