//! Scans, gates, reports and attestations as stories.

#![expect(clippy::unwrap_used, reason = "tests")]

mod decisions;
mod scans;
mod serving;
mod waiting;

use jiff::civil::Date;
use lem_engine_scan::sca::Database;
use lem_secure::ScanOptions;
use std::path::Path;
use std::sync::Arc;

pub(crate) fn day(text: &str) -> Date {
    text.parse().unwrap()
}

pub(crate) fn options() -> ScanOptions {
    ScanOptions::new(Arc::new(Database::open(None).unwrap()), day("2026-11-26"))
}

pub(crate) fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// A token that proves itself by its checksum, put together here so that none stands in this file.
pub(crate) fn token() -> String {
    let body = "x7Kp2mQ9vR4tY8wB3nZ6cF1hJ5dG0s";
    let crc = !body.bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xedb8_8320 } else { c >> 1 })
    });
    let digits: Vec<char> = ('0'..='9').chain('A'..='Z').chain('a'..='z').collect();
    let (mut rest, mut sum) = (crc, vec![]);
    for _ in 0..6 {
        sum.push(digits[(rest % 62) as usize]);
        rest /= 62;
    }
    format!("ghp{}{body}{}", "_", sum.into_iter().rev().collect::<String>())
}

pub(crate) fn git(root: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];
    let output = std::process::Command::new("git").arg("-C").arg(root).args(identity).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
