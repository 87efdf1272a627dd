//! The files of a tree, in parallel.

use super::Matcher;
use crate::Report;
use crate::files::Tree;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes at the start of a file that decide whether it is text, as git decides it.
const PROBE: usize = 8_000;

/// Looks for secrets in every text file of a tree.
pub fn scan(matcher: &Matcher, tree: &Tree, threads: usize) -> Report {
    let next = AtomicUsize::new(0);
    let mut report = Report::default();
    let parts: Vec<Report> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(|| work(matcher, tree, &next))).collect();
        workers.into_iter().map(|w| w.join().expect("a scan does not panic")).collect()
    });
    for part in parts {
        report.merge(part);
    }
    report.found.sort_by(|a, b| (&a.place, &a.rule).cmp(&(&b.place, &b.rule)));
    report.diagnostics.sort_by(|a, b| a.place.cmp(&b.place));
    report
}

fn work(matcher: &Matcher, tree: &Tree, next: &AtomicUsize) -> Report {
    let mut report = Report::default();
    while let Some(path) = tree.paths.get(next.fetch_add(1, Ordering::Relaxed)) {
        match tree.bytes(path) {
            Ok(bytes) if is_text(&bytes) => report.found.extend(matcher.file(path, &bytes)),
            Ok(_) => {}
            Err(diagnostic) => report.diagnostics.push(diagnostic),
        }
    }
    report
}

fn is_text(bytes: &[u8]) -> bool {
    memchr::memchr(0, &bytes[..bytes.len().min(PROBE)]).is_none()
}
