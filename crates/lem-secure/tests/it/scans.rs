//! Whole directories, and what is said about them.

use crate::{day, git, options, token, write};
use lem_engine_scan::sca::Ecosystem;
use lem_model::finding::{FindingSeverity, Subject};
use lem_secure::execute::scan_now;
use lem_secure::report::{json, junit, sarif, text};
use lem_secure::{Scan, ScanOptions};
use std::path::Path;

const TODAY: &str = "2026-11-26";

fn repository() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let secret = format!("TOKEN={}\n", token());
    write(
        dir.path(),
        &[
            ("Dockerfile", "FROM a\n# checkov:skip=CKV_DOCKER_2\nUSER root\n"),
            (
                ".github/workflows/ci.yml",
                "on: push\npermissions: {}\njobs:\n  a:\n    runs-on: x\n    steps:\n    - run: echo ${{ github.head_ref }}\n",
            ),
            ("config.env", &secret),
            (
                "Cargo.lock",
                "version = 4\n[[package]]\nname = \"time\"\nversion = \"0.1.42\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
            ),
            (
                "web/package-lock.json",
                "{\"lockfileVersion\": 3, \"packages\": {\"node_modules/a\": {\"version\": \"1.0.0\"}}}",
            ),
            ("main.tf", "resource \"aws_s3_bucket\" \"a\" {\n}\n"),
            ("CODEOWNERS", "* @all\nDockerfile @ops\n"),
        ],
    );
    dir
}

fn scanned(root: &Path, options: &ScanOptions) -> Scan {
    scan_now(root, None, options).unwrap()
}

fn rules(scan: &Scan) -> Vec<&str> {
    scan.findings.iter().filter(|f| f.is_open()).map(|f| f.rule.as_str()).collect()
}

#[test]
fn every_scanner_speaks_and_what_is_not_known_is_said() {
    let dir = repository();
    let scan = scanned(dir.path(), &options());
    let open = rules(&scan);
    for rule in ["LEM-LEAK-0003", "LEM-GHA-0002", "LEM-DOCKER-0005", "LEM-DOCKER-0006", "LEM-SKIP-0001"] {
        assert!(open.contains(&rule), "{rule}: {open:?}");
    }
    assert!(
        scan.findings
            .iter()
            .any(|f| matches!(&f.subject, Subject::Package { purl, .. } if purl == "pkg:cargo/time@0.1.42"))
    );
    assert!(!open.contains(&"LEM-DOCKER-0002"), "a skip comment holds");
    let owner = |rule: &str| scan.findings.iter().find(|f| f.rule == rule).unwrap().owner.clone();
    assert_eq!((owner("LEM-DOCKER-0006").as_deref(), owner("LEM-GHA-0002").as_deref()), (Some("@ops"), Some("@all")));
    let unknown: Vec<_> = scan.unknown.iter().map(|u| u.why.as_str()).collect();
    assert!(unknown.iter().any(|w| w.contains("no advisory data for npm")), "{unknown:?}");
    assert!(unknown.iter().any(|w| w.contains("no graph was evaluated")), "{unknown:?}");
    assert_eq!(scan.advisories.iter().find(|(e, _)| *e == Ecosystem::Npm).unwrap().1, None);
}

#[test]
fn no_secret_is_in_any_form_of_any_report() {
    let dir = repository();
    git(dir.path(), &["init", "-q", "-b", "main"]);
    git(dir.path(), &["add", "."]);
    git(dir.path(), &["commit", "-qm", "one"]);
    let scan = scanned(dir.path(), &ScanOptions { history: true, ..options() });
    assert_eq!(
        scan.findings.iter().filter(|f| f.rule == "LEM-LEAK-0003").count(),
        1,
        "tree and history are one finding"
    );
    let high = FindingSeverity::High;
    let forms = [
        text(&scan, high, day(TODAY)),
        json(&scan).to_string(),
        sarif(&scan).to_string(),
        junit(&scan, high),
        format!("{scan:?}"),
        serde_json::to_string(&lem_secure::service::fact(&scan, "s", None, "x".into())).unwrap(),
    ];
    let secret = token();
    for form in forms {
        assert!(!form.contains(&secret[..12]) && !form.contains(&secret[secret.len() - 12..]), "{form}");
        assert!(form.contains("LEM-LEAK-0003"));
    }
}

#[test]
fn two_scans_give_the_same_bytes() {
    let dir = repository();
    let (one, two) = (scanned(dir.path(), &options()), scanned(dir.path(), &ScanOptions { threads: 7, ..options() }));
    assert_eq!(sarif(&one).to_string(), sarif(&two).to_string());
    assert_eq!(text(&one, FindingSeverity::Low, day(TODAY)), text(&two, FindingSeverity::Low, day(TODAY)));
}

#[test]
fn sarif_has_the_shape_its_schema_demands() {
    let dir = repository();
    let document = sarif(&scanned(dir.path(), &options()));
    // The types are generated from the schema of the OASIS standard; a missing or wrong field does not read.
    let read: serde_sarif::sarif::Sarif = serde_json::from_value(document.clone()).unwrap();
    assert_eq!(read.runs.len(), 4);
    for run in document["runs"].as_array().unwrap() {
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        for result in run["results"].as_array().unwrap() {
            assert_eq!(rules[result["ruleIndex"].as_u64().unwrap() as usize]["id"], result["ruleId"]);
            assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
            assert!(result["locations"][0]["physicalLocation"]["region"]["startLine"].as_u64().unwrap() >= 1);
            assert_eq!(result["partialFingerprints"]["lem/v1"].as_str().unwrap().len(), 32);
        }
    }
    let suppressed = document.to_string().matches("\"suppressions\"").count();
    assert_eq!(suppressed, 1, "the skip of the Dockerfile");
}

#[test]
fn junit_counts_failures_at_the_threshold() {
    let dir = repository();
    let scan = scanned(dir.path(), &options());
    let document = junit(&scan, FindingSeverity::Critical);
    let failures = document.matches("<failure ").count();
    assert_eq!(failures, scan.open(FindingSeverity::Critical).count());
    assert!(document.contains("<skipped message=\"skipped in the file, without a reason\"/>"), "{document}");
}

#[test]
fn text_names_severity_rule_place_fix_and_the_age_of_advisories() {
    let dir = repository();
    let shown = text(&scanned(dir.path(), &options()), FindingSeverity::High, day(TODAY));
    assert!(
        shown.contains("critical LEM-LEAK-0003  config.env:1:7  config.env\n         GitHub token in the file\n"),
        "{shown}"
    );
    assert!(shown.contains("advisories: crates.io of 2026-08-20 (98 days old); no data for npm, PyPI, Go"), "{shown}");
}

#[test]
fn broken_files_are_errors_with_places_and_the_rest_is_scanned() {
    let dir = repository();
    write(dir.path(), &[("Cargo.lock", "[[package]\n"), (".github/workflows/bad.yml", "a: [\n")]);
    std::fs::write(dir.path().join("Dockerfile.x"), b"FROM \xff\n").unwrap();
    let scan = scanned(dir.path(), &options());
    let codes: Vec<_> =
        scan.diagnostics.iter().filter(|d| d.is_error()).map(|d| (d.code.as_str(), d.place.line > 0)).collect();
    for code in ["lockfile-broken", "yaml-syntax", "not-utf8"] {
        assert!(codes.contains(&(code, true)), "{codes:?}");
    }
    assert!(rules(&scan).contains(&"LEM-LEAK-0003") && scan.is_unreadable());
}

#[test]
fn ignore_files_of_other_tools_set_findings_aside() {
    let dir = repository();
    write(
        dir.path(),
        &[
            (".trivyignore", "# base image is ours\nAVD-DS-0002\nCVE-2020-26235 exp:2020-01-01\n"),
            (".gitleaksignore", "config.env:github-pat:1\n"),
            (
                "osv-scanner.toml",
                "[[IgnoredVulns]]\nid = \"RUSTSEC-2020-0071\"\nignoreUntil = 2030-01-01\nreason = \"not reached\"\n",
            ),
        ],
    );
    let scan = scanned(dir.path(), &options());
    for rule in ["LEM-DOCKER-0006", "LEM-LEAK-0003"] {
        assert!(!rules(&scan).contains(&rule), "{rule}");
    }
    assert!(rules(&scan).contains(&"LEM-DOCKER-0005"));
    write(dir.path(), &[("osv-scanner.toml", "[[IgnoredVulns")]);
    let said = scanned(dir.path(), &options()).diagnostics;
    assert!(said.iter().any(|d| d.code == "exceptions-unread" && d.place.file == "osv-scanner.toml"), "{said:?}");
}

#[test]
fn an_empty_directory_is_clean() {
    let dir = tempfile::tempdir().unwrap();
    let scan = scanned(dir.path(), &options());
    assert_eq!((scan.findings.len(), scan.unknown.len(), scan.diagnostics.len(), scan.files), (0, 0, 0, 0));
}
