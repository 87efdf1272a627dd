//! The conformance suites on real data, when it is there.

use lem_engine_gha::conformance::{Report, run_expressions, run_reader};
use std::path::{Path, PathBuf};

fn folder(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("LEM_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let folder = shared.join("fixtures").join(name);
    if !folder.is_dir() {
        println!("skipped: no data");
        return None;
    }
    Some(folder)
}

fn all_pass(report: Report) {
    println!("{} passed, {} failed", report.passed, report.failed);
    for (name, why) in &report.failures {
        println!("{name}: {why}");
    }
    assert!(report.passed > 0 && report.failed == 0, "{} cases fail", report.failed);
}

#[test]
fn expressions() {
    if let Some(folder) = folder("github-expressions") {
        all_pass(run_expressions(&folder));
    }
}

#[test]
fn reader() {
    if let Some(folder) = folder("github-reader") {
        all_pass(run_reader(&folder));
    }
}
