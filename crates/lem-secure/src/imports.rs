//! Exceptions that were written down for other tools: `.trivyignore`, `.checkov.baseline`, `osv-scanner.toml`,
//! `.gitleaksignore`. They set findings aside without an approver; the file's history says who wrote them.

use crate::config::at_file;
use jiff::civil::Date;
use lem_engine_scan::files::Tree;
use lem_engine_scan::{Found, Skipped};
use lem_model::Diagnostic;
use lem_model::finding::{Scanner, Subject};

/// One line of such a file.
struct Import {
    file: String,
    ids: Vec<String>,
    /// Beginning of the place or the subject; empty for all.
    path: String,
    line: Option<u32>,
    skipped: Skipped,
}

/// Applies the files of a tree's top to its findings.
pub fn apply(tree: &Tree, found: &mut [Found]) -> Vec<Diagnostic> {
    let mut diagnostics = vec![];
    let mut imports = vec![];
    for (name, read) in [
        (".trivyignore", trivy as fn(&str, &str) -> Result<Vec<Import>, String>),
        (".checkov.baseline", checkov),
        ("osv-scanner.toml", osv),
        (".gitleaksignore", gitleaks),
    ] {
        if !tree.paths.iter().any(|p| p == name) {
            continue;
        }
        let text = match tree.text(name) {
            Ok(text) => text,
            Err(diagnostic) => {
                diagnostics.push(diagnostic);
                continue;
            }
        };
        match read(name, &text) {
            Ok(read) => imports.extend(read),
            Err(why) => diagnostics.push(at_file("exceptions-unread", format!("does not read: {why}"), name)),
        }
    }
    for import in imports {
        let covered = found.iter_mut().filter(|f| f.skipped.is_none() && import.covers(f));
        for finding in covered {
            finding.skipped = Some(import.skipped.clone());
        }
    }
    diagnostics
}

impl Import {
    fn covers(&self, found: &Found) -> bool {
        let subject = match &found.subject {
            Subject::Resource { address } => address.as_str(),
            _ => "",
        };
        let place = found.place.file.as_str();
        let named = self.ids.iter().any(|id| found.is_called(id));
        let here = self.path.is_empty() || place == self.path || subject == self.path;
        let secret = self.file != ".gitleaksignore" || found.scanner == Scanner::Secret;
        named && here && secret && self.line.is_none_or(|line| line == found.place.line)
    }
}

fn import(file: &str, ids: Vec<String>, reason: Option<String>, expires: Option<Date>) -> Import {
    let reason = reason.or_else(|| Some(format!("listed in {file}")));
    Import { file: file.to_owned(), ids, path: String::new(), line: None, skipped: Skipped { reason, expires } }
}

/// An id a line, `exp:2026-01-31` behind it; the comment above is the reason.
fn trivy(file: &str, text: &str) -> Result<Vec<Import>, String> {
    let mut comment: Option<String> = None;
    let mut out = vec![];
    for line in text.lines().map(str::trim) {
        if let Some(said) = line.strip_prefix('#') {
            comment = Some(said.trim().to_owned()).filter(|s| !s.is_empty());
            continue;
        }
        if line.is_empty() {
            comment = None;
            continue;
        }
        let mut words = line.split_whitespace();
        let id = words.next().unwrap_or_default().to_owned();
        let expires =
            words.find_map(|w| w.strip_prefix("exp:")).map(|d| d.parse().map_err(|_| format!("{d:?} is no day")));
        out.push(import(file, vec![id], comment.take(), expires.transpose()?));
    }
    Ok(out)
}

fn checkov(file: &str, text: &str) -> Result<Vec<Import>, String> {
    let json: serde_json::Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let mut out = vec![];
    for entry in json["failed_checks"].as_array().into_iter().flatten() {
        for finding in entry["findings"].as_array().into_iter().flatten() {
            let ids =
                finding["check_ids"].as_array().into_iter().flatten().filter_map(|i| i.as_str().map(str::to_owned));
            let mut import = import(file, ids.collect(), None, None);
            finding["resource"].as_str().unwrap_or_default().clone_into(&mut import.path);
            out.push(import);
        }
    }
    Ok(out)
}

fn osv(file: &str, text: &str) -> Result<Vec<Import>, String> {
    let table: toml::Table = toml::from_str(text).map_err(|e| e.message().to_owned())?;
    let ignored = table.get("IgnoredVulns").and_then(toml::Value::as_array).into_iter().flatten();
    let read = |entry: &toml::Value| {
        let id = entry.get("id")?.as_str()?.to_owned();
        let until = entry.get("ignoreUntil").map(ToString::to_string);
        // What cannot be read must not make it eternal.
        let expires = until.map(|u| u.get(..10).and_then(|d| d.parse().ok()).unwrap_or(Date::MIN));
        let reason = entry.get("reason").and_then(toml::Value::as_str).map(str::to_owned);
        Some(import(file, vec![id], reason, expires))
    };
    Ok(ignored.filter_map(read).collect())
}

/// `file:rule:line`, or the same behind a commit.
fn gitleaks(file: &str, text: &str) -> Result<Vec<Import>, String> {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    Ok(lines
        .filter_map(|line| {
            let mut parts: Vec<&str> = line.split(':').collect();
            let number = parts.pop()?.parse().ok()?;
            let rule = parts.pop()?.to_owned();
            let path = parts.pop()?.to_owned();
            Some(Import { path, line: Some(number), ..import(file, vec![rule], None, None) })
        })
        .collect())
}
