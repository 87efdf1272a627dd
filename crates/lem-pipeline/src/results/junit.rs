//! Test results from JUnit XML.

use lem_model::fact::FailedTest;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Largest report that is read.
pub const MAX_REPORT_BYTES: u64 = 64 * 1024 * 1024;
/// Failed tests listed for one suite.
pub const MAX_FAILURES: usize = 100;
/// Reports read after one job.
pub const MAX_REPORTS: usize = 500;
/// Characters of a failure's message.
const MAX_MESSAGE_CHARS: usize = 2_000;
/// How deep reports are looked for.
const MAX_DEPTH: usize = 8;

/// Why a report could not be read.
#[derive(Debug, Error)]
pub enum JunitError {
    /// The file is not there or not readable.
    #[error("test report {path}")]
    Io {
        /// File.
        path: String,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is too large.
    #[error("test report {path} has {bytes} bytes; at most {MAX_REPORT_BYTES} are read")]
    TooLarge {
        /// File.
        path: String,
        /// How large.
        bytes: u64,
    },
    /// The file is no report.
    #[error("test report {path} does not read: {why}")]
    Format {
        /// File.
        path: String,
        /// Cause.
        why: String,
    },
}

/// Results of one suite.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Suite {
    /// Name.
    pub name: String,
    /// Passed cases.
    pub passed: u32,
    /// Failed cases, errors among them.
    pub failed: u32,
    /// Skipped cases.
    pub skipped: u32,
    /// Time by its own account.
    pub duration_ms: u64,
    /// The failed ones, at most [`MAX_FAILURES`].
    pub failures: Vec<FailedTest>,
}

/// The suites of a report; nested ones are listed after their parents, empty ones are left out.
pub fn read(path: &Path) -> Result<Vec<Suite>, JunitError> {
    let name = || path.display().to_string();
    let io = |source| JunitError::Io { path: name(), source };
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > MAX_REPORT_BYTES {
        return Err(JunitError::TooLarge { path: name(), bytes });
    }
    parse(&std::fs::read(path).map_err(io)?).map_err(|why| JunitError::Format { path: name(), why })
}

/// The suites of a report's text.
pub fn parse(xml: &[u8]) -> Result<Vec<Suite>, String> {
    let report = junit_parser::from_reader(std::io::Cursor::new(xml)).map_err(|e| e.to_string())?;
    let mut suites = vec![];
    let mut waiting: Vec<_> = report.suites.iter().rev().collect();
    while let Some(suite) = waiting.pop() {
        if !suite.cases.is_empty() {
            suites.push(results(suite));
        }
        waiting.extend(suite.suites.iter().rev());
    }
    Ok(suites)
}

fn results(suite: &junit_parser::TestSuite) -> Suite {
    use junit_parser::TestStatus;
    let mut out = Suite { name: suite.name.clone(), duration_ms: milliseconds(suite.time), ..Suite::default() };
    if out.duration_ms == 0 {
        out.duration_ms = milliseconds(suite.cases.iter().map(|c| c.time).sum());
    }
    for case in &suite.cases {
        let told = match &case.status {
            TestStatus::Success => {
                out.passed += 1;
                continue;
            }
            TestStatus::Skipped(_) => {
                out.skipped += 1;
                continue;
            }
            TestStatus::Failure(failure) => [&failure.message, &failure.text],
            TestStatus::Error(error) => [&error.message, &error.text],
        };
        out.failed += 1;
        if out.failures.len() < MAX_FAILURES {
            let message = told.into_iter().find(|text| !text.trim().is_empty()).map_or("", |text| text.trim());
            let class = case.classname.as_deref().filter(|c| !c.is_empty()).unwrap_or(&suite.name);
            out.failures.push(FailedTest {
                name: format!("{class}::{}", case.original_name),
                message: message.chars().take(MAX_MESSAGE_CHARS).collect(),
            });
        }
    }
    out
}

fn milliseconds(seconds: f64) -> u64 {
    if seconds.is_finite() && seconds > 0.0 { (seconds * 1000.0).round() as u64 } else { 0 }
}

/// Whether a file's path says it is a JUnit report.
pub fn looks_like_report(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|n| n.to_str()) else { return false };
    let xml = name.ends_with(".xml");
    xml && (name.starts_with("junit") || name.starts_with("TEST-"))
}

/// Reports in a workspace: `**/junit*.xml`, `**/TEST-*.xml`. Dependencies' own directories are not searched.
pub fn find(workspace: &Path) -> Vec<PathBuf> {
    let skip = |name: &std::ffi::OsStr| name == ".git" || name == "node_modules" || name == ".venv";
    let walk = walkdir::WalkDir::new(workspace).max_depth(MAX_DEPTH).sort_by_file_name().into_iter();
    let entries = walk.filter_entry(move |e| !(e.file_type().is_dir() && skip(e.file_name()))).filter_map(Result::ok);
    let reports = entries.filter(|e| e.file_type().is_file() && looks_like_report(e.path()));
    reports.take(MAX_REPORTS).map(walkdir::DirEntry::into_path).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_report_becomes_suites() {
        let xml = br#"<testsuites><testsuite name="shop" tests="4" time="1.25">
            <testcase classname="shop::cart" name="adds" time="0.5"/>
            <testcase classname="shop::cart" name="sums"><failure message="left: 1, right: 2">trace</failure></testcase>
            <testcase name="io"><error>disk</error></testcase>
            <testcase name="later"><skipped/></testcase>
        </testsuite></testsuites>"#;
        let suites = parse(xml).unwrap();
        assert_eq!(suites.len(), 1);
        let suite = &suites[0];
        assert_eq!((suite.passed, suite.failed, suite.skipped, suite.duration_ms), (1, 2, 1, 1250));
        assert_eq!(suite.failures[0].name, "shop::cart::sums");
        assert_eq!(suite.failures[0].message, "left: 1, right: 2");
        assert_eq!(suite.failures[1], FailedTest { name: "shop::io".into(), message: "disk".into() });
        assert!(parse(b"<testsuite><testcase").is_err());
    }

    #[test]
    fn failures_are_listed_up_to_a_limit_and_counted_beyond() {
        let cases: String = (0..150).map(|i| format!("<testcase name=\"t{i}\"><failure/></testcase>")).collect();
        let suites = parse(format!("<testsuite name=\"s\">{cases}</testsuite>").as_bytes()).unwrap();
        assert_eq!((suites[0].failed, suites[0].failures.len()), (150, MAX_FAILURES));
    }
}
