//! Comments by which a file sets a finding aside, in the words of the tools people already use.
//!
//! In: a file's text. Out: [`Skips`], which mark findings as skipped. A skip covers exactly its node: the block it
//! stands in, the line it stands on or above, or the file, as its tool defines. One without a reason is a finding
//! itself, and one that covers nothing is said.

use crate::{Found, Identity, Skipped};
use aho_corasick::AhoCorasick;
use jiff::civil::Date;
use lem_model::finding::{FindingSeverity, Scanner, Subject};
use lem_model::{Diagnostic, Place};
use std::sync::LazyLock;

/// Rule of a skip that gives no reason.
pub const NO_REASON_RULE: &str = "LEM-SKIP-0001";
/// Skips read from one file.
pub const MAX_SKIPS: usize = 2_000;

/// What a skip covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cover {
    /// Findings whose stretch contains the comment.
    Inside,
    /// The same, and findings that begin on the line below the comment.
    InsideOrBelow,
    /// Findings on this line.
    Line(u32),
    /// Findings that begin on this line.
    Begins(u32),
    /// Everything in the file.
    File,
}

/// One comment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Skip {
    written: &'static str,
    /// Rules; none means every rule of the scanners it is for.
    ids: Vec<String>,
    scanners: &'static [Scanner],
    skipped: Skipped,
    cover: Cover,
    line: u32,
    below: u32,
}

/// The skips of one file.
#[derive(Clone, Debug, Default)]
pub struct Skips {
    file: String,
    skips: Vec<Skip>,
}

const FILES: &[Scanner] = &[Scanner::Infrastructure, Scanner::Pipeline];
const ALL: &[Scanner] = &[Scanner::Infrastructure, Scanner::Pipeline, Scanner::Secret, Scanner::Vulnerability];

const MARKS: [&str; 11] = [
    "checkov:skip=",
    "bridgecrew:skip=",
    "trivy:ignore:",
    "tfsec:ignore:",
    "kics-scan ",
    "hadolint ignore=",
    "hadolint global ignore=",
    "zizmor: ignore[",
    "gitleaks:allow",
    "pragma: allowlist secret",
    "pragma: allowlist nextline secret",
];

static FIND: LazyLock<AhoCorasick> = LazyLock::new(|| AhoCorasick::new(MARKS).expect("eleven short words compile"));

impl Skips {
    /// Reads them from a text.
    pub fn read(file: &str, text: &str) -> Self {
        let mut skips = vec![];
        if FIND.is_match(text) {
            let lines: Vec<&str> = text.lines().collect();
            for (index, line) in lines.iter().enumerate() {
                for found in FIND.find_iter(line) {
                    let mark = MARKS[found.pattern().as_usize()];
                    let below = next_code_line(&lines, index);
                    skips.extend(skip(file, mark, &line[found.end()..], index as u32 + 1, below));
                }
            }
        }
        skips.truncate(MAX_SKIPS);
        Self { file: file.to_owned(), skips }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.skips.is_empty()
    }

    /// Marks the findings of this file that a skip covers. Returns the findings about the skips themselves, and what is
    /// to be said about skips that cover nothing.
    pub fn apply(&self, found: &mut [Found]) -> (Vec<Found>, Vec<Diagnostic>) {
        let mut used = vec![false; self.skips.len()];
        for finding in found.iter_mut().filter(|f| f.place.file == self.file && f.skipped.is_none()) {
            for (skip, used) in self.skips.iter().zip(&mut used) {
                if skip.covers(finding) {
                    *used = true;
                    finding.skipped = Some(skip.skipped.clone());
                }
            }
        }
        let silent = self.skips.iter().zip(&used).filter(|(s, used)| **used && s.skipped.reason.is_none());
        let unused = self.skips.iter().zip(&used).filter(|(_, used)| !**used);
        (silent.map(|(s, _)| self.without_reason(s)).collect(), unused.map(|(s, _)| self.covers_nothing(s)).collect())
    }

    fn without_reason(&self, skip: &Skip) -> Found {
        let place = Place::new(&self.file, skip.line, 0);
        without_reason(place, &format!("{}{}", skip.written, skip.ids.join(",")))
    }

    fn covers_nothing(&self, skip: &Skip) -> Diagnostic {
        let message = format!("{}{} covers no finding", skip.written, skip.ids.join(","));
        Diagnostic::warning("skip-unused", message, Place::new(&self.file, skip.line, 0))
            .with_hint("remove it, or move it to the block it is meant for")
    }
}

/// The finding about a skip that does not say why.
pub fn without_reason(place: Place, written: &str) -> Found {
    Found {
        rule: NO_REASON_RULE.into(),
        aliases: vec![],
        scanner: Scanner::Infrastructure,
        severity: FindingSeverity::Medium,
        unscored: false,
        title: format!("the skip {written} gives no reason"),
        subject: Subject::File { path: place.file.clone() },
        end_line: place.line,
        fix: Some("write the reason behind the rule, or remove the skip".into()),
        references: vec![],
        identity: Identity { kind: "file", key: place.file.clone(), discriminator: written.to_owned() },
        skipped: None,
        place,
    }
}

impl Skip {
    fn covers(&self, found: &Found) -> bool {
        if !self.scanners.contains(&found.scanner) {
            return false;
        }
        if !self.ids.is_empty() && !self.ids.iter().any(|id| id == "*" || found.is_called(id)) {
            return false;
        }
        let (start, end) = (found.place.line, found.end_line.max(found.place.line));
        match self.cover {
            Cover::Inside => (start..=end).contains(&self.line),
            Cover::InsideOrBelow => (start..=end).contains(&self.line) || start == self.below,
            Cover::Line(line) => (start..=end).contains(&line),
            Cover::Begins(line) => start == line,
            Cover::File => true,
        }
    }
}

fn skip(file: &str, mark: &'static str, rest: &str, line: u32, below: u32) -> Option<Skip> {
    let new = |ids: Vec<String>, scanners, reason: &str, cover| {
        let skipped = Skipped { reason: words(reason), expires: None };
        Some(Skip { written: mark, ids, scanners, skipped, cover, line, below })
    };
    match mark {
        "checkov:skip=" | "bridgecrew:skip=" => {
            let (id, reason) = split_id(rest.trim_start());
            let cover = match file {
                _ if is_dockerfile(file) => Cover::File,
                _ if is_terraform(file) => Cover::Inside,
                _ => Cover::InsideOrBelow,
            };
            new(vec![id.to_owned()], ALL, reason.trim_start_matches(':'), cover)
        }
        "trivy:ignore:" | "tfsec:ignore:" => {
            let (id, rest) = split_id(rest);
            let (expires, reason) = expiry(rest);
            let mut skip = new(vec![id.to_owned()], ALL, reason, Cover::InsideOrBelow)?;
            skip.skipped.expires = expires;
            Some(skip)
        }
        "kics-scan " => kics(rest, line, below).and_then(|(ids, reason, cover)| new(ids, FILES, reason, cover)),
        "hadolint ignore=" => {
            let (ids, reason) = list(rest);
            new(ids, FILES, reason, Cover::Begins(below))
        }
        "hadolint global ignore=" => {
            let (ids, reason) = list(rest);
            new(ids, FILES, reason, Cover::File)
        }
        "zizmor: ignore[" => {
            let (ids, reason) = rest.split_once(']')?;
            let ids = ids.split(',').map(|id| id.trim().to_owned()).collect();
            new(ids, &[Scanner::Pipeline], reason, Cover::Inside)
        }
        "gitleaks:allow" | "pragma: allowlist secret" => new(vec![], &[Scanner::Secret], rest, Cover::Line(line)),
        "pragma: allowlist nextline secret" => new(vec![], &[Scanner::Secret], rest, Cover::Line(line + 1)),
        _ => None,
    }
}

fn kics(rest: &str, line: u32, below: u32) -> Option<(Vec<String>, &str, Cover)> {
    if let Some(rest) = rest.strip_prefix("ignore-line") {
        return Some((vec![], rest, Cover::Line(line + 1)));
    }
    if let Some(rest) = rest.strip_prefix("ignore-block") {
        return Some((vec![], rest, Cover::Begins(below)));
    }
    if let Some(rest) = rest.strip_prefix("disable=") {
        let (ids, reason) = list(rest);
        return Some((ids, reason, Cover::File));
    }
    rest.strip_prefix("ignore").map(|rest| (vec![], rest, Cover::File))
}

/// An id, and what follows it.
fn split_id(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '*'))).unwrap_or(text.len());
    text.split_at(end)
}

/// Ids parted by commas without blanks, and what follows.
fn list(text: &str) -> (Vec<String>, &str) {
    let (ids, rest) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
    (ids.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect(), rest)
}

fn expiry(rest: &str) -> (Option<Date>, &str) {
    let Some(after) = rest.strip_prefix(":exp:") else { return (None, rest) };
    let (day, reason) = after.split_at(after.find(char::is_whitespace).unwrap_or(after.len()));
    // A date nobody can read must not make the skip eternal.
    (Some(day.parse().unwrap_or(Date::MIN)), reason)
}

/// What is left of a comment once its punctuation is gone; `None` when that is nothing.
fn words(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches("*/").trim_end_matches("-->");
    let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '#' | ':' | '-' | '/' | '|' | '"' | '\''));
    text.chars().any(char::is_alphanumeric).then(|| text.to_owned())
}

/// Line, from 1, of the first line below that is neither blank nor a comment.
fn next_code_line(lines: &[&str], index: usize) -> u32 {
    let code = |line: &str| {
        let line = line.trim_start();
        !(line.is_empty() || line.starts_with('#') || line.starts_with("//"))
    };
    (index + 1..lines.len()).find(|i| code(lines[*i])).map_or(0, |i| i as u32 + 1)
}

/// Whether a path is a Dockerfile by its name.
pub fn is_dockerfile(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let lower = name.to_ascii_lowercase();
    (lower == "dockerfile" || lower == "containerfile")
        || lower.starts_with("dockerfile.")
        || lower.starts_with("containerfile.")
        || lower.ends_with(".dockerfile")
}

fn is_terraform(path: &str) -> bool {
    path.ends_with(".tf") || path.ends_with(".tofu")
}
