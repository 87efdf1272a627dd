//! The reference's test files, where the data folder is present.

use std::path::PathBuf;

use lem_engine_promql::promqltest::run_file;

/// Cases known to fail: file, line of the `eval`, reason.
const KNOWN_FAILURES: &[(&str, usize, &str)] = &[];

fn fixtures() -> PathBuf {
    let shared = std::env::var_os("LEM_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    shared.join("fixtures/promqltest")
}

#[test]
fn test_files_of_the_reference_pass() {
    let dir = fixtures();
    if !dir.is_dir() {
        println!("skipped: no data");
        return;
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "test"))
        .collect();
    files.sort();
    let mut unexpected = Vec::new();
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let report = run_file(&path).unwrap();
        println!("{name}: {} passed, {} failed", report.passed, report.failed);
        for failure in report.failures {
            let known = KNOWN_FAILURES.iter().any(|(file, line, _)| *file == name && *line == failure.line);
            if !known {
                unexpected.push(format!("{name}:{}: {}", failure.line, failure.message));
            }
        }
    }
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
}
