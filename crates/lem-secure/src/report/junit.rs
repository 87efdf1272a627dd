//! JUnit XML: one suite per scanner, one case per finding; what is set aside is skipped.

use super::{scanner_word, subject};
use crate::execute::Scan;
use lem_model::finding::{Finding, FindingSeverity, Scanner, Standing};
use std::fmt::Write as _;

/// The document. Findings below the threshold pass.
pub fn junit(scan: &Scan, threshold: FindingSeverity) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"lem scan\">\n");
    for scanner in [Scanner::Infrastructure, Scanner::Pipeline, Scanner::Vulnerability, Scanner::Secret] {
        let all: Vec<&Finding> = scan.findings.iter().filter(|f| f.scanner == scanner).collect();
        let failures = all.iter().filter(|f| f.is_open() && f.severity >= threshold).count();
        let skipped = all.iter().filter(|f| !f.is_open()).count();
        let name = scanner_word(scanner);
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{failures}\" skipped=\"{skipped}\" errors=\"0\">",
            all.len()
        );
        for finding in &all {
            case(&mut out, finding, name, threshold);
        }
        out.push_str("  </testsuite>\n");
    }
    let errors: Vec<_> = scan.diagnostics.iter().filter(|d| d.is_error()).collect();
    let _ = writeln!(out, "  <testsuite name=\"files\" tests=\"{0}\" failures=\"0\" errors=\"{0}\">", errors.len());
    for error in errors {
        let (place, said) = (escape(&error.place.to_string()), escape(&error.to_string()));
        let _ =
            writeln!(out, "    <testcase classname=\"files\" name=\"{place}\"><error message=\"{said}\"/></testcase>");
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn case(out: &mut String, finding: &Finding, suite: &str, threshold: FindingSeverity) {
    let name = escape(&format!("{} {} {}", finding.rule, finding.place, subject(finding)));
    let _ = write!(out, "    <testcase classname=\"lem.{suite}\" name=\"{name}\"");
    let title = escape(&finding.title);
    match &finding.standing {
        Standing::Excepted { reason, .. } => {
            let _ = writeln!(out, "><skipped message=\"{}\"/></testcase>", escape(reason));
        }
        Standing::Open if finding.severity >= threshold => {
            let fix = escape(finding.fix.as_deref().unwrap_or_default());
            let kind = finding.severity.word();
            let _ = writeln!(out, "><failure type=\"{kind}\" message=\"{title}\">{fix}</failure></testcase>");
        }
        Standing::Open => {
            let _ = writeln!(out, "/>");
        }
    }
}

/// XML 1.0 text; characters it cannot hold are replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c if (c as u32) < 0x20 && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
