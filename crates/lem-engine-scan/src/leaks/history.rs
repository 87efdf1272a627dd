//! Every line a commit ever added, oldest first, as `git log` tells it (docs/adr/0004: git is asked, not imitated).

use super::Matcher;
use crate::{Found, Report};
use lem_model::finding::Subject;
use lem_model::{Diagnostic, Place};
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use thiserror::Error;

/// Bytes of patches that are read.
pub const MAX_HISTORY_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Longest line that is looked at.
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// Why history could not be read.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// No git.
    #[error("cannot run git; install it with your system's package manager")]
    Missing(#[source] std::io::Error),
    /// It stopped.
    #[error("git log: {0}")]
    Failed(String),
    /// Its output broke off.
    #[error("git log broke off")]
    Read(#[source] std::io::Error),
}

/// Looks for secrets in the lines that commits added; `since` leaves out what is reachable from there.
pub fn scan(matcher: &Matcher, repository: &Path, since: Option<&str>) -> Result<Report, HistoryError> {
    let mut command = Command::new("git");
    command.arg("-C").arg(repository);
    command.args(["-c", "core.quotePath=false", "log", "--reverse", "--patch", "--unified=0", "--no-color"]);
    command.args(["--no-ext-diff", "--no-textconv", "--no-renames", "--src-prefix=a/", "--dst-prefix=b/", "-m"]);
    command.arg("--format=%x00%H");
    match since {
        Some(since) => command.arg(format!("{since}..HEAD")),
        None => command.arg("--all"),
    };
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(HistoryError::Missing)?;
    let output = child.stdout.take().expect("it was piped");
    let reader = Reader::new(matcher, BufReader::with_capacity(1 << 16, output));
    let report = reader.read();
    if report.is_err() {
        // Nothing more is wanted of it.
        let _ended = child.kill();
    }
    let ended = child.wait_with_output().map_err(HistoryError::Read)?;
    let report = report?;
    if !ended.status.success() && report.diagnostics.is_empty() {
        let said = String::from_utf8_lossy(&ended.stderr);
        return Err(HistoryError::Failed(said.lines().next().unwrap_or("no message").to_owned()));
    }
    Ok(report)
}

/// Reads patches.
struct Reader<'a, R> {
    matcher: &'a Matcher,
    input: R,
    commit: String,
    path: Option<String>,
    /// Added lines of the hunk, and the number of its first.
    hunk: Vec<u8>,
    first_line: u32,
    seen: HashSet<(String, String, String)>,
    report: Report,
}

impl<'a, R: BufRead> Reader<'a, R> {
    fn new(matcher: &'a Matcher, input: R) -> Self {
        Self {
            matcher,
            input,
            commit: String::new(),
            path: None,
            hunk: vec![],
            first_line: 1,
            seen: HashSet::new(),
            report: Report::default(),
        }
    }

    fn read(mut self) -> Result<Report, HistoryError> {
        let (mut line, mut total) = (vec![], 0u64);
        loop {
            line.clear();
            let read = self.input.read_until(b'\n', &mut line).map_err(HistoryError::Read)?;
            total += read as u64;
            if read == 0 || total > MAX_HISTORY_BYTES {
                break;
            }
            self.line(&line);
        }
        self.finish();
        if total > MAX_HISTORY_BYTES {
            let message =
                format!("history has more than {MAX_HISTORY_BYTES} bytes of patches; the newest are not scanned");
            self.report.diagnostics.push(Diagnostic::error("history-too-large", message, Place::file(".git")));
        }
        Ok(self.report)
    }

    fn line(&mut self, line: &[u8]) {
        match line {
            [0, sha @ ..] => {
                self.finish();
                self.commit = String::from_utf8_lossy(sha).trim().to_owned();
                self.path = None;
            }
            [b'+', b'+', b'+', b' ', name @ ..] if self.hunk.is_empty() => {
                self.path = name.strip_prefix(b"b/").map(|n| String::from_utf8_lossy(n).trim_end().to_owned());
            }
            [b'd', b'i', b'f', b'f', b' ', ..] => {
                self.finish();
                self.path = None;
            }
            [b'@', b'@', b' ', ..] => {
                self.finish();
                self.first_line = hunk_start(line);
            }
            [b'+', added @ ..] if added.len() <= MAX_LINE_BYTES => self.hunk.extend_from_slice(added),
            _ => {}
        }
    }

    /// Looks at the hunk that has ended.
    fn finish(&mut self) {
        let hunk = std::mem::take(&mut self.hunk);
        let Some(path) = self.path.clone().filter(|_| !hunk.is_empty()) else { return };
        for found in self.matcher.file(&path, &hunk) {
            let once = (found.rule.clone(), found.identity.key.clone(), found.identity.discriminator.clone());
            if self.seen.insert(once) {
                self.report.found.push(self.in_history(found, &path));
            }
        }
    }

    fn in_history(&self, found: Found, path: &str) -> Found {
        let shift = self.first_line.saturating_sub(1);
        let line = found.place.line + shift;
        Found {
            title: found.title.replace(" in the file", " in history"),
            fix: Some("revoke it where it was issued; removing it from history is not enough".into()),
            references: vec![format!("added by commit {}", self.commit)],
            end_line: found.end_line + shift,
            place: Place::new(path, line, found.place.column),
            subject: Subject::History { commit: self.commit.clone(), path: path.to_owned() },
            ..found
        }
    }
}

/// First line of the new side: `@@ -a,b +c,d @@`.
fn hunk_start(header: &[u8]) -> u32 {
    let text = String::from_utf8_lossy(header);
    let side = text.split('+').nth(1).unwrap_or_default();
    side.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(1)
}
